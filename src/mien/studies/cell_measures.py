"""Measuring one cell: its runs, its answers on the rows that report, and what both amount to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.predictor import Floats
from mien.core.provenance import commit, describe_versions
from mien.data.dataset import Dataset
from mien.data.leaks import leaked_rows
from mien.data.load import LAYOUTS
from mien.evaluation.fitted_rows import check_unseen
from mien.models.network import TorchPredictor
from mien.studies.cell_recipes import StudyOptions
from mien.studies.cell_results import CellResult, CellScore, CurvePoint, TrainingFacts
from mien.studies.cell_rows import RowParts, load, parts
from mien.studies.paper_cells import PaperCell
from mien.studies.pooled_rows import describe, hold_folder, pooled, pretrained, trained_under, under
from mien.studies.scoring import score, turning_epoch
from mien.training.recipe import DataConfig, Recipe, Weights
from mien.training.run import RECORD, Run
from mien.training.runner import Runner
from mien.training.transfer import input_of

RESULTS = Path("results")


@dataclass(frozen=True, eq=False)
class _Answers:
    logits: Floats
    rows: Dataset
    part: RowParts
    number: int


def measure_recipe(cell: PaperCell, recipe: Recipe, folder: Path, options: StudyOptions, runner: Runner) -> CellResult:
    """Fit a cell's recipe on every fold and with every seed, and test each run on its own rows.

    Args:
        cell: what is measured.
        recipe: its recipe, with weights that are at hand.
        folder: one run for each fold and seed goes into it; finished ones are taken as they are. Runs on pooled rows
            lie beside it, as those of the occlusion study do.
        options: what may be used.
        runner: trains what is not trained.

    Raises:
        DatasetError: the dataset is missing or wrong.
        ConfigError: the recipe contradicts itself.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    if cell.start == "bundled":
        recipe = replace(recipe, weights=Weights(recipe.network))
    recipe = options.shortened(recipe)
    recipe = replace(recipe, data=replace(recipe.data, dataset=cell.protocol.dataset, labels=cell.protocol.labels))
    found = _parted if cell.condition is None else _pooled
    answers, runs = [], []
    for number, (run, place, part) in enumerate(found(cell, recipe, folder, options, runner)):
        runs.append(run)
        answers.append(_Answers(runner.open(place).logits(part.tested.images), part.tested, part, number))
    return CellResult(
        cell=cell.name,
        status="measured",
        score=_score(answers, probabilities=recipe.transfer.mode != "svm", seed=options.seed),
        training=_training(runs),
        detector=_detector(cell, options),
        **stamp(),
    )


def measure_predictor(
    cell: PaperCell, predictor: TorchPredictor, options: StudyOptions, *, root: Path | None
) -> CellResult:
    """Test a network that is finished on a cell's rows.

    Raises:
        DatasetError: the dataset is missing or wrong, or the network was fitted on a part of it.
    """
    rows = load(cell.protocol, predictor.input, root=root, detector=options.detector, quick=options.quick)
    check_unseen(predictor, rows)
    every, rows = len(rows), rows.relabel(predictor.labels)
    answers = [
        _Answers(predictor.logits(part.tested.images) / predictor.temperature, part.tested, part, part.number)
        for part in parts(rows, cell.protocol, seed=options.seed, quick=options.quick)
    ]
    found = replace(_score(answers, seed=options.seed), left_out=every - len(rows))
    return CellResult(cell=cell.name, status="measured", score=found, detector=_detector(cell, options), **stamp())


def stamp() -> dict[str, Any]:
    """When, at which commit and with which versions."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": time, "commit": commit(apart_from=RESULTS), "versions": describe_versions("torch", "lightning")}


def _parted(
    cell: PaperCell, recipe: Recipe, folder: Path, options: StudyOptions, runner: Runner
) -> Iterator[tuple[Run, Path, RowParts]]:
    """A run for each seed and fold of a dataset's own splits or of folds made anew."""
    rows = load(cell.protocol, input_of(recipe), root=runner.root, detector=options.detector, quick=options.quick)
    for seed in range(1 if options.quick else cell.protocol.seeds):
        for part in parts(rows, cell.protocol, seed=options.seed, quick=options.quick):
            own = replace(recipe, data=_parted_data(recipe.data, part), seed=recipe.seed + seed)
            place = folder / f"seed-{own.seed}-fold-{part.number}"
            yield runner.trained(_worded_as_before(own, place), place, partial(_chosen, part)), place, part


def _pooled(
    cell: PaperCell, recipe: Recipe, folder: Path, options: StudyOptions, runner: Runner
) -> Iterator[tuple[Run, Path, RowParts]]:
    """The one run on pooled rows under a cell's condition."""
    first, condition, runs = options.pretraining(cell), cell.condition or "", folder.parent
    if first is not None:
        first = options.shortened(first)
    whole = load(
        cell.protocol, input_of(first or recipe), root=runner.root, detector=options.detector, quick=options.quick
    )
    rows = pooled(whole, seed=options.seed)
    hold_folder(runs, describe(rows, seed=options.seed))
    recipe = pretrained(recipe, first, runs, lambda: (whole, rows), seed=options.seed, runner=runner)
    run, place = trained_under(recipe, condition, rows, runs, seed=options.seed, runner=runner)
    tested = under(rows.split("test"), condition, seed=options.seed)
    yield run, place, RowParts(0, None, None, tested, tested.rows, leaked_rows(rows, "test"))


def _chosen(part: RowParts) -> tuple[Dataset, Dataset]:
    assert part.fitted is not None  # noqa: S101  # a recipe's protocol fits
    assert part.chosen is not None  # noqa: S101
    return part.fitted, part.chosen


def _worded_as_before(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the name, sentences and splits of the run that is there.

    A study's signature does not know them, and its folder says which fold is in it: older runs do not.
    """
    if not (folder / RECORD).exists():
        return recipe
    before = Run.read(folder).recipe
    data = replace(recipe.data, train=before.data.train, validation=before.data.validation, folds=before.data.folds)
    return replace(recipe, name=before.name, summary=before.summary, licence=before.licence, data=data)


def _detector(cell: PaperCell, options: StudyOptions) -> str:
    return options.detector.name if options.detector is not None and cell.protocol.dataset in LAYOUTS else ""


def _parted_data(data: DataConfig, part: RowParts) -> DataConfig:
    """What a run's record says of its rows, so that they can be loaded again and told from the others."""
    fitted, chosen = _chosen(part)
    return replace(data, train=str(fitted.splits[0]), validation=str(chosen.splits[0]), folds=fitted.folds)


def _score(answers: list[_Answers], *, probabilities: bool = True, seed: int) -> CellScore:
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


def _training(runs: list[Run]) -> TrainingFacts:
    first = runs[0]
    curve = tuple(
        CurvePoint(*(round(getattr(epoch, name), 4) for name in CurvePoint.__dataclass_fields__))
        for epoch in first.history
    )
    return TrainingFacts(
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
