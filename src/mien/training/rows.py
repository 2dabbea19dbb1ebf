"""The rows of a run: what fits its weights, what chooses among its epochs, and crowd votes beside the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mien.core.errors import DatasetError, LabelError, TrainingError
from mien.core.expression import LABEL_SETS
from mien.core.preprocess import InputSpec
from mien.data.base import Dataset
from mien.data.folds import check_apart, in_folds
from mien.data.layout import WHOLE
from mien.data.load import load_dataset
from mien.training.recipe import Recipe


def load_rows(recipe: Recipe, spec: InputSpec, root: Path | None) -> Dataset:
    """All rows of a recipe's dataset, with its votes, folds and labels.

    Raises:
        DatasetError: the data is missing or wrong, or cannot be parted into the recipe's folds.
        TrainingError: there are no votes where the recipe wants them.
    """
    data = recipe.data
    dataset = load_dataset(data.dataset, spec, root=root)
    if recipe.votes is not None:
        dataset = with_votes(dataset, spec, root)
    if data.folds is not None:
        dataset = in_folds(dataset, data.folds)
    elif set(dataset.splits.tolist()) == {WHOLE}:
        raise DatasetError(
            f"{dataset.name} comes without splits: let the recipe part it, as data.folds: {{count: 5, test: 0}} with "
            "data.validation: validation"
        )
    if data.labels is not None:  # after the folds, which are then the same whatever the labels
        dataset = dataset.relabel(LABEL_SETS[data.labels])
    return dataset


def load_splits(recipe: Recipe, spec: InputSpec, root: Path | None) -> tuple[Dataset, Dataset]:
    """The rows that fit a recipe's weights, and those that choose among its epochs.

    Raises:
        DatasetError: the data is missing or wrong, has no such split, cannot be parted into the recipe's folds, or
            has a person in two of its splits.
        TrainingError: a class has no picture to be fitted on, or there are no votes where the recipe wants them.
    """
    data = recipe.data
    dataset = load_rows(recipe, spec, root)
    fitted, validation = dataset.split(data.train), dataset.split(data.validation)
    if data.folds is None or data.folds.apart == "subject":
        check_apart(dataset)
    for name, rows in ((data.train, fitted), (data.validation, validation)):
        missing = [label for label, count in rows.counts.items() if not count]
        # folds of whole persons may lack a rare class where they choose, and nobody can mend that
        if missing and (rows is fitted or data.folds is None):
            raise TrainingError(
                f"{dataset.name}: the split '{name}' has no picture of {', '.join(missing)}: add some, or leave the "
                "class out of all splits"
            )
    if data.limit is not None and data.limit < len(fitted):
        every = torch.linspace(0, len(fitted) - 1, data.limit).round().long().numpy()
        fitted = fitted.take(every)
    if len(fitted) < 2:
        raise TrainingError(f"{dataset.name}: the split '{data.train}' has fewer than two pictures")
    return fitted, validation


def with_votes(dataset: Dataset, spec: InputSpec, root: Path | None) -> Dataset:
    """The dataset with soft labels: its own, or for FER2013 those of FER+, joined by row where the pixels are the same.

    A row that FER+ removed or that has no majority keeps its label, as certainty.

    Raises:
        TrainingError: it has no votes and is not FER2013 as in ``fer2013.csv``, whatever its name.
        DatasetError: FER+ is missing or wrong.
    """
    if dataset.votes is not None:
        return dataset
    none = TrainingError(
        f"{dataset.name} has no crowd votes: FER+ has them for the rows of the published fer2013.csv alone; leave "
        "'votes' out, or train on that file or on ferplus"
    )
    if dataset.name != "fer2013":
        raise none
    crowd = load_dataset("ferplus", spec, root=root)
    try:
        crowd = crowd.relabel(dataset.labels)
    except LabelError as error:
        raise TrainingError(f"the votes of FER+ do not fit {dataset.name}: {error}") from None
    _, here, there = np.intersect1d(dataset.rows, crowd.rows, return_indices=True)
    # folders and lists can have that name too; a row is the same picture where its pixels are
    same = (np.array_equal(dataset.images[a], crowd.images[b]) for a, b in zip(here, there, strict=True))
    if crowd.votes is None or not here.size or not all(same):
        raise none
    soft = np.eye(len(dataset.labels), dtype=np.float32)[dataset.indices]
    soft[here] = crowd.votes[there]
    return replace(dataset, votes=soft)
