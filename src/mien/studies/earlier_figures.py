"""Figures that were measured before, by the ledger or by ``mien occlusion study``, as results of a study's cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.core.errors import ConfigError
from mien.evaluation import ledger
from mien.evaluation.evaluation_result import ClassResult
from mien.evaluation.regions import BANDS
from mien.explain.occlusion import OPEN
from mien.studies.cell_results import CellResult, CellScore, TrainingFacts
from mien.studies.occlusion_study import OcclusionStudy
from mien.studies.paper_cells import PaperCell
from mien.training.recipe import Recipe


def earlier_figures(cell: PaperCell, recipe: Recipe, files: Sequence[Path]) -> CellResult | None:
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
            found = None if cell.condition is None else _from_occlusion(cell, cell.condition, recipe, path)
        else:
            raise ConfigError(f"--known {path}: expected a ledger (.jsonl) or an occlusion study's result (.json)")
        if found is not None:
            return found
    return None


def _from_ledger(cell: PaperCell, recipe: Recipe, entries: list[ledger.LedgerEntry], path: Path) -> CellResult | None:
    if cell.protocol.parts != "official":
        return None
    wanted = {
        entry.identity: entry
        for entry in entries
        if (entry.recipe, entry.dataset, entry.split, entry.views) == (recipe.name, "fer2013", "private", "one")
    }
    if not wanted:
        return None
    lines = list(wanted.values())
    clean = [entry.accuracy_without_leaks for entry in lines if entry.accuracy_without_leaks is not None]
    return CellResult(
        cell=cell.name,
        status="measured",
        source=f"{path.name}: {len(lines)} runs" if len(lines) > 1 else path.name,
        score=CellScore(
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


def _from_occlusion(cell: PaperCell, condition: str, recipe: Recipe, path: Path) -> CellResult | None:
    study = OcclusionStudy.read(path)
    arm = next((arm for arm in study.arms if arm.name == recipe.name), None)
    if arm is None:
        return None
    found = arm.scores(condition, OPEN if condition == OPEN else BANDS[condition].name)
    trained = next(network for network in arm.networks if network.condition == condition)
    return CellResult(
        cell=cell.name,
        status="measured",
        source=path.name,
        score=CellScore(
            labels=tuple(str(label) for label in study.protocol.labels),
            n=found.n,
            groups=found.n,
            accuracy=found.accuracy,
            accuracy_interval=found.accuracy_interval,
            accuracy_without_leaks=found.accuracy_without_leaks,
            recall=sum(loss.recall for loss in found.classes) / len(found.classes),
            classes=tuple(ClassResult(loss.label, loss.n, recall=loss.recall) for loss in found.classes),
            parts=(found.accuracy,),
        ),
        training=TrainingFacts(
            runs=1,
            epochs=trained.epochs,
            kept=(trained.kept,),
            rows=trained.rows,
            chosen_rows=study.protocol.chosen_rows,
            seconds=trained.seconds,
            device=arm.device,
        ),
        time=study.time,
        commit=arm.commit,
        versions=study.versions,
    )
