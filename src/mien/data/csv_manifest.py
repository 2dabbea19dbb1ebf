"""Manifests: tables that list pictures with their labels, ``path,label[,split][,any further columns]``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, LabelError
from mien.data.dataset import text_column
from mien.data.numbered_classes import Classes, parse_label
from mien.data.picture_index import PictureIndex
from mien.data.table_file import read_table

_REQUIRED = ("path", "label")


def index_manifest(file: Path, *, classes: Classes | None = None) -> PictureIndex:
    """List the pictures of a manifest: a table (:mod:`mien.data.table_file`) with a header.

    Paths are relative to the manifest's own folder, and may have backslashes. Labels may be any word that
    :meth:`Expression.parse` knows, or numbers where ``classes`` says whose. Columns beside ``path``, ``label`` and
    ``split`` become metadata: numbers where every value is one, else text. A column ``subject`` keeps people apart
    where splits have to be made.

    Raises:
        LabelError: a label is no expression.
        DatasetError: no such file, no table, a missing or repeated column, a row of another length, an empty path or
            split, or no rows. Messages name the line.
    """
    header, found = read_table(file)
    missing = [name for name in _REQUIRED if name not in header]
    if missing or len(set(header)) != len(header):
        fault = f"lacks {' and '.join(missing)}: rename the columns that hold them" if missing else "repeats a column"
        names = ",".join(header)[:200] or "nothing"
        raise DatasetError(f"{file}, line 1: expected columns path,label[,split][,…], found {names}: {fault}")
    numbers, expressions, rows = [], [], []
    no_expression = Counter[str]()
    for number, row in found:
        cells = dict(zip(header, row, strict=True))
        for name in ("path", "split"):
            if not cells.get(name, "-"):
                leave = ", or leave the column out" if name == "split" else ""
                raise DatasetError(f"{file}, line {number}: the {name} is empty: fill it in{leave}")
        try:
            expression = parse_label(cells["label"], classes)
        except LabelError as error:
            raise LabelError(f"{file}, line {number}: {error}") from None
        if expression is None:
            no_expression[f"of class {cells['label']}, which is no expression"] += 1
            continue
        numbers.append(number)
        expressions.append(expression)
        rows.append(row)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    return PictureIndex(
        name=file.stem,
        origin=file,
        files=[_picture(file, number, path) for number, path in zip(numbers, columns["path"], strict=True)],
        expressions=expressions,
        splits=columns.get("split"),
        metadata={"file": text_column(columns["path"])}
        | {name: _column(column) for name, column in columns.items() if name not in (*_REQUIRED, "split")},
        left_out=no_expression,
    )


def _picture(manifest: Path, number: int, path: str) -> Path:
    """The file that a row names: as it is or, where that is none, with its backslashes as separators."""
    if "\0" in path:
        raise DatasetError(f"{manifest}, line {number}: the path holds a zero byte: save the manifest again")
    file = manifest.parent / path
    if "\\" in path and not file.exists():
        return manifest.parent / path.replace("\\", "/")
    return file


def _column(values: tuple[str, ...]) -> NDArray[np.generic]:
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except ValueError:
        return text_column(values)
