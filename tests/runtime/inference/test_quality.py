"""The quality check: each reason on a real portrait that was spoilt for it, and none on the portrait itself."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.core.face import Box, Face
from mien.core.preprocess import TEMPLATE, crop_face
from mien.runtime.inference.detect import YuNetDetector
from mien.runtime.inference.pose import FACE_MODEL
from mien.runtime.inference.quality import CROP, QualityLimits, assess, measure


@pytest.fixture(scope="module")
def face(portrait, yunet) -> Face:
    (found,) = YuNetDetector(yunet).detect(portrait)
    return found


def band(portrait, face, rows, cover):
    """The portrait with rows of the face, as fractions of its box, under ``cover`` (h, w) -> values."""
    picture, box = portrait.copy(), face.box
    top, bottom = (round(box.y + share * box.height) for share in rows)
    left, right = round(box.x), round(box.x + box.width)
    picture[top:bottom, left:right] = cover(bottom - top, right - left)[..., None]
    return picture


def noise(height, width):
    blocks = np.random.default_rng(0).integers(0, 256, (10, 48), dtype=np.uint8)  # as coarse as paper 004's
    return cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)


def cloth(height, width):
    return np.tile(np.linspace(150, 175, width), (height, 1)).astype(np.uint8)


def test_a_good_face_passes(portrait, face):
    assert assess(portrait, face) is None
    assert assess(portrait, face, crop=crop_face(portrait, face, CROP)) is None
    assert assess(portrait, replace(face, landmarks=None)) is None


def test_too_small(portrait, face):
    scale = 15 / face.box.width
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    box = Box(*(value * scale for value in (face.box.x, face.box.y, face.box.width, face.box.height)))
    assert assess(small, Face(box, 0.9, face.landmarks * np.float32(scale))) == "too small"


def test_dark(portrait, face):
    assert assess((portrait * 0.4).astype(np.uint8), face) is None
    assert assess((portrait * 0.08).astype(np.uint8), face) == "dark"


def test_low_contrast(portrait, face):
    assert assess((100 + portrait * 0.1).astype(np.uint8), face) == "low contrast"


def test_blurred(portrait, face):
    unit = face.box.width / 48
    assert assess(cv2.GaussianBlur(portrait, (0, 0), 0.5 * unit), face) is None
    assert assess(cv2.GaussianBlur(portrait, (0, 0), 3 * unit), face) == "blurred"


def test_turned_away(portrait, face):
    angle = math.radians(70)
    turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
    turned = (FACE_MODEL @ turn.T)[:, :2].astype(np.float32) + np.float32(face.box.center)
    crop = crop_face(portrait, face, CROP)
    assert assess(portrait, replace(face, landmarks=turned), crop=crop) == "turned away"
    lenient = QualityLimits(max_yaw=math.inf)
    assert assess(portrait, replace(face, landmarks=turned), crop=crop, limits=lenient) is None


@pytest.mark.parametrize("rows", [(10 / 48, 20 / 48), (30 / 48, 40 / 48)], ids=["eyes", "mouth"])
def test_noise_over_eyes_or_mouth_is_a_cover(rows, portrait, face):
    assert assess(band(portrait, face, rows, noise), face) == "partly covered"


def test_a_smooth_cloth_over_the_mouth_is_a_cover(portrait, face):
    covered = band(portrait, face, (28 / 48, 46 / 48), cloth)
    assert assess(covered, face) == "partly covered"
    assert assess(covered, face, limits=QualityLimits(min_texture=0)) is None


def test_brightness_and_contrast_do_not_change_sharpness(portrait, face):
    sharp, dim = (measure(crop_face(p, face, CROP)) for p in (portrait, (portrait * 0.5).astype(np.uint8)))
    assert dim.brightness == pytest.approx(sharp.brightness / 2, abs=1)
    assert dim.contrast == pytest.approx(sharp.contrast / 2, abs=1)
    for cue in ("sharpness", "grain", "texture"):
        assert getattr(dim, cue) == pytest.approx(getattr(sharp, cue), rel=0.1)


def test_known_values_of_the_cues():
    random = np.random.default_rng(0)
    white = measure(random.integers(0, 256, (48, 48), dtype=np.uint8))
    assert white.sharpness == pytest.approx(20, rel=0.1)  # a Laplacian's squared weights: 16 + 4
    assert white.texture == pytest.approx(1, abs=0.15)
    flat = measure(np.full((48, 48), 90, dtype=np.uint8))
    assert (flat.brightness, flat.contrast, flat.sharpness, flat.grain) == (90, 0, 0, 0)
    assert flat.texture == 1


def test_one_colour_is_said_without_fail():
    face = Face(Box(0, 0, 60, 60), 0.9, TEMPLATE * np.float32(60))
    assert assess(np.zeros((60, 60, 3), np.uint8), face) == "dark"
    assert assess(np.full((60, 60, 3), 128, np.uint8), face) == "low contrast"


def test_open_limits_let_everything_pass():
    face = Face(Box(0, 0, 2, 2), 0.1, np.zeros((5, 2), np.float32))
    limits = QualityLimits(
        min_size=0,
        min_brightness=0,
        min_contrast=0,
        min_sharpness=0,
        max_yaw=math.inf,
        max_pitch=math.inf,
        max_grain=math.inf,
        min_texture=0,
    )
    assert assess(np.zeros((4, 4, 3), np.uint8), face, limits=limits) is None


def test_it_is_cheap(portrait, face):
    crop = crop_face(portrait, face, CROP)
    best = math.inf
    for _ in range(200):
        start = time.perf_counter()
        assess(portrait, face, crop=crop)
        best = min(best, time.perf_counter() - start)
    assert best < 1e-3  # 0.1 ms on an idle machine; see docs/conditions.md


@pytest.mark.parametrize("values", [{"min_size": -1}, {"max_yaw": math.nan}])
def test_limits_are_checked(values):
    with pytest.raises(ValueError, match="must be 0 or more"):
        QualityLimits(**values)


def test_another_crop_is_refused():
    with pytest.raises(ValueError, match="48"):
        measure(np.zeros((64, 64), np.uint8))
