"""Grad-CAM and Grad-CAM++ against their papers' formulas, worked out in other ways than the package does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from explain.networks import SMALL, random_crops, registered, small
from mien.core.errors import DatasetError, LabelError, ModelError
from mien.core.expression import FER2013
from mien.core.manifest import Manifest, sha256
from mien.explain import method
from mien.explain.attribution import METHODS
from mien.explain.gradcam import GradCAM, GradCAMPlusPlus
from mien.explain.method import default_layer, layers
from mien.models.head import with_features
from mien.models.network import TorchPredictor
from mien.models.registry import network, networks

EACH = ["happy", "angry", "neutral", "fear"]


@pytest.fixture(scope="module")
def resezap() -> TorchPredictor:
    return registered("resezap")


def by_hand(predictor: TorchPredictor, layer: str, crops: np.ndarray, expressions: list[str]) -> tuple[np.ndarray, ...]:
    """Features and gradients, one crop at a time, with autograd watching the whole network."""
    kept = {}

    def keep(_, __, output):
        output.retain_grad()
        kept["features"] = output

    handle = dict(predictor.graph.body.named_modules())[layer].register_forward_hook(keep)
    pairs = []
    for crop, expression in zip(crops, expressions, strict=True):
        predictor.graph.zero_grad()
        logits = predictor.graph(torch.from_numpy(crop[None]))
        logits[0, FER2013.index(expression)].backward()
        pairs.append((kept["features"][0].detach().numpy(), kept["features"].grad[0].numpy()))
    handle.remove()
    predictor.graph.zero_grad()
    return tuple(np.stack(values).astype(np.float64) for values in zip(*pairs, strict=True))


@pytest.mark.parametrize("layer", ["blocks.2", "blocks.1", "blocks.0.layers.1", "blocks.2.layers.0.0"])
def test_grad_cam_is_the_formula_of_its_paper(resezap, layer):
    crops = random_crops(resezap, 4)
    features, gradients = by_hand(resezap, layer, crops, EACH)
    expected = np.einsum("nc,nchw->nhw", gradients.mean((2, 3)), features)
    maps = GradCAM(layer=layer, relu=False)(resezap, crops, EACH)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(GradCAM(layer=layer)(resezap, crops, EACH), np.maximum(maps, 0))
    assert (maps < 0).any()
    assert (maps > 0).any()


def test_grad_cam_of_an_average_and_a_dense_layer_follows_from_its_weights():
    predictor = small()
    crops = random_crops(predictor, 3)
    conv, _, _, _, dense = predictor.graph.body
    planes = (torch.from_numpy(crops).float()[:, None] - 120) / 60
    features = conv(planes).relu().detach().numpy()
    weights = dense.weight.detach().numpy()[FER2013.index("sad")]
    expected = sum(w * f for w, f in zip(weights, features.transpose(1, 0, 2, 3), strict=True)) / 64
    np.testing.assert_allclose(GradCAM(relu=False)(predictor, crops, "sad"), expected, atol=1e-6)


def test_grad_cam_plus_plus_is_equation_19_of_its_paper(resezap):
    crops = random_crops(resezap, 4)
    features, gradients = by_hand(resezap, "blocks.1", crops, EACH)
    logits = resezap.logits(crops).astype(np.float64)
    expected = np.zeros((4, *features.shape[2:]))
    for n, expression in enumerate(EACH):
        y = np.exp(logits[n, FER2013.index(expression)])
        for activation, g in zip(features[n], gradients[n], strict=True):
            first, second, third = y * g, y * g**2, y * g**3
            below = 2 * second + activation.sum() * third
            shares = np.divide(second, below, out=np.zeros_like(below), where=below != 0)
            expected[n] += (shares * np.maximum(first, 0)).sum() * activation
        expected[n] /= y
    maps = GradCAMPlusPlus(layer="blocks.1", relu=False)(resezap, crops, EACH)
    np.testing.assert_allclose(maps, expected, atol=1e-3 * np.abs(expected).max())


def test_a_max_pool_and_a_head_without_activation_give_the_onnx_models_map(resezap, tmp_path):
    from mien.models.export import to_onnx
    from mien.runtime.inference.activation import ActivationMapper
    from mien.runtime.inference.classify import OnnxClassifier

    model, head = with_features(to_onnx(resezap))
    assert (head.pooling, head.channels) == ("max", 96)
    path = tmp_path / "resezap.onnx"
    path.write_bytes(model.SerializeToString())
    manifest = Manifest(
        name="resezap",
        summary="s",
        network="resezap",
        trained_on="nothing",
        data_licence="none",
        weights_licence="none",
        temperature=1.0,
        conformal_thresholds=(0.1,) * 7,
        coverage=0.9,
        energy_threshold=0.0,
        input=resezap.input,
        labels=FER2013,
        parameters=54_480,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        head=head,
    )
    mapper = ActivationMapper(OnnxClassifier(manifest, tmp_path))
    crops = random_crops(resezap, 8)
    expressions = [FER2013[n % 7] for n in range(8)]
    for relu in (True, False):
        torchs = GradCAM(relu=relu)(resezap, crops, expressions)
        assert torchs.shape == (8, 7, 7)
        np.testing.assert_allclose(mapper.maps(crops, expressions, relu=relu), torchs, atol=1e-5)
    # by hand: the dense layer, its batch norm and the head as one matrix; the maximum passes its gradient to one place
    body = resezap.graph.body
    with torch.no_grad():
        features = body.blocks(resezap.graph.normalise(torch.from_numpy(crops).float()[:, None])).double()
        dense, norm, final = body.dense[0], body.dense[1], body.head
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).double()
        weights = final.weight.double() @ torch.diag(scale) @ dense.weight.double()
        rows = weights[[FER2013.index(e) for e in expressions]]
        expected = torch.einsum("nc,nchw->nhw", rows, features) / 49
    np.testing.assert_allclose(mapper.maps(crops, expressions, relu=False), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", METHODS.values())
def test_maps_do_not_depend_on_the_batch(kind, monkeypatch):
    predictor = small()
    crops = random_crops(predictor, 5)
    expressions = ["happy", "sad", "sad", "fear", "angry"]
    together = kind()(predictor, crops, expressions)
    monkeypatch.setattr(method, "CHUNK", 2)
    np.testing.assert_allclose(kind()(predictor, crops, expressions), together, atol=1e-6)
    alone = [kind()(predictor, crops[i : i + 1], expressions[i]) for i in range(5)]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)


@pytest.mark.parametrize("kind", METHODS.values())
def test_the_network_stays_as_it_was(kind):
    predictor = small()
    crops = random_crops(predictor, 2)
    before = predictor.logits(crops)
    kind()(predictor, crops, "happy")
    np.testing.assert_array_equal(predictor.logits(crops), before)
    assert all(value.grad is None for value in predictor.graph.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in predictor.graph.modules())
    assert torch.is_grad_enabled()
    assert not predictor.graph.training


def test_frozen_weights_have_maps_too():
    predictor = small()
    crops = random_crops(predictor, 2)
    maps = GradCAM(relu=False)(predictor, crops, "happy")
    predictor.graph.requires_grad_(False)
    np.testing.assert_array_equal(GradCAM(relu=False)(predictor, crops, "happy"), maps)


@pytest.mark.parametrize(
    ("name", "layer", "side"), [("resezap", "blocks.2", 7), ("tiny", "21", 6), ("deepface-emotion", "11", 3)]
)
def test_the_default_layer_is_the_last_before_the_global_pool(name, layer, side):
    predictor = registered(name)
    assert default_layer(predictor.graph, predictor.input) == layer
    assert layers(predictor.graph, predictor.input)[layer][1:] == (side, side)
    assert GradCAM()(predictor, random_crops(predictor, 2), "happy").shape == (2, side, side)


def test_a_layer_that_does_not_exist_names_the_nearest(resezap):
    with pytest.raises(ModelError, match=r"'block\.2' does not exist: near to it: blocks\.2, .*default is 'blocks\.2'"):
        GradCAM(layer="block.2")(resezap, random_crops(resezap, 1), "happy")


@pytest.mark.parametrize("name", ["head", "dense.0"])
def test_a_layer_without_maps_is_refused(resezap, name):
    with pytest.raises(ModelError, match=rf"'{name}' gives \(n, \d+\), no map; the default is 'blocks.2'"):
        GradCAM(layer=name)(resezap, random_crops(resezap, 1), "happy")


def test_a_layer_that_the_logits_do_not_need_is_refused():
    class Detour(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Conv2d(1, 3, 3), nn.Conv2d(1, 3, 3)
            self.dense = nn.Linear(3, 7)

        def forward(self, x):
            self.unused(x)
            return self.dense(self.used(x).mean((2, 3)))

    predictor = TorchPredictor(Detour(), SMALL, FER2013, name="detour")
    with pytest.raises(ModelError, match="do not depend"):
        GradCAM(layer="unused")(predictor, random_crops(predictor, 1), "happy")


@pytest.mark.parametrize("kind", METHODS.values())
def test_wrong_input_is_refused(kind):
    predictor = small()
    crops = random_crops(predictor, 2)
    with pytest.raises(LabelError, match="small does not know the expression 'hapy': did you mean 'happy'"):
        kind()(predictor, crops, "hapy")
    with pytest.raises(LabelError, match="1 expressions for 2 crops"):
        kind()(predictor, crops, ["happy"])
    with pytest.raises(DatasetError, match="no crop"):
        kind()(predictor, crops[:0], "happy")
    with pytest.raises(ValueError, match=r"takes uint8 crops \(n, 16, 16\), got uint8 \(2, 15, 16\)"):
        kind()(predictor, crops[:, 1:], "happy")


@pytest.mark.parametrize("kind", METHODS.values())
def test_a_model_without_gradients_is_refused_with_a_remedy(kind):
    from mien.runtime.inference.library import open_model

    model = open_model("tiny")
    with pytest.raises(ModelError, match=r"'tiny' has no gradients, because it is an ONNX file: .*activation map"):
        kind()(model, np.zeros((1, 48, 48), np.uint8), "happy")


@pytest.mark.slow
@pytest.mark.parametrize("name", networks())
def test_every_registered_network_has_maps(name):
    record = network(name)
    torch.manual_seed(0)
    predictor = TorchPredictor(record.build(), record.input, FER2013, name=name)
    crops = random_crops(predictor, 2)
    for kind in (GradCAM(relu=False), GradCAMPlusPlus()):
        maps = kind(predictor, crops, ["happy", "sad"])
        assert maps.shape[0] == 2
        assert maps.shape[1] * maps.shape[2] > 1
        assert np.isfinite(maps).all()
    assert GradCAM(relu=False)(predictor, crops, ["happy", "sad"]).any()


def test_a_layer_with_several_outputs_is_refused():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair, self.dense = Pair(), nn.Linear(256, 7)

        def forward(self, x):
            return self.dense(self.pair(x)[0].flatten(1))

    predictor = TorchPredictor(Halves(), SMALL, FER2013, name="halves")
    with pytest.raises(ModelError, match="a layer whose output is a tuple gives no map"):
        GradCAM(layer="pair")(predictor, random_crops(predictor, 1), "happy")
    with pytest.raises(ModelError, match="no layer of this network gives a map"):
        GradCAM()(predictor, random_crops(predictor, 1), "happy")
