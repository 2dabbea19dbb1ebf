"""From pictures to frames: order, batches, errors, rejection, several models."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import Recognizer
from mien.core.errors import ModelError, PictureError, PictureTooLargeError, UnreadablePictureError
from mien.core.face import Box, Face, Frame
from mien.core.preprocess import crop_picture
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import HaarDetector, YuNetDetector
from mien.runtime.inference.library import open_model


def write(path: Path, picture: np.ndarray) -> Path:
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def same(one: Frame, other: Frame) -> bool:
    """Equal but for rounding: a batch may be multiplied in another order."""
    first, second = one.to_dict(), other.to_dict()
    first_faces, second_faces = first.pop("faces"), second.pop("faces")
    assert first == second
    for a, b in zip(first_faces, second_faces, strict=True):
        assert a["box"] == b["box"]
        for x, y in zip(a["readings"], b["readings"], strict=True):
            np.testing.assert_allclose(list(x["probabilities"].values()), list(y["probabilities"].values()), atol=1e-5)
    return True


@pytest.fixture
def recognizer(toy, yunet) -> Recognizer:
    return Recognizer(toy, detector=YuNetDetector(yunet))


def test_a_face_is_read_from_a_file_and_from_an_array(recognizer, portrait, tmp_path):
    frame = recognizer.read(portrait)
    assert (frame.width, frame.height, frame.detector, frame.models) == (512, 512, "yunet", ("toy",))
    assert frame.source is None
    (face,) = frame.faces
    assert float(face.reading.probabilities.sum()) == pytest.approx(1, abs=1e-6)
    path = write(tmp_path / "p.png", portrait)
    from_file = recognizer.read(path)
    assert from_file.source == str(path)
    assert from_file.faces[0].reading == face.reading
    assert recognizer.read(str(path)).faces[0].reading == face.reading


def test_a_grey_array_is_a_picture(recognizer, portrait):
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    frame = recognizer.read(grey)
    assert len(frame) == 1
    assert same(frame, recognizer.read(np.dstack([grey, grey, grey])))


def test_a_picture_that_is_the_face_is_read_as_datasets_are_whatever_a_gate_says(portrait):
    crop = np.ascontiguousarray(portrait[64:171, 171:278])
    whole = Recognizer("tiny", detector="whole")
    spec = whole.models[0].input
    for picture in (crop, np.zeros((48, 48, 3), np.uint8)):
        (face,) = whole.read(picture).faces
        (expected,) = whole.models[0].read(crop_picture(picture, spec)[None])
        assert face.reading == expected


def test_without_a_face_nothing_is_read(recognizer):
    frame = recognizer.read(np.full((300, 400, 3), 90, np.uint8))
    assert (len(frame), frame.rejected, frame.width, frame.height) == (0, 0, 400, 300)


def test_many_pictures_read_as_each_alone_and_in_order(recognizer, portrait, tmp_path):
    pictures = []
    for index in range(11):
        face = cv2.resize(portrait, (150 + 30 * index,) * 2, interpolation=cv2.INTER_AREA)
        pictures.append(write(tmp_path / f"{index}.png", face if index % 3 else face * 0))
    alone = [recognizer.read(p) for p in pictures]
    assert [len(f) for f in alone] == [int(i % 3 > 0) for i in range(11)]
    for batch in (1, 4, 32):
        together = list(recognizer.read_many(pictures, batch=batch))
        assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def test_more_threads_change_nothing(toy, yunet, recognizer, portrait):
    pictures = [cv2.resize(portrait, (200 + 10 * i,) * 2) for i in range(9)]
    threaded = Recognizer(toy, detector=YuNetDetector(yunet), threads=3)
    together = zip(recognizer.read_many(pictures), threaded.read_many(pictures, batch=4), strict=True)
    assert all(same(a, b) for a, b in together)


def test_each_network_is_called_once_for_all_faces_of_a_batch(toy, yunet, portrait, monkeypatch):
    calls = []
    original = OnnxClassifier.logits
    monkeypatch.setattr(OnnxClassifier, "logits", lambda self, crops: calls.append(len(crops)) or original(self, crops))
    pair = np.hstack([portrait, portrait])
    recognizer = Recognizer(toy, detector=YuNetDetector(yunet))
    assert [len(f) for f in recognizer.read_many([portrait, pair, portrait * 0, pair], batch=4)] == [1, 2, 0, 2]
    assert calls == [5]


def test_an_endless_stream_is_read_with_a_bounded_look_ahead(recognizer, portrait):
    taken = count()

    def stream():
        while True:
            next(taken)
            yield portrait[:256, 64:320]

    assert [len(f) for f in islice(recognizer.read_many(stream(), batch=2), 5)] == [1] * 5
    assert next(taken) <= 5 + 1 + 2 * 2 + 2


def test_errors_are_told_in_turn_and_reading_goes_on(recognizer, portrait, tmp_path):
    good = write(tmp_path / "good.png", portrait)
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    events: list[str] = []

    def note(source: str, error: PictureError) -> None:
        events.append(f"{Path(source).name} {type(error).__name__}")

    for frame in recognizer.read_many([good, bad, good, tmp_path / "gone.png"], on_error=note):
        assert frame.source
        events.append(f"{Path(frame.source).name} {len(frame)}")
    wrong = "UnreadablePictureError"
    assert events == ["good.png 1", f"bad.jpg {wrong}", "good.png 1", f"gone.png {wrong}"]


def test_nothing_but_errors_and_nothing_at_all(recognizer, tmp_path):
    errors: list[str] = []
    assert list(recognizer.read_many([tmp_path / "gone.png"] * 3, on_error=lambda s, e: errors.append(s))) == []
    assert len(errors) == 3
    assert list(recognizer.read_many([])) == []


def test_without_a_handler_an_error_is_raised_after_what_came_before(recognizer, portrait, tmp_path):
    good = write(tmp_path / "good.png", portrait)
    frames = recognizer.read_many([good, tmp_path / "gone.png", good])
    assert len(next(frames)) == 1
    with pytest.raises(UnreadablePictureError, match=r"gone\.png"):
        next(frames)


def test_one_picture_is_not_taken_for_many(recognizer, portrait, tmp_path):
    for one in (write(tmp_path / "good.png", portrait), str(tmp_path), portrait, portrait[..., 0]):
        with pytest.raises(PictureError, match="use read for one"):
            recognizer.read_many(one)
    assert [len(frame) for frame in recognizer.read_many(np.stack([portrait, portrait]))] == [1, 1]


def test_an_array_that_is_no_picture_is_named_by_its_place(recognizer, portrait):
    told: list[tuple[str, str]] = []
    pictures = [portrait, portrait / 255]
    list(recognizer.read_many(pictures, on_error=lambda source, error: told.append((source, str(error)))))
    ((source, words),) = told
    assert source == "picture 1"
    assert words.startswith("picture 1: a picture must be a uint8 array")


def test_a_mistake_in_a_detector_is_not_hidden(toy):
    class Broken:
        name = "broken"

        def detect(self, picture):
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        list(Recognizer(toy, detector=Broken()).read_many([np.zeros((9, 9, 3), np.uint8)], on_error=lambda s, e: None))


def test_the_limit_of_pixels_holds(toy, portrait, tmp_path):
    path = write(tmp_path / "p.png", portrait)
    with pytest.raises(PictureTooLargeError, match="max_pixels=262144"):
        Recognizer(toy, detector="haar", max_pixels=1000).read(path)


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.float64), None, 3])
def test_what_is_no_picture_is_refused(picture, recognizer):
    with pytest.raises(PictureError, match="a picture"):
        recognizer.read(picture)


def test_two_models_read_every_face(make_model, yunet, portrait):
    one, other = make_model("one"), make_model("other", seed=5, size=64, channels=3)
    frame = Recognizer([one, open_model(other)], detector=YuNetDetector(yunet)).read(portrait)
    assert frame.models == ("one", "other")
    for index, path in enumerate((one, other)):
        alone = Recognizer(path, detector=YuNetDetector(yunet)).read(portrait)
        assert frame.faces[0].readings[index] == alone.readings[0]


def test_models_need_different_names(toy):
    with pytest.raises(ModelError, match=r"different names, got \(toy, toy\): mien export RUN --name"):
        Recognizer([toy, toy], detector="haar")
    with pytest.raises(ModelError, match="give one model"):
        Recognizer([], detector="haar")


class Finds:
    """A detector that finds a face wherever it is told to."""

    name = "finds"

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def detect(self, picture):
        return [Face(box, 0.5) for box in self.boxes]


def test_without_a_gate_a_find_unlike_a_face_to_every_model_is_rejected(make_model, portrait, no_gate):
    detector = Finds(Box(169, 64, 108, 108), Box(0, 300, 50, 50))
    open_to_all, strict = make_model("open"), make_model("strict", energy_threshold=1e6)
    assert Recognizer(open_to_all, detector=detector).read(portrait).rejected == 0
    frame = Recognizer(strict, detector=detector).read(portrait)
    assert (len(frame), frame.rejected) == (0, 2)
    assert len(Recognizer([open_to_all, strict], detector=detector).read(portrait)) == 2
    assert len(Recognizer(strict, detector=detector, reject_non_faces=False).read(portrait)) == 2
    energies = [r.energy for r in Recognizer(open_to_all, detector=detector).read(portrait).readings]
    between = make_model("between", energy_threshold=sum(energies) / 2)
    frame = Recognizer(between, detector=detector).read(portrait)
    assert (len(frame), frame.rejected) == (1, 1)
    assert frame.readings[0].energy == max(energies)


def test_a_face_across_the_edge_is_read(make_model, portrait):
    detector = Finds(Box(-40, -40, 100, 100), Box(480, 480, 90, 90))
    assert len(Recognizer(make_model(), detector=detector, reject_non_faces=False).read(portrait)) == 2


@pytest.mark.parametrize("axis", [0, 1])
def test_a_panorama_reads_like_a_part_of_it(axis, make_model, portrait):
    """OpenCV samples from no picture with a side of 32,767 pixels or more."""
    model, (face,) = make_model(), HaarDetector().detect(portrait)
    shift = [0, 0]
    shift[1 - axis] = 30_000
    shape = [512, 512, 3]
    shape[axis] = 34_000
    panorama = np.zeros(shape, np.uint8)
    panorama[shift[1] : shift[1] + 512, shift[0] : shift[0] + 512] = portrait
    moved = Box(face.box.x + shift[0], face.box.y + shift[1], face.box.width, face.box.height)
    (expected,) = Recognizer(model, detector=Finds(face.box)).read(portrait).readings
    (found,) = Recognizer(model, detector=Finds(moved)).read(panorama).readings
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=0.01)


def test_min_score_belongs_to_a_named_detector(toy, portrait):
    assert len(Recognizer(toy, detector="haar", min_score=0.999).read(portrait)) == 0
    with pytest.raises(ModelError, match="set it on the detector itself"):
        Recognizer(toy, detector=HaarDetector(), min_score=0.5)


@pytest.mark.parametrize("score", [5, -1, float("nan"), "a"])
def test_a_least_score_is_a_share(toy, score):
    with pytest.raises(ModelError, match="min_score must be a number from 0 to 1"):
        Recognizer(toy, detector="haar", min_score=score)


@pytest.mark.parametrize(("score", "found"), [(0.5, 1), (0.999, 0)])
def test_a_least_score_may_be_numpys(toy, portrait, score, found):
    assert len(Recognizer(toy, detector="haar", min_score=np.float32(score)).read(portrait)) == found


@pytest.mark.parametrize("threads", [0, "2", 1.5])
def test_threads_are_counted(toy, threads):
    with pytest.raises(ModelError, match="threads must be a whole number"):
        Recognizer(toy, threads=threads)


def test_frames_are_frozen(recognizer, portrait):
    frame = recognizer.read(portrait)
    with pytest.raises(AttributeError):
        frame.width = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        frame.readings[0].probabilities[0] = 1


def test_an_unknown_model_is_named(home):
    with pytest.raises(ModelError, match="unknown model 'gone'"):
        Recognizer("gone")
