"""Hard cuts: found at once, told from flashes, fades, light, hands and cameras that move; and what they end."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

import cuts as films
from mien import Recognizer
from mien.core.face import Event
from mien.runtime.stream.cuts import CutDetector
from mien.runtime.stream.stream_picture import ArrayPicture
from mien.runtime.stream.watcher import Watcher

FPS = 25


def found(pictures, *, fps: float = FPS, start: float = 0.0) -> list[int]:
    """Numbers of the pictures before which a cut is told."""
    detector = CutDetector()
    return [
        index
        for index, picture in enumerate(pictures)
        if detector.step(ArrayPicture(picture, index=index, time=start + index / fps))
    ]


def shot(seed: int, camera: str = "still", fps: int = FPS):
    rng = np.random.default_rng(seed)
    return films.Shot(camera, [films._portraits(None)(rng)], fps, rng)


def still(name: str) -> np.ndarray:
    picture = getattr(data, name)()
    picture = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("fps", [10, 25, 50])
def test_every_cut_of_a_film_is_told_with_its_picture(fps):
    lengths = [30, 8, 45, 20, 60]
    pictures = [
        one.frame()
        for number, (length, camera) in enumerate(zip(lengths, films.CAMERAS, strict=True))
        for one in [shot(number, camera, fps)]
        for _ in range(length)
    ]
    assert found(pictures, fps=fps) == np.cumsum(lengths)[:-1].tolist()


@pytest.mark.parametrize("hazard", films.HAZARDS)
@pytest.mark.parametrize("camera", films.CAMERAS)
def test_what_is_no_cut_does_not_fire(hazard, camera):
    rng = np.random.default_rng(3)
    assert found(films._hazardous(hazard, shot(1, camera), shot(2), FPS, rng)) == []


@pytest.mark.parametrize("between", [0, 255])
def test_a_cut_through_a_black_or_white_picture_is_one_cut(between):
    flat = np.full((180, 320, 3), between, np.uint8)
    one, other = still("astronaut"), still("coffee")
    assert found([one] * 10 + [flat] * 2 + [other] * 10) == [12]
    assert found([one] * 10 + [flat] * 2 + [one] * 10) == []


def test_a_cut_from_dark_to_bright_is_told_once_it_cannot_be_a_flash():
    dark = cv2.convertScaleAbs(still("astronaut"), alpha=0.3)
    bright = cv2.convertScaleAbs(still("coffee"), alpha=1.0, beta=90)
    (at,) = found([dark] * 10 + [bright] * 20)
    assert 0.2 <= (at - 10) / FPS <= 0.28
    assert found([dark] * 10 + [bright] * 3 + [dark] * 20) == []


def test_pictures_far_apart_in_time_say_nothing():
    assert found([still("astronaut"), still("coffee"), still("astronaut")], fps=0.5) == []


def test_a_stream_that_changes_its_size_begins_anew():
    assert found([still("astronaut")] * 5 + [still("coffee")[:, :200]] * 5) == []


@pytest.fixture
def reader():
    return Recognizer("small", detector="haar").reader


def film(*names: str, length: int = 15):
    """The astronaut, at the same place before each of the backgrounds."""
    head = data.astronaut()[:300, 100:400]
    index = 0
    for name in names:
        background = cv2.resize(still(name), (640, 360))
        for _ in range(length):
            picture = background.copy()
            picture[30:330, 170:470] = head
            if name == "coffee":
                picture[30:330, 170:470] = head[:, ::-1] // 2
            yield ArrayPicture(picture, index=index, time=index / FPS)
            index += 1


def test_a_cut_ends_every_track_and_is_an_event(reader):
    watcher = Watcher(reader)
    frames = [watcher.step(picture) for picture in film("rocket", "coffee", length=30)]
    tracks = [{face.track.id for face in frame.faces} for frame in frames]
    assert tracks[29] == {1}
    assert tracks[30] == {2}  # searched at once
    assert [event for event in frames[30].events if event.kind == "cut"] == [Event.cut(30 / FPS)]
    began = [event for frame in frames[:30] for event in frame.events if event.kind == "began"]
    ended = [event for event in frames[30].events if event.kind == "ended"]
    assert [event.track for event in ended] == [event.track for event in began] == [1]
    assert frames[30].faces[0].track.smoothed.probabilities == pytest.approx(frames[30].faces[0].reading.probabilities)


def test_a_watcher_of_a_camera_knows_no_cuts(reader):
    watcher = Watcher(reader, cuts=False)
    frames = [watcher.step(picture) for picture in film("rocket", "coffee")]
    assert {face.track.id for frame in frames for face in frame.faces} == {1}
    assert not any(event.kind == "cut" for frame in frames for event in frame.events)


@pytest.mark.parametrize(
    "values", [("cut", 1, None, 0.0, None), ("cut", None, None, 0.0, 0.5), ("began", None, None, 0.0, None)]
)
def test_an_event_is_whole(values):
    with pytest.raises(ValueError, match="needs a track"):
        Event(*values)
