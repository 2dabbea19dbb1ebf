"""mien's own face detector: its size, its shapes, and that its export answers as it does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mien.core.anchors import anchors
from mien.core.errors import ModelError
from mien.core.manifest import FaceDetectorManifest
from mien.models.export import Provenance, export_face_detector
from mien.models.face_detector import OUTPUTS, FaceDetectorNetwork, answering_in_half
from mien.runtime import OwnDetector
from mien.runtime.inference.own_detector_network import OwnDetectorNetwork

ABOUT = Provenance("face-detector", "Finds faces.", "nothing", "none", "Apache-2.0", seed=3)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = FaceDetectorNetwork(width=16, stem=8)
    for module in made.modules():  # as after training: norms that do something
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    for head in made.heads:
        nn.init.normal_(head[-1].weight, std=0.2)
        nn.init.zeros_(head[-1].bias)
    return made.eval()


def pictures(*shapes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    sizes = pictures((64, 96), (32, 32), (160, 32))
    return export_face_detector(network, sizes, folder, "eye", ABOUT, min_score=0.5, sure=0.7), folder


def test_there_is_a_row_for_each_anchor(network):
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, len(anchors(2, 3)), OUTPUTS)


def test_every_value_learns(network):
    copied = FaceDetectorNetwork(width=16, stem=8).train()
    copied(torch.rand(2, 3, 64, 64) * 255).square().mean().backward()
    assert all(values.grad is not None and values.grad.abs().sum() > 0 for values in copied.parameters())


def test_it_is_small_enough_to_come_with_mien():
    values = sum(values.numel() for values in answering_in_half(FaceDetectorNetwork()).parameters())
    assert values == 81_613
    assert 2 * values < 200_000


def test_the_export_answers_as_torch_does_at_sizes_it_was_not_checked_on(network, exported):
    manifest, folder = exported
    assert FaceDetectorManifest.read(folder / "eye.json") == manifest
    (picture,) = pictures((96, 224))
    outputs = OwnDetectorNetwork(manifest.verify(folder))._session.run(["faces"], {"picture": picture[None]})[0]
    with torch.inference_mode():
        expected = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float()).numpy()
    # torch's own weights are not rounded
    np.testing.assert_allclose(outputs[..., 0], 1 / (1 + np.exp(-expected[..., 0])), atol=0.02)
    np.testing.assert_allclose(outputs[..., 1:], expected[..., 1:], atol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (33, 31), (100, 260)])
def test_pictures_of_all_shapes_are_searched(exported, shape):
    detector = OwnDetector(exported[1] / "eye.json", min_score=0.01)
    assert detector.name == "eye"
    (picture,) = pictures(shape)
    for face in detector.detect(picture):
        assert np.isfinite(face.landmarks).all()
        assert face.box.width == face.box.height > 0


def test_a_damaged_file_is_refused(exported, tmp_path):
    _, folder = exported
    (tmp_path / "eye.json").write_bytes((folder / "eye.json").read_bytes())
    with pytest.raises(ModelError, match=r"eye\.onnx is missing"):
        OwnDetector(tmp_path / "eye.json")
    (tmp_path / "eye.onnx").write_bytes((folder / "eye.onnx").read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"bytes, its manifest says"):
        OwnDetector(tmp_path / "eye.json")


def test_a_graph_that_differs_is_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.models.export.PLACE_TOLERANCE", -1.0)
    with pytest.raises(ModelError, match=r"eye: scores differ by .* and places by"):
        export_face_detector(network, pictures((32, 32)), tmp_path, "eye", ABOUT, min_score=0.5, sure=0.7)
    assert not (tmp_path / "eye.onnx").exists()
