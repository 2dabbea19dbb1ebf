"""The measures, each a pure function of probabilities ``(n, K)`` and true class indices ``(n,)``.

A class without rows has no recall and no F1, one that is never predicted no precision: these are NaN, and means over
the classes leave them out. Every function refuses zero rows, disagreeing shapes and NaN with a ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]
Indices = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of each of K classes.

    Attributes:
        support: ``(K,)`` int64, rows whose truth is the class.
        precision: ``(K,)`` share of the rows given the class that are of it; NaN where it is never given.
        recall: ``(K,)`` share of the class's rows found; NaN where it has no rows.
        f1: ``(K,)`` harmonic mean ``2 TP / (2 TP + FP + FN)``; NaN where it has no rows.
    """

    support: NDArray[np.int64]
    precision: Values
    recall: Values
    f1: Values

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have rows."""
        return float(np.nanmean(self.f1))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall over the classes that have rows."""
        return float(np.nanmean(self.recall))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a confidence comes true, in bins of equal mass, least confident first.

    Attributes:
        confidence: ``(b,)`` mean probability of the top class in each bin.
        accuracy: ``(b,)`` share correct in each bin.
        count: ``(b,)`` int64, rows in each bin.
    """

    confidence: Values
    accuracy: Values
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Mean distance of confidence and accuracy over the rows: the expected calibration error."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))


def correct(probabilities: Probabilities, indices: Indices) -> NDArray[np.bool_]:
    """Whether each row's most probable class is the truth, ``(n,)``; of equal ones the first counts."""
    check_rows(probabilities, indices)
    hits: NDArray[np.bool_] = probabilities.argmax(axis=1) == indices
    return hits


def accuracy(probabilities: Probabilities, indices: Indices) -> float:
    """Share of rows whose most probable class is the truth, 0 to 1."""
    return float(correct(probabilities, indices).mean())


def top_k_accuracy(probabilities: Probabilities, indices: Indices, *, k: int = 2) -> float:
    """Share of rows whose truth is among the ``k`` most probable classes."""
    check_rows(probabilities, indices)
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((top == indices[:, None]).any(axis=1).mean())


def percentiles(draws: NDArray[np.floating], level: float = 0.95) -> tuple[float, float]:
    """The range that ``level`` of a bootstrap's draws lie in, as many below it as above."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def accuracy_interval(
    hits: NDArray[np.bool_], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the share of true values in ``hits`` ``(n,)`` (Efron & Tibshirani 1993, ch. 13).

    Drawing n rows with replacement and counting the hits is one binomial draw, so no rows are copied. Where all rows
    agree the interval has no width, as every bootstrap of them has.

    Raises:
        ValueError: no rows.
    """
    if len(hits) == 0:
        raise ValueError("an interval needs one row or more")
    draws = np.random.default_rng(seed).binomial(len(hits), hits.mean(), size=resamples) / len(hits)
    return percentiles(draws, level)


def grouped_interval(
    hits: NDArray[np.bool_],
    groups: NDArray[np.generic],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the share of ``hits`` ``(n,)``, whole ``groups`` ``(n,)`` drawn at a time.

    With every row a group of its own it is :func:`accuracy_interval`. Source: Field & Welsh
    2007, Bootstrapping clustered data (the cluster bootstrap).

    Raises:
        ValueError: no rows.
    """
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group).astype(np.float64)
    if len(sizes) == len(hits):
        return accuracy_interval(hits, level=level, resamples=resamples, seed=seed)
    right = np.bincount(group, weights=hits).astype(np.float64)
    rng = np.random.default_rng(seed)
    n, shares = len(sizes), []
    for begin in range(0, resamples, 500):  # a few hundred at a time: the draws of all would not fit beside a dataset
        drawn = rng.integers(0, n, (min(500, resamples - begin), n))
        shares.append(right[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return percentiles(np.concatenate(shares), level)


def mean_interval(
    values: NDArray[np.floating], *, level: float = 0.95, resamples: int = 2_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values`` ``(n,)``: rows are drawn with replacement.

    Raises:
        ValueError: no rows.
    """
    n = len(values)
    if n == 0:
        raise ValueError("an interval needs one row or more")
    rng = np.random.default_rng(seed)
    means = np.array([values[rng.integers(0, n, n)].mean() for _ in range(resamples)])
    return percentiles(means, level)


def confusion_matrix(probabilities: Probabilities, indices: Indices) -> NDArray[np.int64]:
    """Counts ``(K, K)``: rows are the truth, columns what was predicted."""
    check_rows(probabilities, indices)
    classes = probabilities.shape[1]
    cells = np.bincount(indices * classes + probabilities.argmax(axis=1), minlength=classes**2)
    return cells.reshape(classes, classes).astype(np.int64)


def class_scores(probabilities: Probabilities, indices: Indices) -> ClassScores:
    """Precision, recall and F1 of each class."""
    confusion = confusion_matrix(probabilities, indices)
    hits = np.diag(confusion).astype(np.float64)
    support, given = confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassScores(
        support=support,
        precision=_ratio(hits, given),
        recall=_ratio(hits, support),
        f1=np.where(support > 0, _ratio(2 * hits, support + given), np.nan),
    )


def log_loss(probabilities: Probabilities, indices: Indices) -> float:
    """Mean negative log probability of the truth, in nats; probabilities below the type's epsilon count as it."""
    check_rows(probabilities, indices)
    truth = probabilities[np.arange(len(indices)), indices]
    floor = np.finfo(probabilities.dtype).eps
    return float(-np.log(np.maximum(truth, floor).astype(np.float64)).mean())


def reliability(probabilities: Probabilities, indices: Indices, *, bins: int = 15) -> Reliability:
    """Confidence against accuracy in ``bins`` bins of equal mass; fewer where rows are few or confidences equal."""
    hits = correct(probabilities, indices)
    confidence = probabilities.max(axis=1).astype(np.float64)
    numbers = equal_mass_bins(confidence, bins)
    count = np.bincount(numbers, minlength=bins)
    used = count > 0
    total = count[used]
    return Reliability(
        confidence=np.bincount(numbers, weights=confidence, minlength=bins)[used] / total,
        accuracy=np.bincount(numbers, weights=hits, minlength=bins)[used] / total,
        count=total.astype(np.int64),
    )


def expected_calibration_error(probabilities: Probabilities, indices: Indices, *, bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over equal-mass bins, 0 to 1.

    Naeini, Cooper & Hauskrecht (2015) with the adaptive bins of Nguyen & O'Connor (2015), which are less biased than
    bins of equal width.
    """
    return reliability(probabilities, indices, bins=bins).error


def equal_mass_bins(values: NDArray[np.number], bins: int) -> NDArray[np.int64]:
    """Bin number ``(n,)`` of each value, 0 (lowest) to ``bins - 1``, so that bins hold as many rows as can be.

    Equal values share a bin, so the order of the rows does not matter.
    """
    first = np.searchsorted(np.sort(values), values, side="left")
    return (first * bins // max(len(values), 1)).astype(np.int64)


def check_rows(values: Probabilities, indices: Indices) -> None:
    """Refuse what is not values ``(n, K)`` with indices ``(n,)`` into them.

    Raises:
        ValueError: no rows, disagreeing shapes, an index outside the classes, or a value that is not finite.
    """
    if values.ndim != 2 or len(values) == 0 or indices.shape != values.shape[:1]:
        raise ValueError(
            f"expected values (n, K) and indices (n,) with n of 1 or more, got {values.shape} and {indices.shape}"
        )
    if not 0 <= int(indices.min()) <= int(indices.max()) < values.shape[1]:
        raise ValueError(f"an index lies outside the {values.shape[1]} classes")
    if not np.isfinite(values).all():
        raise ValueError("a value is not a finite number")


def _ratio(part: Values, whole: NDArray[np.int64]) -> Values:
    ratio = np.full(len(part), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
