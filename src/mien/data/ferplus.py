"""FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten crowd votes for every picture of FER2013."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.expression import FERPLUS, FERPLUS_COLUMNS, Expression
from mien.data import fer2013
from mien.data.dataset import Dataset, text_column

LICENCE = f"labels MIT (Microsoft); pictures {fer2013.LICENCE}"

_HEADER = ("Usage", "Image name", *FERPLUS_COLUMNS)
_FROM_COLUMNS = [[Expression.parse(word) for word in FERPLUS_COLUMNS[:8]].index(label) for label in FERPLUS]


def with_majority(votes: Path, faces: Dataset) -> Dataset:
    """Join ``fer2013new.csv`` to FER2013 by row position, and keep the rows with a majority.

    The number in FER+'s image names is not a row number. Rows without an image name were removed by Microsoft (173,
    most of them no face) and are left out, as are those that :func:`majority` drops. ``rows`` still are positions in
    ``fer2013.csv``; the column ``file`` holds FER+'s image names.

    Args:
        votes: ``fer2013new.csv``.
        faces: ``fer2013.csv``, in its original order.

    Raises:
        DatasetError: the file of the votes is missing, cut or damaged, or the two do not fit row by row.
    """
    splits, names, table = read_votes(votes)
    if len(splits) != len(faces):
        raise DatasetError(
            f"{votes}: expected {len(faces)} rows, one for each of FER2013, found {len(splits)}: "
            "take the original file again"
        )
    odd = np.flatnonzero(splits != faces.splits)
    if odd.size:
        raise DatasetError(
            f"{votes}, line {odd[0] + 2}: expected the split {faces.splits[odd[0]]} as in FER2013, found "
            f"{splits[odd[0]]}: the rows of the two files must stand in the same, original order"
        )
    indices, soft = majority(table)
    kept = (indices >= 0) & (names != "")
    joined = replace(
        faces,
        name="ferplus",
        indices=np.maximum(indices, 0),
        labels=FERPLUS,
        licence=LICENCE,
        votes=soft,
        metadata={"file": names},
    )
    return joined.take(kept)


def faces_and_others(votes: Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of FER2013 show a face by the crowd's votes, ``(n,)``, and which show none, ``(n,)``.

    A face is a row that Microsoft kept and of which nobody said "no face" and one at most "unknown"; no face one that
    they removed or of which more than half said "no face". The rest is neither.

    Raises:
        DatasetError: the file is missing, cut or damaged.
    """
    _, names, table = read_votes(votes)
    unknown, none = (table[:, FERPLUS_COLUMNS.index(column)] for column in ("unknown", "NF"))
    others = (names == "") | (none > table.sum(axis=1) / 2)
    return ~others & (none == 0) & (unknown <= 1), others


def majority(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Microsoft's majority rule, with the votes that it leaves as soft labels.

    In each row a single vote is an outlier and counts as none. The column with the most of the remaining votes wins if
    it has more than half of them; unknown and NF (no face) take part, and a row that they win, or that nobody wins, is
    dropped. Soft labels are the remaining votes for the eight expressions, scaled to sum to 1.

    Source: mode ``majority`` of ``FERPlusReader._process_data``, and what ``load_folders`` keeps of it, in
    ``src/ferplus.py`` of github.com/microsoft/FERPlus. It keeps 25,060 rows of train, 3,199 of public and 3,153 of
    private.

    Args:
        table: ``(n, 10)`` votes, columns as in :data:`FERPLUS_COLUMNS`.

    Returns:
        Class ``(n,)`` as an index into :data:`FERPLUS`, -1 where the row is dropped; soft labels ``(n, 8)`` in that
        order, uniform where no vote for an expression is left.
    """
    remaining = np.where(table > 1, table, 0)
    won = remaining.max(axis=1) > 0.5 * remaining.sum(axis=1)
    expressions = remaining[:, _FROM_COLUMNS]
    won &= expressions.max(axis=1) == remaining.max(axis=1)
    total = expressions.sum(axis=1, keepdims=True)
    soft = np.where(total > 0, expressions / np.maximum(total, 1), 1 / len(FERPLUS)).astype(np.float32)
    return np.where(won, expressions.argmax(axis=1), -1), soft


def read_votes(file: Path) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.int64]]:
    """Split and image name of each row of ``fer2013new.csv``, and its votes ``(n, 10)``.

    Raises:
        DatasetError: the file is missing, cut or damaged.
    """
    splits, names, table = [], [], []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines)
            header = next(reader, [])
            if tuple(header) != _HEADER:
                raise DatasetError(f"{file}, line 1: expected {','.join(_HEADER)}, found {','.join(header)[:200]}")
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                if len(row) != len(_HEADER):
                    raise DatasetError(f"{where}: expected {len(_HEADER)} values, found {len(row)}: the file is cut")
                if row[0] not in fer2013.SPLITS:
                    raise DatasetError(f"{where}: expected a Usage of {', '.join(fer2013.SPLITS)}, found '{row[0]}'")
                odd = [value for value in row[2:] if not (value.isascii() and value.isdigit())]
                if odd:
                    raise DatasetError(f"{where}: expected counts of votes, found '{odd[0]}'")
                splits.append(fer2013.SPLITS[row[0]])
                names.append(row[1].strip())
                table.append([int(value) for value in row[2:]])
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file} is not the CSV file of FER+ ({error}): take the original file again") from None
    return (
        text_column(splits),
        text_column(names),
        np.array(table, dtype=np.int64).reshape(-1, len(FERPLUS_COLUMNS)),
    )
