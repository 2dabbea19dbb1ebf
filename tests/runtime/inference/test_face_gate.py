"""The bundled face-or-not gate: what it keeps and refuses, in pictures and in streams, and when its file is damaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import nonfaces
from mien import Recognizer
from mien.core.errors import ChecksumError, ConfigError
from mien.core.face import Box, Face
from mien.core.preprocess import InputSpec, crop_face, same_crops
from mien.runtime.inference import library
from mien.runtime.inference.face_gate import bundled_gate

FACE, WALL = Box(169, 64, 108, 108), Box(10, 330, 60, 60)


class Finds:
    name = "finds"

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def detect(self, picture):
        return [Face(box, 0.9) for box in self.boxes]


@pytest.fixture(scope="module")
def gate():
    return bundled_gate()


def test_keeps_a_face_and_refuses_what_is_none(gate, portrait):
    rng = np.random.default_rng(0)
    face, wall = (crop_face(portrait, Face(box, 1.0), gate.input) for box in (FACE, WALL))
    assert gate.accepts(np.stack([face, wall, face[:, ::-1]])).tolist() == [True, False, True]
    assert gate.accepts(nonfaces.synthesised(200, rng)).mean() < 0.1
    assert gate.accepts(nonfaces.shuffled(face[None], 200, rng)).mean() < 0.25


def test_an_answer_does_not_depend_on_the_batch(gate):
    crops = nonfaces.synthesised(300, np.random.default_rng(1))  # more than go through at once
    together = gate.accepts(crops)
    assert together.tolist() == [bool(gate.accepts(crop[None])[0]) for crop in crops]
    assert gate.accepts(crops[:0]).shape == (0,)


@pytest.mark.parametrize("model", [{}, {"channels": 3}, {"size": 64}], ids=str)
def test_false_finds_of_a_picture_are_dropped_and_counted(make_model, portrait, model):
    path = make_model(**model)
    frame = Recognizer(path, detector=Finds(WALL, FACE)).read(portrait)
    assert (len(frame), frame.rejected) == (1, 1)
    assert frame.faces[0].box == FACE
    alone = Recognizer(path, detector=Finds(FACE), reject_non_faces=False).read(portrait)
    np.testing.assert_allclose(frame.readings[0].probabilities, alone.readings[0].probabilities, atol=1e-6)
    both = Recognizer(path, detector=Finds(WALL, FACE), reject_non_faces=False).read(portrait)
    assert (len(both), both.rejected) == (2, 0)
    none = Recognizer(path, detector=Finds(WALL)).read(portrait)
    assert (len(none), none.rejected) == (0, 1)


def test_many_pictures_are_dealt_with_as_each_alone(make_model, portrait):
    recognizer = Recognizer(make_model(), detector=Finds(WALL, FACE))
    pictures = [portrait, portrait[:, ::-1].copy(), np.zeros_like(portrait)]
    together = [(len(frame), frame.rejected) for frame in recognizer.read_many(pictures)]
    assert together == [(len(frame), frame.rejected) for frame in map(recognizer.read, pictures)]
    assert together[-1] == (0, 2)


def test_the_energy_is_not_asked_where_the_gate_decides(make_model, portrait):
    frame = Recognizer(make_model(energy_threshold=1e6), detector=Finds(FACE)).read(portrait)
    assert (len(frame), frame.rejected) == (1, 0)


def test_a_damaged_gate_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "gate"
    shutil.copytree(library.FACE_GATE.parent, folder)
    monkeypatch.setattr("mien.runtime.inference.face_gate.FACE_GATE", folder / "gate.json")
    assert bundled_gate() is not None
    (folder / "gate.onnx").write_bytes(b"weights")
    with pytest.raises(ChecksumError, match=r"gate\.onnx has 7 bytes"):
        bundled_gate()
    (folder / "gate.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        bundled_gate()


def test_there_may_be_no_gate(no_gate, toy, portrait):
    recognizer = Recognizer(toy, detector=Finds(WALL, FACE))
    assert recognizer.reader.face_gate is None
    assert len(recognizer.read(portrait)) == 2


def test_is_listed_verified_and_small():
    found = library.entry("gate")
    assert (found.kind, found.state) == ("gate", "bundled")
    assert dict(library.verify())["gate"] is None
    manifest = json.loads(library.FACE_GATE.read_text())
    assert manifest["parameters"] <= 10_000
    assert found.path.stat().st_size <= 100_000


def test_crops_are_the_same_whatever_is_subtracted_from_them():
    spec = InputSpec()
    assert same_crops(spec, replace(spec, mean=(1.0,), std=(2.0,)))
    assert same_crops(spec, replace(spec, mean=(1.0,) * 3, std=(2.0,) * 3))  # grey shown as RGB
    for other in (
        replace(spec, size=64),
        replace(spec, margin=0.1),
        InputSpec(channels=3, mean=(1,) * 3, std=(1,) * 3),
    ):
        assert not same_crops(spec, other)
