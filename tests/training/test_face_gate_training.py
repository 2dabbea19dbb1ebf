"""The gate learns drawn faces from what is none, comes out the same from the same seed, and is exported as it is."""

import numpy as np
import onnxruntime
import pytest
import torch

import nonfaces
from conftest import draw_face
from mien.core.errors import ModelError, TrainingError
from mien.core.manifest import FaceGateManifest
from mien.models.export import Provenance, export_face_gate
from mien.training.face_gate_training import fit_face_gate

ABOUT = Provenance("gate", "Face or not.", "drawn faces", "none", "Apache-2.0", seed=3)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    faces = np.stack([draw_face(seed % 7, seed) for seed in range(384)])
    others = np.concatenate([nonfaces.synthesised(192, rng), nonfaces.shuffled(faces, 192, rng)])
    return faces, others[rng.permutation(len(others))]


@pytest.fixture(scope="module")
def fitted(crops):
    torch.set_num_threads(1)
    faces, others = crops
    return fit_face_gate(faces[:320], others[:320], epochs=6, seed=3)


def test_tells_faces_that_it_has_not_seen_from_others(fitted, crops):
    faces, others = (fitted.logits(kind[320:])[:, 0] for kind in crops)
    order = np.concatenate([faces, others]).argsort().argsort()
    ranks = order[: len(faces)].sum() - len(faces) * (len(faces) - 1) / 2
    assert ranks / len(faces) / len(others) > 0.9  # the area under the ROC curve


def test_the_same_seed_gives_the_same_weights(fitted, crops):
    faces, others = crops
    one, two = (fit_face_gate(faces[:64], others[:64], epochs=1, seed=3) for _ in range(2))
    assert one.identity == two.identity
    assert one.identity != fit_face_gate(faces[:64], others[:64], epochs=1, seed=4).identity


def test_is_exported_with_the_threshold_that_keeps_the_faces(fitted, crops, tmp_path):
    faces = crops[0][320:]
    manifest = export_face_gate(fitted, faces, tmp_path, ABOUT)
    assert manifest == FaceGateManifest.read(tmp_path / "gate.json")
    assert manifest.parameters <= 10_000
    session = onnxruntime.InferenceSession(manifest.verify(tmp_path), providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"crops": faces})[0]
    assert logits.shape == (64, 1)
    np.testing.assert_allclose(logits[:, 0], fitted.logits(faces)[:, 0], atol=1e-3)
    assert manifest.faces_kept == pytest.approx((logits[:, 0] >= manifest.threshold - 1e-3).mean(), abs=0.02)
    assert manifest.faces_kept >= 0.98


def test_a_graph_that_differs_is_refused(fitted, crops, tmp_path, monkeypatch):
    answers = fitted.logits(crops[0])
    monkeypatch.setattr(fitted, "logits", lambda crops: answers[: len(crops)] + 0.01)
    with pytest.raises(ModelError, match=r"gate: a logit differs by 0\.01 between what was fitted and its graph"):
        export_face_gate(fitted, crops[0], tmp_path, ABOUT)
    assert not list(tmp_path.iterdir())


def test_too_few_crops_are_refused(crops):
    with pytest.raises(TrainingError, match="64 crops or more of either kind, got 10 faces"):
        fit_face_gate(crops[0][:10], crops[1])
