"""Many browsers' frames in one thread: as if each were alone, in shared calls, and no one's fault is another's."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from app.serving import jpeg, on_canvas
from mien.app.live.browser_stream import LARGEST_FRAME, BrowserStream, described
from mien.app.live.engine import Engine
from mien.app.live.subject import Presence
from mien.core.errors import PictureError
from mien.core.face import Box, Face, Frame
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.recognizer import Recognizer


@pytest.fixture
def engine(haar):
    engine = Engine(haar)
    yield engine
    engine.close()


class Busy:
    """A stream that keeps the thread from the next round."""

    def __init__(self, busy: threading.Event, go_on: threading.Event) -> None:
        self._busy, self._go_on = busy, go_on

    def look(self, *_):
        self._busy.set()
        self._go_on.wait(10)
        raise PictureError("nothing")


def watch(engine, stream, frames, *, fps=10.0):
    return [engine.submit(stream, frame, at / fps).result(timeout=10) for at, frame in enumerate(frames)]


def test_a_stream_of_one_face_is_read(engine, one_face):
    views = watch(engine, BrowserStream(engine.recognizer), [one_face] * 14)
    assert [view.presence for view in views[:5]] == [Presence.WAITING] * 5
    last = described(views[-1])
    assert last["own"]["held"] == "happy"
    assert last["own"]["sure"] > 0.5
    assert last["others"] == []
    assert last["size"] == [640, 480]
    assert sum(last["own"]["bars"].values()) == pytest.approx(1, abs=0.01)
    assert "happy" in last["own"]["candidates"]


def test_others_are_neither_cut_out_nor_read(engine, two_faces, monkeypatch):
    crops = []
    original = OnnxClassifier.read
    monkeypatch.setattr(OnnxClassifier, "read", lambda self, given: crops.append(len(given)) or original(self, given))
    views = watch(engine, BrowserStream(engine.recognizer), [two_faces] * 8)
    assert set(crops) == {1}
    assert len(crops) == 3  # nobody before half a second
    assert len(views[0].others) == 2
    (other,) = views[-1].others
    assert views[-1].own is not None
    assert views[-1].own.box.iou(other) == 0
    assert views[-1].faces == 2
    assert isinstance(views[-1].frame, Frame)


def test_what_waits_together_is_read_together(haar, one_face, monkeypatch):
    calls = []
    original = OnnxClassifier.read
    monkeypatch.setattr(OnnxClassifier, "read", lambda self, crops: calls.append(len(crops)) or original(self, crops))
    engine = Engine(haar)
    streams = [BrowserStream(haar) for _ in range(5)]
    for at in range(8):
        busy, go_on = threading.Event(), threading.Event()
        engine.submit(Busy(busy, go_on), b"", 0.0)
        busy.wait(10)
        jobs = [engine.submit(stream, one_face, at / 10) for stream in streams]
        go_on.set()
        assert all(job.result(timeout=10).faces == 1 for job in jobs)
    engine.close()
    assert calls == [5, 5, 5]


@pytest.mark.parametrize("bad", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_a_bad_frame_harms_only_its_own_stream(engine, one_face, bad):
    good, other = BrowserStream(engine.recognizer), BrowserStream(engine.recognizer)
    jobs = [engine.submit(good, one_face, 0.0), engine.submit(other, bad, 0.0), engine.submit(good, one_face, 0.1)]
    with pytest.raises(PictureError):
        jobs[1].result(timeout=10)
    assert jobs[0].result(timeout=10).faces == jobs[2].result(timeout=10).faces == 1
    assert engine.submit(other, one_face, 0.1).result(timeout=10).faces == 1


def test_large_frames_are_refused_before_they_are_decoded(engine, monkeypatch):
    stream = BrowserStream(engine.recognizer)
    with pytest.raises(PictureError, match=r"1\.0 MB"):
        engine.submit(stream, b"\xff\xd8\xff" + b"\0" * LARGEST_FRAME, 0.0).result(timeout=10)
    many_pixels = jpeg(np.zeros((1300, 1300, 3), dtype=np.uint8), quality=10)
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(PictureError, match="1300 x 1300"):
        engine.submit(stream, many_pixels, 0.0).result(timeout=10)


def test_a_network_that_fails_is_told_to_all_and_not_for_good(engine, one_face, monkeypatch):
    stream = BrowserStream(engine.recognizer)
    watch(engine, stream, [one_face] * 7)
    with monkeypatch.context() as broken:
        broken.setattr(OnnxClassifier, "read", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.submit(stream, one_face, 0.8).result(timeout=10)
    assert engine.submit(stream, one_face, 0.9).result(timeout=10).own is not None


def test_time_that_jumps_back_ends_tracks_and_nothing_else(engine, one_face):
    stream = BrowserStream(engine.recognizer)
    watch(engine, stream, [one_face] * 8)
    view = engine.submit(stream, one_face, -100.0).result(timeout=10)
    assert view.own is None
    assert view.faces == 1


def test_a_closed_engine_says_so(haar, one_face):
    engine = Engine(haar)
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.submit(BrowserStream(haar), one_face, 0.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "mien-engine"]


def test_an_empty_picture_shows_nobody(engine):
    blank = jpeg(np.full((480, 640, 3), 90, dtype=np.uint8))
    view = watch(engine, BrowserStream(engine.recognizer), [blank] * 3)[-1]
    assert (view.own, view.others, view.presence) == (None, (), Presence.WAITING)


def test_views_are_told_in_pixels_of_the_frame(engine, astronaut):
    small = jpeg(on_canvas(astronaut, width=480, height=320))
    view = watch(engine, BrowserStream(engine.recognizer), [small] * 8)[-1]
    x, y, width, height = described(view)["own"]["box"]
    assert 100 < x < x + width < 400
    assert 0 < y < y + height < 320


class Wrong:
    """A detector that also finds a face in a pattern, which is larger and nearer the middle."""

    name = "wrong"

    def __init__(self, detector) -> None:
        self._detector = detector

    def detect(self, picture):
        scale = picture.shape[1] / 640
        pattern = Face(Box(180 * scale, 140 * scale, 200 * scale, 200 * scale), 0.9)
        return [pattern, *self._detector.detect(picture)]


def test_a_find_that_the_gate_takes_for_no_face_is_given_up_for_the_person(haar, astronaut):
    rows, columns = np.mgrid[0:200, 0:200]
    canvas = np.full((480, 640, 3), 128, dtype=np.uint8)
    canvas[140:340, 180:380] = ((rows // 10 + columns // 10) % 2 * 120 + 60)[..., None]
    canvas[20:188, 420:574] = cv2.resize(astronaut[0:240, 110:330], (154, 168))
    recognizer = Recognizer(detector=Wrong(haar.detector))
    stream, frame = BrowserStream(recognizer), jpeg(canvas)
    views = []
    for at in range(20):
        look = stream.look(frame, at / 10)
        views.append(stream.conclude(look, recognizer.reader.read([look.crops])[0]))
    assert [view.frame.rejected for view in views].count(1) == 4
    assert views[-1].own is not None
    assert views[-1].own.box.x > 400
