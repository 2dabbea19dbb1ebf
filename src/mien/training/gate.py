"""Training of the face-or-not gate, and its export."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional

from mien.core.errors import ModelError, TrainingError
from mien.core.gate import GateManifest
from mien.core.manifest import sha256
from mien.core.predictor import Floats
from mien.core.preprocess import Image
from mien.models.export import to_onnx
from mien.models.network import TorchPredictor
from mien.models.registry import build, network
from mien.training.augment import augment
from mien.training.recipe import Augmentation, Optimiser
from mien.training.step import rate_factor

NETWORK = "gate"
CHANGES = Augmentation(flip=True, rotation=20, zoom=0.15, shift=0.08, erase=0.2)
"""Done to faces and others alike: what is done to one kind alone would give it away."""

KEPT = 0.99
"""Share of faces that lie at the threshold or above: as many as the energy threshold keeps."""

DARKEST = 0.08
"""Least share of the light that is left to pictures taken in the dark."""

BATCH = 128
RATE = 4e-3
DECAY = 0.01

_TOLERANCE = 1e-3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GateProvenance:
    """What a gate's manifest says beyond its numbers; see :class:`mien.core.gate.GateManifest`."""

    trained_on: str
    data_licence: str
    weights_licence: str
    commit: str | None = None


def fit(
    faces: Image, others: Image, *, epochs: int = 8, seed: int = 0, say: Callable[[str], None] | None = None
) -> TorchPredictor:
    """Train the gate on crops ``(n, 48, 48)`` with faces and ``(m, 48, 48)`` without; each epoch draws equally many.

    Raises:
        TrainingError: fewer than a batch's half of either.
    """
    if min(len(faces), len(others)) < BATCH // 2:
        raise TrainingError(
            f"a gate needs {BATCH // 2} crops or more of either kind, got {len(faces)} faces and {len(others)} others"
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


def logits(predictor: TorchPredictor, crops: Image) -> Floats:
    """One logit ``(n,)`` for each of n crops: the higher, the more it looks like a face."""
    with torch.inference_mode():
        parts = [predictor.graph(torch.from_numpy(crops[s : s + 512]))[:, 0] for s in range(0, len(crops), 512)]
    values: Floats = torch.cat(parts).numpy() if parts else np.empty(0, dtype=np.float32)
    return values


def export_gate(
    predictor: TorchPredictor, faces: Image, folder: Path, provenance: GateProvenance, *, seed: int = 0
) -> GateManifest:
    """Write ``folder/gate.onnx`` and ``folder/gate.json``.

    The threshold keeps :data:`KEPT` of ``faces``, crops that did not fit the weights.

    Raises:
        ModelError: the graph computes something else than torch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NETWORK}.onnx"
    part = folder / f"{NETWORK}.onnx.part"
    onnx.save(to_onnx(predictor), part)
    expected = logits(predictor, faces)
    session = onnxruntime.InferenceSession(part.read_bytes(), providers=["CPUExecutionProvider"])
    worst = float(np.abs(session.run(["logits"], {"crops": faces})[0][:, 0] - expected).max())
    if worst > _TOLERANCE:
        raise ModelError(f"{part}: a logit differs by {worst:.2g} between torch and ONNX Runtime")
    part.replace(path)
    record = network(NETWORK)
    threshold = float(np.quantile(expected, 1 - KEPT))
    manifest = GateManifest(
        kind="gate",
        name=NETWORK,
        summary=f"Tells faces from what a detector takes for one; {predictor.parameters:,} values.",
        network=NETWORK,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        input=record.input,
        parameters=predictor.parameters,
        trained_on=provenance.trained_on,
        data_licence=provenance.data_licence,
        weights_licence=provenance.weights_licence,
        threshold=threshold,
        faces_kept=float((expected >= threshold).mean()),
        paper=record.paper,
        seed=seed,
        commit=provenance.commit,
    )
    manifest.write(folder / f"{NETWORK}.json")
    return manifest


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
