"""Sweeps: one recipe, a grid of changes to it, a run for each cell, and one table."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import itertools
import json
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from mien.core.errors import ConfigError, MienError, ModelError, TrainingError, UnknownModelError, nearest
from mien.evaluation.protocol import evaluate
from mien.models.registry import build
from mien.training.recipe import Recipe
from mien.training.recipe_data import load_rows, load_splits
from mien.training.run import RECORD, Run
from mien.training.runner import Cell, Runner
from mien.training.sweep_result import CellOutcome, Sweep, words
from mien.training.transfer import input_of

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class GridPoint:
    """One point of the grid: what it changes, the recipe that follows, and the folder of its run."""

    settings: Mapping[str, Any]
    recipe: Recipe
    folder: Path


def read_grid(items: Sequence[str]) -> dict[str, list[Any]]:
    """Keys and values of ``key=a,b`` items; values are read as YAML, so ``[a, b]`` is one value.

    Raises:
        ConfigError: no values, a value or key that stands there twice, or a key that no recipe has.
    """
    grid: dict[str, list[Any]] = {}
    for item in items:
        key, separator, text = (part.strip() for part in item.partition("="))
        try:
            values = yaml.safe_load(f"[{text}]")
        except yaml.YAMLError as error:
            raise ConfigError(f"--grid {item}: the values are not YAML: {error}") from None
        if not separator or not values:
            raise ConfigError(f"--grid {item}: expected KEY=VALUE,VALUE…, such as optimiser.rate=0.01,0.003")
        if key in grid or any(values.count(value) > 1 for value in values):
            raise ConfigError(f"--grid {item}: {key if key in grid else 'a value'} stands there twice")
        _check_key(key)
        grid[key] = values
    if not grid:
        raise ConfigError("a sweep needs a grid: --grid KEY=VALUE,VALUE…")
    return grid


def plan(recipe: Recipe, grid: Grid, folder: Path) -> list[GridPoint]:
    """The points of a grid, the last key changing quickest. All are checked before any is run.

    Raises:
        ConfigError: a point's recipe contradicts itself, or names no network or options that it does not take; the
            message names its values.
        TrainingError: the folder holds runs of another recipe.
    """
    before = Sweep.read(folder)
    if before is not None and before.recipe != recipe:
        raise TrainingError(
            f"{folder} holds a sweep of another recipe, or of this one before it was changed: give "
            "another folder with --out"
        )
    points = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        try:
            changed = recipe.override(settings)
            with torch.device("meta"):
                build(changed.network, **changed.options)
        except (ConfigError, UnknownModelError) as error:
            raise ConfigError(f"--grid {words(settings)}: {error}") from None
        points.append(GridPoint(settings, changed, folder / _folder_name(settings)))
    for point in points:
        if (point.folder / RECORD).exists() and Run.read(point.folder).recipe != point.recipe:
            raise TrainingError(f"{point.folder} holds a run of another recipe: give another folder with --out")
    return points


def sweep(recipe: Recipe, grid: Grid, folder: Path, *, split: str | None = None, runner: Runner) -> Sweep:
    """Run every cell of a grid that has not been run, and go on with the one that was interrupted.

    The table is written after each cell. A cell that cannot be trained is recorded with the reason, and the others go
    on. Each different network is counted and timed once; where that fails, the cells say nothing of its cost.

    Args:
        recipe: what the cells change.
        grid: the values of each key, see :func:`read_grid`.
        folder: gets a folder for each cell's run, and the table.
        split: measure the kept weights on this split too; choosing by it would be choosing on it.
        runner: runs the cells.

    Raises:
        ConfigError: a cell's recipe contradicts itself or names no network.
        DatasetError: a cell's dataset has no such split.
        TrainingError: the folder holds runs of another recipe.
        KeyboardInterrupt: on Ctrl-C, after the table was written; the same call goes on.
    """
    points = plan(recipe, grid, folder)
    if split is not None:  # better now than after hours
        for point in {repr(point.recipe.data): point for point in points}.values():
            load_rows(point.recipe, input_of(point.recipe), runner.root).split(split)
    earlier = Sweep.read(folder)
    before = {outcome.run: outcome for outcome in earlier.cells} if earlier is not None else {}
    outcomes = {point.folder.name: _so_far(point, before.get(point.folder.name), split) for point in points}
    for point in points:
        if (cost := outcomes[point.folder.name].cost) is not None:
            run = Run.read(point.folder)
            runner.remember(cost, point.recipe, labels=run.labels, spec=run.input)
    cells = [
        _SweepCell(point, outcomes[point.folder.name], split, f"{number} of {len(points)}")
        for number, point in enumerate(points, start=1)
    ]

    def keep(outcome: CellOutcome) -> None:
        outcomes[outcome.run] = outcome
        Sweep(recipe, tuple(outcomes.values())).write(folder)

    runner.run(cells, keep)
    return Sweep(recipe, tuple(outcomes.values()))


@dataclass(eq=False)
class _SweepCell(Cell[CellOutcome]):
    point: GridPoint
    outcome: CellOutcome
    split: str | None
    place: str

    def known(self) -> CellOutcome | None:
        return self.outcome if self.outcome.status == "finished" and self._is_measured and self.outcome.cost else None

    def run(self, runner: Runner) -> CellOutcome:
        recipe, folder = self.point.recipe, self.point.folder
        if self.outcome.status != "finished" or not self._is_measured:
            runner.say(f"{self.place}: {words(self.point.settings)}")
        run = runner.trained(recipe, folder, lambda: load_splits(recipe, input_of(recipe), runner.root))
        if self.outcome.status != "finished":
            self.outcome = _so_far(self.point, None, self.split)
        if self.split is not None and not self._is_measured:
            self.outcome = _measured(self.point, self.outcome, self.split, runner)
        if self.outcome.cost is None:
            try:
                cost = runner.cost(recipe, labels=run.labels, spec=run.input)
            except ModelError:  # the cell says nothing of it
                return self.outcome
            self.outcome = dataclasses.replace(self.outcome, cost=cost)
        return self.outcome

    def interrupted(self) -> CellOutcome:
        return _so_far(self.point, self.outcome, self.split)

    def failed(self, error: MienError) -> CellOutcome:
        return dataclasses.replace(_so_far(self.point, None, self.split), status="failed", error=str(error))

    @property
    def _is_measured(self) -> bool:
        return self.split in (None, self.outcome.split)


def _so_far(point: GridPoint, before: CellOutcome | None, split: str | None) -> CellOutcome:
    """What the run's folder says of a cell, or what was known before where that is more."""
    settings, name = dict(point.settings), point.folder.name
    if not (point.folder / RECORD).exists():
        return CellOutcome(settings, name, "waiting")
    run = Run.read(point.folder)
    if before is not None and before.status == run.status == "finished" and split in (None, before.split):
        return before
    best = run.best if run.history else None
    loss = math.nan if best is None else best.validation_loss
    return CellOutcome(
        settings=settings,
        run=name,
        status="finished" if run.status == "finished" else "waiting",
        epochs=len(run.history),
        epoch=None if best is None else best.epoch,
        validation_loss=loss if math.isfinite(loss) else None,
        validation_accuracy=None if best is None else best.validation_accuracy,
        trained=run.trained,
        seconds=sum(epoch.seconds for epoch in run.history),
        cost=None if before is None else before.cost,
    )


def _measured(point: GridPoint, outcome: CellOutcome, split: str, runner: Runner) -> CellOutcome:
    predictor = runner.open(point.folder)
    found = evaluate(predictor, load_rows(point.recipe, predictor.input, runner.root), split=split)
    return dataclasses.replace(
        outcome, split=split, accuracy=found.accuracy, accuracy_interval=found.accuracy_interval, rows=found.n
    )


def _folder_name(settings: Mapping[str, Any]) -> str:
    """A name for the eye, with a digest where it does not tell everything."""
    text = words(settings).replace(", ", ",")
    name = re.sub(r"[^\w.=,+-]", "_", text)[:100]
    if name == text:
        return name
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


def _check_key(key: str) -> None:
    keys = list(_dotted(Recipe))
    if key in keys or key.startswith("options."):
        return
    last = {known.rpartition(".")[2]: known for known in reversed(keys)}
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    close = close or [last[name] for name in difflib.get_close_matches(key.rpartition(".")[2], last, n=1)]
    raise ConfigError(f"--grid {key}: no recipe has such a key: {nearest(close[0] if close else key, keys)}")


def _dotted(cls: type, prefix: str = "") -> Iterator[str]:
    """Every key of a nested dataclass, dotted; of a part that may be absent too."""
    for name, hint in typing.get_type_hints(cls).items():
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        inner = next((option for option in options if dataclasses.is_dataclass(option)), None)
        if inner is None:
            yield prefix + name
        else:
            yield from _dotted(typing.cast(type, inner), f"{prefix}{name}.")
