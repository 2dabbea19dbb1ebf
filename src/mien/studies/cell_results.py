"""What was measured of a study: one record for each cell, in one JSON file that is also what a study goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mien.core.files import read_record, write_json
from mien.evaluation.evaluation_result import ClassResult
from mien.training.cost import Cost

Interval = tuple[float, float]

NO_WEIGHTS, NO_DATA, NOT_YET = "weights unavailable", "data unavailable", "not run yet"
"""Why a cell was not run."""


@dataclass(frozen=True, slots=True)
class CellScore:
    """What a cell reached on the rows that report.

    Attributes:
        labels: the expressions.
        n: answers: rows, times seeds.
        groups: what the bootstrap draws: persons, or rows where each counts for itself.
        accuracy: share correct, 0 to 1.
        accuracy_interval: 95 % bootstrap interval of it, over ``groups``.
        accuracy_without_leaks: without rows whose pixels were fitted or chosen on; None where that is impossible.
        log_loss: mean negative log probability of the truth, nats; None where the outputs are no probabilities.
        precision: mean over the expressions.
        recall: likewise.
        f1: likewise.
        classes: scores of each expression.
        confusion: counts; rows are the truth, columns what was predicted.
        parts: accuracy of each fold and seed.
        left_out: rows whose expression the network cannot give, counted nowhere else.
    """

    labels: tuple[str, ...]
    n: int
    groups: int
    accuracy: float
    accuracy_interval: Interval
    accuracy_without_leaks: float | None = None
    log_loss: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    parts: tuple[float, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One epoch of a curve."""

    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """How a cell's networks came about.

    Attributes:
        runs: how many were trained.
        epochs: that each was to be trained for.
        kept: the epoch whose weights each kept.
        rows: that fitted the first of them.
        chosen_rows: that chose its epoch.
        seconds: of all of them.
        device: what they ran on.
        curve: of the first.
        turn: the epoch at which the first one's validation loss turns; None where it does not.
    """

    runs: int
    epochs: int
    kept: tuple[int, ...]
    rows: int
    chosen_rows: int
    seconds: float
    device: str
    curve: tuple[CurvePoint, ...] = ()
    turn: int | None = None


@dataclass(frozen=True, slots=True)
class CellResult:
    """What is known of one cell.

    Attributes:
        cell: its name.
        status: ``measured``, ``counted`` (its network's cost is all that was asked for) or ``not run``.
        signature: of everything that decides its figures; where the study has changed since, it is measured anew.
        why: it was not run.
        command: that runs it.
        source: where figures come from that were not measured by this study, such as the ledger.
        epochs: that it was to be trained for.
        asked: epochs that its recipe asks for, where it was given fewer.
        detector: who found the faces, where the dataset holds whole pictures.
        score: what it reached.
        training: how.
        cost: what its network takes, known without training too.
        time: when it was measured, UTC, ISO 8601.
        commit: of mien then.
        versions: of what decides its numbers.
    """

    cell: str
    status: Literal["measured", "counted", "not run"]
    signature: str = ""
    why: str = ""
    command: str = ""
    source: str = ""
    epochs: int | None = None
    asked: int | None = None
    detector: str = ""
    score: CellScore | None = None
    training: TrainingFacts | None = None
    cost: Cost | None = None
    time: str = ""
    commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A measured cell has a score; one that was not run says why, and how it is."""
        if (self.status == "measured") != (self.score is not None):
            raise ValueError(f"cell '{self.cell}': a score goes with 'measured' and only with it")
        if self.asked is not None and (self.epochs is None or self.epochs >= self.asked):
            raise ValueError(f"cell '{self.cell}': {self.epochs} epochs are not fewer than the {self.asked} asked for")
        if self.status == "not run" and not (self.why and self.command):
            raise ValueError(f"cell '{self.cell}' was not run: that takes a reason and a command")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A study's results so far.

    Attributes:
        study: its name.
        quick: whether they come from a few epochs on a few rows, and mean nothing.
        results: one for each cell that was looked at.
    """

    study: str
    quick: bool = False
    results: tuple[CellResult, ...] = ()

    def result(self, cell: str) -> CellResult | None:
        """What is known of a cell."""
        return next((result for result in self.results if result.cell == cell), None)

    def with_result(self, result: CellResult, order: Sequence[str]) -> Reproduction:
        """The results with one more or another one, in the order of the cells' names."""
        kept = {known.cell: known for known in self.results} | {result.cell: result}
        return replace(self, results=tuple(kept[name] for name in order if name in kept))

    @classmethod
    def read(cls, path: Path) -> Reproduction:
        """Read a results file.

        Raises:
            ConfigError: there is none, or a key or value is wrong.
        """
        return read_record(cls, path, remedy="'mien reproduce' makes the results of a study")

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path, indent=1)
