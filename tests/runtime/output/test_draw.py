"""Drawings: what is drawn where, on pictures of every size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.core.expression import FER2013, FERPLUS, SIX, Expression
from mien.core.face import Box, Face, Frame, Reading
from mien.core.predictor import candidate_set
from mien.runtime.output import draw
from mien.runtime.output.canvas import COLOURS, Area
from mien.runtime.output.draw import annotate, headline


def reading(*values: float, model: str = "toy", labels=FER2013) -> Reading:
    probabilities = np.array(values, np.float32)
    return Reading(model, labels, probabilities, candidate_set(probabilities, labels, (0.15,) * len(labels)), 0.9, 3.0)


HAPPY = reading(0.01, 0.01, 0.01, 0.9, 0.02, 0.02, 0.03)
POKER = reading(0.22, 0.03, 0.08, 0.02, 0.3, 0.03, 0.32, model="other")


def frame_of(picture: np.ndarray, *boxes: Box, readings: tuple[Reading, ...] = (HAPPY,)) -> Frame:
    faces = tuple(Face(box, 0.9, None, readings) for box in boxes)
    return Frame(picture.shape[1], picture.shape[0], faces, "haar", tuple(r.model for r in readings))


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def has_colour(picture: np.ndarray, expression: Expression) -> bool:
    return bool((np.abs(picture.astype(int) - COLOURS[expression]).max(axis=2) < 40).any())


@pytest.mark.parametrize("side", [480, 700, 1500, 4000])
def test_words_and_bars_follow_the_picture(side):
    ground = np.full((side, side, 3), 60, np.uint8)
    box = Box(side * 0.35, side * 0.3, side * 0.25, side * 0.25)
    words = changed(ground, annotate(ground, frame_of(ground, box), show="words"))
    both = changed(ground, annotate(ground, frame_of(ground, box)))
    panel = both & ~words
    rows, columns = np.flatnonzero(panel.any(axis=1)), np.flatnonzero(panel.any(axis=0))
    height, width = np.ptp(rows) / side, np.ptp(columns) / side
    assert 0.15 < height < 0.5
    assert 0.2 < width < 0.5
    assert not panel[int(side * 0.32) : int(side * 0.53), int(side * 0.37) : int(side * 0.58)].any()


def test_the_original_is_left_alone_and_no_face_changes_nothing():
    ground = np.random.default_rng(0).integers(0, 256, (500, 600, 3), dtype=np.uint8)
    kept = ground.copy()
    annotate(ground, frame_of(ground, Box(100, 100, 200, 200)))
    assert (ground == kept).all()
    assert (annotate(ground, frame_of(ground)) == ground).all()


def test_small_pictures_are_enlarged_so_that_text_can_be_read():
    ground = np.full((150, 200, 3), 60, np.uint8)
    assert annotate(ground, frame_of(ground, Box(50, 20, 80, 80))).shape == (450, 600, 3)


def test_the_expressions_colour_is_there():
    ground = np.full((500, 500, 3), 60, np.uint8)
    assert has_colour(annotate(ground, frame_of(ground, Box(150, 150, 150, 150))), Expression.HAPPY)
    drawn = annotate(ground, frame_of(ground, Box(150, 150, 150, 150), readings=(POKER,)))
    assert has_colour(drawn, Expression.SAD)
    assert has_colour(drawn, Expression.ANGRY)


def test_two_models_make_a_wider_panel():
    ground = np.full((900, 1600, 3), 60, np.uint8)
    box = Box(100, 300, 200, 200)
    one = changed(ground, annotate(ground, frame_of(ground, box)))
    two = changed(ground, annotate(ground, frame_of(ground, box, readings=(HAPPY, POKER))))
    assert np.flatnonzero(two.any(axis=0)).max() > np.flatnonzero(one.any(axis=0)).max() + 100


def test_no_panel_covers_another_face():
    ground = np.full((600, 900, 3), 60, np.uint8)
    boxes = [Box(150 + 220 * i, 200, 180, 180) for i in range(3)]
    drawn = changed(ground, annotate(ground, frame_of(ground, *boxes)))
    for box in boxes:
        x, y = int(box.x), int(box.y)
        assert not drawn[y + 20 : y + 160, x + 20 : x + 160].any()


def crowd(pitch: int, *, models: int = 1) -> tuple[np.ndarray, Frame]:
    """24 faces of 60 pixels in four rows, and their readings."""
    rng = np.random.default_rng(pitch)
    boxes = [Box(20 + i % 6 * pitch, 40 + i // 6 * pitch, 60, 60) for i in range(24)]
    faces = tuple(
        Face(box, 0.9, None, tuple(reading(*rng.dirichlet([0.5] * 7), model=f"model{k}") for k in range(models)))
        for box in boxes
    )
    frame = Frame(6 * pitch + 120, 4 * pitch + 60, faces, "haar", tuple(f"model{k}" for k in range(models)))
    return np.full((frame.height, frame.width, 3), 90, np.uint8), frame


@pytest.mark.parametrize("pitch", [66, 80, 110, 200])
@pytest.mark.parametrize("models", [1, 3])
def test_no_label_of_a_crowd_covers_another_face_or_label(pitch, models, monkeypatch):
    pasted: list[Area] = []
    paste = draw.paste
    monkeypatch.setattr(draw, "paste", lambda *args: pasted.append(paste(*args)) or pasted[-1])
    picture, frame = crowd(pitch, models=models)
    drawn = changed(picture, annotate(picture, frame, show="words"))
    assert len(pasted) == len(frame.faces)
    faces = [Area.of(face.box, 1) for face in frame.faces]
    for index, spot in enumerate(pasted):
        assert spot.is_inside(picture)
        assert not any(spot.overlaps(other) for other in [*faces[:index], *faces[index + 1 :], *pasted[:index]])
    for face in faces:
        assert not drawn[face.top + 25 : face.bottom - 8, face.left + 8 : face.right - 8].any(), "its mouth and eyes"


def test_a_crowd_with_room_for_words_has_them():
    picture, frame = crowd(200)
    drawn = changed(picture, annotate(picture, frame, show="words"))
    assert drawn[: 40 - 4].any(axis=0).sum() > 6 * 80


def test_bars_of_three_models_take_free_space_away_from_their_faces():
    picture = np.full((900, 1600, 3), 60, np.uint8)
    three = tuple(reading(0.01, 0.01, 0.01, 0.9, 0.02, 0.02, 0.03, model=f"model{k}") for k in range(3))
    boxes = [Box(100 + 480 * i, 120, 160, 160) for i in range(3)]
    drawn = annotate(picture, frame_of(picture, *boxes, readings=three))
    words = annotate(picture, frame_of(picture, *boxes, readings=three), show="words")
    count, _, stats, _ = cv2.connectedComponentsWithStats(changed(words, drawn).astype(np.uint8), connectivity=8)
    assert count - 1 == 3
    assert (stats[1:, cv2.CC_STAT_WIDTH] > 300).all()


@pytest.mark.parametrize("labels", [SIX, FERPLUS])
def test_other_label_sets_are_drawn(labels):
    ground = np.full((500, 500, 3), 60, np.uint8)
    one = reading(*[1 / len(labels)] * len(labels), labels=labels)
    assert changed(ground, annotate(ground, frame_of(ground, Box(100, 100, 150, 150), readings=(one,)))).any()


@pytest.mark.parametrize(
    "box", [Box(-50, -50, 100, 100), Box(450, 450, 200, 200), Box(0, 0, 500, 500), Box(9, 9, 2, 2)]
)
def test_faces_at_the_edge_and_of_any_size(box):
    ground = np.full((500, 500, 3), 60, np.uint8)
    assert changed(ground, annotate(ground, frame_of(ground, box))).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (48, 48)])
def test_pictures_of_any_shape(shape):
    ground = np.full((*shape, 3), 60, np.uint8)
    factor = max(-(-480 // max(shape)), 1)
    assert annotate(ground, frame_of(ground, Box(0, 0, 1, 1))).shape == (shape[0] * factor, shape[1] * factor, 3)


def test_a_frame_of_another_picture_is_refused():
    ground = np.zeros((50, 60, 3), np.uint8)
    with pytest.raises(ValueError, match="60 x 50"):
        annotate(cv2.resize(ground, (10, 10)), frame_of(ground))


def test_the_headline_says_what_is_sure_and_what_is_not():
    assert headline(HAPPY) == "happy 90 %"
    assert headline(POKER) == "neutral, sad or angry"


def test_colours_are_distinct():
    assert len(set(COLOURS.values())) == len(Expression)
