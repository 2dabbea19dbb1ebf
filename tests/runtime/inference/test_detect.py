"""Detectors on a real portrait: found, framed alike, and fast on huge pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import ChecksumError, ModelError
from mien.core.face import Box
from mien.runtime.inference.detect import HaarDetector, YuNetDetector, make_detector

EYES = np.array([[200.1, 101.8], [247.1, 102.6]])
"""The portrait's eyes, read off the picture."""


@pytest.fixture(params=["haar", "yunet"])
def detector(request):
    if request.param == "haar":
        return HaarDetector()
    return YuNetDetector(request.getfixturevalue("yunet"))


def test_one_face_is_found_as_a_square_around_the_eyes(detector, portrait):
    (face,) = detector.detect(portrait)
    box = face.box
    assert box.width == box.height
    assert 0.5 < face.score <= 1
    eyes = (EYES - [box.x, box.y]) / box.width
    assert np.abs(eyes - [[0.3, 0.37], [0.7, 0.37]]).max() < 0.07  # where FER2013 has them


def test_both_detectors_frame_the_face_alike(portrait, yunet):
    (haar,), (other,) = HaarDetector().detect(portrait), YuNetDetector(yunet).detect(portrait)
    assert haar.box.iou(other.box) > 0.75


@pytest.mark.parametrize("side", [128, 200, 1000, 4000])
def test_boxes_follow_the_picture(side, detector, portrait):
    (face,) = detector.detect(cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA))
    (reference,) = detector.detect(portrait)
    scale = side / 512
    expected = np.array([*reference.box.center, reference.box.width]) * scale
    assert np.abs(np.array([*face.box.center, face.box.width]) - expected).max() < 0.13 * reference.box.width * scale


def test_yunet_gives_the_landmarks_in_order(portrait, yunet):
    (face,) = YuNetDetector(yunet).detect(portrait)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert np.abs(np.array([right_eye, left_eye]) - EYES).max() < 5
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert right_eye[1] < nose[1] < right_mouth[1]


def test_largest_first(detector, portrait):
    small = cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)
    both = np.zeros((512, 812, 3), np.uint8)
    both[:300, :300], both[:, 300:] = small, portrait
    large, other = detector.detect(both)
    assert large.box.area > other.box.area
    assert large.box.x > 300 > other.box.x


def test_the_whole_picture_can_be_the_face(portrait):
    (face,) = make_detector("whole").detect(portrait[:300, :200])
    assert face.box == Box(0, 0, 200, 300)
    with pytest.raises(ModelError, match="min_score and search_size: the detector 'whole' searches nothing"):
        make_detector("whole", min_score=0.5, search_size=640)


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (700, 2), (7, 9), (31, 33)])
def test_tiny_pictures_without_a_face_have_none(shape, detector):
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []
    assert detector.detect(np.full((*shape, 3), 255, np.uint8)) == []


def test_scores_and_sizes_can_be_demanded(portrait, yunet):
    assert HaarDetector(min_score=0.999).detect(portrait) == []
    assert HaarDetector(min_size=200).detect(portrait) == []
    assert YuNetDetector(yunet, min_score=0.99).detect(portrait) == []
    assert YuNetDetector(yunet, min_size=200).detect(portrait) == []


def test_threads_may_share_a_detector(detector, portrait):
    pictures = [portrait, cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)] * 6
    alone = [detector.detect(p)[0].box for p in pictures]
    with ThreadPoolExecutor(3) as pool:
        assert [f[0].box for f in pool.map(detector.detect, pictures)] == alone


def test_auto_is_yunet_once_pulled(home, yunet):
    assert make_detector().name == "haar"
    with pytest.raises(ModelError, match="mien models pull yunet"):
        make_detector("yunet")
    target = home / "models" / yunet.name
    target.parent.mkdir(parents=True)
    target.write_bytes(yunet.read_bytes())
    assert make_detector().name == "yunet"
    assert make_detector("haar").name == "haar"


def test_a_damaged_yunet_is_refused(home):
    target = home / "models" / "face_detection_yunet_2026may.onnx"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"half")
    with pytest.raises(ChecksumError, match="mien models pull yunet"):
        make_detector()


def test_no_network_no_detector(tmp_path: Path, capfd):
    path = tmp_path / "no.onnx"
    path.write_bytes(b"text")
    with pytest.raises(ModelError, match=r"no\.onnx.*cannot load"):
        YuNetDetector(path)


def test_an_unknown_detector_is_refused():
    with pytest.raises(ModelError, match="auto, haar, yunet"):
        make_detector("retinaface")  # type: ignore[arg-type]
