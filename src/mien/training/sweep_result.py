"""What a sweep found: its record, and the table made from it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.core.errors import TrainingError
from mien.core.files import read_record, write_json, write_whole
from mien.reporting.numbers import interval, percent
from mien.reporting.tables import markdown
from mien.training.cost import Cost, conditions
from mien.training.recipe import Recipe

RESULTS, TABLE = "sweep.json", "sweep.md"
REPEATS = ("seed", "data.folds.test", "data.folds.seed")
"""Keys whose values repeat an experiment: the cells that differ in them alone are averaged."""

_COSTS = ("multiplications", "ONNX kB", "ms")


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What became of a cell.

    Attributes:
        settings: the cell's values of the grid's keys.
        run: name of its folder.
        status: ``waiting`` cells have not been begun or were interrupted; a ``failed`` one says why.
        error: why it failed.
        epochs: how many it has completed.
        epoch: the one whose weights are kept.
        validation_loss: of the kept weights, nats; None where it is not finite.
        validation_accuracy: of the kept weights.
        trained: values that the network trains.
        seconds: of all its epochs.
        split: which further split the kept weights were measured on, if any.
        accuracy: on that split.
        accuracy_interval: 95 % bootstrap interval of it.
        rows: of that split.
        cost: what its network takes; None before it is trained, or where that cannot be measured.
    """

    settings: dict[str, Any]
    run: str
    status: Literal["waiting", "finished", "failed"]
    error: str | None = None
    epochs: int = 0
    epoch: int | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    trained: int | None = None
    seconds: float = 0.0
    split: str | None = None
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    rows: int | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """What ``sweep.json`` holds: the recipe before any change, and every cell's outcome in the grid's order."""

    recipe: Recipe
    cells: tuple[CellOutcome, ...]

    def write(self, folder: Path) -> None:
        """Write ``sweep.json`` and ``sweep.md``, each whole or not at all."""
        write_json(self, folder / RESULTS, indent=1)
        write_whole(folder / TABLE, table(self))

    @classmethod
    def read(cls, folder: Path) -> Sweep | None:
        """The sweep of a folder, or None where there is none yet.

        Raises:
            TrainingError: its file is damaged.
        """
        path = folder / RESULTS
        if not path.exists():
            return None
        remedy = "remove it, the runs beside it are then taken up again"
        return read_record(cls, path, remedy=remedy, damaged=TrainingError)


def table(result: Sweep) -> str:
    """A sweep as Markdown: a row for each cell, and the means over repeats where there are any."""
    keys = list(result.cells[0].settings)
    split = next((cell.split for cell in result.cells if cell.split is not None), None)
    header = [*keys, "validation accuracy", "validation loss", "kept epoch", "trained", *_COSTS, "seconds"]
    if split is not None:
        header[len(keys) + 1 : len(keys) + 1] = [f"{split} accuracy (95 %)"]
    rows = []
    for cell in result.cells:
        row = [*(str(value) for value in cell.settings.values()), _accuracy(cell)]
        if split is not None:
            row.append(_with_interval(cell))
        row += [
            "" if cell.validation_loss is None else f"{cell.validation_loss:.4f}",
            "" if cell.epoch is None else f"{cell.epoch} of {cell.epochs}",
            "" if cell.trained is None else f"{cell.trained:,}",
            *_cost(cell.cost),
            f"{cell.seconds:.0f}",
        ]
        rows.append(row)
    lines = [f"# {result.recipe.name}: {', '.join(keys)}", "", markdown(header, rows, words=range(len(keys)))]
    costs = [cell.cost for cell in result.cells if cell.cost is not None]
    if costs:
        lines.append(
            "\nms: median processor time for one face from crop to logits in ONNX Runtime, one thread, fresh weights, "
            f"on {conditions(costs)}."
        )
    lines += _averages(result, keys, split)
    for cell in result.cells:
        if cell.error is not None:
            lines += ["", f"{words(cell.settings)} failed: {cell.error}"]
    return "\n".join(lines) + "\n"


def _averages(result: Sweep, keys: Sequence[str], split: str | None) -> list[str]:
    """The mean and standard deviation over cells that differ in repeats alone."""
    repeated = [key for key in keys if key in REPEATS]
    if not repeated:
        return []
    others = [key for key in keys if key not in REPEATS]
    groups: dict[tuple[str, ...], list[CellOutcome]] = {}
    for cell in result.cells:
        if cell.status == "finished":
            groups.setdefault(tuple(str(cell.settings[key]) for key in others), []).append(cell)
    header = [*others, "runs", "validation accuracy, mean ± deviation"]
    if split is not None:
        header.append(f"{split} accuracy, mean ± deviation")
    rows = []
    for values, cells in groups.items():
        row = [*values, str(len(cells)), _spread([cell.validation_accuracy for cell in cells])]
        if split is not None:
            row.append(_spread([cell.accuracy for cell in cells]))
        rows.append(row)
    return ["", f"Over {' and '.join(repeated)}:", "", markdown(header, rows, words=range(len(others)))]


def _spread(values: Sequence[float | None]) -> str:
    numbers = [100 * value for value in values if value is not None]
    if not numbers:
        return ""
    deviation = f" ± {statistics.stdev(numbers):.2f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.2f} %{deviation}"


def _accuracy(cell: CellOutcome) -> str:
    if cell.status == "finished" and cell.validation_accuracy is not None:
        return f"{cell.validation_accuracy:.2%}"
    return cell.status


def _with_interval(cell: CellOutcome) -> str:
    if cell.accuracy is None or cell.accuracy_interval is None:
        return ""
    return f"{percent(cell.accuracy)} ({interval(cell.accuracy_interval)})"


def _cost(cost: Cost | None) -> tuple[str, ...]:
    if cost is None:
        return ("",) * len(_COSTS)
    return f"{cost.multiplications:,}", f"{cost.bytes / 1000:,.0f}", f"{cost.milliseconds:.2f}"


def words(settings: Mapping[str, Any]) -> str:
    """A cell's values, for the eye."""
    return ", ".join(f"{key}={value}" for key, value in settings.items())
