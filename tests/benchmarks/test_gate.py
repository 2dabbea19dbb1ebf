"""How the gate is measured: the area under the curve, which finds count as faces, and the page made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import gate
import gate_data
import gate_page
from mien.core.face import Box, Face
from mien.core.manifest import FaceGateManifest, Manifest
from mien.core.places import BUNDLED
from mien.runtime.inference.library import DEFAULT_MODEL, FACE_GATE


def test_the_area_under_the_curve_is_scikit_learns():
    rng = np.random.default_rng(0)
    faces, others = rng.normal(1, 1, 300).round(1), rng.normal(0, 1, 200).round(1)  # with ties
    truth = [1] * 300 + [0] * 200
    assert gate.auc(faces, others) == pytest.approx(roc_auc_score(truth, np.concatenate([faces, others])))
    assert gate.auc(np.array([2.0]), np.array([1.0])) == 1.0


def test_the_roc_tells_what_is_refused_where_faces_are_kept():
    faces, others = np.arange(1000, dtype=np.float32), np.arange(-500, 500, dtype=np.float32)
    curve = gate._roc(faces, others)
    at = dict(zip(curve["faces_kept"], curve["others_refused"], strict=True))
    assert at[0.8] == pytest.approx(0.7, abs=0.002)  # below 200 lie 700 of the others
    assert at[0.99] == pytest.approx(0.51, abs=0.002)
    assert curve["others_refused"] == sorted(curve["others_refused"])


class _Finder:
    name = "made"

    def detect(self, picture):
        return [Face(Box(x, 10, 40, 40), 1.0) for x in (10, 24, 150)]


def test_finds_are_sorted_by_where_faces_were_drawn():
    picture = np.random.default_rng(0).integers(0, 256, (120, 240, 3), dtype=np.uint8)
    found = gate.Finds()
    gate._sort(picture, _Finder(), [Box(10, 10, 40, 40)], found)
    assert (len(found.faces), len(found.others)) == (1, 1)  # the second overlaps by 0.48, neither
    assert found.faces[0].shape == (48, 48)


def test_what_measures_trains_nothing():
    assert not set(gate_data.HELD_OUT) & set(gate_data.TRAINED_ON)
    assert "astronaut.png" not in gate_data.TRAINED_ON  # the videos are made of her
    pictures = gate_data.pictures((*gate_data.TRAINED_ON, *gate_data.HELD_OUT))
    assert all(picture.ndim == 2 and max(picture.shape) <= 640 for picture in pictures)
    with pytest.raises(ValueError, match="PrivateTest"):
        gate_data.fer2013(None, "private")


def test_easy_finds_near_a_face_are_left_out():
    scene = gate_data.pictures(("coffee.png",))[0]
    found = gate_data.loose_finds(scene, neighbours=0)
    assert found.shape[1:] == (48, 48)
    height, width = scene.shape
    boxes = [Box(x, y, 60.0, 60.0) for x in range(0, width, 10) for y in range(0, height, 10)]
    assert len(gate_data.loose_finds(scene, neighbours=0, but=boxes)) < max(len(found), 1)


def _contender(name: str, share: float) -> dict:
    one = {"n": 10, "share": share, "auc": share}
    roc = {"faces_kept": [0.99, 0.9], "others_refused": [share / 2, share]}
    return {
        "name": name,
        "sha256": 64 * "a",
        "ms_a_face": 0.05,
        "kept": {"jaffe": one},
        "refused": {"patches": one},
        "roc": roc,
    }


def test_the_page_sets_both_side_by_side():
    setting = {"commit": "abcdef1234", "time": "2026-11-21T00:00:00", "machine": {"cpu": "a machine"}, "frames": 30}
    setting |= {"model": "small"}
    setting["cold"] = {"open": 2.0, "first": 0.5, "face": 0.03}
    setting["stream"] = {"video": "v", "frames": 9, "found": {"gate": {"missed": 0, "false": 1, "rejected": 2}}}
    page = gate_page.page(setting | {"contenders": [_contender("gate", 0.9), _contender("energy", 0.4)]})
    assert "The energy is that of `small`" in page
    assert "| jaffe | 10 | 90.0 | 40.0 |" in page
    assert "| patches | 10 | 0.900 | 0.400 |" in page
    assert "| 99 | 45.0 | 20.0 |" in page
    assert "| gate | 0 | 1 | 2 |" in page
    assert "2.5 ms of CPU once" in page


def test_what_is_written_down_is_of_the_gate_and_the_model_that_ship():
    measured = json.loads((Path(gate.__file__).parent / "results" / "gate.json").read_text(encoding="utf-8"))
    ships = [FaceGateManifest.read(FACE_GATE).sha256, Manifest.read(BUNDLED / f"{DEFAULT_MODEL}.json").sha256]
    assert [one["sha256"] for one in measured["contenders"]] == ships, "python benchmarks/gate.py measure"
    assert measured["model"] == DEFAULT_MODEL
