"""Feature maps and filters against torch's own, blocks of every network, and exported models back in torch."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from mien.core.errors import ModelError
from mien.core.expression import FER2013, THREE
from mien.core.manifest import Manifest, sha256
from mien.core.preprocess import InputSpec
from mien.explain import features_report
from mien.explain.features import blocks, feature_maps, filters
from mien.models.backbones import SOURCES
from mien.models.network import TorchPredictor
from mien.models.rebuild import rebuild
from mien.models.registry import build, network, networks

WEIGHTS = Path(__file__).parents[2] / "src" / "mien" / "weights"


def opened(name, **options):
    torch.manual_seed(0)
    return TorchPredictor(build(name, **options), network(name).input, FER2013, name=name)


@pytest.fixture(scope="module")
def resezap():
    return opened("resezap")


def crop(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def planes(predictor, face):
    return (torch.from_numpy(face)[None, None].float() - predictor.graph.mean) / predictor.graph.std


def test_the_blocks_of_resezap_are_the_papers(resezap):
    found = feature_maps(resezap, crop(), shown=32)
    # paper 002: 48 -> 46 -> 24, 13, 7 pixels after padding and pooling; 32, 64, 96 channels
    assert [one.shape for one in found] == [(32, 24, 24), (64, 13, 13), (96, 7, 7)]
    assert [one.layer for one in found] == ["blocks.0", "blocks.1", "blocks.2"]
    assert found[0].words == "blocks.0 (Block) 32 × 24 × 24"
    with torch.no_grad():
        expected = resezap.graph.body.blocks[0](planes(resezap, crop()))[0].numpy()
    assert np.array_equal(found[0].channels, np.arange(32))
    np.testing.assert_allclose(found[0].maps, expected, atol=1e-6)


def test_the_channels_that_vary_most_are_kept(resezap):
    (one,) = feature_maps(resezap, crop(), names=["blocks.1"], shown=5)
    with torch.no_grad():
        whole = resezap.graph.body.blocks[:2](planes(resezap, crop()))[0].numpy()
    spread = whole.std(axis=(1, 2))
    assert set(one.channels) == set(np.argsort(spread)[-5:])
    assert sorted(one.channels) == list(one.channels)
    np.testing.assert_allclose(one.maps, whole[one.channels], atol=1e-6)


def test_flat_channels_are_counted():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)
            self.head = nn.Linear(4, 3)
            with torch.no_grad():
                self.conv.weight[1:3] = 0

        def forward(self, x):
            return self.head(torch.relu(self.conv(x)).amax((2, 3)))

    predictor = TorchPredictor(Flat(), InputSpec(), THREE, name="flat")
    (one,) = feature_maps(predictor, crop(), shown=2)
    assert one.flat == 2
    assert one.channels.tolist() == [0, 3]


def test_activations_that_write_in_place_do_not_change_what_came_before():
    body = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)
    )
    predictor = TorchPredictor(body, InputSpec(), THREE, name="inplace")
    (one,) = feature_maps(predictor, crop(), names=["0"])
    assert one.maps.min() < 0


def test_a_block_ends_before_the_next_convolution():
    tiny = opened("tiny")
    assert blocks(tiny.graph, tiny.input)[:3] == ("2", "6", "7")  # after ReLU, after max-pool, after a residual
    deepface = opened("deepface-emotion")
    assert [one.shape[1] for one in feature_maps(deepface, crop())] == [20, 18, 7, 5, 3]  # paper 000, Table III


def test_containers_that_never_run_are_looked_into_and_those_that_do_are_blocks():
    class Dense(nn.ModuleDict):  # as torchvision's DenseNet has it
        def forward(self, x):
            for layer in self.values():
                x = torch.relu(layer(x))
            return x

    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList([nn.Conv2d(1, 2, 3), Dense({"a": nn.Conv2d(2, 2, 3), "b": nn.Conv2d(2, 2, 3)})])
            self.head = nn.Linear(2, 3)

        def forward(self, x):
            for stage in self.stages:
                x = stage(x)
            return self.head(x.amax((2, 3)))

    predictor = TorchPredictor(Listed(), InputSpec(), THREE, name="listed")
    assert blocks(predictor.graph, predictor.input) == ("stages.0", "stages.1")


def test_no_convolution_is_said():
    flat = TorchPredictor(nn.Sequential(nn.Flatten(), nn.Linear(2304, 3)), InputSpec(), THREE, name="flat")
    with pytest.raises(ModelError, match="has no convolution"):
        feature_maps(flat, crop())


def test_filters_are_the_convolutions_weights(resezap):
    found = filters(resezap)
    assert [one.shape for one in found] == [(1, 1, 3, 3), (32, 1, 3, 3), (64, 1, 3, 3)]  # depthwise
    weight = resezap.graph.body.blocks[1].layers[0][0][0].weight.detach().numpy()
    np.testing.assert_array_equal(found[1].kernels, weight[found[1].outputs, 0])
    assert len(found[1].kernels) == 16
    dense = opened("resezap-conv")
    one = filters(dense, names=["blocks.2.layers.1"], shown=3)[0]
    weight = dense.graph.body.blocks[2].layers[1][0].weight.detach().numpy()
    norms = np.linalg.norm(weight, axis=(2, 3))
    assert set(one.outputs) == set(np.argsort(np.linalg.norm(norms, axis=1))[-3:])
    assert one.inputs.tolist() == norms[one.outputs].argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: feature_maps(p, crop(), names=["blocks.3"]), "'blocks.3' does not exist: near to it: blocks"),
        (lambda p: feature_maps(p, crop(), names=["head"]), "'head' gives no map"),
        (lambda p: filters(p, names=["blocks.0.layer.0.0.0"]), "near to it: blocks.0.layers.0.0.0"),
        (lambda p: filters(p, names=["head"]), "holds no convolution wider than 1 x 1"),
    ],
)
def test_wrong_layers_are_named(resezap, call, message):
    with pytest.raises(ModelError, match=message):
        call(resezap)


def test_wrong_crops_are_refused(resezap):
    with pytest.raises(ValueError, match="takes uint8 crops"):
        feature_maps(resezap, np.zeros((40, 48), dtype=np.uint8))


def test_a_page_with_names_and_shapes(resezap, tmp_path):
    face = crop()
    maps, kernels = feature_maps(resezap, face, shown=4), filters(resezap, shown=4)
    files = features_report.write("resezap", face, maps, kernels, tmp_path / "new")
    assert {path.name for path in files} == {
        "features.html",
        *(f"{n}.{e}" for n in ("features", "filters") for e in ("png", "svg")),
    }
    sheet = files[0].read_text()
    drawn = (tmp_path / "new" / "features.svg").read_text()
    for one in maps:
        assert one.layer in sheet
        assert one.words in drawn
    assert sheet.count("<img alt=") == 2


# --- exported models back in torch ------------------------------------------------------------------------------


def test_the_shipped_model_in_torch_gives_its_own_logits():
    manifest = Manifest.read(WEIGHTS / "tiny.json")
    predictor = rebuild(manifest, WEIGHTS)
    crops = np.random.default_rng(5).integers(0, 256, (9, 48, 48), dtype=np.uint8)
    session = onnxruntime.InferenceSession(WEIGHTS / "tiny.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(predictor.logits(crops), session.run(["logits"], {"crops": crops})[0], atol=1e-3)
    assert predictor.labels == manifest.labels
    assert predictor.temperature == manifest.temperature


def test_weights_of_another_network_are_refused(tmp_path):
    manifest = Manifest.read(WEIGHTS / "tiny.json")
    (tmp_path / "tiny.onnx").write_bytes((WEIGHTS / "tiny.onnx").read_bytes())
    with pytest.raises(ModelError, match="do not fit 'resezap' as the registry builds it"):
        rebuild(replace(manifest, network="resezap"), tmp_path)


def test_a_graph_that_computes_something_else_is_refused(tmp_path):
    manifest = Manifest.read(WEIGHTS / "tiny.json")
    model = onnx.load(WEIGHTS / "tiny.onnx")
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Abs"
    path = tmp_path / "tiny.onnx"
    onnx.save(model, path)
    changed = replace(manifest, sha256=sha256(path), bytes=path.stat().st_size)
    with pytest.raises(ModelError, match="do not fit 'tiny'"):
        rebuild(changed, tmp_path)


@pytest.mark.slow
def test_every_registered_network_has_blocks_and_filters():
    for name in networks():
        if find_spec("torchvision") is None and name in SOURCES:
            continue
        predictor = opened(name)
        found = feature_maps(predictor, crop_for(predictor), shown=1)
        assert 2 <= len(found) <= 20, name
        assert all(one.shape[1] * one.shape[2] > 1 for one in found), name
        assert filters(predictor, shown=1), name


def crop_for(predictor):
    return np.random.default_rng(0).integers(0, 256, predictor.input.shape, dtype=np.uint8)
