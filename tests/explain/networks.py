"""Networks for the tests of explanations."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mien.core.expression import FER2013
from mien.core.preprocess import InputSpec
from mien.models.network import TorchPredictor
from mien.models.registry import build, network

SMALL = InputSpec(size=16, mean=(120.0,), std=(60.0,))


def registered(name: str, seed: int = 0) -> TorchPredictor:
    """A registered network with random weights and running statistics that fit them."""
    torch.manual_seed(seed)
    body, spec = build(name), network(name).input
    with torch.no_grad():
        for _ in range(10):
            body.train()(torch.randn(32, spec.planes, spec.size, spec.size))
    return TorchPredictor(body, spec, FER2013, name=name)


def small(seed: int = 0) -> TorchPredictor:
    """Convolution, ReLU that writes in place, average, dense: its Grad-CAM can be worked out by hand."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(1, 5, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 7),
    )
    return TorchPredictor(body, SMALL, FER2013, name="small")


def random_crops(predictor: TorchPredictor, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *predictor.input.shape), dtype=np.uint8)
