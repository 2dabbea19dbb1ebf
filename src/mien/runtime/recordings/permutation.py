"""Permutation tests and bootstrap means over units, with nothing of faces in them. Pure numpy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.runtime.recordings.totals import Floats


@dataclass(frozen=True, slots=True)
class Cluster:
    """A stretch of time in which two conditions differ more than chance would have it.

    Attributes:
        start: seconds from the onset.
        end: seconds from the onset.
        p: share of the permutations whose largest cluster is at least as heavy. It speaks for the cluster, not for its
            borders.
    """

    start: float
    end: float
    p: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p values, in their order.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min((len(p_values) - rank) * p_values[at], 1.0))
        corrected[at] = largest
    return corrected


def sign_flip_p(differences: Floats, *, permutations: int, random: np.random.Generator) -> float:
    """Two-sided p of a mean of 0: the share of sign flips of the n differences with a mean at least as far from 0."""
    signs, exact = _flips(len(differences), permutations, random)
    flipped = np.abs(signs @ differences)
    return chance_share(flipped, abs(float(differences.sum())), exact=exact)


def clusters(courses: Floats, step: float, permutations: int, random: np.random.Generator) -> tuple[Cluster, ...]:
    """Clusters of one quantity's differences ``(n, T)``; a bin that somebody lacks belongs to none."""
    whole = np.isfinite(courses).all(axis=0)
    values = np.where(whole, courses, 0.0)
    signs, exact = _flips(len(values), permutations, random)
    if len(values) < 3:
        return ()
    t_chance = _t(signs @ values, values)
    t_seen = _t(values.sum(axis=0, keepdims=True), values)[0]
    threshold = float(np.quantile(np.abs(t_chance[:, whole]), 0.95)) if whole.any() else math.inf
    if not math.isfinite(threshold) or threshold <= 0:
        return ()
    heaviest = np.array([max((mass for *_, mass in _runs(t, threshold)), default=0.0) for t in t_chance])
    return tuple(
        Cluster(start * step, end * step, chance_share(heaviest, mass, exact=exact))
        for start, end, mass in _runs(t_seen, threshold)
    )


def _t(sums: Floats, values: Floats) -> Floats:
    """T of each bin; flipping signs leaves the sum of squares as it is."""
    count = len(values)
    mean = sums / count
    variance = np.maximum((values**2).sum(axis=0) - count * mean**2, 0.0) / (count - 1)
    scale = np.sqrt(variance / count)
    return np.where(scale > 1e-12, mean / np.where(scale > 1e-12, scale, 1.0), 0.0)


def _runs(t: Floats, threshold: float) -> list[tuple[int, int, float]]:
    """Stretches beyond the threshold on one side: first bin, one past the last, summed ``|t|``."""
    side = np.where(np.abs(t) > threshold, np.sign(t), 0.0)
    borders = np.flatnonzero(np.diff(np.concatenate([[0.0], side, [0.0]])))
    return [(int(a), int(b), float(np.abs(t[a:b]).sum())) for a, b in itertools.pairwise(borders) if side[a] != 0]


def _flips(count: int, permutations: int, random: np.random.Generator) -> tuple[Floats, bool]:
    """Signs ``(P, count)``, and whether they are all that there are."""
    if 2**count <= permutations:
        return np.array(list(itertools.product((1.0, -1.0), repeat=count))), True
    return random.choice((1.0, -1.0), size=(permutations, count)), False


def chance_share(chance: Floats, seen: float, *, exact: bool) -> float:
    """Share of chance at least as large; random permutations count what was seen as one of them."""
    reached = int(np.sum(chance >= seen - 1e-12))
    return reached / len(chance) if exact else (reached + 1) / (len(chance) + 1)


def bootstrap_means(values: Floats, resamples: int, random: np.random.Generator) -> Floats:
    """Means ``(resamples, K)`` of rows ``(n, K)`` drawn with replacement."""
    count = len(values)
    weights = random.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    return weights @ values / count
