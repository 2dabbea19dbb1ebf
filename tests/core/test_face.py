"""Results are checked when they are made, and frozen."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.expression import FER2013, Expression
from mien.core.face import Box, Event, Face, Frame, Reading, Track


def reading(probabilities=(0.1, 0.05, 0.05, 0.3, 0.2, 0.05, 0.25), candidates=("happy", "neutral", "sad"), model="m"):
    chosen = tuple(Expression(c) for c in candidates)
    return Reading(model, FER2013, np.array(probabilities, dtype=np.float32), chosen, 0.9, 3.0)


numbers = st.floats(-1e4, 1e4, allow_nan=False)
sides = st.floats(0.01, 1e4)
boxes = st.builds(Box, numbers, numbers, sides, sides)


@given(boxes, boxes)
def test_iou_is_symmetric_and_within_bounds(a, b):
    assert 0 <= a.iou(b) <= 1 + 1e-9
    assert a.iou(b) == pytest.approx(b.iou(a))
    assert a.iou(a) == pytest.approx(1)


def test_iou_of_known_boxes():
    assert Box(0, 0, 2, 2).iou(Box(1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert Box(0, 0, 2, 2).iou(Box(2, 2, 2, 2)) == 0


@pytest.mark.parametrize("values", [(0, 0, 0, 1), (0, 0, 1, -1), (float("nan"), 0, 1, 1), (0, float("inf"), 1, 1)])
def test_impossible_boxes_are_refused(values):
    with pytest.raises(ValueError, match="a box needs"):
        Box(*values)


def test_what_follows_from_probabilities():
    r = reading()
    assert r.expression is Expression.HAPPY
    assert r.confidence == pytest.approx(0.3)
    assert r.ranked[:3] == ("happy", "neutral", "sad")
    assert r.polarities == pytest.approx({"positive": 0.35, "neutral": 0.25, "negative": 0.4})
    assert r.polarity == "mixed"  # happy is named, and the negative ones are more probable together
    assert r.is_ambiguous
    assert r.describe() == "happy, neutral or sad"
    assert r.probability("contempt") == 0


@pytest.mark.parametrize(("candidates", "words"), [(["sad"], "sad"), (["sad", "fear"], "sad or fear")])
def test_candidates_in_words(candidates, words):
    assert reading(candidates=candidates).describe() == words


@pytest.mark.parametrize(
    "probabilities", [[0.5] * 7, [1 / 6] * 6, [float("nan")] * 7, [-0.1, 1.1, 0, 0, 0, 0, 0]], ids=str
)
def test_what_is_no_probability_is_refused(probabilities):
    with pytest.raises(ValueError, match="probabilities"):
        reading(probabilities=probabilities)


@pytest.mark.parametrize("candidates", [(), ("contempt",)])
def test_candidates_must_be_labels(candidates):
    with pytest.raises(ValueError, match="candidates"):
        reading(candidates=candidates)


def test_results_are_frozen_and_their_arrays_copied():
    values = np.full(7, 1 / 7, dtype=np.float32)
    r = Reading("m", FER2013, values, (Expression.SAD,), 0.9, 0.0)
    values[0] = 9
    assert r.probabilities[0] == pytest.approx(1 / 7)
    with pytest.raises(ValueError, match="read-only"):
        r.probabilities[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.model = "x"


def test_readings_compare_by_value():
    assert reading() == reading()
    assert reading() != reading(model="other")
    assert reading() != 3


def test_landmarks_are_five_points():
    with pytest.raises(ValueError, match="five finite"):
        Face(Box(0, 0, 1, 1), 0.5, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="finite score"):
        Face(Box(0, 0, 1, 1), float("nan"))


def test_a_face_without_a_reading_says_so():
    with pytest.raises(ValueError, match="detected but not read"):
        _ = Face(Box(0, 0, 1, 1), 0.5).reading


def test_a_frame_needs_each_models_reading_of_each_face():
    read = Face(Box(0, 0, 9, 9), 0.5, None, (reading(),))
    frame = Frame(20, 10, (read,), "haar", ("m",))
    assert len(frame) == 1
    assert frame.readings == [read.reading]
    with pytest.raises(ValueError, match="one reading of each"):
        Frame(20, 10, (read,), "haar", ("m", "n"))
    with pytest.raises(ValueError, match="positive size"):
        Frame(0, 10, (), "haar", ("m",))


def test_an_unmeasurable_face_has_a_reason_instead_of_readings():
    dark = Face(Box(0, 0, 9, 9), 0.5, unmeasurable="dark")
    frame = Frame(20, 10, (dark,), "haar", ("m",))
    assert frame.readings == []
    with pytest.raises(ValueError, match="not read: dark"):
        _ = dark.reading
    marked = Face(Box(0, 0, 9, 9), 0.5, None, (reading(),), unmeasurable="dark")
    assert Frame(20, 10, (marked,), "haar", ("m",)).readings == []  # there all the same, and not to be trusted
    with pytest.raises(ValueError, match="one reading of each"):
        Frame(20, 10, (marked,), "haar", ("m", "n"))


def test_a_tracked_face_becomes_json():
    track = Track(3, 1.5, detected=False, smoothed=reading(), held=Expression.HAPPY)
    face = Face(Box(0, 0, 9, 9), 0.5, None, (reading(),), track=track)
    event = Event("began", 3, Expression.HAPPY, 2.0, 0.8)
    content = json.loads(json.dumps(Frame(20, 10, (face,), "haar", ("m",), time=2.0, events=(event,)).to_dict()))
    assert content["faces"][0]["track"]["id"] == 3
    assert content["faces"][0]["track"]["held"] == "happy"
    assert content["events"] == [{"kind": "began", "track": 3, "expression": "happy", "time": 2.0, "strength": 0.8}]


def test_a_frame_becomes_json():
    face = Face(Box(1, 2, 3, 4), 0.5, np.ones((5, 2)), (reading(),))
    content = json.loads(json.dumps(Frame(20, 10, (face,), "haar", ("m",), source="a.jpg").to_dict()))
    assert content["faces"][0]["box"] == [1, 2, 3, 4]
    assert content["faces"][0]["readings"][0]["probabilities"]["happy"] == pytest.approx(0.3)
    assert (content["source"], content["detector"], content["models"]) == ("a.jpg", "haar", ["m"])
