"""Whether two sets of recordings differ, by how much, and how sure that is. Pure numpy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Polarity
from mien.runtime.output.watched import MAX_GAP
from mien.runtime.recordings.read import STATES, UNCERTAIN, Recording
from mien.runtime.recordings.totals import Floats, by_polarity, timeline, totals

FEW, SMALL = 5, 10
"""Below the first number of units nothing can be said; below the second, bootstrap intervals come out too narrow."""

Measure = Literal["held", "by_probability"]

_EXPRESSIONS = tuple(e for e in Expression if e is not Expression.NEUTRAL)
_COLUMNS = [list(Expression).index(e) for e in _EXPRESSIONS]

QUANTITIES: dict[Measure, tuple[str, ...]] = {
    "held": (*Polarity, UNCERTAIN, *_EXPRESSIONS),
    "by_probability": (*Polarity, *_EXPRESSIONS),
}
"""The shares that are compared, each of the measurable time; neutral is a polarity and an expression in one."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Recordings that belong together, such as those before a change, or those of a section."""

    name: str
    recordings: tuple[Recording, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One share in two cohorts.

    Attributes:
        quantity: the polarity or expression, or ``"uncertain"``.
        measure: by what was held, or by smoothed probability.
        first: mean share in the first cohort, 0 to 1.
        second: and in the second.
        difference: second less first.
        interval: 95 % percentile bootstrap interval of the difference; None where a cohort has a single unit.
        cliffs_delta: see :func:`cliffs_delta`; None where the cohorts' units are not of one kind.
        hedges_g: see :func:`hedges_g`; None where it is not defined.
    """

    quantity: str
    measure: Measure
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    cliffs_delta: float | None
    hedges_g: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cohorts, compared.

    Attributes:
        first: name of one.
        second: name of the other.
        conclusive: whether both have enough units for an interval to say anything.
        units: what was drawn with replacement in each: ``"12 recordings"``, or ``"40 blocks of 30 s"``.
        differences: the shares by what was held, then those by probability; without expressions that no model knows.
        warnings: what speaks against trusting them.
    """

    first: str
    second: str
    conclusive: bool
    units: tuple[str, str]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Units:
    """What is resampled: u units, of which each has its seconds of every quantity and its measurable seconds."""

    kind: str
    seconds: dict[Measure, Floats]
    measurable: Floats

    def __len__(self) -> int:
        return len(self.measurable)

    def words(self) -> str:
        noun, *rest = self.kind.split(" ", 1)
        return " ".join([str(len(self)), noun if len(self) != 1 else noun.removesuffix("s"), *rest])


def compare_cohorts(
    cohorts: Sequence[Cohort],
    *,
    resamples: int = 10_000,
    block_seconds: float = 30.0,
    max_gap: float = MAX_GAP,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """Every pair of two or more cohorts, in their order.

    Units are recordings, each with equal weight, however long. A cohort of a single recording is cut into blocks of
    ``block_seconds`` instead, which are drawn whole, as moments that follow each other are no independent evidence;
    its interval speaks for that recording and not for others. The cohorts count as independent of each other.

    Args:
        cohorts: two or more of distinct names, each with one recording or more.
        resamples: of the bootstrap.
        block_seconds: length of a block.
        max_gap: see :func:`mien.runtime.recordings.totals.frame_seconds`.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than two cohorts, two of one name, one without recordings, or one in which no face was ever
            measurable.
    """
    names = [cohort.name for cohort in cohorts]
    if len(names) < 2 or len(set(names)) != len(names) or not all(cohort.recordings for cohort in cohorts):
        raise ValueError(f"expected two or more cohorts of distinct names with recordings, got {', '.join(names)}")
    units = {cohort.name: _units(cohort, block_seconds, max_gap) for cohort in cohorts}
    for name, found in units.items():
        if len(found) == 0:
            raise ValueError(f"cohort '{name}' has no face that was measurable, so it cannot be compared")
    return tuple(
        _compare(pair, (units[pair[0].name], units[pair[1].name]), resamples=resamples, seed=seed)
        for pair in itertools.combinations(cohorts, 2)
    )


def cliffs_delta(first: Floats, second: Floats) -> float:
    """How often a value of the second sample exceeds one of the first, less how often it falls below: -1 to 1.

    Cliff, N. (1993). Dominance statistics: ordinal analyses to answer ordinal questions. Psychological Bulletin 114.
    """
    ordered = np.sort(first)
    above = np.searchsorted(ordered, second, side="left").sum()
    below = (len(ordered) - np.searchsorted(ordered, second, side="right")).sum()
    return float(above - below) / (len(first) * len(second))


def hedges_g(first: Floats, second: Floats) -> float | None:
    """Mean of the second less that of the first in pooled deviations, with the exact correction for small samples.

    None where either has fewer than two values, or none of them varies.

    Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size. J. Educational Statistics 6.
    """
    freedom = len(first) + len(second) - 2
    if min(len(first), len(second)) < 2:
        return None
    squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    deviation = math.sqrt(squares / freedom)
    if deviation < 1e-12:
        return None
    return float(small_sample_correction(freedom) * (second.mean() - first.mean()) / deviation)


def small_sample_correction(freedom: int) -> float:
    """Hedges' exact factor for a standardised difference with so many degrees of freedom; 0 with a single one."""
    if freedom < 2:
        return 0.0
    return math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)


def bootstrap_shares(
    seconds: Floats, measurable: Floats, *, resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Shares ``(resamples, Q)`` of units drawn with replacement: sums of ``seconds`` over sums of ``measurable``.

    Args:
        seconds: ``(u, Q)`` of each unit and quantity.
        measurable: ``(u,)`` of each unit, positive.
        resamples: how many draws of u units.
        random: where they come from.
    """
    count = len(measurable)
    parts = []
    for start in range(0, resamples, 500):
        size = min(500, resamples - start)
        draws = random.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        parts.append(draws @ seconds / (draws @ measurable)[:, None])
    return np.concatenate(parts)


def _units(cohort: Cohort, block_seconds: float, max_gap: float) -> _Units:
    if len(cohort.recordings) == 1:
        slices = timeline(cohort.recordings[0], length=block_seconds, max_gap=max_gap)
        states, mass, kind = slices.states, slices.mass, f"blocks of {block_seconds:g} s"
    else:
        all_totals = [totals(recording, max_gap=max_gap) for recording in cohort.recordings]
        states, mass = np.stack([t.states for t in all_totals]), np.stack([t.mass for t in all_totals])
        kind = "recordings"
    measurable = states[:, :-1].sum(axis=1)
    states, mass, measurable = states[measurable > 0], mass[measurable > 0], measurable[measurable > 0]
    if kind == "recordings":
        states, mass = states / measurable[:, None], mass / measurable[:, None]
        measurable = np.ones_like(measurable)
    seconds: dict[Measure, Floats] = {
        "held": np.column_stack([by_polarity(states[:, :8]), states[:, STATES.index(UNCERTAIN)], states[:, _COLUMNS]]),
        "by_probability": np.column_stack([by_polarity(mass), mass[:, _COLUMNS]]),
    }
    return _Units(kind, seconds, measurable)


def _compare(pair: tuple[Cohort, Cohort], units: tuple[_Units, _Units], *, resamples: int, seed: int) -> Comparison:
    a, b = units
    differences = []
    unknown = {str(e) for e in _EXPRESSIONS if not any(_mass(u, e) for u in units)}
    for measure, quantities in QUANTITIES.items():
        random = np.random.default_rng(seed)
        shares = [u.seconds[measure].sum(axis=0) / u.measurable.sum() for u in units]
        draws = [bootstrap_shares(u.seconds[measure], u.measurable, resamples=resamples, random=random) for u in units]
        low, high = np.quantile(draws[1] - draws[0], [0.025, 0.975], axis=0)
        samples = [u.seconds[measure] / u.measurable[:, None] for u in units]
        for at, quantity in enumerate(quantities):
            if quantity in unknown:
                continue
            values = samples[0][:, at], samples[1][:, at]
            differences.append(
                Difference(
                    quantity=str(quantity),
                    measure=measure,
                    first=float(shares[0][at]),
                    second=float(shares[1][at]),
                    difference=float(shares[1][at] - shares[0][at]),
                    interval=(float(low[at]), float(high[at])) if min(len(a), len(b)) > 1 else None,
                    cliffs_delta=cliffs_delta(*values) if a.kind == b.kind else None,
                    hedges_g=hedges_g(*values) if a.kind == b.kind else None,
                )
            )
    return Comparison(
        first=pair[0].name,
        second=pair[1].name,
        conclusive=min(len(a), len(b)) >= FEW,
        units=(a.words(), b.words()),
        differences=tuple(differences),
        warnings=(*_warnings(pair[0], a), *_warnings(pair[1], b), *_shared_warnings(pair, units)),
    )


def _mass(units: _Units, expression: Expression) -> float:
    """Face-seconds by probability; 0 where the model does not know the expression."""
    return float(units.seconds["by_probability"][:, QUANTITIES["by_probability"].index(expression)].sum())


def _warnings(cohort: Cohort, units: _Units) -> list[str]:
    found = []
    left_out = len(cohort.recordings) - len(units) if units.kind == "recordings" else 0
    if left_out:
        found.append(f"{cohort.name}: {left_out} of {len(cohort.recordings)} recordings held no measurable face")
    if units.kind != "recordings":
        found.append(f"{cohort.name}: one recording, cut into blocks; the interval speaks for it and for no other")
    if len(units) < FEW:
        found.append(f"{cohort.name}: too few to say anything, {units.words()}")
    elif len(units) < SMALL:
        found.append(f"{cohort.name}: only {units.words()}, so the intervals are narrower than they should be")
    states = np.sum([totals(recording).states for recording in cohort.recordings], axis=0)
    if states[-1] > 0.2 * states.sum():
        share = states[-1] / states.sum()
        found.append(
            f"{cohort.name}: not measurable for {100 * share:.0f} % of the face time, which may differ from the rest"
        )
    return found


def _shared_warnings(pair: tuple[Cohort, Cohort], units: tuple[_Units, _Units]) -> list[str]:
    found = []
    models = sorted({model for cohort in pair for recording in cohort.recordings for model in recording.models})
    if len(models) > 1:
        found.append(f"read by different models ({', '.join(models)}): a difference may be the models'")
    if units[0].kind != units[1].kind:
        found.append("one cohort is a single recording and the other is not: effect sizes are not defined")
    return found
