"""CSV manifests: pictures listed with their labels, ``path,label[,split][,any further columns]``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import Expression
from mien.data.dataset import text_column
from mien.data.picture_index import PictureIndex

_REQUIRED = ("path", "label")


def index_manifest(file: Path) -> PictureIndex:
    """List the pictures of a CSV manifest (UTF-8, comma-separated, with a header).

    Paths are relative to the manifest's own folder. Labels may be any word that :meth:`Expression.parse` knows.
    Columns beside ``path``, ``label`` and ``split`` become metadata: numbers where every value is one, else text. A
    column ``subject`` keeps people apart where splits have to be made.

    Raises:
        LabelError: a label is no expression.
        DatasetError: no such file, not UTF-8 CSV, a missing or repeated column, a row of another length, an empty
            split, or no rows. Messages name the line.
    """
    header, numbers, rows = _table(file)
    missing = [name for name in _REQUIRED if name not in header]
    if missing or len(set(header)) != len(header):
        fault = f"lacks {' and '.join(missing)}" if missing else "repeats a column"
        raise DatasetError(
            f"{file}, line 1: expected columns path,label[,split][,…], found {','.join(header)}: {fault}"
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    splits = columns.get("split")
    for number, split in zip(numbers, splits or (), strict=False):
        if not split:
            raise DatasetError(f"{file}, line {number}: the split is empty: fill it in, or leave the column out")
    return PictureIndex(
        name=file.stem,
        origin=file,
        files=[file.parent / path for path in columns["path"]],
        expressions=[_label(file, n, word) for n, word in zip(numbers, columns["label"], strict=True)],
        splits=splits,
        metadata={"file": text_column(columns["path"])}
        | {name: _column(column) for name, column in columns.items() if name not in (*_REQUIRED, "split")},
    )


def _table(file: Path) -> tuple[list[str], list[int], list[list[str]]]:
    numbers, rows = [], []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            for row in reader:
                if not row:  # a blank line, as editors leave at the end
                    continue
                if len(row) != len(header):
                    raise DatasetError(
                        f"{file}, line {reader.line_num}: expected {len(header)} values, found {len(row)}"
                    )
                numbers.append(reader.line_num)
                rows.append([value.strip() for value in row])
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file} is not a CSV file in UTF-8 ({error}): save it as one") from None
    return header, numbers, rows


def _label(file: Path, number: int, word: str) -> Expression:
    try:
        return Expression.parse(word)
    except LabelError as error:
        raise LabelError(f"{file}, line {number}: {error}") from None


def _column(values: tuple[str, ...]) -> NDArray[np.generic]:
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except ValueError:
        return text_column(values)
