"""Splits for datasets that come without: by class, and so that no group stands on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, nearest
from mien.data.base import Dataset, text_column
from mien.data.leaks import picture_groups

SHARE = 0.1
"""Share of the rows that :func:`with_splits` gives to ``validation``, and to ``test``."""


def held_out(
    indices: NDArray[np.int64], groups: NDArray[np.generic], *, fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Choose whole groups at random until each class has about its share.

    Groups come in random order; one is taken if that brings the counts per class nearer to ``fraction`` of the rows
    (to one row at least, for a class with more than one). With every row a group of its own this is the usual
    stratified hold-out.

    Args:
        indices: ``(n,)`` class of each row.
        groups: ``(n,)`` group of each row: the person, or any other value that must not stand on both sides.
        fraction: share of rows to hold out, between 0 and 1.
        seed: the same seed gives the same rows.

    Returns:
        ``(n,)`` which rows are held out; none of them where no group is small enough.

    Raises:
        DatasetError: ``fraction`` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise DatasetError(f"the share of rows to hold out must lie between 0 and 1, got {fraction}")
    names, group = np.unique(groups, return_inverse=True)
    classes = int(indices.max(initial=0)) + 1
    table = np.bincount(group * classes + indices, minlength=len(names) * classes).reshape(-1, classes)
    counts = table.sum(axis=0)
    missing = np.where(counts > 1, np.maximum(counts * fraction, 1), counts * fraction)
    taken = np.zeros(len(names), dtype=np.bool_)
    for candidate in np.random.default_rng(seed).permutation(len(names)):
        left = missing - table[candidate]
        if np.abs(left).sum() < np.abs(missing).sum():
            taken[candidate], missing = True, left
    return taken[group]


def hold_out(
    dataset: Dataset, *, into: str, fraction: float, seed: int = 0, within: str | None = None, group: str | None = None
) -> Dataset:
    """The dataset with part of its rows moved to another split.

    Args:
        dataset: the rows.
        into: name of the split that receives them.
        fraction: share of the rows to move, between 0 and 1.
        seed: the same seed moves the same rows.
        within: the split that gives them; all rows if None.
        group: metadata column (such as ``"subject"``) of which no value may stand on both sides; if None, copies of
            one picture stay together.

    Raises:
        DatasetError: no such split or column, or too few rows or groups to move any.
    """
    source = np.ones(len(dataset), dtype=np.bool_) if within is None else dataset.splits == within
    rows = dataset if within is None else dataset.split(within)
    moved = held_out(rows.indices, groups_of(rows, group), fraction=fraction, seed=seed)
    if not moved.any():
        raise DatasetError(
            f"{dataset.name}: {len(rows)} rows in {len(np.unique(groups_of(rows, group)))} groups are too few to hold "
            f"out {fraction:.0%}: add pictures, or ask for a larger share"
        )
    splits = dataset.splits.astype(object)
    splits[np.flatnonzero(source)[moved]] = into
    return replace(dataset, splits=text_column(splits.tolist()))


def with_splits(dataset: Dataset, *, seed: int = 0) -> Dataset:
    """Splits ``train``, ``validation`` and ``test`` (8 : 1 : 1) for a dataset that came without.

    Nobody of a ``subject`` column stands in two of them; without that column, no picture does. A dataset that is too
    small for a split goes without it.
    """
    groups = groups_of(dataset, "subject" if "subject" in dataset.metadata else None)
    splits = np.full(len(dataset), "train", dtype=object)
    for name, fraction in (("test", SHARE), ("validation", SHARE / (1 - SHARE))):
        left = np.flatnonzero(splits == "train")
        splits[left[held_out(dataset.indices[left], groups[left], fraction=fraction, seed=seed)]] = name
    return replace(dataset, splits=text_column(splits.tolist()))


def groups_of(dataset: Dataset, column: str | None) -> NDArray[np.generic]:
    """Group of each row ``(n,)``: a metadata column, or if None equal pixels.

    Raises:
        DatasetError: there is no such column.
    """
    if column is None:
        return picture_groups(dataset.images)
    if column not in dataset.metadata:
        raise DatasetError(f"{dataset.name} has no column '{column}': {nearest(column, dataset.metadata)}")
    return dataset.metadata[column]
