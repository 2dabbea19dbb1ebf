from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.made import reading
from mien.app.store.aggregate import Aggregator, Second
from mien.core.expression import Expression, Polarity
from mien.core.face import Box, Face, Track


def test_a_second_is_the_mean_of_its_frames() -> None:
    aggregator = Aggregator()
    frames = [
        (0.0, reading(happy=0.9), None, Expression.HAPPY, 1),
        (0.2, reading(happy=0.5, sad=0.3), None, None, 2),
        (0.4, None, "dark", None, 1),
        (0.6, None, None, None, 0),
        (0.8, reading(neutral=0.7), None, Expression.NEUTRAL, 3),
    ]
    for time, read, reason, held, faces in frames:
        assert aggregator.push(time, read, reason, held=held, faces=faces) is None
    second = aggregator.push(1.05, None)
    assert second is not None
    expected = np.mean([[r.probability(e) for e in Expression] for _, r, *_ in frames if r is not None], axis=0)
    assert second.probabilities == pytest.approx(expected / expected.sum())
    assert (second.index, second.frames, second.faces) == (0, 5, 3)
    assert second.held[list(Expression).index(Expression.HAPPY)] == 0.2
    assert second.uncertain == 0.2
    assert second.unmeasurable == {"dark": 0.2}
    assert second.absent == 0.2
    assert second.measured == pytest.approx(0.6)
    happy, surprise = expected[[3, 5]]
    assert second.polarity[Polarity.POSITIVE] == pytest.approx((happy + surprise) / expected.sum())
    assert sum(second.polarity.values()) == pytest.approx(1)


def test_the_last_second_is_handed_out_at_the_end_and_only_once() -> None:
    aggregator = Aggregator()
    assert aggregator.finish() is None
    aggregator.push(3.7, None)
    last = aggregator.finish()
    assert last is not None
    assert (last.index, last.absent, last.probabilities) == (3, 1.0, None)
    assert aggregator.finish() is None


def test_a_finished_second_is_never_opened_again() -> None:
    """A pause within a second must not make two seconds of one number."""
    aggregator = Aggregator()
    aggregator.push(5.1, None)
    assert aggregator.finish().index == 5  # type: ignore[union-attr]
    assert aggregator.push(5.6, None) is None
    assert aggregator.push(6.2, None) is None
    second = aggregator.push(7.0, None)
    assert second is not None
    assert (second.index, second.frames) == (6, 2)


@settings(deadline=None)
@given(st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_seconds_rise_and_hold_every_frame_whatever_the_times_do(times: list[float]) -> None:
    aggregator = Aggregator()
    seconds = [second for time in times if (second := aggregator.push(time, None)) is not None]
    seconds.append(aggregator.finish())  # type: ignore[arg-type]
    indices = [second.index for second in seconds]
    assert indices == sorted(set(indices))
    assert sum(second.frames for second in seconds) == len(times)
    assert indices[-1] == int(max(times))


def test_of_a_tracked_face_what_is_smoothed_and_held_counts() -> None:
    raw, smooth = reading(sad=0.9), reading(happy=0.6)
    track = Track(id=1, since=0.0, detected=True, smoothed=smooth, held=Expression.HAPPY)
    face = Face(box=Box(0, 0, 9, 9), score=0.9, readings=(raw,), track=track)
    aggregator = Aggregator()
    aggregator.push_face(0.1, face, faces=2)
    second = aggregator.finish()
    assert second is not None
    assert second.probabilities is not None
    assert second.probabilities[3] == pytest.approx(0.6)
    assert second.held[3] == 1.0
    assert second.faces == 2


def test_a_single_picture_holds_nothing_and_an_unmeasurable_face_gives_its_reason() -> None:
    aggregator = Aggregator()
    aggregator.push_face(0.1, Face(box=Box(0, 0, 9, 9), score=0.9, readings=(reading(happy=0.9),)))
    aggregator.push_face(0.2, Face(box=Box(0, 0, 9, 9), score=0.9, unmeasurable="too small"))
    aggregator.push_face(0.3, None, faces=4)
    second = aggregator.finish()
    assert second is not None
    assert sum(second.held) == 0
    assert second.uncertain == pytest.approx(1 / 3)
    assert second.unmeasurable == {"too small": pytest.approx(1 / 3)}
    assert second.absent == pytest.approx(1 / 3)
    assert second.faces == 4


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -0.1])
def test_a_time_that_is_none_is_refused(time: float) -> None:
    with pytest.raises(ValueError, match="finite number of seconds"):
        Aggregator().push(time, None)


def test_a_reading_with_a_reason_to_have_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no reason"):
        Aggregator().push(0.0, reading(happy=0.9), "dark")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"index": -1}, "index of 0 or more"),
        ({"frames": 0}, "a frame"),
        ({"held": (1.0,)}, "8 shares"),
        ({"uncertain": 0.5}, "sum to 1"),
        ({"probabilities": None}, "exactly when something in it was measured"),
        ({"probabilities": (1.0, 1.0, 0, 0, 0, 0, 0, 0)}, "sum to 1"),
        ({"uncertain": float("nan")}, "0 or more"),
    ],
)
def test_a_second_that_contradicts_itself_is_refused(values: dict[str, object], words: str) -> None:
    whole = {
        "index": 0,
        "frames": 1,
        "probabilities": (0, 0, 0, 1.0, 0, 0, 0, 0),
        "held": (0, 0, 0, 1.0, 0, 0, 0, 0),
        "uncertain": 0.0,
    }
    Second(**whole)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Second(**{**whole, **values})  # type: ignore[arg-type]
