"""A small face detector learns drawn faces, goes on where it was interrupted, and is exported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from conftest import draw_face
from mien.core.errors import ConfigError, TrainingError
from mien.runtime import OwnDetector
from mien.training.face_detector_export import export_face_detector_run
from mien.training.face_detector_fit import (
    HISTORY,
    TEACHER,
    load_face_detector,
    mine,
    train_face_detector,
)
from mien.training.face_detector_recipe import FaceDetectorRecipe
from mien.training.recipe import Optimiser

RECIPE = FaceDetectorRecipe(
    kind="face-detector",
    name="drawn",
    portraits="heads",
    backgrounds="backgrounds",
    width=16,
    stem=8,
    turn=10.0,
    side=64,
    steps=12,
    batch=4,
    mine=(0.5,),
    averaging=0.9,
    validation=20,
    optimiser=Optimiser(rate=3e-3),
)
NO_TEACHER = Path("no-teacher.onnx")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Drawn faces and their backgrounds; the file that says where the faces are, for a run's folder."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name in ("heads", "backgrounds"):
        (folder / name).mkdir()
    for seed in range(80):
        picture = np.full((96, 96, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        picture[16:80, 16:80] = draw_face(seed % 7, seed, 64)[..., None]
        cv2.imwrite(str(folder / "heads" / f"{seed:03}.png"), picture)
    for index in range(60):
        clouds = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (320, 240))
        cv2.imwrite(str(folder / "backgrounds" / f"{index:03}.png"), clouds)
    scale, corner = 64 / 96, 16
    box = np.array([14, 8, 68, 84]) * scale + (corner, corner, 0, 0)
    points = np.array([[33, 38], [63, 38], [48, 54], [38, 74], [58, 74]]) * scale + corner
    heads = np.tile(np.concatenate([box, points.ravel(), [0.9]]).astype(np.float32), (80, 1))
    answers = {"heads": heads, "crops": np.empty((0, 15), np.float32), "faces": np.zeros(60, np.int64)}
    np.savez(folder / TEACHER, **answers)
    return folder


def run(data, folder, recipe=RECIPE):
    folder.mkdir(exist_ok=True)
    (folder / TEACHER).write_bytes((data / TEACHER).read_bytes())
    return train_face_detector(recipe, folder, NO_TEACHER, root=data, threads=1, say=lambda line: None)


def weights(network):
    return torch.cat([values.flatten() for values in network.state_dict().values()])


def test_it_learns_where_drawn_faces_are(data, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.training.face_detector_fit.SAY_EVERY", 20)
    fitted = run(data, tmp_path, replace(RECIPE, steps=160))
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(20, 161, 20))
    for part in ("boxes", "points"):
        assert lines[-1][part] < 0.8 * lines[0][part]
    assert 0 <= lines[-1]["recall"] <= 1
    assert not fitted.training


def test_an_interrupted_run_ends_as_one_that_was_not(data, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.training.face_detector_fit.KEEP_EVERY", 4)
    whole = run(data, tmp_path / "whole")

    calls = []

    def interrupted(network, backgrounds, seed):
        calls.append(seed)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return mine(network, backgrounds, seed)

    monkeypatch.setattr("mien.training.face_detector_fit.mine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "parted")
    with pytest.raises(TrainingError, match="has taken 4 of 12 steps: the same mien train goes on"):
        load_face_detector(tmp_path / "parted")
    parted = run(data, tmp_path / "parted")
    assert calls == [6, 6]
    torch.testing.assert_close(weights(parted), weights(whole), atol=0, rtol=0)
    torch.testing.assert_close(weights(load_face_detector(tmp_path / "parted")), weights(whole), atol=0, rtol=0)


def test_a_run_is_exported_and_used(data, tmp_path):
    run(data, tmp_path)
    manifest = export_face_detector_run(tmp_path, tmp_path, NO_TEACHER, root=data)
    assert manifest.name == "drawn"
    assert "backgrounds without a face" in manifest.trained_on
    detector = OwnDetector(tmp_path / "drawn.json")
    assert detector.sure == manifest.sure
    assert isinstance(detector.detect(np.zeros((70, 90, 3), np.uint8)), list)


def test_another_recipe_in_the_same_folder_is_refused(data, tmp_path):
    run(data, tmp_path)
    with pytest.raises(TrainingError, match="holds the run of another recipe: name another folder with --out"):
        run(data, tmp_path, replace(RECIPE, steps=13))


def test_other_pictures_than_the_teacher_saw_are_refused(data, tmp_path):
    np.savez(tmp_path / TEACHER, heads=np.zeros((3, 15)), crops=np.zeros((0, 15)), faces=np.zeros(60))
    with pytest.raises(TrainingError, match=r"is of other pictures than .* holds now"):
        train_face_detector(RECIPE, tmp_path, NO_TEACHER, root=data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("side: 100", "side must be a multiple of 32"),
        ("turn: 200", "turn must be 0 to 180"),
        ("mine: [1.5]", "mine must be shares"),
        ("batch: 2", "batch must be 4 or more"),
        ("width: 15", "width must be an even number"),
        ("stesp: 3", "unknown key 'stesp': did you mean 'steps'"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"kind: face-detector\nname: x\nportraits: heads\nbackgrounds: grounds\n{text}\n")
    with pytest.raises(ConfigError, match=message):
        FaceDetectorRecipe.read(path)


def test_a_recipe_survives_writing_and_keys_can_be_set(tmp_path):
    RECIPE.write(tmp_path / "recipe.yaml")
    assert FaceDetectorRecipe.describes(tmp_path / "recipe.yaml")
    assert FaceDetectorRecipe.read(tmp_path / "recipe.yaml") == RECIPE
    assert RECIPE.override({"optimiser.rate": 0.01, "steps": 5}).optimiser.rate == 0.01
