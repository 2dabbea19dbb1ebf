"""Between looking and reading: whose face is cut out, and one network call for several streams."""

from __future__ import annotations

import pytest

from mien import Recognizer
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import YuNetDetector
from mien.runtime.stream.stream_picture import ArrayPicture
from mien.runtime.stream.watcher import Watcher
from runtime.streams import moving_faces


@pytest.fixture
def recognizer(toy, yunet) -> Recognizer:
    return Recognizer(toy, detector=YuNetDetector(yunet))


def shots(frames: int, faces: int) -> list[ArrayPicture]:
    return [ArrayPicture(p, index=i, time=i / 15) for i, p in enumerate(moving_faces(frames, width=640, faces=faces))]


def test_only_the_chosen_face_is_cut_out_and_read(recognizer):
    watcher, alone = Watcher(recognizer.reader), Watcher(recognizer.reader)
    for shot in shots(12, 3):
        everybody = alone.step(shot)
        look = watcher.look(shot, choose=lambda seen: [2])
        (readings,) = recognizer.reader.read([look.crops])
        frame = watcher.conclude(look, readings)
        assert len(look) == len(readings) == 1
        assert {one.track for one in look.others} == {1, 3}
        assert all(len(crops) == 1 for crops in look.crops.values())
        (mine,) = frame.faces
        (same,) = (face for face in everybody.faces if face.track and face.track.id == 2)
        assert mine.to_dict() == same.to_dict()


def test_nobody_is_read_where_nobody_is_chosen(recognizer, monkeypatch):
    monkeypatch.setattr(OnnxClassifier, "read", lambda *_: pytest.fail("a network was asked"))
    watcher = Watcher(recognizer.reader)
    look = watcher.look(shots(1, 2)[0], choose=lambda seen: ())
    frame = watcher.conclude(look, recognizer.reader.read([look.crops])[0])
    assert frame.faces == ()
    assert (len(look), len(look.others), look.crops) == (0, 2, {})


def test_several_streams_share_one_call(recognizer, monkeypatch):
    calls = []
    original = OnnxClassifier.read
    monkeypatch.setattr(OnnxClassifier, "read", lambda self, crops: calls.append(len(crops)) or original(self, crops))
    streams = [shots(4, faces) for faces in (1, 2, 3)]
    together = [Watcher(recognizer.reader) for _ in streams]
    frames = []
    for pictures in zip(*streams, strict=True):
        looks = [watcher.look(shot) for watcher, shot in zip(together, pictures, strict=True)]
        readings = recognizer.reader.read([look.crops for look in looks])
        frames.append([w.conclude(look, own) for w, look, own in zip(together, looks, readings, strict=True)])
    assert calls == [6] * 4
    for number, pictures in enumerate(streams):
        apart = Watcher(recognizer.reader)
        for shot, given in zip(pictures, frames, strict=True):
            expected = apart.step(shot)
            assert [f.box for f in given[number].faces] == [f.box for f in expected.faces]
            for one, other in zip(given[number].faces, expected.faces, strict=True):
                assert one.reading.probabilities == pytest.approx(other.reading.probabilities, abs=1e-6)
