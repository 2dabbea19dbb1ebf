"""Measuring one cell: its runs, its answers on the rows that report, and what both amount to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.predictor import Floats
from mien.data.dataset import Dataset
from mien.data.load import LAYOUTS
from mien.evaluation.ledger import commit
from mien.evaluation.unseen import check_unseen
from mien.models.network import TorchPredictor
from mien.studies.cell import Cell, Protocol
from mien.studies.means import Means, shortened
from mien.studies.record import Point, Result, Score, Training
from mien.studies.rows import Part, load, parts
from mien.studies.score import score, turning_epoch
from mien.training.fit import fit
from mien.training.recipe import DataConfig, Recipe, Weights
from mien.training.run import RECORD, Run, describe_versions
from mien.training.run_as_model import open_run
from mien.training.transfer import input_of

RESULTS = Path("results")


@dataclass(frozen=True, eq=False)
class _Answers:
    logits: Floats
    rows: Dataset
    part: Part
    number: int


def measure_recipe(cell: Cell, recipe: Recipe, folder: Path, means: Means) -> Result:
    """Fit a cell's recipe on every fold and with every seed, and test each run on its own rows.

    Args:
        cell: what is measured.
        recipe: its recipe, with weights that are at hand.
        folder: one run for each fold and seed goes into it; finished ones are taken as they are.
        means: what may be used.

    Raises:
        DatasetError: the dataset is missing or wrong.
        ConfigError: the recipe contradicts itself.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    if cell.start == "bundled":
        recipe = replace(recipe, weights=Weights(recipe.network))
    recipe = shortened(recipe, means)
    recipe = replace(recipe, data=replace(recipe.data, dataset=cell.protocol.dataset, labels=cell.protocol.labels))
    rows = load(cell.protocol, input_of(recipe), root=means.root, detector=means.detector, quick=means.quick)
    answers, runs = [], []
    for number, (own, part) in enumerate(_wanted(recipe, rows, cell.protocol, means)):
        place = folder / f"seed-{own.seed}-fold-{part.number}"
        own = _worded_as_before(own, place)  # noqa: PLW2901
        run = finished(own, place)
        if run is None:
            assert part.fitted is not None  # noqa: S101  # a recipe's protocol fits
            assert part.chosen is not None  # noqa: S101
            means.say(f"{cell.name}: {own.epochs} epochs of {len(part.fitted):,} faces into {place}")
            run = fit(own, place, part.fitted, part.chosen, threads=means.threads)
        runs.append(run)
        answers.append(_Answers(open_run(place).logits(part.tested.images), part.tested, part, number))
    return Result(
        cell=cell.name,
        status="measured",
        score=_score(answers, probabilities=recipe.transfer.mode != "svm", seed=means.seed),
        training=_training(runs),
        detector=_detector(cell, means),
        **stamp(),
    )


def measure_predictor(cell: Cell, predictor: TorchPredictor, means: Means) -> Result:
    """Test a network that is finished on a cell's rows.

    Raises:
        DatasetError: the dataset is missing or wrong, or the network was fitted on a part of it.
    """
    rows = load(cell.protocol, predictor.input, root=means.root, detector=means.detector, quick=means.quick)
    check_unseen(predictor, rows)
    every, rows = len(rows), rows.relabel(predictor.labels)
    answers = [
        _Answers(predictor.logits(part.tested.images) / predictor.temperature, part.tested, part, part.number)
        for part in parts(rows, cell.protocol, seed=means.seed, quick=means.quick)
    ]
    found = replace(_score(answers, seed=means.seed), left_out=every - len(rows))
    return Result(cell=cell.name, status="measured", score=found, detector=_detector(cell, means), **stamp())


def finished(recipe: Recipe, folder: Path) -> Run | None:
    """The finished run of this recipe in a folder, if it is there.

    Raises:
        TrainingError: a damaged record.
    """
    if not (folder / RECORD).exists():
        return None
    run = Run.read(folder)
    return run if run.status == "finished" and run.recipe == recipe else None


def _worded_as_before(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the name, sentences and splits of the run that is there.

    A study's signature does not know them, and its folder says which fold is in it: older runs do not.
    """
    if not (folder / RECORD).exists():
        return recipe
    before = Run.read(folder).recipe
    data = replace(recipe.data, train=before.data.train, validation=before.data.validation, folds=before.data.folds)
    return replace(recipe, name=before.name, summary=before.summary, licence=before.licence, data=data)


def stamp() -> dict[str, Any]:
    """When, at which commit and with which versions."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": time, "commit": commit(apart_from=RESULTS), "versions": describe_versions()}


def _detector(cell: Cell, means: Means) -> str:
    return means.detector.name if means.detector is not None and cell.protocol.dataset in LAYOUTS else ""


def _wanted(recipe: Recipe, rows: Dataset, protocol: Protocol, means: Means) -> Iterator[tuple[Recipe, Part]]:
    for seed in range(1 if means.quick else protocol.seeds):
        for part in parts(rows, protocol, seed=means.seed, quick=means.quick):
            own = replace(recipe, data=_parted_data(recipe.data, part))
            yield replace(own, seed=recipe.seed + seed), part


def _parted_data(data: DataConfig, part: Part) -> DataConfig:
    """What a run's record says of its rows, so that they can be loaded again and told from the others."""
    if part.fitted is None or part.chosen is None:
        return data
    fitted, chosen = str(part.fitted.splits[0]), str(part.chosen.splits[0])
    return replace(data, train=fitted, validation=chosen, folds=part.fitted.folds)


def _score(answers: list[_Answers], *, probabilities: bool = True, seed: int) -> Score:
    leaks = [answer.part.leaked for answer in answers]
    known = [leaked for leaked in leaks if leaked is not None]
    return score(
        np.concatenate([answer.logits for answer in answers]),
        np.concatenate([answer.rows.indices for answer in answers]),
        answers[0].rows.labels,
        parts=np.concatenate([np.full(len(answer.rows), answer.number) for answer in answers]),
        groups=np.concatenate([answer.part.groups for answer in answers]),
        leaked=np.concatenate(known) if len(known) == len(leaks) else None,
        probabilities=probabilities,
        seed=seed,
    )


def _training(runs: list[Run]) -> Training:
    first = runs[0]
    curve = tuple(
        Point(*(round(getattr(epoch, name), 4) for name in Point.__dataclass_fields__)) for epoch in first.history
    )
    return Training(
        runs=len(runs),
        epochs=first.recipe.epochs,
        kept=tuple(run.best.epoch for run in runs),
        rows=first.rows,
        chosen_rows=first.validation_rows,
        seconds=round(sum(epoch.seconds for run in runs for epoch in run.history), 1),
        device=first.device,
        curve=curve if len(curve) > 1 else (),
        turn=turning_epoch([epoch.validation_loss for epoch in first.history]),
    )
