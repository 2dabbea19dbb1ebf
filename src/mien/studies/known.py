"""Figures that were measured before, by the ledger or by ``mien occlusion study``, as results of a study's cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.errors import ConfigError
from mien.evaluation import ledger
from mien.explain.study import Study as OcclusionStudy
from mien.studies.cell import Cell
from mien.studies.occluded import cell_result
from mien.studies.record import Result, Score
from mien.training.recipe import Recipe


def known_result(cell: Cell, recipe: Recipe, files: Sequence[Path]) -> Result | None:
    """What earlier files say of a cell, or None.

    A ledger's lines count where they name the cell's recipe, on the split that the cell reports; an occlusion study's
    networks likewise. Neither holds the recipe itself: whoever changes one gives it another name.

    Raises:
        ConfigError: a file is neither a ledger nor an occlusion study's result.
    """
    for path in files:
        if path.suffix == ".jsonl":
            found = None if cell.change else _from_ledger(cell, recipe, ledger.read(path), path)
        elif path.suffix == ".json":
            found = _from_occlusion(cell, recipe, path)
        else:
            raise ConfigError(f"--known {path}: expected a ledger (.jsonl) or an occlusion study's result (.json)")
        if found is not None:
            return found
    return None


def _from_ledger(cell: Cell, recipe: Recipe, entries: list[ledger.Entry], path: Path) -> Result | None:
    if cell.protocol.parts != "official":
        return None
    wanted = {
        entry.identity: entry
        for entry in entries
        if (entry.recipe, entry.dataset, entry.split, entry.mirror) == (recipe.name, "fer2013", "private", False)
    }
    if not wanted:
        return None
    lines = list(wanted.values())
    clean = [entry.accuracy_without_leaks for entry in lines if entry.accuracy_without_leaks is not None]
    return Result(
        cell=cell.name,
        status="measured",
        source=f"{path.name}: {len(lines)} runs" if len(lines) > 1 else path.name,
        score=Score(
            labels=(),
            n=lines[0].n * len(lines),
            groups=lines[0].n,
            accuracy=float(np.mean([entry.accuracy for entry in lines])),
            # over several seeds the mean of the intervals: what rows are drawn matters to all of them alike
            accuracy_interval=(
                float(np.mean([entry.accuracy_interval[0] for entry in lines])),
                float(np.mean([entry.accuracy_interval[1] for entry in lines])),
            ),
            accuracy_without_leaks=float(np.mean(clean)) if len(clean) == len(lines) else None,
            log_loss=float(np.mean([entry.log_loss for entry in lines])),
            f1=float(np.mean([entry.macro_f1 for entry in lines])),
            parts=tuple(entry.accuracy for entry in lines),
        ),
        time=lines[-1].time,
        commit=lines[-1].commit,
    )


def _from_occlusion(cell: Cell, recipe: Recipe, path: Path) -> Result | None:
    if cell.condition is None:
        return None
    study = OcclusionStudy.read(path)
    arm = next((arm for arm in study.arms if arm.name == recipe.name), None)
    if arm is None:
        return None
    result = cell_result(cell, arm, study.protocol)
    return replace(result, source=path.name, time=study.time, commit=arm.commit, versions=study.versions)
