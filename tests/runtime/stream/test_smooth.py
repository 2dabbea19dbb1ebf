"""Smoothing in seconds, hysteresis that does not chatter, and events that need more than one frame."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.expression import FER2013, THREE, Expression
from mien.core.face import Reading
from mien.core.predictor import candidate_set
from mien.runtime.stream.smooth import NEUTRAL_PROFILE, Smoother, Smoothing, blend, personalise

HAPPY, SAD, NEUTRAL, ANGRY = Expression.HAPPY, Expression.SAD, Expression.NEUTRAL, Expression.ANGRY
EACH = (0.2,) * 7


def reading(probabilities, *, labels=FER2013, energy: float = 3.0) -> Reading:
    values = np.asarray(probabilities, dtype=np.float32)
    return Reading("toy", labels, values, candidate_set(values, labels, (0.2,) * len(labels)), 0.9, energy)


def mostly(expression: Expression, probability: float) -> Reading:
    values = np.full(len(FER2013), (1 - probability) / (len(FER2013) - 1))
    values[FER2013.index(expression)] = probability
    return reading(values)


def run(smoother: Smoother, steps, track: int = 1):
    """Smoothed readings, held expressions and events of (time, reading) steps."""
    out = [smoother.step(track, one, time) for time, one in steps]
    return [o[0] for o in out], [o[1] for o in out], [event for o in out for event in o[2]]


def steady(expression: Expression, probability: float, start: float, end: float, rate: float = 30):
    return [(start + i / rate, mostly(expression, probability)) for i in range(round((end - start) * rate))]


@pytest.mark.parametrize("rate", [2, 10, 30, 240])
def test_a_step_comes_through_by_63_percent_in_the_time_constant(rate):
    smoother = Smoother(Smoothing(time_constant=2.0), thresholds=EACH)
    run(smoother, steady(SAD, 1.0, 0, 60, rate))
    after, _, _ = run(smoother, steady(HAPPY, 1.0, 60, 62 + 1 / rate, rate))
    # the value of 60 s counts from the frame before it, so 2 s of happiness are over one frame earlier
    expected = 1 - math.exp(-(2 + 1 / rate) / 2)
    assert after[-1].probability(HAPPY) == pytest.approx(expected, abs=1e-3)


def test_uneven_frames_give_what_even_frames_give():
    random = np.random.default_rng(0)
    times = np.unique(np.concatenate([random.uniform(0, 4, 60), [0, 2, 4]]))
    values = {}
    for name, grid in {"even": np.arange(0, 4.0001, 0.01), "uneven": times}.items():
        smoother = Smoother(thresholds=EACH)
        smoothed, _, _ = run(smoother, [(t, mostly(HAPPY, 0.9 if t > 2 else 0.1)) for t in grid])
        values[name] = smoothed[-1].probability(HAPPY)
    assert values["even"] == pytest.approx(values["uneven"], abs=0.01)


@given(st.lists(st.floats(0.001, 3), min_size=1, max_size=20), st.floats(0.05, 5))
def test_how_often_one_looks_at_a_constant_does_not_matter(intervals, time_constant):
    start = blend(blend(None, np.zeros(2), 0, 0, time_constant), np.zeros(2), 0, 1000, time_constant)
    mean = start
    for elapsed in intervals:
        mean = blend(mean, np.ones(2), 1.0, elapsed, time_constant)
    assert mean.values[0] == pytest.approx(1 - math.exp(-sum(intervals) / time_constant), abs=1e-9)
    assert mean.energy == pytest.approx(mean.values[0])


def test_the_first_frame_does_not_stand_for_the_time_before_it():
    smoother = Smoother(Smoothing(time_constant=5), thresholds=EACH)
    smoothed, _, _ = run(smoother, [(0, mostly(HAPPY, 1.0)), *steady(SAD, 1.0, 0.1, 0.3)])
    assert smoothed[0].probability(HAPPY) == 1
    assert smoothed[-1].probability(HAPPY) < 0.01


def test_the_smoothed_reading_is_a_reading_of_the_same_model():
    smoother = Smoother(thresholds=(0.3,) * 7)
    (_, last), _, _ = run(smoother, [(0, mostly(HAPPY, 0.9)), (0.2, reading([0.35, 0, 0, 0.2, 0.4, 0, 0.05]))])
    assert last.model == "toy"
    assert last.coverage == 0.9
    assert last.candidates == (SAD, ANGRY)
    assert last.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_an_expression_is_held_after_sustained_evidence_and_let_go_likewise():
    smoother = Smoother(thresholds=EACH)
    steps = [*steady(HAPPY, 0.8, 0, 2), *steady(SAD, 0.3, 2, 5)]
    _, held, events = run(smoother, steps)
    began, ended = events
    assert (began.kind, began.track, began.expression, began.time) == ("began", 1, HAPPY, 0.0)
    assert began.strength == pytest.approx(0.8, abs=1e-4)
    assert (ended.kind, ended.expression) == ("ended", HAPPY)
    # from 0.8 towards 0.117 with a time constant of 0.5 s: below 0.35 after 0.5 ln(0.683 / 0.233) s
    assert ended.time == pytest.approx(2 + 0.5 * math.log(0.6833 / 0.2333), abs=2 / 30)
    assert 0.7 < ended.strength < 0.8
    first, last = held.index(HAPPY), len(held) - held[::-1].index(HAPPY)
    assert steps[first][0] == pytest.approx(0.5, abs=1.01 / 30)
    assert steps[last][0] == pytest.approx(ended.time + 0.5, abs=1.01 / 30)
    assert held[-1] is None


def test_between_the_limits_nothing_changes():
    smoother = Smoother(thresholds=EACH)
    _, held, events = run(smoother, steady(HAPPY, 0.45, 0, 3))
    assert set(held) == {None}
    run(smoother, steady(HAPPY, 0.7, 3, 6))
    _, held, events = run(smoother, steady(HAPPY, 0.45, 6, 9))
    assert set(held) == {HAPPY}
    assert events == []


def test_another_expression_takes_over_directly():
    smoother = Smoother(Smoothing(leave=0.1), thresholds=EACH)
    _, held, events = run(smoother, [*steady(HAPPY, 0.8, 0, 2), *steady(SAD, 0.8, 2, 5)])
    assert [(e.kind, e.expression) for e in events] == [("began", HAPPY), ("ended", HAPPY), ("began", SAD)]
    assert events[1].time == events[2].time
    assert held[-1] is SAD
    assert None not in held[held.index(HAPPY) :]


@pytest.mark.parametrize("rate", [5, 30])
def test_noise_does_not_make_it_chatter(rate):
    random = np.random.default_rng(0)
    smoother = Smoother(thresholds=EACH)
    events, single = [], []
    for index in range(60 * rate):
        values = np.array([0.02, 0.02, 0.02, 0.45, 0.40, 0.02, 0.07]) * random.lognormal(0, 0.6, 7)
        one = reading(values / values.sum())
        events += smoother.step(1, one, index / rate)[2]
        single.append(one.expression)
    changes = sum(before is not after for before, after in pairwise(single))
    assert changes > 90
    assert len(events) <= 8  # in a minute
    for one, other in pairwise(events):
        assert one.kind != other.kind


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 5),
    st.floats(0.05, 1),
    st.floats(0.01, 2),
    st.sampled_from([0.5, 2, 10, 30]),
    st.integers(0, 6),
    st.floats(0, 1),
)
def test_one_frame_fires_no_event(time_constant, enter, sustain, rate, when, share):
    chosen = Smoothing(
        time_constant=time_constant, enter=enter, leave=max(share * enter, 1e-3), sustain=sustain, max_gap=5
    )
    smoother = Smoother(chosen, thresholds=EACH)
    calm = reading(np.full(7, 1 / 7)) if enter > 1 / 7 else None
    steps = [(i / rate, mostly(HAPPY, 1.0) if i == when else calm) for i in range(20)]
    _, held, events = run(smoother, steps)
    assert events == []
    assert set(held) == {None}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1.5), st.integers(0, 7), st.floats(0.2, 1)), max_size=60))
def test_events_alternate_and_do_not_overlap(steps):
    smoother = Smoother(thresholds=EACH)
    time, events = 0.0, []
    for elapsed, which, probability in steps:
        time += elapsed
        _, held, more = smoother.step(1, None if which == 7 else mostly(FER2013[which], probability), time)
        events += more
        assert (held is None) == (not events or events[-1].kind == "ended")
    events += smoother.close(1, time)
    assert len(events) % 2 == 0
    for began, ended in zip(events[::2], events[1::2], strict=True):
        assert (began.kind, ended.kind) == ("began", "ended")
        assert began.expression is ended.expression
        assert ended.time >= began.time
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert all(0 <= e.strength <= 1 for e in events)


def test_a_short_gap_is_bridged_and_a_long_one_ends_what_was_held():
    smoother = Smoother(thresholds=EACH)
    run(smoother, steady(HAPPY, 0.8, 0, 2))
    last = 2 - 1 / 30
    smoothed, held, events = smoother.step(1, None, 3.5)
    assert smoothed.expression is HAPPY
    assert (held, events) == (HAPPY, ())
    smoothed, held, (ended,) = smoother.step(1, None, 4.5)
    assert (smoothed, held) == (None, None)
    assert ended.time == pytest.approx(last)
    smoothed, held, events = smoother.step(1, mostly(SAD, 0.9), 5)
    assert smoothed.probability(SAD) == pytest.approx(0.9)
    assert (held, events) == (None, ())


def test_frames_that_are_far_apart_are_no_sustained_evidence():
    _, held, events = run(Smoother(thresholds=EACH), [(600.0 * i, mostly(HAPPY, 1.0)) for i in range(10)])
    assert set(held) == {None}
    assert events == []


def test_closing_ends_what_is_held_and_forgets_the_track():
    smoother = Smoother(thresholds=EACH)
    run(smoother, steady(HAPPY, 0.8, 0, 2))
    (ended,) = smoother.close(1, 9.0)
    assert (ended.kind, ended.expression) == ("ended", HAPPY)
    assert ended.time == pytest.approx(2 - 1 / 30)
    assert smoother.close(1, 9.0) == ()
    assert smoother.step(1, None, 9.0) == (None, None, ())


def test_tracks_do_not_influence_each_other():
    together, alone = Smoother(thresholds=EACH), Smoother(thresholds=EACH)
    for time, one in steady(HAPPY, 0.8, 0, 2):
        mine = together.step(1, one, time)
        together.step(2, mostly(ANGRY, 0.9), time)
        assert mine == alone.step(1, one, time)


def test_a_time_that_goes_back_a_little_is_the_last_time():
    smoother = Smoother(thresholds=EACH)
    _, _, events = run(
        smoother, [(t + (0.02 if i % 2 else -0.02), r) for i, (t, r) in enumerate(steady(HAPPY, 0.8, 0, 2))]
    )
    assert [e.kind for e in events] == ["began"]


def test_a_person_who_looks_sad_at_rest_is_read_as_neutral_after_the_baseline():
    rest = reading([0.05, 0.01, 0.05, 0.02, 0.55, 0.02, 0.30])
    plain, own = Smoother(thresholds=EACH), Smoother(Smoothing(baseline=2), thresholds=EACH)
    steps = [(i / 10, rest) for i in range(60)]
    assert run(plain, steps)[1][-1] is SAD
    smoothed, held, events = run(own, steps)
    assert smoothed[10].expression is SAD
    assert smoothed[-1].expression is NEUTRAL
    assert set(held[:20]) == {None}
    assert [(e.kind, e.expression) for e in events] == [("began", NEUTRAL)]
    assert events[0].time >= 2
    smile = reading([0.02, 0.01, 0.02, 0.75, 0.15, 0.02, 0.03])
    assert run(own, [(6 + i / 10, smile) for i in range(30)])[1][-1] is HAPPY


@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.lists(st.floats(0.01, 1), min_size=7, max_size=7))
def test_personalising_keeps_probabilities_and_undoes_a_small_offset(probabilities, weights):
    values = np.array(probabilities) / sum(probabilities)
    neutral = np.array([NEUTRAL_PROFILE[label] for label in FER2013])
    offset = 0.5 * (np.array(weights) - np.mean(weights))
    shifted = np.exp(np.log(np.maximum(values, 1e-3)) + offset)
    shifted /= shifted.sum()
    result = personalise(shifted, np.log(neutral) + offset, neutral)
    assert result.sum() == pytest.approx(1)
    if (shifted > 1e-3).all() and (values > 1e-3).all():
        assert np.abs(result - values).max() < 1e-6


def test_a_smile_during_the_baseline_does_not_hide_all_smiles():
    neutral = np.array([NEUTRAL_PROFILE[label] for label in FER2013])
    smile = mostly(HAPPY, 0.97).probabilities.astype(np.float64)
    assert personalise(smile, np.log(smile), neutral)[FER2013.index(HAPPY)] > 0.5


def test_one_track_has_one_set_of_labels():
    smoother = Smoother(thresholds=EACH)
    smoother.step(1, mostly(HAPPY, 0.9), 0)
    with pytest.raises(ValueError, match="one set of labels"):
        smoother.step(1, reading([0.2, 0.5, 0.3], labels=THREE), 0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"enter": 0.3, "leave": 0.4}, "leave <= enter"),
        ({"enter": 1.2}, "enter <= 1"),
        ({"leave": 0}, "0 < leave"),
        ({"sustain": 0}, "one frame is no evidence"),
        ({"time_constant": -1}, "time_constant"),
        ({"baseline": -1}, "baseline"),
        ({"max_gap": 0}, "max_gap"),
        ({"sustain": math.nan}, "finite"),
    ],
)
def test_contradictions_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Smoothing(**values)
    with pytest.raises(ValueError, match="0 to 1"):
        Smoother(thresholds=(0.2, 2))
    with pytest.raises(ValueError, match="finite"):
        Smoother(thresholds=EACH).step(1, None, math.inf)
