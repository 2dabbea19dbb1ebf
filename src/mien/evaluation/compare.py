"""Whether one model is better than another on the same rows, or only luckier. Pure numpy."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.metrics import percentiles


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same n rows.

    Attributes:
        first: name of one.
        second: name of the other.
        n: rows.
        only_first: rows that the first alone gets right.
        only_second: rows that the second alone gets right.
        difference: accuracy of the first less that of the second.
        difference_interval: 95 % paired bootstrap interval of it.
        bootstrap_p: two-sided, that a difference of 0 would look like this, by the bootstrap.
        mcnemar_p: two-sided, by McNemar's exact test.
    """

    first: str
    second: str
    n: int
    only_first: int
    only_second: int
    difference: float
    difference_interval: tuple[float, float]
    bootstrap_p: float
    mcnemar_p: float


def compare(hits: Mapping[str, NDArray[np.bool_]], *, resamples: int = 10_000, seed: int = 0) -> tuple[Pair, ...]:
    """Every pair of two or more models, in the mapping's order.

    The p-values are of each pair alone: among many pairs some fall below 0.05 by chance.

    Args:
        hits: of each model ``(n,)``, whether each row was answered correctly; the rows are the same for all.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than two models, no rows, or row counts that differ.
    """
    sizes = {len(values) for values in hits.values()}
    if len(hits) < 2 or len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"expected two or more models on the same rows, got rows {sorted(sizes)} of {len(hits)}")
    pairs = []
    for first, second in itertools.combinations(hits, 2):
        a, b = hits[first], hits[second]
        n, (only_first, only_second) = len(a), discordant(a, b)
        interval, p = paired_bootstrap(only_first, only_second, n, resamples=resamples, seed=seed)
        pairs.append(
            Pair(
                first=first,
                second=second,
                n=n,
                only_first=only_first,
                only_second=only_second,
                difference=(only_first - only_second) / n,
                difference_interval=interval,
                bootstrap_p=p,
                mcnemar_p=mcnemar_exact(only_first, only_second),
            )
        )
    return tuple(pairs)


def discordant(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int]:
    """Rows that ``first`` alone gets right, and rows that ``second`` alone does, of hits ``(n,)`` each."""
    return int((first & ~second).sum()), int((second & ~first).sum())


def paired_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Accuracy of ``first`` less that of ``second`` on the same rows, and its 95 % paired bootstrap interval."""
    only_first, only_second = discordant(first, second)
    interval, _ = paired_bootstrap(only_first, only_second, len(first), seed=seed)
    return (only_first - only_second) / len(first), interval


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: a binomial test of the discordant rows against one half.

    Computed in whole numbers, so it is exact for any count. Without discordant rows it is 1.

    Raises:
        ValueError: a negative count.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts must be 0 or more, got {only_first} and {only_second}")
    discordant = only_first + only_second
    term = tail = 1
    for k in range(min(only_first, only_second)):
        term = term * (discordant - k) // (k + 1)
        tail += term
    p: float = 2 * tail / 2**discordant
    return min(1.0, p)


def paired_bootstrap(
    only_first: int, only_second: int, n: int, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[tuple[float, float], float]:
    """Percentile interval and two-sided p-value of the difference of two accuracies on the same n rows.

    Drawing n row pairs with replacement and counting the discordant ones is one multinomial draw. The p-value is
    twice the smaller share of resamples on either side of 0, never below ``2 / (resamples + 1)``.

    Raises:
        ValueError: no rows, or more discordant rows than rows.
    """
    if n < 1 or not 0 <= only_first + only_second <= n:
        raise ValueError(f"{only_first} and {only_second} discordant rows do not fit {n} rows")
    shares = np.array([only_first, only_second, n - only_first - only_second]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    differences = (draws[:, 0] - draws[:, 1]) / n
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return percentiles(differences, level), min(1.0, 2 * (smaller + 1) / (resamples + 1))
