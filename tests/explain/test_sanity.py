"""The cascade of fresh weights, and its two measures against SciPy and scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from explain.networks import random_crops, registered, small
from mien.core.errors import DatasetError, ModelError
from mien.core.heatmap import enlarge
from mien.explain.gradcam import GradCAM
from mien.explain.method import Method
from mien.explain.sanity import cascade, rank_correlation, similarity, trained_layers


@dataclass(frozen=True)
class Edges(Method):
    """No explanation at all: it shows the picture's edges, whatever the network has learnt."""

    name: ClassVar[str] = "edges"
    title: ClassVar[str] = "Edges"

    def _maps(self, graph, spec, crops, classes):
        return crops.float().diff(dim=1).abs()[:, :, 1:]


def test_ranks_agree_with_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 7, 7)).astype(np.float32)
    b = (a + rng.normal(size=a.shape)).astype(np.float32)
    b[2:4] = np.maximum(b[2:4], 0)  # many equal values
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, atol=1e-12)
    assert rank_correlation(a[:1], a[:1] * 0).tolist() == [0]


@pytest.mark.parametrize("signed", [False, True])
def test_similarity_agrees_with_scikit_image(signed):
    rng = np.random.default_rng(1)
    a = enlarge(rng.normal(size=(5, 6, 6)).astype(np.float32), 48)
    b = enlarge(rng.normal(size=(5, 6, 6)).astype(np.float32), 48)
    if not signed:
        a, b = np.maximum(a, 0), np.maximum(b, 0)
    expected = [
        structural_similarity(
            x / np.abs(x).max(),
            y / np.abs(y).max(),
            data_range=1 + signed,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for x, y in zip(a.astype(np.float64), b.astype(np.float64), strict=True)
    ]
    np.testing.assert_allclose(similarity(a, b), expected, atol=1e-9)
    np.testing.assert_allclose(similarity(a, 3 * a), 1, atol=1e-9)


def test_layers_stand_in_the_order_in_which_a_crop_passes_them():
    predictor = registered("resezap")
    names = trained_layers(predictor.graph, predictor.input)
    assert names[:3] == ["blocks.0.layers.0.0.0", "blocks.0.layers.0.0.1", "blocks.0.layers.0.1"]
    assert names[-3:] == ["dense.0", "dense.1", "head"]
    assert len(names) == 30


def test_fresh_weights_change_grad_cam_and_not_an_edge_detector():
    predictor = registered("resezap")
    crops = random_crops(predictor, 8)
    result = cascade(GradCAM(relu=False), predictor, crops, "happy", points=6)
    assert (result.method, result.n, len(result.steps)) == ("Grad-CAM", 8, 6)
    assert result.steps[0].layer == "head"
    assert result.steps[-1].layer == "blocks.0.layers.0.0.0"
    assert abs(result.steps[-1].rank_correlation) < 0.6
    assert result.steps[-1].similarity < 0.95
    for step in result.steps:
        assert step.rank_interval[0] <= step.rank_correlation <= step.rank_interval[1]
        assert step.similarity_interval[0] <= step.similarity <= step.similarity_interval[1]
    for step in cascade(Edges(), predictor, crops, "happy", points=3).steps:
        assert step.rank_correlation == pytest.approx(1)
        assert step.similarity == pytest.approx(1)


def test_the_network_and_the_random_state_stay_as_they_were():
    predictor = small()
    crops = random_crops(predictor, 3)
    before, state = predictor.logits(crops), torch.random.get_rng_state()
    first = cascade(GradCAM(), predictor, crops, "sad", seed=4)
    np.testing.assert_array_equal(predictor.logits(crops), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert cascade(GradCAM(), predictor, crops, "sad", seed=4) == first
    assert cascade(GradCAM(), predictor, crops, "sad", seed=5) != first
    assert [step.layer for step in first.steps] == ["4", "0"]


def test_wrong_input_is_refused():
    from mien.runtime.inference.library import open_model

    predictor = small()
    with pytest.raises(DatasetError, match="no crop"):
        cascade(GradCAM(), predictor, random_crops(predictor, 0), "sad")
    with pytest.raises(ModelError, match="no gradients"):
        cascade(GradCAM(), open_model("tiny"), np.zeros((1, 48, 48), np.uint8), "sad")
