"""The rows of a cell: loaded, relabelled, and parted as its protocol says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import LABEL_SETS
from mien.core.fitted import Folds
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset, spread
from mien.data.fer2013 import Counts
from mien.data.folds import in_folds
from mien.data.found_faces import Finder
from mien.data.leaks import leaked_rows
from mien.data.load import load_dataset
from mien.studies.paper_cells import SplitProtocol

QUICK_FITTED, QUICK_TESTED, QUICK_FOLDS, QUICK_POOLED = 512, 256, 2, 900
"""What ``--quick`` leaves of the rows that fit, of those that choose or report, of the folds, and of rows that are
pooled and parted then."""


@dataclass(frozen=True, eq=False)
class RowParts:
    """One fold, or the one way in which a dataset is parted.

    Attributes:
        number: counted from 0.
        fitted: rows that fit the weights; None where nothing is fitted.
        chosen: rows that choose the epoch; likewise.
        tested: rows that report.
        groups: ``(n,)`` person or row of each tested one, for the bootstrap.
        leaked: ``(n,)`` whether its pixels were fitted or chosen on; None where that is impossible or everywhere so.
    """

    number: int
    fitted: Dataset | None
    chosen: Dataset | None
    tested: Dataset
    groups: NDArray[np.generic]
    leaked: NDArray[np.bool_] | None = None


def load(
    protocol: SplitProtocol, spec: InputSpec, *, root: Path | None, detector: Finder | None, quick: bool = False
) -> Dataset:
    """A protocol's dataset under its labels, cropped to ``spec``; rows that are to be pooled keep their own labels.

    Raises:
        DatasetError: it is missing or wrong; ``quick`` takes a FER2013 that is only a part of the published one.
    """
    counts: Counts = "any" if quick else "published"
    rows = load_dataset(protocol.dataset, spec, root=root, counts=counts, detector=detector)
    if protocol.parts == "pooled":
        return rows.take(spread(len(rows), QUICK_POOLED)) if quick else rows
    return rows if protocol.labels is None else rows.relabel(LABEL_SETS[protocol.labels])


def parts(rows: Dataset, protocol: SplitProtocol, *, seed: int = 0, quick: bool = False) -> Iterator[RowParts]:
    """The folds of a protocol's rows, or the one part of ``official`` and ``whole``.

    Raises:
        DatasetError: a split or the persons are missing, or there are too few persons or pictures for the folds.
    """
    found: Iterator[RowParts] = iter([RowParts(0, None, None, rows, _groups(rows))])
    if protocol.parts == "official":
        found = _official(rows)
    elif protocol.folds > 1:
        found = _folds(rows, protocol, seed)
    for part in found:
        if quick and part.number >= QUICK_FOLDS:
            return
        yield _fewer(part) if quick else part


def _official(rows: Dataset) -> Iterator[RowParts]:
    tested = rows.split("private")
    leaked = leaked_rows(rows, "private", against=("train", "public"))
    yield RowParts(0, rows.split("train"), rows.split("public"), tested, tested.rows, leaked)


def _folds(rows: Dataset, protocol: SplitProtocol, seed: int) -> Iterator[RowParts]:
    apart: Literal["subject", "picture"] = "subject" if protocol.parts == "persons" else "picture"
    for test in range(protocol.folds):
        folds = Folds(count=protocol.folds, test=test, apart=apart, seed=seed, labels=protocol.labels)
        parted = in_folds(rows, folds)
        tested = parted.split("test")
        yield RowParts(test, parted.split("train"), parted.split("validation"), tested, _groups(tested))


def _groups(rows: Dataset) -> NDArray[np.generic]:
    return rows.metadata.get("subject", rows.rows)


def _fewer(part: RowParts) -> RowParts:
    tested = spread(len(part.tested), QUICK_TESTED)
    return replace(
        part,
        fitted=None if part.fitted is None else part.fitted.take(spread(len(part.fitted), QUICK_FITTED)),
        chosen=None if part.chosen is None else part.chosen.take(spread(len(part.chosen), QUICK_TESTED)),
        tested=part.tested.take(tested),
        groups=part.groups[tested],
        leaked=None if part.leaked is None else part.leaked[tested],
    )
