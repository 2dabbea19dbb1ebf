"""What makes a model's probabilities honest: temperature, candidate sets and the energy floor. Pure numpy.

Everything is fitted on the split that chooses (FER2013's ``public``), never on the one that reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.predictor import Floats, energy, softmax
from mien.evaluation.metrics import check_rows

TEMPERATURES = (0.05, 20.0)
"""Range that a fitted temperature is kept in; separable logits would send it to 0."""

_HALVINGS = 60

PROFILE_ROWS = 30
"""Neutral faces that a profile of them takes at least."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a manifest holds beside the weights.

    Attributes:
        temperature: divides the logits.
        conformal_thresholds: for each of the K classes, the probability that puts it into the candidate set.
        coverage: of the faces of a class, whichever it is, the share whose candidate set shall hold it.
        energy_threshold: a crop whose energy lies below it does not look like a face.
        neutral_profile: how the model reads neutral faces: K probabilities, the normalised geometric mean over the
            neutral rows; None without :data:`PROFILE_ROWS` of them.
    """

    temperature: float
    conformal_thresholds: tuple[float, ...]
    coverage: float
    energy_threshold: float
    neutral_profile: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class SetQuality:
    """How candidate sets fare on rows with known truth.

    Attributes:
        coverage: share of sets that hold the truth.
        mean_size: mean number of expressions in a set.
        class_coverage: ``(K,)`` coverage over each class's rows; NaN for a class without rows.
        class_size: ``(K,)`` mean size over each class's rows; NaN for a class without rows.
    """

    coverage: float
    mean_size: float
    class_coverage: NDArray[np.float64]
    class_size: NDArray[np.float64]


def calibrate(
    logits: Floats,
    indices: NDArray[np.int64],
    *,
    coverage: float = 0.9,
    drop: float = 0.01,
    neutral: int | None = None,
) -> Calibration:
    """Fit temperature, conformal thresholds and energy threshold on one split, in this order.

    The conformal thresholds are fitted on the rows that the temperature was fitted on. Their guarantee asks for fresh
    rows, but one monotone parameter fitted on thousands of rows moves them by less than the rows' own noise.

    Args:
        logits: ``(n, K)``, uncalibrated.
        indices: ``(n,)`` true classes.
        coverage: of the faces of a class, whichever it is, the share whose candidate set shall hold it.
        drop: share of real faces that may fall below the energy threshold.
        neutral: the class of neutral faces, where there is one.

    Raises:
        ValueError: no rows, disagreeing shapes, or a share outside 0 to 1.
    """
    temperature = fit_temperature(logits, indices)
    probabilities = softmax(logits, temperature)
    return Calibration(
        temperature,
        conformal_thresholds(probabilities, indices, coverage=coverage),
        coverage,
        energy_threshold(energy(logits, temperature), drop=drop),
        None if neutral is None else neutral_profile(probabilities[indices == neutral]),
    )


def neutral_profile(probabilities: NDArray[np.floating]) -> tuple[float, ...] | None:
    """The normalised geometric mean of the probabilities ``(n, K)`` of n neutral faces; None for too few of them."""
    if len(probabilities) < PROFILE_ROWS:
        return None
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), 1e-6)).mean(axis=0)
    profile = np.exp(logarithms - logarithms.max())
    return tuple((profile / profile.sum()).round(6).tolist())


def fit_temperature(logits: Floats, indices: NDArray[np.int64]) -> float:
    """The temperature that minimises the log loss of logits ``(n, K)`` (Guo et al. 2017), within :data:`TEMPERATURES`.

    The loss is convex in the inverse temperature ``b``, with the slope ``mean(E_p[z] - z_truth)`` where ``p`` is the
    softmax of ``b z``; the zero of the slope is found by halving.

    Raises:
        ValueError: no rows, or disagreeing shapes.
    """
    check_rows(logits, indices)
    z = logits.astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    truth = z[np.arange(len(z)), indices].mean()

    def slope(inverse: float) -> float:
        weights = np.exp(z * inverse)
        return float(((weights * z).sum(axis=1) / weights.sum(axis=1)).mean() - truth)

    low, high = (math.log(1 / t) for t in reversed(TEMPERATURES))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(middle)) < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def conformal_thresholds(
    probabilities: NDArray[np.floating], indices: NDArray[np.int64], *, coverage: float = 0.9
) -> tuple[float, ...]:
    """For each class the probability from which it enters the candidate set: ``coverage`` of its rows then hold it.

    Split conformal prediction for the least ambiguous set-valued classifier with class-specific coverage (Sadinle, Lei
    & Wasserman 2019): the ``ceil((n + 1) coverage)``-th largest probability of the class over its own n calibration
    rows. A class with too few rows for the coverage gets 0, which puts it into every set.

    Args:
        probabilities: ``(n, K)``.
        indices: ``(n,)`` true classes.
        coverage: of the rows of a class, whichever it is, the share whose set shall hold it.

    Returns:
        K thresholds.

    Raises:
        ValueError: no rows, disagreeing shapes, or a coverage outside 0 to 1.
    """
    check_rows(probabilities, indices)
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage}")
    return tuple(_reached(column[indices == k], coverage) for k, column in enumerate(probabilities.T))


def candidate_masks(probabilities: NDArray[np.floating], thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """Which classes stand in each row's candidate set, ``(n, K)``: :func:`mien.core.predictor.candidate_set` for many.

    A probability that reaches its class's own of the K thresholds is in; the most probable class always is.
    """
    masks: NDArray[np.bool_] = probabilities >= np.asarray(thresholds, dtype=probabilities.dtype)
    masks[np.arange(len(masks)), probabilities.argmax(axis=1)] = True
    return masks


def set_quality(
    probabilities: NDArray[np.floating], indices: NDArray[np.int64], *, thresholds: Sequence[float]
) -> SetQuality:
    """Coverage and size of the candidate sets, over all rows and over each class's rows.

    Raises:
        ValueError: no rows, or disagreeing shapes.
    """
    check_rows(probabilities, indices)
    masks = candidate_masks(probabilities, thresholds)
    covered = masks[np.arange(len(indices)), indices]
    sizes = masks.sum(axis=1)
    return SetQuality(
        coverage=float(covered.mean()),
        mean_size=float(sizes.mean()),
        class_coverage=_class_means(covered, indices, masks.shape[1]),
        class_size=_class_means(sizes, indices, masks.shape[1]),
    )


def energy_threshold(energies: Floats, *, drop: float = 0.01) -> float:
    """The energy ``drop`` of real faces lie below: the quantile of energies ``(n,)`` (Liu et al. 2020).

    Raises:
        ValueError: no rows, or a share outside 0 to 1.
    """
    if len(energies) == 0 or not 0 <= drop <= 1:
        raise ValueError(f"expected one energy or more and a share of 0 to 1, got {len(energies)} and {drop}")
    return float(np.quantile(energies, drop))


def _reached(values: NDArray[np.floating], coverage: float) -> float:
    """The largest threshold that ``coverage`` of values like the ``(n,)`` given ones reach; 0 where n is too small."""
    rank = math.ceil((len(values) + 1) * coverage - 1e-9)  # 10 * 0.7 and its like must not round up past the whole
    return float(np.sort(values)[-rank]) if rank <= len(values) else 0.0


def _class_means(
    values: NDArray[np.bool_] | NDArray[np.int64], indices: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    count = np.bincount(indices, minlength=classes)
    total = np.bincount(indices, weights=values, minlength=classes)
    means = np.full(classes, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
