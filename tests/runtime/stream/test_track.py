"""Ids that stay with their faces: on simulated motions with noise, misses, crossings and uneven time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.face import Box, Face
from mien.core.preprocess import TEMPLATE
from mien.runtime.stream.track import LONGEST_PAUSE, Motion, Tracker, assign

Place = Callable[[float], tuple[float, float, float]]
"""Centre and side of a face at a time, pixels."""


def make_face(x: float, y: float, side: float, *, landmarks: bool = True) -> Face:
    box = Box(x - side / 2, y - side / 2, side, side)
    return Face(box, 0.9, TEMPLATE * np.float32(side) + np.float32([box.x, box.y]) if landmarks else None)


def noisy(place: tuple[float, float, float], random: np.random.Generator) -> Face:
    x, y, side = place
    dx, dy, growth = random.normal(0, 0.03, 3)
    return make_face(x + side * dx, y + side * dy, side * math.exp(growth))


def follow(tracker: Tracker, places: list[Place], times: list[float], *, seed: int = 0, seen=lambda who, time: True):
    """Ids that each person was given, in the order of time; detections come shuffled."""
    random = np.random.default_rng(seed)
    ids: list[list[int]] = [[] for _ in places]
    for time in times:
        here = [who for who in range(len(places)) if seen(who, time)]
        random.shuffle(here)
        faces = [noisy(places[who](time), random) for who in here]
        for who, (id_, _) in zip(here, tracker.update(faces, time), strict=True):
            ids[who].append(id_)
    return ids


def clock(seconds: float, rate: float) -> list[float]:
    return [index / rate for index in range(int(seconds * rate))]


def crossing(speed: float, apart: float = 0.3) -> list[Place]:
    """Two faces of 80 pixels that pass in front of each other at ``speed`` sides a second each, after 2 s."""
    return [
        lambda t: (400 + 80 * speed * (t - 2), 200, 80),
        lambda t: (400 - 80 * speed * (t - 2), 200 + 80 * apart, 80),
    ]


@pytest.mark.parametrize("rate", [5, 15, 30, 60])
@pytest.mark.parametrize("seed", range(3))
def test_one_moving_face_keeps_its_id(rate, seed):
    place = lambda t: (400 + 150 * math.sin(2 * t), 300 + 60 * math.cos(3 * t), 90 + 20 * math.sin(t))  # noqa: E731
    (ids,) = follow(Tracker(), [place], clock(8, rate), seed=seed)
    assert set(ids) == {1}


def test_faces_come_back_as_given_and_in_order():
    tracker = Tracker()
    faces = [make_face(100, 100, 50), make_face(300, 100, 50)]
    assert tracker.update(faces, 0) == [(1, faces[0]), (2, faces[1])]
    assert tracker.update(faces[::-1], 0.1) == [(2, faces[1]), (1, faces[0])]
    assert tracker.update([], 0.2) == []


@pytest.mark.parametrize("speed", [0.7, 1.5, 3])
@pytest.mark.parametrize("rate", [10, 30])
@pytest.mark.parametrize("seed", range(4))
def test_crossing_faces_keep_their_ids(speed, rate, seed):
    first, second = follow(Tracker(), crossing(speed), clock(4, rate), seed=seed)
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


@pytest.mark.parametrize("speed", [1.5, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_face_behind_is_found_again_after_a_crossing(speed, seed):
    hidden = 0.4 / speed  # seconds around the crossing in which less than 0.8 of a side separates them
    seen = lambda who, time: who == 0 or abs(time - 2) > hidden  # noqa: E731
    first, second = follow(Tracker(), crossing(speed), clock(4, 30), seed=seed, seen=seen)
    assert (first[0], second[0]) == (first[-1], second[-1])
    assert len(set(second)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_face_that_is_hidden_for_longer_comes_back_as_somebody_new(seed):
    seen = lambda who, time: who == 0 or abs(time - 2) > 0.4 / 0.7  # noqa: E731
    first, second = follow(Tracker(), crossing(0.7), clock(4, 30), seed=seed, seen=seen)
    assert len(set(first)) == 1
    assert len(set(second)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_missed_detections_do_not_change_ids(seed):
    random = np.random.default_rng(100 + seed)
    missed = {(who, time) for who in (0, 1) for time in clock(6, 20) if random.random() < 0.3}
    places = [lambda t: (200 + 60 * t, 200, 80), lambda t: (700 - 50 * t, 320, 110)]
    seen = lambda who, time: (who, time) not in missed  # noqa: E731
    first, second = follow(Tracker(), places, clock(6, 20), seed=seed, seen=seen)
    assert len(set(first)) == len(set(second)) == 1


def test_uneven_times_do_not_change_ids():
    random = np.random.default_rng(0)
    times = np.cumsum(random.choice([0.01, 0.033, 0.1, 0.4], 200)).tolist()
    places = [lambda t: (300 + 100 * math.sin(t), 200, 80), lambda t: (700 + 100 * math.cos(t), 200, 80)]
    first, second = follow(Tracker(), places, times)
    assert len(set(first)) == len(set(second)) == 1


def test_a_face_away_for_longer_comes_back_as_somebody_new():
    tracker = Tracker(max_lost=0.5)
    face = make_face(100, 100, 60)
    assert tracker.update([face], 0)[0][0] == 1
    assert tracker.update([], 0.3) == []
    assert tracker.lost == {1}
    assert tracker.update([face], 0.45)[0][0] == 1
    assert tracker.lost == frozenset()
    assert tracker.ended() == []
    assert tracker.update([], 0.6) == tracker.update([], 1.0) == []
    assert tracker.ended() == []
    assert tracker.update([], 1.2) == []
    assert tracker.ended() == [1]
    assert tracker.ended() == []
    assert tracker.update([face], 1.3)[0][0] == 2


def test_a_pause_ends_no_track_and_a_search_that_misses_does():
    tracker = Tracker()
    tracker.update([make_face(100, 100, 60)], 0)
    assert len(tracker.predict(9)) == 1
    assert tracker.update([], 9) == []
    assert tracker.lost == {1}
    assert len(tracker.predict(10)) == 1
    tracker.update([], 10.01)
    assert tracker.predict(10.02) == []
    assert tracker.ended() == [1]


@pytest.mark.parametrize("pause", [1.2, 2.0, 6.0, LONGEST_PAUSE])
@pytest.mark.parametrize("seed", range(3))
def test_faces_with_pauses_between_their_pictures_keep_their_ids(pause, seed):
    random = np.random.default_rng(50 + seed)
    places = [lambda _: (*random.normal((300, 200), 20), 80), lambda _: (*random.normal((700, 220), 25), 100)]
    first, second = follow(Tracker(), places, [pause * index for index in range(20)], seed=seed)
    assert len(set(first)) == len(set(second)) == 1


def test_after_too_long_a_pause_nobody_is_taken_for_who_was_there():
    tracker = Tracker()
    face = make_face(100, 100, 60)
    tracker.update([face], 0)
    assert tracker.update([face], LONGEST_PAUSE + 0.1)[0][0] == 2
    assert tracker.ended() == [1]


def test_all_tracks_end_at_once():
    tracker = Tracker()
    faces = [make_face(100, 100, 50), make_face(300, 100, 50)]
    tracker.update(faces, 0)
    tracker.end_all()
    assert tracker.ended() == [1, 2]
    assert [track for track, _ in tracker.update(faces, 0.04)] == [3, 4]


def test_a_jump_ahead_ends_all_and_a_jump_back_begins_anew():
    tracker = Tracker()
    face = make_face(100, 100, 60)
    tracker.update([face], 10)
    assert tracker.update([face], 5000)[0][0] == 2
    assert tracker.ended() == [1]
    assert tracker.update([face], 4999.8)[0][0] == 2  # a little back is jitter
    assert tracker.update([face], 0)[0][0] == 3
    assert tracker.ended() == [2]
    assert tracker.update([face], 0.1)[0][0] == 3
    assert tracker.since(3) == 0


def test_another_place_or_size_is_another_face():
    tracker = Tracker()
    tracker.update([make_face(100, 100, 60)], 0)
    assert tracker.update([make_face(400, 100, 60)], 0.1)[0][0] == 2
    assert tracker.update([make_face(100, 100, 200)], 0.2)[0][0] == 3


def test_nobody_is_pushed_off_a_good_match_to_match_more():
    tracker = Tracker()
    tracker.update([make_face(100, 100, 60), make_face(20, 100, 60)], 0)
    found = tracker.update([make_face(100, 100, 60), make_face(180, 100, 60)], 0.2)
    assert [id_ for id_, _ in found] == [1, 3]


def test_predictions_run_with_the_face():
    tracker = Tracker()
    place = lambda t: (200 + 120 * t, 200 - 40 * t, 80 * math.exp(0.2 * t))  # noqa: E731
    for time in clock(1.5, 10):
        tracker.update([make_face(*place(time))], time)
    ((id_, predicted),) = tracker.predict(1.6)
    expected = make_face(*place(1.6))
    assert id_ == 1
    assert predicted.box.iou(expected.box) > 0.9
    assert np.abs(predicted.landmarks - expected.landmarks).max() < 5
    bare = Tracker()
    bare.update([make_face(100, 100, 60, landmarks=False)], 0)
    assert bare.predict(0.5)[0][1].landmarks is None


def test_what_is_unseen_slows_down():
    tracker = Tracker(max_lost=10)
    for time in clock(1, 10):
        tracker.update([make_face(200 + 300 * time, 200, 80)], time)
    positions = [tracker.predict(0.9 + wait)[0][1].box.center[0] for wait in (1, 2, 9)]
    assert positions[1] - positions[0] < 0.5 * 300
    assert positions[2] < 200 + 300 * 0.9 + 1.1 * 300  # never further than a second's way


def test_confirming_carries_a_track_on():
    tracker = Tracker(max_lost=0.5)
    place = lambda t: (200 + 200 * t, 200, 80)  # noqa: E731
    tracker.update([make_face(*place(0))], 0)
    for time in clock(3, 10)[1:]:
        ((id_, _),) = tracker.predict(time)
        tracker.confirm(id_, make_face(*place(time)), time)
    assert tracker.predict(3.0)[0][1].box.center[0] == pytest.approx(800, abs=8)
    assert tracker.update([make_face(*place(3.0))], 3.0)[0][0] == 1


def test_steady_measurements_reduce_noise():
    random = np.random.default_rng(1)
    tracker, errors = Tracker(), []
    for time in clock(4, 30):
        tracker.update([noisy((300, 200, 100), random)], time)
        errors.append(tracker.predict(time)[0][1].box.center[0] - 300)
    assert np.std(errors[30:]) < 0.9 * 3


def test_what_is_refused():
    with pytest.raises(ValueError, match="max_lost"):
        Tracker(max_lost=0)
    tracker = Tracker()
    tracker.update([make_face(100, 100, 60)], 0)
    for call in (lambda: tracker.confirm(7, make_face(1, 1, 5), 0.1), lambda: tracker.since(7)):
        with pytest.raises(ValueError, match="no live track 7; live are 1"):
            call()
    with pytest.raises(ValueError, match="finite"):
        tracker.update([], math.nan)


def test_memory_stays_the_same():
    tracker, random = Tracker(), np.random.default_rng(0)
    for step in range(900):  # false finds all over the picture
        faces = [make_face(*random.uniform(0, 4000, 2), 40) for _ in range(2)]
        tracker.update(faces, step / 30)
        tracker.ended()
    assert len(tracker.predict(900 / 30)) <= 2 * 32


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(-2, 5),
            st.lists(st.tuples(st.floats(-50, 900), st.floats(-50, 900), st.floats(5, 300)), max_size=4),
        ),
        max_size=30,
    )
)
def test_ids_are_distinct_rise_and_never_return(steps):
    tracker, time, seen, ended = Tracker(), 0.0, set(), set()
    for elapsed, places in steps:
        time += elapsed
        found = tracker.update([make_face(*place) for place in places], time)
        now = [id_ for id_, _ in found]
        ended |= set(tracker.ended())
        assert len(now) == len(set(now)) == len(places)
        assert not set(now) & ended
        fresh = sorted(set(now) - seen)
        assert fresh == list(range(len(seen) + 1, len(seen) + len(fresh) + 1))
        seen |= set(now)
        assert {id_ for id_, _ in tracker.predict(time)} == seen - ended


@settings(deadline=None)
@given(st.data())
def test_the_assignment_is_the_best_of_all(data):
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    cost = st.sampled_from([0.0, 0.25, 1.0]) | st.floats(0, 1)
    costs = data.draw(st.lists(st.lists(cost, min_size=columns, max_size=columns), min_size=rows, max_size=rows))
    pairs = assign(costs)
    assert len(pairs) == len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(rows, columns)
    wide = costs if rows <= columns else list(zip(*costs, strict=True))
    best = min(
        sum(wide[row][column] for row, column in enumerate(order))
        for order in itertools.permutations(range(len(wide[0])), len(wide))
    )
    assert sum(costs[row][column] for row, column in pairs) == pytest.approx(best, abs=1e-9)


def test_nothing_to_assign():
    assert assign([]) == []
    assert assign([[], []]) == []


@given(st.floats(0.001, 5), st.floats(0.001, 5))
def test_expectation_does_not_depend_on_the_steps_taken(first, second):
    start = Motion(3.0, 2.0, 0.1, 0.02, 4.0)
    at_once = start.after(first + second, 0.0)
    in_steps = start.after(first, 0.0).after(second, 0.0)
    for name in ("value", "rate", "value_variance", "covariance", "rate_variance"):
        assert getattr(in_steps, name) == pytest.approx(getattr(at_once, name), rel=1e-6, abs=1e-9)
