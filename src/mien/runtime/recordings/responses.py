"""What the epochs of several participants say: responses by condition, contrasts, and how sure each is. Pure numpy.

Participants are the units: bootstrap intervals draw them with replacement, and permutations flip the sign of a whole
participant's difference, or exchange whole participants between groups.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from mien.runtime.recordings.compare import FEW, SMALL, hedges_g, small_sample_correction
from mien.runtime.recordings.epochs import QUANTITIES, Epochs, EpochSpec, known_mean
from mien.runtime.recordings.permutation import Cluster, bootstrap_means, chance_share, clusters, holm, sign_flip_p
from mien.runtime.recordings.totals import Floats

_SMALLEST_PEAK = 0.02
"""A response whose peak is smaller has no latency worth its name."""


@dataclass(frozen=True, eq=False)
class Course:
    """One condition's mean course over participants.

    Attributes:
        condition: its name.
        participants: how many have an epoch of it that counts.
        epochs: how many epochs count.
        excluded: how many do not, by reason.
        coverage: mean share of these epochs in which the face was read.
        mean: ``(T, Q)`` mean over participants of their mean courses.
        band: ``(2, T, Q)`` 95 % percentile bootstrap interval over participants, bin by bin; None with one.
        similarity: ``(Q,)`` intersubject correlation: the mean correlation over time of each participant's course with
            the mean of the others'; NaN where it is not defined. Nastase et al. 2019, SCAN 14(6), leave-one-out.
    """

    condition: str
    participants: int
    epochs: int
    excluded: Mapping[str, int]
    coverage: float
    mean: Floats
    band: Floats | None
    similarity: Floats


@dataclass(frozen=True, slots=True)
class Response:
    """One quantity after the onset, in one condition.

    Attributes:
        condition: its name.
        quantity: one of :data:`~mien.runtime.recordings.epochs.QUANTITIES`.
        change: mean over the time after the onset and over participants.
        interval: of it, 95 % bootstrap over participants; None with one participant.
        peak: the value of the mean course after the onset that lies furthest from 0.
        latency: seconds from the onset until the mean course first reaches half of the peak (fractional peak latency,
            Luck 2014); None where the peak is smaller than 0.02.
        duration: seconds around the peak for which the course stays beyond half of it; likewise.
    """

    condition: str
    quantity: str
    change: float
    interval: tuple[float, float] | None
    peak: float
    latency: float | None
    duration: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """One quantity's change after the onset, in two conditions or two groups.

    Attributes:
        kind: ``"within"``: two conditions of the same participants; ``"between"``: one condition of two groups.
        first: name of the one.
        second: name of the other.
        condition: in which, for two groups; empty for two conditions.
        quantity: one of :data:`~mien.runtime.recordings.epochs.QUANTITIES`.
        participants: how many, in the first and in the second.
        difference: second less first.
        interval: 95 % bootstrap over participants.
        effect: Hedges' g: within, the mean difference in standard deviations of the differences; between, in pooled
            deviations; both with the exact small-sample correction. None where nothing varies.
        effect_interval: 95 % bootstrap of it.
        p: two-sided, of all sign flips or of 10,000 random ones (within), or of exchanged participants (between).
        p_holm: the same, corrected for the number of contrasts of its kind (Holm 1979).
        clusters: stretches of time that differ, from sign flips of whole courses (Maris and Oostenveld 2007); within
            alone. Their p is corrected over time, not over quantities.
    """

    kind: Literal["within", "between"]
    first: str
    second: str
    condition: str
    quantity: str
    participants: tuple[int, int]
    difference: float
    interval: tuple[float, float]
    effect: float | None
    effect_interval: tuple[float, float] | None
    p: float
    p_holm: float
    clusters: tuple[Cluster, ...]


@dataclass(frozen=True, eq=False)
class Experiment:
    """All of it.

    Attributes:
        spec: how epochs were cut.
        participants: their names.
        courses: one for each condition.
        responses: by condition and quantity.
        contrasts: within, then between.
        warnings: what speaks against trusting them, and what was left out.
    """

    spec: EpochSpec
    participants: tuple[str, ...]
    courses: tuple[Course, ...]
    responses: tuple[Response, ...]
    contrasts: tuple[Contrast, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; courses are lists over the bins of ``times``."""
        return {
            "spec": asdict(self.spec),
            "times": self.spec.times.tolist(),
            "participants": list(self.participants),
            "conditions": [
                {
                    "condition": c.condition,
                    "participants": c.participants,
                    "epochs": c.epochs,
                    "excluded": dict(c.excluded),
                    "coverage": c.coverage,
                    "mean": {q: _listed(c.mean[:, i]) for i, q in enumerate(QUANTITIES)},
                    "band": None
                    if c.band is None
                    else {q: [_listed(c.band[side, :, i]) for side in (0, 1)] for i, q in enumerate(QUANTITIES)},
                    "intersubject_correlation": dict(zip(QUANTITIES, _listed(c.similarity), strict=True)),
                }
                for c in self.courses
            ],
            "responses": [asdict(response) for response in self.responses],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "warnings": list(self.warnings),
        }


def analyse_epochs(
    epochs: Sequence[Epochs],
    *,
    groups: Sequence[str] | None = None,
    resamples: int = 10_000,
    permutations: int = 10_000,
    seed: int = 0,
) -> Experiment:
    """Responses and contrasts of one experiment.

    Args:
        epochs: of one participant each, cut alike.
        groups: the group of each participant, where there are groups to compare.
        resamples: of the bootstrap.
        permutations: of the tests; where there are fewer sign flips than that, all are taken.
        seed: of both.

    Raises:
        ValueError: nobody, two of one name, epochs that were cut in different ways, groups of another number, or no
            epoch that counts.
    """
    names = [one.participant for one in epochs]
    if not epochs or len(set(names)) < len(names):
        raise ValueError(f"expected participants of distinct names, got {', '.join(names) or 'none'}")
    spec = epochs[0].spec
    if any(one.spec != spec for one in epochs):
        raise ValueError("the epochs were cut in different ways")
    if groups is not None and len(groups) != len(epochs):
        raise ValueError(f"{len(epochs)} participants need as many groups, got {len(groups)}")
    conditions = list(dict.fromkeys(s.condition for one in epochs for s in one.stimuli))
    means = {c: {one.participant: m for one in epochs if (m := one.mean(c)) is not None} for c in conditions}
    if not any(means.values()):
        reasons = sorted({reason for one in epochs for reason in one.excluded if reason})
        raise ValueError(f"no epoch counts: {'; '.join(reasons[:3])}")
    tests = _Tests(spec, _known(epochs), resamples, permutations, np.random.default_rng(seed))
    courses, responses = [], []
    for condition in conditions:
        if not means[condition]:
            continue
        values = np.stack(list(means[condition].values()))
        courses.append(_course(condition, epochs, values, tests))
        responses += _responses(courses[-1], values, tests)
    found = [c.condition for c in courses]
    contrasts = [one for pair in itertools.combinations(found, 2) for one in _within(pair, means, tests)]
    if groups is not None:
        grouped = dict(zip(names, groups, strict=True))
        for condition in found:
            contrasts += _between(condition, means[condition], grouped, tests)
    return Experiment(
        spec, tuple(names), tuple(courses), tuple(responses), _holm(contrasts), _warnings(epochs, conditions, means)
    )


@dataclass(frozen=True, eq=False)
class _Tests:
    """What all tests of one experiment share: the quantities that some model knows, and how often chance is asked."""

    spec: EpochSpec
    known: Sequence[int]
    resamples: int
    permutations: int
    random: np.random.Generator


def _known(epochs: Sequence[Epochs]) -> list[int]:
    """Quantities that some model knows: an expression that is never given any probability is left out."""
    seen = [np.nanmax(np.abs(one.baselines), axis=0, initial=0.0, where=np.isfinite(one.baselines)) for one in epochs]
    moved = [np.nanmax(np.abs(one.values), axis=(0, 1), initial=0.0, where=np.isfinite(one.values)) for one in epochs]
    return [int(i) for i in np.flatnonzero((np.max(seen, axis=0) > 0) | (np.max(moved, axis=0) > 0))]


def _course(condition: str, epochs: Sequence[Epochs], values: Floats, tests: _Tests) -> Course:
    counted, coverage, excluded = 0, 0.0, dict[str, int]()
    for one in epochs:
        for stimulus, share, reason in zip(one.stimuli, one.coverage, one.excluded, strict=True):
            if stimulus.condition == condition and reason:
                excluded[reason] = excluded.get(reason, 0) + 1
            elif stimulus.condition == condition:
                counted, coverage = counted + 1, coverage + float(share)
    band = None
    if len(values) > 1:
        draws = bootstrap_means(values.reshape(len(values), -1), min(tests.resamples, 2000), tests.random)
        band = np.quantile(draws, [0.025, 0.975], axis=0).reshape(2, *values.shape[1:])
    mean = known_mean(values, axis=0)
    return Course(condition, len(values), counted, excluded, coverage / counted, mean, band, _similarity(values))


def _similarity(values: Floats) -> Floats:
    if len(values) < 2:
        return np.full(values.shape[2], np.nan)
    values = values[:, np.isfinite(values).all(axis=(0, 2))]
    others = (values.sum(axis=0) - values) / (len(values) - 1)
    a, b = values - values.mean(axis=1, keepdims=True), others - others.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    each: Floats = np.where(size > 1e-12, (a * b).sum(axis=1) / np.where(size > 1e-12, size, 1.0), np.nan)
    found: Floats = np.mean(each, axis=0)
    return found


def _responses(course: Course, values: Floats, tests: _Tests) -> list[Response]:
    spec = tests.spec
    window = values[:, spec.bins_before :]
    changes = _window_mean(window)
    draws = bootstrap_means(changes, tests.resamples, tests.random) if len(values) > 1 else None
    found = []
    for at in tests.known:
        curve = course.mean[spec.bins_before :, at]
        peak, latency, duration = _peak(curve, spec.step)
        interval = None
        if draws is not None:
            low, high = np.quantile(draws[:, at], [0.025, 0.975])
            interval = (float(low), float(high))
        change = float(changes[:, at].mean())
        found.append(Response(course.condition, QUANTITIES[at], change, interval, peak, latency, duration))
    return found


def _peak(curve: Floats, step: float) -> tuple[float, float | None, float | None]:
    """Peak, the time to half of it, and the time beyond half of it around the peak."""
    if not np.isfinite(curve).any():
        return math.nan, None, None
    at = int(np.nanargmax(np.abs(curve)))
    peak = float(curve[at])
    if abs(peak) < _SMALLEST_PEAK:
        return peak, None, None
    beyond = np.nan_to_num(curve * np.sign(peak)) >= abs(peak) / 2
    first = int(np.flatnonzero(beyond)[0])
    start, end = at, at
    while start > 0 and beyond[start - 1]:
        start -= 1
    while end + 1 < len(curve) and beyond[end + 1]:
        end += 1
    return peak, first * step, (end + 1 - start) * step


def _within(pair: tuple[str, str], means: Mapping[str, Mapping[str, Floats]], tests: _Tests) -> list[Contrast]:
    spec, resamples, random = tests.spec, tests.resamples, tests.random
    both = [name for name in means[pair[0]] if name in means[pair[1]]]
    if len(both) < 2:
        return []
    courses = np.stack([means[pair[1]][name] - means[pair[0]][name] for name in both])
    differences = _window_mean(courses[:, spec.bins_before :])
    order = random.integers(len(both), size=(resamples, len(both)))
    found = []
    for at in tests.known:
        values = differences[:, at]
        drawn = values[order]
        low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
        effect, spread = _paired_effect(values), None
        if effect is not None:
            deviations = drawn.std(axis=1, ddof=1)
            usable = deviations > 1e-12
            if usable.sum() > 0.9 * resamples:
                scale = small_sample_correction(len(both) - 1)
                sides = np.quantile(scale * drawn.mean(axis=1)[usable] / deviations[usable], [0.025, 0.975])
                spread = (float(sides[0]), float(sides[1]))
        p = sign_flip_p(values, permutations=tests.permutations, random=random)
        found.append(
            Contrast(
                kind="within",
                first=pair[0],
                second=pair[1],
                condition="",
                quantity=QUANTITIES[at],
                participants=(len(both), len(both)),
                difference=float(values.mean()),
                interval=(float(low), float(high)),
                effect=effect,
                effect_interval=spread,
                p=p,
                p_holm=p,
                clusters=clusters(
                    courses[:, spec.bins_before :, at], spec.step, permutations=tests.permutations, random=random
                ),
            )
        )
    return found


def _paired_effect(values: Floats) -> float | None:
    deviation = float(values.std(ddof=1))
    return None if deviation < 1e-12 else small_sample_correction(len(values) - 1) * float(values.mean()) / deviation


def _between(condition: str, means: Mapping[str, Floats], groups: Mapping[str, str], tests: _Tests) -> list[Contrast]:
    spec, resamples, permutations, random = tests.spec, tests.resamples, tests.permutations, tests.random
    members = {group: [n for n in means if groups[n] == group] for group in dict.fromkeys(groups.values())}
    found = []
    for first, second in itertools.combinations(members, 2):
        sizes = len(members[first]), len(members[second])
        if min(sizes) < 2:
            continue
        values = _window_mean(np.stack([means[n] for n in (*members[first], *members[second])])[:, spec.bins_before :])
        a, b = values[: sizes[0]], values[sizes[0] :]
        picks = [random.integers(size, size=(resamples, size)) for size in sizes]
        mixed = np.argsort(random.random((permutations, sum(sizes))), axis=1)
        for at in tests.known:
            x, y = a[:, at], b[:, at]
            drawn = [x[picks[0]], y[picks[1]]]
            low, high = np.quantile(drawn[1].mean(axis=1) - drawn[0].mean(axis=1), [0.025, 0.975])
            shuffled = values[:, at][mixed]
            chance = np.abs(shuffled[:, sizes[0] :].mean(axis=1) - shuffled[:, : sizes[0]].mean(axis=1))
            difference = float(y.mean() - x.mean())
            effect = hedges_g(x, y)
            p = chance_share(chance, abs(difference), exact=False)
            found.append(
                Contrast(
                    kind="between",
                    first=first,
                    second=second,
                    condition=condition,
                    quantity=QUANTITIES[at],
                    participants=sizes,
                    difference=difference,
                    interval=(float(low), float(high)),
                    effect=effect,
                    effect_interval=None if effect is None else _effect_interval(drawn),
                    p=p,
                    p_holm=p,
                    clusters=(),
                )
            )
    return found


def _effect_interval(drawn: Sequence[Floats]) -> tuple[float, float] | None:
    x, y = drawn
    freedom = x.shape[1] + y.shape[1] - 2
    pooled = np.sqrt((x.var(axis=1) * x.shape[1] + y.var(axis=1) * y.shape[1]) / freedom)
    usable = pooled > 1e-12
    if usable.sum() < 0.9 * len(pooled):
        return None
    effects = small_sample_correction(freedom) * (y.mean(axis=1) - x.mean(axis=1))[usable] / pooled[usable]
    low, high = np.quantile(effects, [0.025, 0.975])
    return float(low), float(high)


def _window_mean(values: Floats) -> Floats:
    """Means over the bins ``(n, T, Q)`` → ``(n, Q)``, of those that were read; 0 where none was."""
    return np.nan_to_num(known_mean(values, axis=1))


def _holm(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    corrected = []
    for kind in ("within", "between"):
        family = [c for c in contrasts if c.kind == kind]
        values = holm([c.p for c in family])
        corrected += [replace(c, p_holm=p) for c, p in zip(family, values, strict=True)]
    return tuple(corrected)


def _warnings(
    epochs: Sequence[Epochs], conditions: Sequence[str], means: Mapping[str, Mapping[str, Floats]]
) -> tuple[str, ...]:
    found = [f"{one.participant}: {note}" for one in epochs for note in one.notes]
    for one in epochs:
        left_out = int(np.sum(~one.counted))
        if left_out:
            found.append(f"{one.participant}: {left_out} of {len(one.stimuli)} epochs do not count")
    for condition in conditions:
        count = len(means[condition])
        if not count:
            found.append(f"{condition}: no epoch counts, so it is left out")
        elif count == 1:
            found.append(f"{condition}: one participant; there is an average, and nothing that speaks for others")
        elif count < FEW:
            found.append(f"{condition}: {count} participants are too few to say anything about others")
        elif count < SMALL:
            found.append(f"{condition}: only {count} participants, so intervals are narrower than they should be")
    smallest = min((len(m) for m in means.values() if len(m) > 1), default=0)
    if 1 < smallest < 6:
        found.append(f"with {smallest} participants no p can be below {2 / 2**smallest:g}")
    return tuple(found)


def _listed(values: Floats) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]
