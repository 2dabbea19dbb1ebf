"""The in-memory dataset that training and evaluation share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, nearest
from mien.core.expression import LabelMap, Labels
from mien.core.fitted import Folds
from mien.core.preprocess import Image

STAGES = (("train", "training"), ("public", "val", "valid", "validation"), ("private", "test"))
"""Names of splits in the order of their use: fitting, choosing, reporting. A row leaks from an earlier stage."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded face crops with their labels. Rows keep the owner's order.

    Attributes:
        name: such as ``"fer2013"``; a user's own data has its folder's name.
        images: ``(n, size, size)`` grey or ``(n, size, size, 3)`` RGB uint8, cropped to one input spec.
        indices: ``(n,)`` int64, each row's class as an index into ``labels``.
        labels: the K expressions, in FER2013's order.
        splits: ``(n,)`` text, each row's split: FER2013 has ``train``, ``public`` and ``private``.
        rows: ``(n,)`` int64, each row's position in the owner's file or sorted file list.
        licence: what the owner allows.
        votes: ``(n, K)`` float32 soft labels that sum to 1, or None.
        metadata: further columns of n values (subject, file, brightness …) for slices and splits.
        left_out: how many of the owner's pictures are no rows, by the reason in words.
        detector: who found the faces that were cut from whole pictures; empty where the owner gives crops.
        folds: what made the splits; None where :func:`mien.data.folds.in_folds` did not.
    """

    name: str
    images: Image
    indices: NDArray[np.int64]
    labels: Labels
    splits: NDArray[np.str_]
    rows: NDArray[np.int64]
    licence: str
    votes: NDArray[np.float32] | None = None
    metadata: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    detector: str = ""
    folds: Folds | None = None

    def __post_init__(self) -> None:
        """Check that every column has a value for every row."""
        n = len(self.images)
        columns = {"indices": self.indices, "splits": self.splits, "rows": self.rows, **self.metadata}
        if self.votes is not None:
            columns["votes"] = self.votes
        for name, column in columns.items():
            if len(column) != n:
                raise DatasetError(f"{self.name}: column {name} has {len(column)} values for {n} pictures")
        if n and (self.indices.min() < 0 or self.indices.max() >= len(self.labels)):
            raise DatasetError(f"{self.name}: a class index lies outside the {len(self.labels)} labels")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.images)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each expression."""
        found = np.bincount(self.indices, minlength=len(self.labels))
        return {str(label): int(count) for label, count in zip(self.labels, found, strict=True)}

    @property
    def identity(self) -> str:
        """Sha256 of what the rows teach: pixels, labels and votes, in their order."""
        columns = [self.images, self.indices, *(() if self.votes is None else (self.votes,))]
        found = hashlib.sha256(repr([*map(str, self.labels), *(column.shape for column in columns)]).encode())
        for column in columns:
            found.update(np.ascontiguousarray(column).data)
        return found.hexdigest()

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Dataset:
        """The rows of a mask ``(n,)`` or of positions ``(m,)``, in that order."""
        return replace(
            self,
            images=self.images[which],
            indices=self.indices[which],
            splits=self.splits[which],
            rows=self.rows[which],
            votes=None if self.votes is None else self.votes[which],
            metadata={name: column[which] for name, column in self.metadata.items()},
        )

    @property
    def split_names(self) -> list[str]:
        """The splits in the order of their use, those of other names last, in the rows' order."""
        order = [name for names in STAGES for name in names]
        found = dict.fromkeys(self.splits.tolist())
        return sorted(found, key=lambda name: order.index(name) if name in order else len(order))

    def split(self, name: str) -> Dataset:
        """The rows of one split.

        Raises:
            DatasetError: there is none of that name.
        """
        mask = self.splits == name
        if not mask.any():
            raise DatasetError(f"{self.name} has no split '{name}': {nearest(name, sorted(set(self.splits.tolist())))}")
        return self.take(mask)

    def relabel(self, labels: Labels) -> Dataset:
        """The same rows under another label set; rows whose class has no counterpart there are counted as left out.

        Raises:
            LabelError: the label sets share no expression.
        """
        if labels == self.labels:
            return self
        table = LabelMap.between(self.labels, labels)
        indices = table.labels(self.indices)
        votes = None if self.votes is None else table.probabilities(self.votes)
        foreign = [pair for pair, into in zip(self.counts.items(), table.table, strict=True) if into < 0 and pair[1]]
        left_out = {**self.left_out, **{f"{label}, which is none of the labels": count for label, count in foreign}}
        relabelled = replace(self, indices=np.maximum(indices, 0), labels=labels, votes=votes, left_out=left_out)
        return relabelled.take(indices >= 0)


def class_weights(indices: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Inverse-frequency weights ``(classes,)`` with mean 1 over the rows; 0 for a class without rows."""
    counts = np.bincount(indices, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, dtype=np.float32)
    weights[present] = len(indices) / (present.sum() * counts[present])
    return weights


def spread(n: int, most: int) -> NDArray[np.int64]:
    """Positions of at most ``most`` rows of ``n``, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def text_column(values: Sequence[str]) -> NDArray[np.str_]:
    """A text column for :attr:`Dataset.splits` or :attr:`Dataset.metadata`."""
    return np.array(values, dtype=np.str_)
