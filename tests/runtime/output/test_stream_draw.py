"""Frames with results drawn in: what is known is said, and nothing jumps."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.face import Box, Face, Frame, Track
from mien.runtime.output.canvas import COLOURS
from mien.runtime.output.draw import StreamDrawer, state_in_words
from runtime.stream_toys import face, reading


def still(*faces: Face, size: tuple[int, int] = (1280, 720)) -> tuple[np.ndarray, Frame]:
    picture = np.full((size[1], size[0], 3), 128, dtype=np.uint8)
    return picture, Frame(*size, faces, "haar", ("toy",), time=0.0)


def changed(drawn: np.ndarray) -> np.ndarray:
    """Columns in which something was drawn."""
    return np.flatnonzero((drawn != 128).any(axis=(0, 2)))


def test_the_state_is_said():
    assert state_in_words(face()) == "happy"
    assert state_in_words(face(held=None)) == "uncertain"
    assert state_in_words(face(held="sad", unmeasurable="dark")) == "not measurable: dark"


def test_the_picture_itself_stays_as_it_was():
    picture, frame = still(face(box=(500, 200, 200, 200)))
    picture.setflags(write=False)
    drawn = StreamDrawer().draw(picture, frame)
    assert drawn.shape == picture.shape
    assert (drawn != picture).any()


def test_the_held_expression_gives_the_colour_and_its_bar_the_length():
    picture, frame = still(face(box=(500, 200, 200, 200)))
    drawn = StreamDrawer().draw(picture, frame).astype(int)
    happy = (np.abs(drawn - COLOURS["happy"]).sum(axis=2) < 60).any(axis=0)
    assert happy[495:705].any()
    bars = np.flatnonzero(happy[705:])
    full = 5 * (round((1280 * 720) ** 0.5 / 40) * 4 // 5)
    longest = max(len(run) for run in np.split(bars, np.flatnonzero(np.diff(bars) > 1) + 1))
    assert longest == pytest.approx(0.7 * full, abs=3)


def test_a_face_without_a_reading_has_no_bars():
    for track in (face().track, Track(1, 0.0, True)):
        dark = Face(Box(500, 200, 200, 200), 0.9, unmeasurable="dark", track=track)
        drawn = StreamDrawer().draw(*still(dark))
        assert (drawn[210:, 720:] == 128).all()


def test_bars_stay_on_their_side_while_there_is_room():
    drawer = StreamDrawer()
    right = changed(drawer.draw(*still(face(box=(500, 200, 200, 200)))))
    assert right.max() > 760
    assert right.min() > 480
    near = changed(drawer.draw(*still(face(box=(1050, 200, 200, 200)))))
    assert near.min() < 1000, "no room to the right of it: to the left"
    back = changed(drawer.draw(*still(face(box=(500, 200, 200, 200)))))
    assert back.min() < 480, "and there it stays"
    assert back.max() < 760


def test_bars_never_cover_another_face():
    boxes = [(x, y, 150, 150) for x in (40, 240, 440, 640, 840, 1040) for y in (60, 280, 500)]
    faces = [face(track, box=box, held=None) for track, box in enumerate(boxes, start=1)]
    drawn = StreamDrawer().draw(*still(*faces))
    for x, y, width, height in boxes:
        inner = drawn[y + 60 : y + height - 60, x + 20 : x + width - 20]
        assert (inner == 128).all()


@pytest.mark.parametrize("size", [(320, 240), (90, 160), (24, 24)])
def test_small_pictures_are_enlarged(size):
    picture, frame = still(face(box=(2, 2, 20, 20)), size=size)
    drawn = StreamDrawer().draw(picture, frame)
    factor = drawn.shape[0] // size[1]
    assert drawn.shape == (size[1] * factor, size[0] * factor, 3)
    assert 480 <= max(drawn.shape) < 960


def test_faces_beyond_the_picture_and_on_its_edge_are_drawn():
    faces = [face(1, box=(-150, -150, 200, 200)), face(2, box=(1200, 650, 300, 300)), face(3, box=(0, 0, 1280, 720))]
    assert StreamDrawer().draw(*still(*faces)).shape == (720, 1280, 3)


def test_many_tracks_do_not_pile_up():
    drawer = StreamDrawer()
    for track in range(200):
        drawer.draw(*still(face(track, box=(500, 200, 200, 200))))
    assert len(drawer._sides) <= 64


def test_a_frame_of_another_picture_is_refused():
    picture, frame = still(face())
    with pytest.raises(ValueError, match="the frame is of a 1280 x 720 picture"):
        StreamDrawer().draw(picture[:100], frame)


def test_candidates_stand_out():
    sure = Track(1, 0.0, True, reading("happy"), None)
    one = Face(Box(500, 200, 200, 200), 0.9, readings=(reading("happy"),), track=sure)
    drawn = StreamDrawer().draw(*still(one))
    bright = (drawn[:, 760:].min(axis=2) > 225).any(axis=1)
    rows = np.flatnonzero(bright)
    assert rows.max() - rows.min() < 40, "one row alone is bright: happy"
