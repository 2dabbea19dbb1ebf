"""Integrated gradients and occlusion sensitivity against what their definitions imply."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from explain.networks import SMALL, random_crops, registered, small
from mien.core.errors import MissingExtraError
from mien.core.expression import FER2013
from mien.core.preprocess import InputSpec
from mien.explain.attribution import METHODS, IntegratedGradients, OcclusionSensitivity
from mien.models.network import TorchPredictor


def linear(spec: InputSpec) -> TorchPredictor:
    """Flatten and one dense layer: every attribution can be worked out."""
    torch.manual_seed(3)
    return TorchPredictor(
        nn.Sequential(nn.Flatten(), nn.Linear(spec.planes * spec.size**2, 7)), spec, FER2013, name="linear"
    )


def test_integrated_gradients_of_a_linear_network_are_weight_times_input():
    predictor = linear(SMALL)
    crops = random_crops(predictor, 3)
    weights = predictor.graph.body[1].weight.detach().numpy()[FER2013.index("fear")].reshape(16, 16)
    expected = weights * (crops.astype(np.float64) - 120) / 60
    np.testing.assert_allclose(IntegratedGradients()(predictor, crops, "fear"), expected, atol=1e-5)


def test_integrated_gradients_sum_to_the_difference_of_the_logits():
    predictor = registered("resezap")
    crops = random_crops(predictor, 3)
    maps = IntegratedGradients(steps=64)(predictor, crops, "happy")
    assert maps.shape == (3, 48, 48)
    with torch.no_grad():
        grey = predictor.graph.body(torch.zeros(1, 1, 48, 48))[0, 3].item()
    expected = predictor.logits(crops)[:, 3] - grey
    np.testing.assert_allclose(maps.sum((1, 2)), expected, atol=0.05 * np.abs(expected).max())


def test_occlusion_is_the_mean_fall_of_the_logit_over_the_squares_that_cover_a_pixel():
    predictor = small()
    crops = random_crops(predictor, 2)
    total, covering = np.zeros((2, 16, 16)), np.zeros((16, 16))
    whole = predictor.logits(crops)[:, 3]
    for top in range(0, 13, 2):
        for left in range(0, 13, 2):
            covered = crops.copy()
            covered[:, top : top + 4, left : left + 4] = 120
            total[:, top : top + 4, left : left + 4] += (whole - predictor.logits(covered)[:, 3])[:, None, None]
            covering[top : top + 4, left : left + 4] += 1
    maps = OcclusionSensitivity(window=1 / 4)(predictor, crops, "happy")
    np.testing.assert_allclose(maps, total / covering, atol=1e-5)


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(size=16, channels=3, mean=(100.0, 120.0, 140.0), std=(60.0, 61.0, 62.0)),
        InputSpec(size=16, channels=1, mean=(100.0, 120.0, 140.0), std=(60.0, 61.0, 62.0)),
    ],
    ids=["colour", "grey shown as colour"],
)
@pytest.mark.parametrize("kind", [IntegratedGradients, OcclusionSensitivity])
def test_colours_become_one_map(kind, spec):
    predictor = linear(spec)
    crops = random_crops(predictor, 2)
    maps = kind()(predictor, crops, "happy")
    assert maps.shape == (2, 16, 16)
    if kind is IntegratedGradients:
        grey = np.broadcast_to(np.array(spec.mean), (16, 16, 3)) if spec.channels == 3 else np.full((16, 16), 120.0)
        planes = torch.tensor(grey, dtype=torch.float32)
        planes = planes.permute(2, 0, 1)[None] if spec.channels == 3 else planes[None, None]
        with torch.no_grad():
            base = predictor.graph.body(predictor.graph.normalise(planes))[0, 3].item()
        np.testing.assert_allclose(maps.sum((1, 2)), predictor.logits(crops)[:, 3] - base, atol=1e-3)


def test_methods_are_known_by_their_names():
    assert list(METHODS) == ["grad-cam", "grad-cam++", "integrated-gradients", "occlusion"]
    assert all(kind.name == name and kind.title for name, kind in METHODS.items())


def test_without_captum_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    predictor = small()
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[explain\]'"):
        IntegratedGradients()(predictor, random_crops(predictor, 1), "happy")
