"""Paper 004's cells: each network of the occlusion study under the condition that it was trained for."""

from __future__ import annotations

from pathlib import Path

from mien.data.dataset import spread
from mien.data.fer2013 import Counts
from mien.data.load import load_dataset
from mien.evaluation.regions import BANDS
from mien.explain.occlusion import OPEN
from mien.explain.study import Arm, Protocol
from mien.explain.study_runs import run_arm
from mien.studies.cell import Cell
from mien.studies.means import Means, shortened
from mien.studies.measure import stamp
from mien.studies.record import Rates, Result, Score, Training
from mien.training.recipe import Recipe
from mien.training.transfer import input_of

QUICK_ROWS = 900


def train_arm(recipe: Recipe, folder: Path, means: Means, *, pretraining: Recipe | None = None) -> tuple[Arm, Protocol]:
    """One kind of network through the occlusion study: a run for each condition, and all their tests.

    Raises:
        DatasetError: FER2013 is missing or wrong.
        TrainingError: the folder holds a study of other rows.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from the last whole epoch.
    """
    counts: Counts = "any" if means.quick else "published"
    whole = load_dataset("fer2013", input_of(pretraining or recipe), root=means.root, counts=counts)
    if means.quick:
        whole = whole.take(spread(len(whole), QUICK_ROWS))
    recipe = shortened(recipe, means)
    pretraining = None if pretraining is None else shortened(pretraining, means)
    return run_arm(
        recipe, whole, folder, pretraining=pretraining, seed=means.seed, threads=means.threads, say=means.say
    )


def cell_result(cell: Cell, arm: Arm, protocol: Protocol) -> Result:
    """A cell's result from its arm."""
    condition = cell.condition or OPEN
    found = arm.scores(condition, OPEN if condition == OPEN else BANDS[condition].name)
    trained = next(network for network in arm.networks if network.condition == condition)
    return Result(
        cell=cell.name,
        status="measured",
        score=Score(
            labels=tuple(str(label) for label in protocol.labels),
            n=found.n,
            groups=found.n,
            accuracy=found.accuracy,
            accuracy_interval=found.accuracy_interval,
            accuracy_without_leaks=found.accuracy_without_leaks,
            recall=sum(loss.recall for loss in found.classes) / len(found.classes),
            classes=tuple(Rates(loss.label, loss.n, recall=loss.recall) for loss in found.classes),
            parts=(found.accuracy,),
        ),
        training=Training(
            runs=1,
            epochs=trained.epochs,
            kept=(trained.kept,),
            rows=trained.rows,
            chosen_rows=protocol.chosen_rows,
            seconds=trained.seconds,
            device=arm.device,
        ),
        **stamp(),
    )
