"""Paper 004's rows: three expressions of all splits, parted anew, under covers; and networks that are trained on them.

Dobeš & Sabolová pool the splits of FER2013's happy, angry and neutral faces, part them at random into 70 % and 30 %,
cover the eyes, the nose or the mouth with a band of white noise, and train one network for each condition. The paper
chose and reported on the same 30 %; here a tenth of the 70 % chooses the epoch, and the 30 % only reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.core.errors import DatasetError, TrainingError
from mien.core.expression import THREE, Labels
from mien.core.files import write_whole
from mien.core.schema import to_mapping
from mien.data.dataset import Dataset, text_column
from mien.data.leaks import leaked_rows, picture_groups
from mien.data.splits import held_out
from mien.evaluation.regions import BANDS, Fill, cover
from mien.explain.occlusion import OPEN
from mien.training.recipe import Recipe, Weights
from mien.training.run import Run
from mien.training.runner import Runner

CONDITIONS = (OPEN, *BANDS)
"""What faces are trained and tested under: the open face and the paper's three bands."""

ALL = "all"
"""The network that is trained under all conditions: it sees each face under each."""

PAPER = {"none": 0.7420, "eyes": 0.7201, "nose": 0.7021, "mouth": 0.5210}
"""Accuracy in the paper: a frozen GoogLeNet, each network trained and tested under one condition."""

PRETRAINING = "pretraining"
"""As a recipe's ``weights.source``: its network first learns all expressions, on the rows of :func:`outside`."""

SHARE, CHOSEN = 0.3, 0.1
"""Share of the rows that reports, and share of the rest that chooses."""


@dataclass(frozen=True, slots=True)
class PooledProtocol:
    """What every network on pooled rows has in common.

    Attributes:
        dataset: whose rows are pooled.
        licence: what its owner allows.
        labels: the three expressions.
        counts: rows of each.
        share: of the rows that reports.
        chosen: share of the rest that chooses the epoch.
        seed: of the parts, the noise and the bootstrap.
        fitted_rows: rows that fit the weights.
        chosen_rows: rows that choose the epoch.
        tested_rows: rows that report.
        leaked_rows: those of them whose very pixels also stand among the other rows.
        band_rows: rows of a band on a crop of 48, and the first row of each band.
    """

    dataset: str
    licence: str
    labels: Labels
    counts: dict[str, int]
    share: float
    chosen: float
    seed: int
    fitted_rows: int
    chosen_rows: int
    tested_rows: int
    leaked_rows: int
    band_rows: dict[str, int]


def pooled(dataset: Dataset, *, seed: int, share: float = SHARE, chosen: float = CHOSEN) -> Dataset:
    """The three expressions of all splits, parted anew into ``train``, ``validation`` and ``test``.

    Rows are parted at random, each expression alike, as the paper does it: copies of a picture may part.

    Raises:
        DatasetError: an expression has no rows.
        LabelError: it has none of the three.
    """
    rows = dataset.relabel(THREE)
    missing = [label for label, count in rows.counts.items() if count < 10]
    if missing:
        raise DatasetError(f"{dataset.name} has fewer than ten rows of {', '.join(missing)}: the study needs all three")
    each = np.arange(len(rows))
    splits = np.full(len(rows), "train", dtype=object)
    splits[held_out(rows.indices, each, fraction=share, seed=seed)] = "test"
    left = np.flatnonzero(splits == "train")
    splits[left[held_out(rows.indices[left], each[: len(left)], fraction=chosen, seed=seed)]] = "validation"
    return replace(rows, splits=text_column(splits.tolist()))


def outside(dataset: Dataset, rows: Dataset, *, seed: int, chosen: float = CHOSEN) -> Dataset:
    """All expressions of what a study does not report: no row of its ``test`` part, and no copy of one.

    What chooses in the study chooses here too, with as large a share of the other expressions.

    Args:
        dataset: whose rows were pooled.
        rows: from :func:`pooled`.
        seed: of the parts.
        chosen: share of the other expressions' rows that chooses.
    """
    groups = picture_groups(dataset.images)
    reported, choosing = (np.isin(dataset.rows, rows.split(name).rows) for name in ("test", "validation"))
    others = np.flatnonzero(~np.isin(dataset.rows, rows.rows))
    choosing[others[held_out(dataset.indices[others], groups[others], fraction=chosen, seed=seed)]] = True
    splits = np.where(choosing, "validation", "train")
    return replace(dataset, splits=splits).take(~np.isin(groups, groups[reported]))


def describe(rows: Dataset, *, seed: int) -> PooledProtocol:
    """The protocol of pooled rows."""
    return PooledProtocol(
        dataset=rows.name,
        licence=rows.licence,
        labels=rows.labels,
        counts=rows.counts,
        share=SHARE,
        chosen=CHOSEN,
        seed=seed,
        fitted_rows=len(rows.split("train")),
        chosen_rows=len(rows.split("validation")),
        tested_rows=len(rows.split("test")),
        leaked_rows=int(leaked_rows(rows, "test").sum()),
        band_rows={"rows": 10, "eyes": 10, "nose": 20, "mouth": 30},
    )


def hold_folder(folder: Path, protocol: PooledProtocol) -> None:
    """Hold a folder of runs to one protocol.

    Raises:
        TrainingError: the folder holds runs of another.
    """
    path = folder / "protocol.json"
    content = json.dumps(to_mapping(protocol), indent=1) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise TrainingError(f"{folder} holds a study of other rows or another seed: give another folder with --out")
    write_whole(path, content)


def under(rows: Dataset, condition: str, *, fill: Fill = "noise", seed: int = 0) -> Dataset:
    """The rows under one condition; under ``"all"`` each row comes once under each of the four."""
    names = CONDITIONS if condition == ALL else (condition,)
    images = [cover(rows.images, BANDS.get(name), fill=fill, seed=seed, rows=rows.rows) for name in names]
    repeated = rows.take(np.tile(np.arange(len(rows)), len(names)))
    return replace(repeated, images=np.concatenate(images))


def recipe_under(recipe: Recipe, condition: str) -> Recipe:
    """The recipe of the network for one condition.

    Under all four an epoch is four times as long, so that there are a quarter as many.
    """
    epochs = max(1, round(recipe.epochs / len(CONDITIONS))) if condition == ALL else recipe.epochs
    return replace(recipe, name=f"{recipe.name}-{condition}", epochs=epochs, patience=None)


def trained_under(
    recipe: Recipe, condition: str, rows: Dataset, folder: Path, *, seed: int, runner: Runner
) -> tuple[Run, Path]:
    """The network of a recipe for one condition, and the folder of its run.

    Args:
        recipe: of the network; its ``data`` is not looked at.
        condition: what its faces are covered with.
        rows: from :func:`pooled`.
        folder: the run is ``folder/RECIPE/CONDITION``.
        seed: of the noise.
        runner: trains it where that is not done.
    """
    place = folder / recipe.name / condition

    def covered() -> tuple[Dataset, Dataset]:
        shown = under(rows.take(rows.splits != "test"), condition, seed=seed)
        return shown.split("train"), shown.split("validation")

    return runner.trained(recipe_under(recipe, condition), place, covered), place


def pretrained(
    recipe: Recipe,
    pretraining: Recipe | None,
    folder: Path,
    rows: Callable[[], tuple[Dataset, Dataset]],
    *,
    seed: int,
    runner: Runner,
) -> Recipe:
    """The recipe that starts from the run of ``pretraining``, which is ``folder/PRETRAINING``; itself without one.

    Args:
        recipe: of the network.
        pretraining: a recipe of all expressions.
        folder: the run goes into it.
        rows: loads the whole dataset, and its rows from :func:`pooled`.
        seed: of the parts.
        runner: trains it where that is not done.
    """
    if pretraining is None:
        return recipe
    place = folder / pretraining.name

    def others() -> tuple[Dataset, Dataset]:
        found = outside(*rows(), seed=seed)
        return found.split("train"), found.split("validation")

    runner.trained(pretraining, place, others)
    return replace(recipe, weights=Weights(str(place)))
