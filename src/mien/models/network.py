"""A trained torch network as a predictor, and the graph that is exported from it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.expression import Labels
from mien.core.fitted import Fitted
from mien.core.preprocess import Image, InputSpec
from mien.models.averaged_views import Averaged
from mien.models.registry import count_values


class Normalised(nn.Module):
    """A network behind its normalisation: uint8 crops in, logits out. This is the graph that is exported."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, spec: InputSpec) -> None:
        """Wrap ``body``, which takes normalised ``(n, planes, size, size)``."""
        super().__init__()
        self.body = body
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        """Logits ``(n, K)`` of uint8 crops ``(n, size, size)`` or ``(n, size, size, 3)``."""
        logits: Tensor = self.body(self.normalise(as_planes(crops)))
        return logits

    def normalise(self, planes: Tensor) -> Tensor:
        """Normalised planes of planes ``(n, channels, size, size)`` on the 0 to 255 scale.

        This is where grey becomes RGB for a network that takes it: three means spread one plane over three.
        """
        return (planes - self.mean) / self.std


def as_planes(crops: Tensor) -> Tensor:
    """Float planes ``(n, channels, h, w)``, 0 to 255, of uint8 crops ``(n, h, w)`` or ``(n, h, w, 3)``."""
    planes = crops.unsqueeze(1) if crops.ndim == 3 else crops.permute(0, 3, 1, 2)
    return planes.float()


def as_crops(planes: Tensor) -> Image:
    """Uint8 crops ``(n, h, w)`` or ``(n, h, w, 3)`` of planes ``(n, channels, h, w)``, rounded into 0 to 255."""
    crops = planes.squeeze(1) if planes.shape[1] == 1 else planes.permute(0, 2, 3, 1)
    rounded: Image = crops.round().clamp(0, 255).to(torch.uint8).contiguous().cpu().numpy()
    return rounded


class TorchPredictor:
    """A torch network as a :class:`mien.core.predictor.Predictor`."""

    recipe: str | None = None
    """Name of the recipe that trained it, where it is a run."""
    seed: int | None = None
    """The run's."""
    seen: tuple[Fitted, ...] = ()
    """The rows that fitted it, where it is a run or an exported model."""

    def __init__(
        self, body: nn.Module, spec: InputSpec, labels: Labels, *, name: str, temperature: float = 1.0, chunk: int = 256
    ) -> None:
        """Wrap ``body`` in evaluation mode; crops go through it ``chunk`` at a time."""
        self.graph = Normalised(body, spec).eval()
        self.look = Normalised(body.body, spec).eval() if isinstance(body, Averaged) else self.graph
        """The graph of one look at the crop, which is what can be explained where answers are averaged over views."""
        self.input = spec
        self.labels = labels
        self.name = name
        self.temperature = temperature
        self.parameters = sum(count_values(body))
        self.identity = _digest(self.graph)
        self._chunk = chunk

    def logits(self, crops: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Uncalibrated logits ``(n, K)`` float32 of uint8 crops ``(n, *input.shape)``."""
        device = self.graph.mean.device
        with torch.inference_mode():
            parts = [
                self.graph(torch.from_numpy(np.ascontiguousarray(crops[start : start + self._chunk])).to(device)).cpu()
                for start in range(0, len(crops), self._chunk)
            ]
        return torch.cat(parts).numpy() if parts else np.empty((0, len(self.labels)), dtype=np.float32)


def _digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
