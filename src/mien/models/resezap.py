"""ResEZAP (Azimi Abriz & Meghdadi 2021, paper 002): the real-time network of 54,480 values."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from mien.models.registry import register

PAPER = "Azimi Abriz & Meghdadi 2021, Real-time Facial Emotion Recognition with Deep Neural Networks"


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 without bias, then pointwise 1x1, as Keras' SeparableConv2D."""

    def __init__(self, inputs: int, outputs: int, *, padding: int = 1, bias: bool = True) -> None:
        """Map ``inputs`` channels to ``outputs``; ``padding`` 0 is Keras' 'valid', 1 is 'same'."""
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=padding, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=bias),
        )


class Block(nn.Module):
    """Three convolutions of equal width, each with batch norm; the first's output is added to the third's."""

    def __init__(self, inputs: int, outputs: int, *, padding: int, separable: bool, each: bool) -> None:
        """``padding`` is the first convolution's; ``each`` puts a ReLU after every convolution."""
        super().__init__()
        self.layers = nn.ModuleList()
        for source, pad in ((inputs, padding), (outputs, 1), (outputs, 1)):
            conv = SeparableConv(source, outputs, padding=pad) if separable else nn.Conv2d(source, outputs, 3, 1, pad)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(outputs)))
        self.between = nn.ReLU() if each else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h', w')``, halved by the zero-padded average pool."""
        first, second, third = self.layers
        shortcut = self.between(first(x))
        x = functional.relu(shortcut + third(self.between(second(shortcut))))
        return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1)), 2)


class ResEZAP(nn.Module):
    """Residual Extended Zero Average Pooling; see :func:`resezap`."""

    def __init__(self, classes: int, *, separable: bool, activation: Literal["block", "layer"]) -> None:
        """Build it for crops of 48 x 48 grey."""
        super().__init__()
        if activation not in ("block", "layer"):
            raise ValueError(f"activation must be 'block' or 'layer', got '{activation}'")
        each = activation == "layer"
        widths = (1, 32, 64, 96)
        self.blocks = nn.Sequential(
            *(
                Block(inputs, outputs, padding=0 if inputs == 1 else 1, separable=separable, each=each)
                for inputs, outputs in pairwise(widths)
            )
        )
        self.dense = nn.Sequential(nn.Linear(96, 96), nn.BatchNorm1d(96), nn.ReLU() if each else nn.Identity())
        self.head = nn.Linear(96, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of normalised crops ``(n, 1, 48, 48)``."""
        logits: Tensor = self.head(self.dense(self.blocks(x).amax((2, 3))))
        return logits


@register("resezap", paper=PAPER, trained=53_136, running=1_344)
def resezap(classes: int = 7, *, activation: Literal["block", "layer"] = "block") -> nn.Module:
    """ResEZAP with depthwise-separable convolutions, the real-time network of paper 002.

    Three blocks (32, 64, 96 channels), each pooled after zero-padding: 46 -> 24 -> 13 -> 7 pixels; global max pool,
    dense 96 with batch norm, dense 7. Counted as Keras counts: 53,136 trained + 1,344 running = 54,480; 16,909,540
    multiplications. These four numbers of the paper fix the architecture; that a block is relu(first + third) with
    norms before the sum is inferred. ``activation="layer"`` adds a ReLU after every convolution and the dense layer.
    """
    return ResEZAP(classes, separable=True, activation=activation)


@register("resezap-conv", paper=PAPER, trained=343_975, running=1_344)
def resezap_conv(classes: int = 7, *, activation: Literal["block", "layer"] = "block") -> nn.Module:
    """ResEZAP with ordinary convolutions, paper 002's comparison: 345,319 values, 130,075,776 multiplications."""
    return ResEZAP(classes, separable=False, activation=activation)
