"""Which rows a model was fitted on: what it may be measured on follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.core.expression import LabelSet


@dataclass(frozen=True, slots=True)
class Folds:
    """One of k ways to part a dataset: a fold to report on, the next to choose on, the others to fit.

    :func:`mien.data.folds.in_folds` parts it. Folds follow from the rows. Those of whole pictures are the faces that
    were found, so that folds of one detector are not those of another. A label set that is chosen afterwards changes
    nothing.

    Attributes:
        count: k.
        test: which fold is reported, 0 to k - 1; the one after it chooses epochs, so the two never meet.
        apart: what must not stand on both sides: the ``subject`` (people that the model has not seen), or only the
            ``picture``, as papers with random splits have it (its copies stay together, persons do not).
        seed: the same seed makes the same folds.
        labels: a label set that is chosen first, so that other rows stand in no fold; None to deal all rows.
    """

    count: int = 5
    test: int = 0
    apart: Literal["subject", "picture"] = "subject"
    seed: int = 0
    labels: LabelSet | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.count < 3 or not 0 <= self.test < self.count:
            raise ValueError(
                f"folds need a count of 3 or more (fit, choose, report) and a test fold of 0 to count - 1, got "
                f"{self.count} and {self.test}"
            )

    def describe(self) -> str:
        """In words, for protocols."""
        rows = "" if self.labels is None else f" of the rows of '{self.labels}'"
        return f"fold {self.test} of {self.count}{rows}, no {self.apart} on both sides (seed {self.seed})"


@dataclass(frozen=True, slots=True)
class Fitted:
    """Rows that fitted a model's weights or chose among them.

    Attributes:
        dataset: its name when it is loaded.
        folds: how it was parted; None for splits that its owner made.
        splits: the parts that were used; none where nobody wrote them down.
        chose: those among them that fitted no weights, but chose the epoch and the temperature; none in older records,
            which do not tell the two apart.
    """

    dataset: str
    folds: Folds | None = None
    splits: tuple[str, ...] = ()
    chose: tuple[str, ...] = ()

    @property
    def learnt(self) -> frozenset[str]:
        """The parts that fitted the weights; of an older record all that were used."""
        return frozenset(self.splits) - frozenset(self.chose)

    def describe(self) -> str:
        """In words, for protocols."""
        return f"{self.dataset} ({', '.join(self.splits)})" if self.splits else self.dataset
