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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from mien.core.errors import ConfigError, MienError, ModelError, TrainingError, UnknownModelError, nearest
from mien.evaluation.protocol import evaluate
from mien.models.registry import build
from mien.training.cost import Cost, measure_cost
from mien.training.fit import train
from mien.training.recipe import Recipe
from mien.training.recipe_data import load_rows
from mien.training.run import RECORD, Run
from mien.training.run_as_model import open_run
from mien.training.sweep_result import Outcome, Sweep, words
from mien.training.transfer import input_of

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Cell:
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


def plan(recipe: Recipe, grid: Grid, folder: Path) -> list[Cell]:
    """The cells of a grid, the last key changing quickest. All are checked before any is run.

    Raises:
        ConfigError: a cell's recipe contradicts itself, or names no network or options that it does not take; the
            message names its values.
        TrainingError: the folder holds runs of another recipe.
    """
    before = Sweep.read(folder)
    if before is not None and before.recipe != recipe:
        raise TrainingError(
            f"{folder} holds a sweep of another recipe, or of this one before it was changed: give "
            "another folder with --out"
        )
    cells = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        try:
            changed = recipe.override(settings)
            with torch.device("meta"):
                build(changed.network, **changed.options)
        except (ConfigError, UnknownModelError) as error:
            raise ConfigError(f"--grid {words(settings)}: {error}") from None
        cells.append(Cell(settings, changed, folder / _folder_name(settings)))
    for cell in cells:
        if (cell.folder / RECORD).exists() and Run.read(cell.folder).recipe != cell.recipe:
            raise TrainingError(f"{cell.folder} holds a run of another recipe: give another folder with --out")
    return cells


def sweep(
    recipe: Recipe,
    grid: Grid,
    folder: Path,
    *,
    split: str | None = None,
    root: Path | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Sweep:
    """Run every cell of a grid that has not been run, and go on with the one that was interrupted.

    The table is written after each cell. A cell that cannot be trained is recorded with the reason, and the others go
    on. Each different network is counted and timed once; where that fails, the cells say nothing of its cost.

    Args:
        recipe: what the cells change.
        grid: the values of each key, see :func:`read_grid`.
        folder: gets a folder for each cell's run, and the table.
        split: measure the kept weights on this split too; choosing by it would be choosing on it.
        root: where datasets lie.
        threads: torch's threads on the CPU; None leaves torch's own choice.
        say: is told of each cell before it is begun, and of each network before it is timed.

    Raises:
        ConfigError: a cell's recipe contradicts itself or names no network.
        DatasetError: a cell's dataset has no such split.
        TrainingError: the folder holds runs of another recipe.
        KeyboardInterrupt: on Ctrl-C, after the table was written; the same call goes on.
    """
    cells = plan(recipe, grid, folder)
    if split is not None:  # better now than after hours
        for cell in {repr(cell.recipe.data): cell for cell in cells}.values():
            load_rows(cell.recipe, input_of(cell.recipe), root).split(split)
    earlier = Sweep.read(folder)
    known = {outcome.run: outcome for outcome in earlier.cells} if earlier is not None else {}
    outcomes = {cell.folder.name: _outcome(cell, known.get(cell.folder.name), split) for cell in cells}
    costs: dict[str, Cost | None] = {
        _takes(cell): cost for cell in cells if (cost := outcomes[cell.folder.name].cost) is not None
    }
    result = Sweep(recipe, tuple(outcomes.values()))
    for number, cell in enumerate(cells, start=1):
        name = cell.folder.name
        wanted = outcomes[name].status != "finished"
        if wanted or split not in (None, outcomes[name].split):
            say(f"{number} of {len(cells)}: {words(cell.settings)}")
        try:
            if wanted:
                train(cell.recipe, cell.folder, root=root, threads=threads)
                outcomes[name] = _outcome(cell, None, split)
            if split not in (None, outcomes[name].split):
                outcomes[name] = _measured(cell, outcomes[name], split, root)
            if outcomes[name].cost is None:
                outcomes[name] = dataclasses.replace(outcomes[name], cost=_cost(cell, costs, say))
        except KeyboardInterrupt:
            outcomes[name] = _outcome(cell, outcomes[name], split)
            raise
        except MienError as error:
            outcomes[name] = dataclasses.replace(_outcome(cell, None, split), status="failed", error=str(error))
        finally:
            result = Sweep(recipe, tuple(outcomes.values()))
            result.write(folder)
    return result


def _outcome(cell: Cell, known: Outcome | None, split: str | None) -> Outcome:
    settings, name = dict(cell.settings), cell.folder.name
    if not (cell.folder / RECORD).exists():
        return Outcome(settings, name, "waiting")
    run = Run.read(cell.folder)
    if known is not None and known.status == run.status == "finished" and split in (None, known.split):
        return known
    best = run.best if run.history else None
    loss = math.nan if best is None else best.validation_loss
    return Outcome(
        settings=settings,
        run=name,
        status="finished" if run.status == "finished" else "waiting",
        epochs=len(run.history),
        epoch=None if best is None else best.epoch,
        validation_loss=loss if math.isfinite(loss) else None,
        validation_accuracy=None if best is None else best.validation_accuracy,
        trained=run.trained,
        seconds=sum(epoch.seconds for epoch in run.history),
        cost=None if known is None else known.cost,
    )


def _measured(cell: Cell, outcome: Outcome, split: str, root: Path | None) -> Outcome:
    predictor = open_run(cell.folder)
    rows = load_rows(cell.recipe, predictor.input, root)
    found = evaluate(predictor, rows, split=split)
    return dataclasses.replace(
        outcome,
        split=split,
        accuracy=found.accuracy,
        accuracy_interval=found.accuracy_interval,
        rows=found.n,
    )


def _cost(cell: Cell, costs: dict[str, Cost | None], say: Callable[[str], None]) -> Cost | None:
    """What a trained cell's network takes, measured where ``costs`` lacks it; None where that cannot be measured."""
    key = _takes(cell)
    if key not in costs:
        run = Run.read(cell.folder)
        say(f"counting and timing '{cell.recipe.network}'")
        try:
            costs[key] = measure_cost(cell.recipe, labels=run.labels, spec=run.input)
        except ModelError:
            costs[key] = None
    return costs[key]


def _takes(cell: Cell) -> str:
    """The same for all trained cells whose networks take the same."""
    recipe, run = cell.recipe, Run.read(cell.folder)
    top = recipe.transfer if recipe.transfer.mode == "svm" else recipe.transfer.hidden
    crop = run.input.shape, run.input.planes
    return repr((recipe.network, sorted(recipe.options.items()), recipe.views, top, crop, len(run.labels)))


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
