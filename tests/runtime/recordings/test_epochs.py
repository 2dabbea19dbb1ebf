"""Epochs around stimuli and what they say, against planted responses, SciPy and hand-made sums."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mien.core.expression import Expression
from mien.runtime.recordings.epochs import QUANTITIES, EpochSpec, cut_epochs
from mien.runtime.recordings.permutation import holm, sign_flip_p
from mien.runtime.recordings.read import STATES, Recording
from mien.runtime.recordings.responses import analyse_epochs
from mien.runtime.recordings.stimuli import Stimulus

HAPPY = QUANTITIES.index("happy")
FUNNY, DULL = [10.0, 30.0, 50.0], [20.0, 40.0, 60.0]
STIMULI = [Stimulus(t, 2.0, "funny", str(i)) for i, t in enumerate(FUNNY)] + [
    Stimulus(t, 2.0, "dull", str(i)) for i, t in enumerate(DULL)
]


def recording(
    name: str = "p1", *, rise: float = 0.4, delay: float = 1.0, fps: float = 10.0, noise: float = 0.0, seed: int = 0
) -> Recording:
    """A face that is 20 % happy, and ``rise`` more from ``delay`` to ``delay`` + 2 s after each funny stimulus."""
    times = np.arange(0, 70, 1 / fps)
    happy = np.full(len(times), 0.2)
    for onset in FUNNY:
        happy[(times >= onset + delay - 1e-9) & (times < onset + delay + 2 - 1e-9)] += rise
    happy += noise * np.random.default_rng(seed).standard_normal(len(times))
    happy = np.clip(happy, 0, 1)
    probabilities = np.zeros((len(times), 8), dtype=np.float32)
    probabilities[:, list(Expression).index(Expression.HAPPY)] = happy
    probabilities[:, list(Expression).index(Expression.NEUTRAL)] = 1 - happy
    return Recording(
        name=name,
        models=("toy",),
        times=times,
        frames=np.arange(len(times)),
        tracks=np.ones(len(times), dtype=np.int64),
        states=np.full(len(times), STATES.index("neutral")),
        smoothed=probabilities,
        probabilities=probabilities,
        reasons=np.full(len(times), ""),
    )


def without(made: Recording, keep: np.ndarray) -> Recording:
    """The recording with its face unread where ``keep`` is False."""
    probabilities = np.where(keep[:, None], made.probabilities, np.nan).astype(np.float32)
    return Recording(
        made.name, made.models, made.times, made.frames, made.tracks, made.states, probabilities, probabilities,
        made.reasons,
    )  # fmt: skip


@pytest.mark.parametrize("fps", [1 / 0.04, 10.0, 7.0])
def test_a_planted_response_comes_out_with_its_height_latency_and_duration(fps):
    found = analyse_epochs([cut_epochs(recording(fps=fps), STIMULI)])
    (funny,) = [r for r in found.responses if (r.condition, r.quantity) == ("funny", "happy")]
    assert funny.peak == pytest.approx(0.4, abs=1e-6)
    assert funny.latency == pytest.approx(1.0, abs=0.15)
    assert funny.duration == pytest.approx(2.0, abs=0.2)
    assert funny.change == pytest.approx(0.4 * 2 / 5, abs=0.02)
    (dull,) = [r for r in found.responses if (r.condition, r.quantity) == ("dull", "happy")]
    assert dull.change == pytest.approx(0, abs=1e-6)
    assert dull.latency is None


def test_a_bin_is_the_mean_of_its_frames_and_the_baseline_is_taken_off():
    made = recording()
    one = cut_epochs(made, [STIMULI[0]], EpochSpec(before=1, after=4, step=0.5))
    start = 10 - 1
    for at in range(10):
        inside = (made.times >= start + 0.5 * at - 1e-9) & (made.times < start + 0.5 * (at + 1) - 1e-9)
        expected = made.probabilities[inside, list(Expression).index(Expression.HAPPY)].mean() - 0.2
        assert one.values[0, at, HAPPY] == pytest.approx(expected, abs=1e-6)
    assert one.baselines[0, HAPPY] == pytest.approx(0.2, abs=1e-6)
    raw = cut_epochs(made, [STIMULI[0]], EpochSpec(before=1, after=4, step=0.5, baseline=False))
    np.testing.assert_allclose(raw.values[..., HAPPY] - 0.2, one.values[..., HAPPY], atol=1e-6)


def test_what_was_not_read_is_not_counted_and_said():
    made = recording()
    keep = ~((made.times > 10) & (made.times < 13))  # half of the first funny epoch
    keep &= ~((made.times >= 19) & (made.times < 20))  # the baseline of the first dull one
    found = cut_epochs(without(made, keep), [*STIMULI, Stimulus(68, 0, "late", "x"), Stimulus(99, 0, "late", "y")])
    reasons = {(s.condition, s.onset): r for s, r in zip(found.stimuli, found.excluded, strict=True)}
    assert reasons["funny", 10.0] == "the face was read for too little of the epoch"
    assert reasons["dull", 20.0] == "the face was read for too little of the baseline"
    assert reasons["late", 68] == "the epoch reaches beyond the recording"
    assert reasons["late", 99] == "the stimulus lies after the end of the recording"
    assert reasons["funny", 30.0] == ""
    experiment = analyse_epochs([found])
    funny = next(c for c in experiment.courses if c.condition == "funny")
    assert (funny.epochs, dict(funny.excluded)) == (2, {"the face was read for too little of the epoch": 1})
    assert "p1: 4 of 8 epochs do not count" in experiment.warnings
    assert any(w.startswith("late: no epoch counts") for w in experiment.warnings)


def test_a_gap_in_which_nobody_looked_is_no_reading():
    made = recording()
    keep = (made.times < 11) | (made.times > 15)
    gap = Recording(
        made.name, made.models, made.times[keep], np.arange(keep.sum()), made.tracks[keep], made.states[keep],
        made.smoothed[keep], made.probabilities[keep], made.reasons[keep],
    )  # fmt: skip
    assert cut_epochs(gap, [STIMULI[0]]).coverage[0] == pytest.approx((1 + 1.1) / 6, abs=0.02)


def test_of_several_faces_the_one_that_was_read_longest_counts():
    made = recording()
    other = np.zeros((len(made.times), 8), dtype=np.float32)
    other[:, 0] = 1.0
    both = Recording(
        "two", ("toy",), made.times, np.concatenate([made.frames, made.frames[::2]]),
        np.concatenate([made.tracks, np.full(len(made.frames[::2]), 2)]),
        np.concatenate([made.states, made.states[::2]]), np.concatenate([made.smoothed, other[::2]]),
        np.concatenate([made.probabilities, other[::2]]), np.concatenate([made.reasons, made.reasons[::2]]),
    )  # fmt: skip
    found = cut_epochs(both, STIMULI)
    np.testing.assert_array_equal(found.values, cut_epochs(made, STIMULI).values)
    assert "50 % of the frames show several faces; the face whose track was read longest counts" in found.notes


def study(count: int, *, rise: float, spread: float = 0.08, noise: float = 0.03):
    random = np.random.default_rng(7)
    rises = rise + spread * random.standard_normal(count)
    return [cut_epochs(recording(f"p{i}", rise=float(r), noise=noise, seed=i), STIMULI) for i, r in enumerate(rises)]


def test_a_contrast_agrees_with_scipy_and_finds_the_time_of_the_response():
    epochs = study(12, rise=0.3)
    found = analyse_epochs(epochs, permutations=2000, resamples=2000)
    happy = next(c for c in found.contrasts if c.quantity == "happy")
    changes = {c: np.array([e.mean(c)[10:, HAPPY].mean() for e in epochs]) for c in ("funny", "dull")}
    difference = changes["dull"] - changes["funny"]
    assert (happy.first, happy.second, happy.participants) == ("funny", "dull", (12, 12))
    assert happy.difference == pytest.approx(difference.mean())
    assert happy.p == pytest.approx(
        stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
        ).pvalue,
        abs=2e-3,
    )
    correction = 1 - 3 / (4 * 11 - 1)  # the usual approximation of Hedges' exact factor
    assert happy.effect == pytest.approx(correction * difference.mean() / difference.std(ddof=1), rel=2e-3)
    low, high = stats.bootstrap(
        (difference,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    assert happy.interval == pytest.approx((low, high), abs=0.004)
    (cluster,) = [c for c in happy.clusters if c.p < 0.05]
    assert cluster.start == pytest.approx(1.0, abs=0.11)
    assert cluster.end == pytest.approx(3.0, abs=0.11)
    assert {c.quantity for c in found.contrasts} == {"happy", "neutral", "positive"}  # what the model knows
    assert [c.p_holm for c in found.contrasts] == holm([c.p for c in found.contrasts])


def test_without_a_response_the_tests_keep_their_level():
    hits = clusters = 0
    runs = 40
    for seed in range(runs):
        epochs = [cut_epochs(recording(f"p{i}", rise=0, noise=0.05, seed=100 * seed + i), STIMULI) for i in range(8)]
        happy = next(
            c for c in analyse_epochs(epochs, permutations=256, resamples=50).contrasts if c.quantity == "happy"
        )
        hits += happy.p <= 0.05
        clusters += any(c.p <= 0.05 for c in happy.clusters)
    assert max(hits, clusters) <= 6  # 2 expected of 40 at 5 %; 7 or more have a chance of 0.3 %


def test_groups_are_compared_within_a_condition():
    strong, weak = study(6, rise=0.5), study(6, rise=0.1)
    weak = [cut_epochs(recording(f"w{i}", rise=0.1, noise=0.03, seed=50 + i), STIMULI) for i in range(6)]
    found = analyse_epochs([*strong, *weak], groups=["a"] * 6 + ["b"] * 6, resamples=500, permutations=2000)
    happy = next(c for c in found.contrasts if c.kind == "between" and (c.condition, c.quantity) == ("funny", "happy"))
    assert happy.difference == pytest.approx(-0.16, abs=0.05)
    assert happy.p < 0.01
    assert (happy.participants, happy.effect is not None and happy.effect < -1) == ((6, 6), True)


def test_one_participant_gets_averages_and_no_test():
    found = analyse_epochs([cut_epochs(recording(), STIMULI)])
    assert found.contrasts == ()
    assert found.courses[0].band is None
    assert any("one participant" in warning for warning in found.warnings)


def test_alike_participants_correlate_and_unlike_ones_do_not():
    alike = analyse_epochs([cut_epochs(recording(f"p{i}", noise=0.01, seed=i), STIMULI) for i in range(4)])
    funny = next(c for c in alike.courses if c.condition == "funny")
    dull = next(c for c in alike.courses if c.condition == "dull")
    assert funny.similarity[HAPPY] > 0.95
    assert abs(dull.similarity[HAPPY]) < 0.4
    values = np.stack([one.mean("funny")[:, HAPPY] for one in
                       [cut_epochs(recording(f"p{i}", noise=0.01, seed=i), STIMULI) for i in range(4)]])  # fmt: skip
    by_hand = [np.corrcoef(values[i], np.delete(values, i, 0).mean(0))[0, 1] for i in range(4)]
    assert funny.similarity[HAPPY] == pytest.approx(np.mean(by_hand))


def test_holm_is_that_of_the_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_few_sign_flips_are_all_taken():
    values = np.array([0.1, 0.3, 0.2, -0.05, 0.15])
    flips = [abs(sum(s * v for s, v in zip(signs, values, strict=True)))
             for signs in itertools.product((1, -1), repeat=5)]  # fmt: skip
    expected = np.mean(np.array(flips) >= abs(values.sum()) - 1e-12)
    assert sign_flip_p(values, permutations=10_000, random=np.random.default_rng(0)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"before": 0}, "a baseline needs time"),
        ({"before": -1}, "from 0 to 600"),
        ({"after": 0}, "from 0 to 600"),
        ({"step": 0.3}, "no whole numbers of bins"),
        ({"step": 6}, "a bin lasts"),
        ({"min_coverage": 0}, "min_coverage"),
        ({"after": float("nan")}, "from 0 to 600"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        EpochSpec(**options)


def test_what_cannot_be_analysed_is_refused():
    with pytest.raises(ValueError, match="no stimulus"):
        cut_epochs(recording(), [])
    with pytest.raises(ValueError, match="was ever read"):
        cut_epochs(without(recording(), np.zeros(700, dtype=bool)), STIMULI)
    one = cut_epochs(recording(), STIMULI)
    with pytest.raises(ValueError, match="distinct names"):
        analyse_epochs([one, one])
    with pytest.raises(ValueError, match="cut in different ways"):
        analyse_epochs([one, cut_epochs(recording("p2"), STIMULI, EpochSpec(after=2))])
    with pytest.raises(ValueError, match="no epoch counts: the stimulus lies after"):
        analyse_epochs([cut_epochs(recording(), [Stimulus(500, 0, "late", "1")])])
