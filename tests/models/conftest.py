"""Registered networks and their graphs, each made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import onnx
import pytest
import torch

from mien.core.expression import FER2013
from mien.models.export import to_onnx
from mien.models.network import Normalised, TorchPredictor
from mien.models.registry import build, network


def trained_looking(name: str, classes: int = 7) -> torch.nn.Module:
    """The network with running statistics of a batch, so that its answers are as large as a trained one's."""
    torch.manual_seed(0)
    model = build(name, classes)
    spec = network(name).input
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    crops = torch.randint(0, 256, (32, *spec.shape), dtype=torch.uint8)
    with torch.no_grad():
        Normalised(model.train(), spec)(crops)
    return model.eval()


@pytest.fixture(scope="session")
def exported() -> Callable[[str], tuple[TorchPredictor, onnx.ModelProto]]:
    """A registered network by its name, and the graph that is exported from it."""

    @cache
    def make(name: str) -> tuple[TorchPredictor, onnx.ModelProto]:
        predictor = TorchPredictor(trained_looking(name), network(name).input, FER2013, name=name)
        return predictor, to_onnx(predictor)

    return make
