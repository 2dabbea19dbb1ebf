"""Parts of a dataset that a single accuracy hides: dark and bright pictures, flat and strong contrast, any column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, nearest
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.evaluation.metrics import accuracy_interval, equal_mass_bins

MOST_VALUES = 24
"""A column of text with more different values than this is refused: its slices would hold next to no rows."""

_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Slice:
    """Accuracy on the rows that share a value.

    Attributes:
        column: ``"brightness"``, ``"contrast"`` or a metadata column's name.
        value: the value, or the range of a third.
        n: rows.
        accuracy: share correct, 0 to 1.
        accuracy_interval: 95 % bootstrap interval of it.
    """

    column: str
    value: str
    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]


def slice_accuracy(
    hits: NDArray[np.bool_], dataset: Dataset, *, columns: Sequence[str] = (), seed: int = 0
) -> tuple[Slice, ...]:
    """Accuracy by brightness, by contrast and by metadata columns.

    Numbers with many values fall into thirds of equal mass; other columns give one slice a value.

    Args:
        hits: ``(n,)`` whether each of the dataset's rows was answered correctly.
        dataset: the n rows, as crops.
        columns: names of its metadata columns.
        seed: of the bootstrap.

    Raises:
        DatasetError: no such column, or one of text with more than :data:`MOST_VALUES` values.
    """
    require_columns(dataset, columns)
    measured = picture_statistics(dataset.images)
    groups = {name: _thirds(values) for name, values in measured.items()}
    for column in columns:
        groups[column] = _groups(dataset, column)
    return tuple(
        Slice(column, value, int(mask.sum()), float(hits[mask].mean()), accuracy_interval(hits[mask], seed=seed))
        for column, masks in groups.items()
        for value, mask in masks.items()
    )


def picture_statistics(images: Image) -> Mapping[str, NDArray[np.float64]]:
    """Brightness (mean) and contrast (standard deviation) of each crop ``(n,)``, in grey levels of 0 to 255."""
    brightness, contrast = np.empty(len(images)), np.empty(len(images))
    for rows in _blocks(len(images)):
        flat = images[rows].reshape(len(images[rows]), -1).astype(np.float32)
        brightness[rows], contrast[rows] = flat.mean(axis=1), flat.std(axis=1)
    return {"brightness": brightness, "contrast": contrast}


def require_columns(dataset: Dataset, columns: Sequence[str]) -> None:
    """Refuse a column that the dataset's metadata does not hold.

    Raises:
        DatasetError: no such column; the message names those there are.
    """
    known = sorted(dataset.metadata)
    for column in columns:
        if column not in known:
            hint = nearest(column, known) if known else "it has no metadata columns"
            raise DatasetError(f"{dataset.name} has no column '{column}' to slice by: {hint}")


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))


def _groups(dataset: Dataset, column: str) -> dict[str, NDArray[np.bool_]]:
    values = dataset.metadata[column]
    distinct = np.unique(values)
    if len(distinct) <= MOST_VALUES:
        return {str(value): values == value for value in distinct}
    if np.issubdtype(values.dtype, np.number):
        return _thirds(values)
    raise DatasetError(
        f"{dataset.name}: column '{column}' has {len(distinct)} different values, too many to slice by: "
        f"choose a numeric column or one with at most {MOST_VALUES} values"
    )


def _thirds(values: NDArray[np.generic]) -> dict[str, NDArray[np.bool_]]:
    numbers = values.astype(np.float64)
    bins = equal_mass_bins(numbers, 3)
    masks = (bins == number for number in np.unique(bins))
    return {f"{numbers[mask].min():.4g} to {numbers[mask].max():.4g}": mask for mask in masks}
