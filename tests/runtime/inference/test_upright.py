"""Pictures that lie on their side are read as if they were upright."""

import cv2
import numpy as np
import pytest

from mien import Recognizer
from mien.core.face import Box, Face
from mien.core.preprocess import InputSpec, crop_face
from mien.runtime.inference.detect import HaarDetector, YuNetDetector
from mien.runtime.inference.upright import turned, turned_back, way_up


@pytest.fixture(params=["haar", "yunet"])
def detector(request):
    return HaarDetector() if request.param == "haar" else YuNetDetector(request.getfixturevalue("yunet"))


class Counting:
    """A detector of faces with given scores, by the way up of an arrow that the picture shows."""

    name, sure = "counting", 0.8

    def __init__(self, scores):
        self.scores, self.asked = scores, []

    def detect(self, picture):
        self.asked.append(picture.shape[:2])
        up = next(turn for turn in (0, 90, 180, 270) if turned(picture, (360 - turn) % 360)[0, 0].all())
        score = self.scores.get(up, 0)
        return [Face(Box(1, 1, 5, 5), score)] if score else []


def marked(height=30, width=40):
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[0, 0] = 255
    return picture


def everything(picture, faces):
    return faces


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("landmarks", [True, False])
def test_a_turned_face_is_cut_out_as_if_it_were_upright(degrees, landmarks):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (90, 130, 3), dtype=np.uint8), (0, 0), 2)
    points = np.array([[40, 30], [60, 33], [52, 44], [43, 55], [58, 57]], dtype=np.float32) if landmarks else None
    upright = Face(Box(30.0, 20.0, 41.0, 47.0), 0.9, points)
    lying = turned(picture, 360 - degrees)
    face = turned_back(upright, degrees, lying.shape[1], lying.shape[0])
    assert face.turned == degrees
    for spec in (InputSpec(), InputSpec(size=96, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3, margin=0.2)):
        assert np.abs(crop_face(lying, face, spec).astype(int) - crop_face(picture, upright, spec)).max() <= 2


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_picture_is_read_the_same_whichever_way_it_lies(degrees, detector, portrait):
    recognizer = Recognizer("small", detector=detector)
    (upright,) = recognizer.read(portrait).faces
    (face,) = recognizer.read(turned(portrait, 360 - degrees)).faces
    assert (face.turned, face.to_dict()["turned"]) == (degrees, degrees)
    np.testing.assert_allclose(face.reading.probabilities, upright.reading.probabilities, atol=0.03)
    back = turned_back(upright, degrees, 512, 512) if degrees else upright
    assert face.box.iou(back.box) > 0.95


def test_a_large_picture_that_lies_is_read_upright(yunet, portrait):
    large = cv2.resize(portrait, (3000, 3000), interpolation=cv2.INTER_LINEAR)
    (face,) = Recognizer("small", detector=YuNetDetector(yunet)).read(turned(large, 90)).faces
    assert face.turned == 270


def test_a_sure_detection_ends_the_search():
    detector = Counting({0: 0.85, 90: 0.99})
    assert way_up(marked(), detector.detect(marked()), detector, everything) == 0
    assert len(detector.asked) == 1


@pytest.mark.parametrize(
    ("scores", "degrees"),
    [({}, 0), ({90: 0.79}, 0), ({0: 0.7, 90: 0.75}, 0), ({0: 0.7, 180: 0.9, 270: 0.85}, 180), ({270: 0.85}, 270)],
)
def test_a_picture_is_turned_for_a_sure_detection_alone(scores, degrees):
    detector = Counting(scores)
    picture = marked()
    assert way_up(picture, detector.detect(picture), detector, everything) == degrees


def test_what_the_face_gate_refuses_turns_nothing():
    detector = Counting({90: 0.99})
    assert way_up(marked(), [], detector, lambda picture, faces: []) == 0


def test_a_detector_that_does_not_know_its_scores_is_not_asked_again():
    detector = Counting({90: 0.99})
    del Counting.sure
    try:
        assert way_up(marked(), [], detector, everything) == 0
    finally:
        Counting.sure = 0.8
    assert detector.asked == []


def test_a_face_is_turned_by_quarters():
    with pytest.raises(ValueError, match="turned by 0, 90, 180 or 270 degrees, got 45"):
        Face(Box(0, 0, 1, 1), 1.0, turned=45)
