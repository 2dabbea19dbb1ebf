"""mien's face-or-not network: whether a crop that a detector cut out shows a face."""

from __future__ import annotations

from torch import nn

from mien.models.registry import register


@register("gate", paper="mien", trained=9_733, running=140)
def gate(classes: int = 7) -> nn.Module:
    """Face or not by one logit, from a crop averaged down to half its side; 9,735 values with one output.

    Convolutions ``9 (1·8 + 8·16 + 16·24 + 24·22) = 9,432``, norms ``2 · 70 = 140`` and as many running values, dense
    ``23`` for each output. The crop is that of the expression networks, so that it costs no cropping of its own.
    """
    layers: list[nn.Module] = [nn.AvgPool2d(2)]
    inputs = 1
    for width in (8, 16, 24, 22):
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.AdaptiveAvgPool2d(1) if width == 22 else nn.MaxPool2d(2))
        inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs, classes))
