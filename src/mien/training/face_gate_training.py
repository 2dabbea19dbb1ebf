"""Training of the face gate, which tells faces from what a detector takes for one."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.core.errors import TrainingError
from mien.core.preprocess import Image
from mien.models.network import TorchPredictor
from mien.models.registry import build, network
from mien.training.augment import augment
from mien.training.loop import rate_factor
from mien.training.recipe import Augmentation, Optimiser

NETWORK = "gate"
CHANGES = Augmentation(flip=True, rotation=20, zoom=0.15, shift=0.08, erase=0.2)
"""Done to faces and others alike: what is done to one kind alone would give it away."""

DARKEST = 0.08
"""Least share of the light that is left to pictures taken in the dark."""

BATCH = 128
RATE = 4e-3
DECAY = 0.01

_log = logging.getLogger(__name__)


def fit_face_gate(
    faces: Image, others: Image, *, epochs: int = 8, seed: int = 0, say: Callable[[str], None] | None = None
) -> TorchPredictor:
    """Train it on crops ``(n, 48, 48)`` with faces and ``(m, 48, 48)`` without; each epoch draws equally many.

    Raises:
        TrainingError: fewer than a batch's half of either.
    """
    if min(len(faces), len(others)) < BATCH // 2:
        raise TrainingError(
            f"a face gate needs {BATCH // 2} crops or more of either kind, got {len(faces)} faces and "
            f"{len(others)} others"
        )
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    record = network(NETWORK)
    predictor = TorchPredictor(build(NETWORK, 1), record.input, (), name=NETWORK)
    graph = predictor.graph.train()
    half = BATCH // 2
    steps = max(len(faces), len(others)) // half
    optimiser = torch.optim.AdamW(graph.body.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_factor(step, epochs * steps, Optimiser(schedule="onecycle"))
    )
    kinds = [torch.from_numpy(np.ascontiguousarray(kind)) for kind in (faces, others)]
    truth = torch.cat([torch.ones(half), torch.zeros(half)])
    for epoch in range(epochs):
        total = 0.0
        orders = [_order(len(kind), steps * half, generator) for kind in kinds]
        for step in range(steps):
            rows = slice(step * half, (step + 1) * half)
            crops = torch.cat([kind[order[rows]] for kind, order in zip(kinds, orders, strict=True)])
            planes = _toned(augment(crops[:, None].float(), CHANGES, generator), generator)
            loss = functional.binary_cross_entropy_with_logits(graph.body(graph.normalise(planes))[:, 0], truth)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        (say or _log.info)(f"epoch {epoch + 1} of {epochs}: loss {total / steps:.4f}")
    graph.eval()
    return TorchPredictor(graph.body, record.input, (), name=NETWORK)


def _order(n: int, wanted: int, generator: torch.Generator) -> Tensor:
    """``wanted`` rows of n, all of them once before one comes again."""
    rounds = -(-wanted // n)
    return torch.cat([torch.randperm(n, generator=generator) for _ in range(rounds)])[:wanted]


def _toned(planes: Tensor, generator: torch.Generator) -> Tensor:
    """Less or more light and contrast, a camera's noise, some at half of the pixels, and two in five in the dark."""
    n = len(planes)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    mean = planes.mean(dim=(1, 2, 3), keepdim=True)
    changed = (planes - mean) * draw(0.4, 1.3) + mean * draw(0.4, 1.2) + draw(-20, 20)
    blurred = functional.interpolate(functional.avg_pool2d(changed, 2), scale_factor=2.0, mode="bilinear")
    changed = torch.where(draw(0, 1) < 0.3, blurred, changed)
    noise = torch.randn(changed.shape, generator=generator) * draw(0, 8)
    bright = (changed + noise).clamp(0, 255)
    dark = bright * torch.exp(draw(math.log(DARKEST), 0))
    return torch.where(draw(0, 1) < 0.4, dark, bright).round()
