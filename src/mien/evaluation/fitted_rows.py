"""What a model may be measured on: a dataset in which its own rows can be told from the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mien.core.errors import DatasetError
from mien.core.fitted import Fitted, Folds
from mien.core.predictor import Predictor
from mien.data.base import Dataset
from mien.data.fer2013 import MERGED
from mien.data.folds import in_folds
from mien.data.layout import WHOLE, pictures_of


def parted(dataset: Dataset, predictors: Sequence[Predictor], fold: Folds | None = None) -> Dataset:
    """A dataset in the fold that is asked for, or else in the one that predictors were fitted on, if any was.

    A fold of the same number as theirs is theirs, which may have another seed or keep other things apart.

    Raises:
        DatasetError: it cannot be parted so.
    """
    seen = {fitted.folds for predictor in predictors for fitted in predictor.seen if fitted.dataset == dataset.name}
    own = [folds for folds in seen if folds is not None]
    if len(own) == 1 and (fold is None or (fold.count, fold.test) == (own[0].count, own[0].test)):
        fold = own[0]
    return dataset if fold is None else in_folds(dataset, fold)


def check_unseen(predictor: Predictor, dataset: Dataset) -> None:
    """Refuse a dataset whose splits are not those that the predictor was fitted on.

    Raises:
        DatasetError: it shows pictures that fitted the predictor, and its splits do not tell which; the message names
            the fold that does.
    """
    for fitted in predictor.seen:
        if _same_pictures(fitted, dataset) and not _tells(dataset, fitted):
            raise DatasetError(f"{predictor.name} was fitted on a part of {fitted.dataset}{_remedy(dataset, fitted)}")


def seen_rows(predictor: Predictor, rows: Dataset) -> Literal["none", "some", "all"]:
    """How many of a split's rows fitted the predictor or chose its epoch, as far as it is known.

    Some, where the split is one of FER2013 in two folders, whose ``test`` has the rows that chose among others.
    """
    used = {split for fitted in predictor.seen if _same_pictures(fitted, rows) for split in fitted.splits}
    splits = set(rows.splits.tolist())
    if splits & used:
        return "all"
    return "some" if _official(rows) & used else "none"


def is_learnt(predictor: Predictor, rows: Dataset) -> bool:
    """Whether the rows of a split fitted the weights of the predictor or of what it learnt from, as far as it is known.

    A record that does not tell what fitted from what chose says nothing.
    """
    splits = set(rows.splits.tolist())
    return any(
        _same_pictures(fitted, rows) and fitted.folds == rows.folds and fitted.chose and splits & fitted.learnt
        for fitted in predictor.seen
    )


def parted_otherwise(fitted: Fitted, rows: Dataset) -> bool:
    """Whether a dataset shows the pictures of ``fitted`` in other splits, so that any of its rows may be among them."""
    return _same_pictures(fitted, rows) and fitted.folds != rows.folds


def _same_pictures(fitted: Fitted, rows: Dataset) -> bool:
    return pictures_of(fitted.dataset) == pictures_of(rows.name)


def _official(rows: Dataset) -> set[str]:
    """The official splits that rows of FER2013 hold undivided."""
    merged = MERGED if pictures_of(rows.name) == "fer2013" and rows.folds is None else {}
    return {official for split in set(rows.splits.tolist()) for official in merged.get(split, ())}


def _tells(dataset: Dataset, fitted: Fitted) -> bool:
    """Whether the dataset's splits tell which rows fitted a model, or which part holds those that chose its epoch."""
    splits = set(dataset.splits.tolist())
    if fitted.folds is not None and fitted.dataset != dataset.name:
        return False  # folds of other rows are other folds
    return fitted.folds == dataset.folds and WHOLE not in splits and set(fitted.splits) <= splits | _official(dataset)


def _remedy(dataset: Dataset, fitted: Fitted) -> str:
    folds = fitted.folds
    if folds is None:
        splits = ", ".join(sorted(set(dataset.splits.tolist())))
        return (
            f", and the splits of {dataset.name} ({splits}) do not tell which: "
            "measure it on the splits that it was fitted with, or on pictures of another name"
        )
    return (
        f" ({folds.describe()}): the split 'test' of that fold alone can measure it: ask for {fitted.dataset} with "
        f"--fold {folds.test}/{folds.count}, or with no --fold"
    )
