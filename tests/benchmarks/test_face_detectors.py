"""The scenes of the detectors' benchmark: faces are where their boxes are, and its tables show what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

import face_detectors
import tables
from mien.core.face import Box, Face
from mien.data.portraits import Portrait


@pytest.fixture
def person() -> Portrait:
    """A white disc of 40 pixels on grey, for a face."""
    y, x = np.mgrid[:100, :80]
    picture = np.full((100, 80, 3), 90, dtype=np.uint8)
    picture[np.hypot(x - 40, y - 50) < 20] = 255
    return Portrait(picture, np.array([20, 30, 40, 40], np.float32), np.zeros((5, 2), np.float32))


@pytest.mark.parametrize(("size", "angle"), [(20, 0.0), (64, 30.0), (200, 0.0)])
def test_faces_lie_where_their_boxes_say(person, size, angle):
    ground = np.zeros((600, 900, 3), dtype=np.uint8)
    kind = face_detectors.Kind("toy", size, angle)
    scenes = face_detectors._scenes([person] * 30, [ground], kind, 30, np.random.default_rng(0))
    assert sum(len(boxes) for _, boxes in scenes) == 30
    for picture, boxes in scenes:
        assert picture.shape == (480, 640, 3)
        for box in boxes:
            x, y = (round(value) for value in box.center)
            assert picture[y, x].min() > 200
            assert picture[min(max(y - round(0.9 * size), 0), 479), x].max() < 200
        white = (picture.min(axis=2) > 170).sum()
        assert white == pytest.approx(len(boxes) * np.pi * size**2 / 4, rel=0.2)


def test_a_face_is_found_by_half_of_its_box():
    box = Box(10, 10, 40, 40)
    near, far = Face(Box(14, 12, 40, 40), 0.9), Face(Box(40, 40, 40, 40), 0.9)
    assert face_detectors._hits([far, near], [box, Box(200, 200, 40, 40)]).tolist() == [True, False]


def test_the_tables_show_each_detector(tmp_path):
    alone = {"found": 0.5, "iou": 0.8, "landmarks": None}
    nothing = {"crops": {"n": 50, "before": 5, "after": 1}, "pictures": {"n": 4, "before": 1, "after": 0}}
    found = {
        "portraits": 3,
        "backgrounds": 4,
        "recall": [{"faces": "10 px", "n": 7, "one": 0.25}],
        "alone": {"one": alone},
        "nothing": {"one": nothing},
        "jaffe": {"one": {"pictures": 213, "one_face": 200, "read": 201, "right": 100}},
        "milliseconds": {"one": {"320": 1.25}},
        "machine": {"cpu": "a", "cores": 2, "memory_gb": 8, "system": "b", "load": 1.0},
        "versions": {"python": "3"},
        "commit": "0" * 40,
        "time": "2026-01-01T00:00:00+00:00",
        "threads": 1,
    }
    (tmp_path / tables.RESULTS).mkdir(parents=True)
    (tmp_path / tables.RESULTS / "face_detectors.json").write_text(json.dumps(found))
    text = tables.face_detectors(tmp_path)
    for row in ("| 10 px | 7 | 25.0 |", "no landmarks", "| 50 | 10.0 |", "| 50 | 2.0 |", "| 320 px | 1.2 |"):
        assert row in text
