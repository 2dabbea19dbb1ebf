"""Scenes of drawn faces: what is said of them is where they are, and splits never share a picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from conftest import draw_face
from mien.core.anchors import anchors
from mien.core.errors import DatasetError
from mien.data import face_scenes
from mien.data.face_scenes import Composer, assign
from mien.data.portraits import Portrait, ask_teacher, portraits, read_folder, splits
from runtime.toys import yunet_file

SIDE = 128
MARKS = np.array([[40, 44], [72, 44], [56, 60], [46, 78], [66, 78]], dtype=np.float32)
"""Where the dots of :func:`dotted` are: pixels, continuous."""


@pytest.fixture
def plain(monkeypatch):
    """Scenes as they were composed, without noise, blur or light."""
    monkeypatch.setattr(face_scenes, "photographed", lambda picture, rng: picture)
    monkeypatch.setattr(face_scenes, "_lit", lambda picture, rng: picture)


def dotted() -> Portrait:
    """A grey picture with a white dot of eight pixels at each landmark."""
    picture = np.full((112, 112, 3), 90, dtype=np.uint8)
    for x, y in MARKS.astype(int):
        picture[y - 4 : y + 4, x - 4 : x + 4] = 255
    return Portrait(picture, np.array([26, 20, 60, 72], dtype=np.float32), MARKS)


def composer(**options) -> Composer:
    return Composer([dotted()], [], [np.zeros((300, 400, 3), dtype=np.uint8)], **options)


def test_landmarks_are_where_the_portrait_shows_them(plain):
    checked = 0
    for seed in range(60):
        scene = composer().compose(SIDE, np.random.default_rng(seed))
        assert scene.picture.shape == (SIDE, SIDE, 3)
        for box, points, counted in zip(scene.boxes, scene.points, scene.counted, strict=True):
            if not counted or np.sqrt(box[2] * box[3]) < 40:
                continue
            inside = points[((points > 4) & (points < SIDE - 4)).all(axis=1)].astype(int)
            white = sum(scene.picture[y - 1 : y + 2, x - 1 : x + 2].max() > 200 for x, y in inside)
            checked += len(inside)
            assert white >= len(inside) - 3  # up to two fifths of a face may be covered
    assert checked > 40


def test_right_and_left_stay_the_persons_own_in_a_mirrored_scene(plain):
    for seed in range(40):
        scene = composer(turn=30.0).compose(SIDE, np.random.default_rng(seed))
        assert (scene.points[:, 0, 0] < scene.points[:, 1, 0]).all()
        assert (scene.points[:, 3, 0] < scene.points[:, 4, 0]).all()


def test_the_same_seed_composes_the_same_scene():
    one, two = (composer().compose(SIDE, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.picture, two.picture)
    np.testing.assert_array_equal(one.boxes, two.boxes)


def test_hard_negatives_are_looked_at(plain):
    ground = np.zeros((400, 400, 3), dtype=np.uint8)
    ground[180:220, 180:220] = (0, 255, 0)
    made = Composer([dotted()], [], [ground], hard=[(0, 180.0, 180.0, 40.0, 40.0)])
    shown = sum(
        (made.compose(SIDE, np.random.default_rng(seed)).picture == (0, 255, 0)).all(axis=2).any() for seed in range(60)
    )
    made.hard = []
    assert shown > 15


def test_an_anchor_learns_the_face_whose_middle_it_is_near():
    boxes = np.array([[20, 20, 20, 20], [64, 64, 60, 60]], dtype=np.float32)
    learns = assign(boxes, np.array([True, True]), SIDE)
    cells = anchors(SIDE // 32, SIDE // 32)
    at = cells[:, :2] * cells[:, 2:]
    for index, (centre, strides) in enumerate([((30, 30), {8}), ((94, 94), {16})]):
        own = cells[learns == index]
        assert set(own[:, 2]) == strides
        assert (np.abs(at[learns == index] - centre).max(axis=1) <= 12).all()
    corner = np.flatnonzero((cells[:, 2] == 8) & (at == 0).all(axis=1))
    assert learns[corner] == -1


def test_a_face_that_need_not_be_found_teaches_nothing_at_its_place():
    box = np.array([[30, 30, 30, 30]], dtype=np.float32)
    counted, other = (assign(box, np.array([flag]), SIDE) for flag in (True, False))
    assert (counted == 0).any()
    assert not (other >= 0).any()
    assert (other[counted == 0] == -2).all()
    assert (assign(np.empty((0, 4), np.float32), np.empty(0, bool), SIDE) == -1).all()


def test_copies_of_a_picture_never_stand_in_two_splits():
    rng = np.random.default_rng(0)
    distinct = [cv2.resize(rng.integers(0, 256, (8, 9, 3)).astype(np.uint8), (90, 80)) for _ in range(300)]
    brighter = [np.clip(p.astype(int) + 6, 0, 255).astype(np.uint8) for p in distinct]
    found = splits([*distinct, *brighter])
    counts = {split: found.count(split) for split in ("train", "validation", "held-out")}
    assert counts["train"] > 400
    assert counts["held-out"] > counts["validation"] > 5
    for one, copy in zip(found[:300], found[300:], strict=True):
        assert one == copy or None in (one, copy)
    assert found == splits([*distinct, *brighter])


def test_the_teacher_places_the_one_face_of_a_picture():
    yunet, astronaut = yunet_file(), pytest.importorskip("skimage.data").astronaut()
    small = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    nobody = np.zeros((100, 60, 3), dtype=np.uint8)
    answers = ask_teacher([small, nobody, np.hstack([small, small])], yunet)
    assert answers.counts.tolist() == [1, 0, 2]
    (one,) = portraits([small, nobody, np.hstack([small, small])], answers.rows)
    assert np.abs(one.points[:2] - np.array([[200.1, 101.8], [247.1, 102.6]]) / 4).max() < 2


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"heads: no such folder; docs/face-detector\.md"):
        read_folder(tmp_path / "heads")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.jpg").write_text("no picture")
    with pytest.raises(DatasetError, match="no picture in it"):
        read_folder(tmp_path / "empty")
    with pytest.raises(DatasetError, match="the teacher is YuNet, mien models pull yunet fetches it"):
        ask_teacher([], tmp_path / "yunet.onnx")


def test_a_folder_is_read_with_all_below_it(tmp_path):
    (tmp_path / "below").mkdir()
    cv2.imwrite(str(tmp_path / "below" / "a.png"), draw_face(0, 0, 80))
    (tmp_path / "drawing.png").write_text("no picture")
    (picture,) = read_folder(tmp_path, long_side=40)
    assert picture.shape == (40, 40, 3)
