"""Pictures that stand in a dataset more than once, found by their exact pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, nearest
from mien.core.preprocess import Image
from mien.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Crossing:
    """Rows of one split whose pixels stand in another as well.

    Attributes:
        split: where the rows are.
        against: where their copies are.
        rows: their positions in the owner's file.
    """

    split: str
    against: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Leaks:
    """What exact pixels say about a dataset. Rows are positions in the owner's file.

    Attributes:
        pictures: rows of the dataset.
        distinct: different pictures among them.
        blank: rows that show one single colour.
        duplicates: the rows of each picture that stands there more than once.
        conflicts: those of the duplicates whose rows carry different labels.
        crossings: of any two splits that share a picture, the rows of the one that is used later.
    """

    pictures: int
    distinct: int
    blank: tuple[int, ...]
    duplicates: tuple[tuple[int, ...], ...]
    conflicts: tuple[tuple[int, ...], ...]
    crossings: tuple[Crossing, ...]


def picture_groups(images: Image) -> NDArray[np.int64]:
    """Group ``(n,)`` of each picture ``(n, …)``: equal pixels share one, numbered by first appearance."""
    seen: dict[bytes, int] = {}
    groups = (seen.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), len(seen)) for image in images)
    return np.fromiter(groups, dtype=np.int64, count=len(images))


def blank_rows(images: Image) -> NDArray[np.bool_]:
    """Which pictures ``(n, height, width[, 3])`` show one single colour, ``(n,)``."""
    return np.fromiter(
        ((image == image[:1, :1]).all() for image in images),
        dtype=np.bool_,
        count=len(images),
    )


def leaked_rows(dataset: Dataset, split: str, *, against: Sequence[str] | None = None) -> NDArray[np.bool_]:
    """Which rows of ``dataset.split(split)`` have the very pixels of a row in other splits, ``(m,)``.

    Args:
        dataset: all splits, cropped alike.
        split: the rows that are asked about.
        against: where copies are looked for; every other split if None.

    Raises:
        DatasetError: there is no split of such a name.
    """
    names = sorted(set(dataset.splits.tolist()))
    others = [name for name in names if name != split] if against is None else against
    for name in (split, *others):
        if name not in names:
            raise DatasetError(f"{dataset.name} has no split '{name}': {nearest(name, names)}")
    groups = picture_groups(dataset.images)
    return np.isin(groups[dataset.splits == split], groups[np.isin(dataset.splits, others)])


def find_leaks(dataset: Dataset) -> Leaks:
    """Everything that exact pixels say about a dataset's duplicates."""
    groups = picture_groups(dataset.images)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []
    duplicates = [rows for rows in members if len(rows) > 1]
    names = dataset.split_names
    pairs = [(split, other) for later, split in enumerate(names) for other in names[:later]]
    crossings = []
    for split, other in pairs:
        here = (dataset.splits == split) & np.isin(groups, groups[dataset.splits == other])
        if here.any():
            crossings.append(Crossing(split, other, _rows(dataset, np.flatnonzero(here))))
    return Leaks(
        pictures=len(dataset),
        distinct=len(members),
        blank=_rows(dataset, np.flatnonzero(blank_rows(dataset.images))),
        duplicates=tuple(_rows(dataset, rows) for rows in duplicates),
        conflicts=tuple(_rows(dataset, rows) for rows in duplicates if len(set(dataset.indices[rows].tolist())) > 1),
        crossings=tuple(crossings),
    )


def _rows(dataset: Dataset, positions: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(row) for row in dataset.rows[positions])
