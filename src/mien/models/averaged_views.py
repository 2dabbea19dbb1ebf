"""Test-time augmentation within the graph: a network that averages its answers over several views of a face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.core.predictor import five_crops

Views = Literal["one", "mirror", "ten"]


class Averaged(nn.Module):
    """A network whose probabilities are means over views; its outputs are their logarithms."""

    def __init__(self, body: nn.Module, views: Literal["mirror", "ten"]) -> None:
        """``mirror`` is the picture and its mirror image, ``ten`` four corners, the middle, and their mirror images."""
        super().__init__()
        self.body = body
        self._views = views

    def forward(self, planes: Tensor) -> Tensor:
        """Log probabilities ``(n, classes)`` of normalised planes ``(n, channels, h, w)``."""
        total: Tensor | None = None
        count = 0
        for view in views(planes, self._views):
            for shown in (view, view.flip(3)):
                probabilities = torch.softmax(self.body(shown), dim=1)
                total = probabilities if total is None else total + probabilities
                count += 1
        assert total is not None  # noqa: S101  # there is always the picture itself
        return torch.log(torch.clamp(total / count, min=torch.finfo(torch.float32).tiny))


def views(planes: Tensor, which: Literal["mirror", "ten"]) -> Iterator[Tensor]:
    """The views of planes ``(n, channels, h, w)``, each of that shape, mirror images left to the caller."""
    if which == "mirror":
        yield planes
        return
    height, width = planes.shape[2:]
    tall, wide, places = five_crops(height, width)
    for y, x in places:
        part = planes[:, :, y : y + tall, x : x + wide]
        yield functional.interpolate(part, (height, width), mode="bilinear")
