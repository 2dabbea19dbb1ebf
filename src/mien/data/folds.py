"""Folds for cross-validation, in which no person (or no picture) stands on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.expression import LABEL_SETS
from mien.core.fitted import Folds
from mien.data.dataset import Dataset, text_column
from mien.data.splits import groups_of


def in_folds(dataset: Dataset, folds: Folds) -> Dataset:
    """The dataset with the splits ``train``, ``validation`` and ``test`` of one fold.

    Raises:
        DatasetError: no column ``subject``, fewer persons or pictures than folds, or a class that is missing from one
            of the three splits.
        LabelError: it has none of the folds' labels.
    """
    if folds.labels is not None:
        dataset = dataset.relabel(LABEL_SETS[folds.labels])
    if folds.apart == "subject" and "subject" not in dataset.metadata:
        raise DatasetError(
            f"{dataset.name} has no column 'subject' that says who is in a picture, so persons cannot be kept apart: "
            "add one, or set folds.apart to 'picture', which keeps the same picture on one side"
        )
    groups = groups_of(dataset, "subject" if folds.apart == "subject" else None)
    distinct = len(np.unique(groups))
    if distinct < folds.count:
        raise DatasetError(
            f"{dataset.name} has {distinct} {folds.apart}s, too few for {folds.count} folds: ask for fewer"
        )
    dealt = fold_of(dataset.indices, groups, count=folds.count, seed=folds.seed)
    splits = np.full(len(dataset), "train", dtype=object)
    splits[dealt == folds.test] = "test"
    splits[dealt == (folds.test + 1) % folds.count] = "validation"
    parted = replace(dataset, splits=text_column(splits.tolist()), folds=folds)
    _check_classes(parted, folds)
    return parted


def _check_classes(dataset: Dataset, folds: Folds) -> None:
    present = {label for label, count in dataset.counts.items() if count}
    for name in ("train", "validation", "test"):
        missing = sorted(present - {label for label, count in dataset.split(name).counts.items() if count})
        if missing:
            raise DatasetError(
                f"{dataset.name}, {folds.describe()}: the split '{name}' has no picture of {', '.join(missing)}: "
                "take fewer folds, another seed, or labels that leave it out"
            )


def fold_of(indices: NDArray[np.int64], groups: NDArray[np.generic], *, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Deal whole groups into folds of about equal counts of each class.

    The largest groups are dealt first (equals in random order), each into the fold that leaves the counts per class
    most even: the least sum, over classes, of the squared share of the class that each fold holds.

    Args:
        indices: ``(n,)`` class of each row.
        groups: ``(n,)`` group of each row.
        count: number of folds; every fold gets a group where there are as many groups.
        seed: of the random order.

    Returns:
        ``(n,)`` the fold of each row, 0 to ``count`` - 1.
    """
    names, group = np.unique(groups, return_inverse=True)
    classes = int(indices.max(initial=0)) + 1
    table = np.bincount(group * classes + indices, minlength=len(names) * classes).reshape(-1, classes)
    shares = table / np.maximum(table.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    held, dealt = np.zeros((count, classes)), np.zeros(len(names), dtype=np.int64)
    for candidate in order:
        # adding share s to a fold that holds h raises the sum of squares by 2hs + s^2; s^2 is the same for all folds
        fold = int(np.lexsort((held.sum(axis=1), held @ shares[candidate]))[0])
        held[fold] += shares[candidate]
        dealt[candidate] = fold
    folds: NDArray[np.int64] = dealt[group]
    return folds


def check_apart(dataset: Dataset) -> None:
    """Refuse a dataset of which a person stands in two splits; one without a column ``subject`` passes.

    Raises:
        DatasetError: somebody does; the message names them.
    """
    if "subject" not in dataset.metadata:
        return
    splits = list(dict.fromkeys(dataset.splits.tolist()))
    persons = {name: set(dataset.split(name).metadata["subject"].tolist()) for name in splits}
    for position, first in enumerate(splits):
        for second in splits[position + 1 :]:
            both = sorted(persons[first] & persons[second])
            if both:
                shown = ", ".join(map(str, both[:8])) + (", …" if len(both) > 8 else "")
                raise DatasetError(
                    f"{dataset.name}: {len(both)} persons stand in '{first}' and in '{second}' ({shown}): what is "
                    "measured then is how well known people are read. Keep each person in one split, or let "
                    "data.folds make the splits"
                )
