"""From answers to a cell's score, and the rule for the epoch at which a validation loss turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Labels
from mien.core.predictor import Floats, softmax
from mien.evaluation import metrics
from mien.evaluation.evaluation_result import class_results
from mien.studies.cell_results import CellScore

WINDOW = 5
"""Epochs that the rule of :func:`turning_epoch` averages over."""


def score(
    logits: Floats,
    indices: NDArray[np.int64],
    labels: Labels,
    *,
    parts: NDArray[np.int64],
    groups: NDArray[np.generic],
    leaked: NDArray[np.bool_] | None = None,
    probabilities: bool = True,
    seed: int = 0,
) -> CellScore:
    """The score of n answers.

    Args:
        logits: ``(n, K)``.
        indices: ``(n,)`` the truth.
        labels: K expressions.
        parts: ``(n,)`` fold or seed of each.
        groups: ``(n,)`` what is drawn together by the bootstrap: the person, or the row where it is answered by
            several seeds. Answers about one person are alike, so intervals over rows would be too narrow.
        leaked: ``(n,)`` whether the row's pixels were fitted or chosen on.
        probabilities: whether the softmax of the logits means anything; an SVM's does not.
        seed: of the bootstrap.
    """
    shares = softmax(logits)
    hits = metrics.correct(shares, indices)
    classes = metrics.class_scores(shares, indices)
    clean = None if leaked is None else hits[~leaked]
    return CellScore(
        labels=tuple(str(label) for label in labels),
        n=len(indices),
        groups=len(np.unique(groups)),
        accuracy=float(hits.mean()),
        accuracy_interval=metrics.grouped_interval(hits, groups, seed=seed),
        accuracy_without_leaks=float(clean.mean()) if clean is not None and len(clean) else None,
        log_loss=metrics.log_loss(shares, indices) if probabilities else None,
        precision=float(np.nanmean(classes.precision)) if np.isfinite(classes.precision).any() else None,
        recall=classes.balanced_accuracy,
        f1=classes.macro_f1,
        classes=class_results(classes, labels),
        confusion=tuple(tuple(int(count) for count in row) for row in metrics.confusion_matrix(shares, indices)),
        parts=tuple(float(hits[parts == part].mean()) for part in np.unique(parts)),
    )


def turning_epoch(losses: Sequence[float], *, window: int = WINDOW) -> int | None:
    """The epoch, counted from 1, from which a validation loss rises for good; None where it does not.

    The rule: losses are averaged over ``window`` epochs around each (fewer at both ends). The turn is the epoch of the
    lowest average, unless it lies among the last ``window`` epochs, where nothing after it says that it was a turn.

    Raises:
        ValueError: a window that has no middle.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd, got {window}")
    half = window // 2
    smooth = [float(np.mean(losses[max(0, i - half) : i + half + 1])) for i in range(len(losses))]
    if not smooth:
        return None
    lowest = int(np.argmin(smooth))
    return lowest + 1 if lowest < len(smooth) - window else None
