"""The rows of a run: what fits its weights, what chooses among its epochs, and crowd votes beside the labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.errors import DatasetError, LabelError, MissingExtraError, TrainingError
from mien.core.expression import LABEL_SETS
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset
from mien.data.folds import check_apart, in_folds
from mien.data.layout import WHOLE, pictures_of
from mien.data.load import load_dataset, load_votes
from mien.training.recipe import Recipe


def load_rows(recipe: Recipe, spec: InputSpec, root: Path | None) -> Dataset:
    """All rows of a recipe's dataset, with its votes, folds and labels.

    Raises:
        DatasetError: the data is missing or wrong, or cannot be parted into the recipe's folds.
        TrainingError: there are no votes where the recipe wants them.
    """
    data = recipe.data
    dataset = load_dataset(data.dataset, spec, root=root, counts=data.counts, classes=data.classes)
    if recipe.votes is not None:
        dataset = with_votes(dataset, spec, root)
    if data.folds is not None:
        dataset = in_folds(dataset, data.folds)
    elif set(dataset.splits.tolist()) == {WHOLE}:
        raise DatasetError(
            f"{dataset.name} comes without splits: let the recipe part it, as data.folds: {{count: 5, test: 0}} with "
            "data.validation: validation"
        )
    if recipe.votes_as == "labels":
        dataset = translate_votes(dataset, data.train, load_votes(root))
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
    if pictures_of(dataset.name) != "fer2013":
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


def translate_votes(dataset: Dataset, train: str, table: NDArray[np.int64]) -> Dataset:
    """FER2013 with what its label is likely to be, given FER+'s votes on the picture, for soft labels.

    Where FER+'s crowd and FER2013's labels differ it is often by habit: much that the crowd calls neutral is sad in
    FER2013. A logistic regression of the label on a row's shares of the votes, their logarithms and the products of any
    two of them says how often. It is fitted on the training split alone, for all rows.

    Args:
        dataset: FER2013, with votes (:func:`with_votes`).
        train: the split whose labels it is fitted on.
        table: ``(m, 10)`` votes on the rows of FER2013's file (:func:`mien.data.load.load_votes`).

    Raises:
        TrainingError: it is another dataset, or the split lacks an expression.
        DatasetError: there is no such split.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "stats", "votes as labels") from None
    if dataset.name != "fer2013":
        raise TrainingError(f"votes_as 'labels' is for FER+'s votes on fer2013, not for {dataset.name}: leave it out")
    fitted = dataset.split(train)
    absent = [label for label, count in fitted.counts.items() if not count]
    if absent:
        raise TrainingError(
            f"votes_as 'labels': the split '{train}' of {dataset.name} has no picture of {', '.join(absent)}, so "
            "that no votes could be read as it: add some, or leave votes_as out"
        )
    model = LogisticRegression(max_iter=5000).fit(_vote_features(table[fitted.rows]), fitted.indices)
    votes = model.predict_proba(_vote_features(table[dataset.rows]))
    return replace(dataset, votes=votes.astype(np.float32))


def _vote_features(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of ``(n, 10)`` votes, their logarithms and the products of any two of them, ``(n, 75)``."""
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    first, second = np.triu_indices(shares.shape[1])
    return np.concatenate([shares, np.log(shares + 0.05), shares[:, first] * shares[:, second]], axis=1)
