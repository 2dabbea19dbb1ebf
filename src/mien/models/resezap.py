"""ResEZAP (Azimi Abriz & Meghdadi 2021, paper 002): the real-time network of 54,480 values."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from mien.models.registry import register

PAPER = "Azimi Abriz & Meghdadi 2021, Real-time Facial Emotion Recognition with Deep Neural Networks"


Activation = Literal["block", "layer"]
Pool = Literal["padded", "plain"]
Top = Literal["global", "dense"]
Shortcut = Literal["first", "input"]


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 without bias, then pointwise 1x1, as Keras' SeparableConv2D."""

    def __init__(self, inputs: int, outputs: int, *, padding: int = 1, bias: bool = True) -> None:
        """Map ``inputs`` channels to ``outputs``; ``padding`` 0 is Keras' 'valid', 1 is 'same'."""
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=padding, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=bias),
        )


class ResEZAPBlock(nn.Module):
    """Three convolutions of equal width, each with batch norm, and a shortcut that is added to the third's output."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        padding: int,
        separable: bool,
        activation: Activation,
        pool: Pool,
        shortcut: Shortcut,
    ) -> None:
        """``padding`` is the first convolution's; for the rest see :func:`resezap`."""
        super().__init__()
        self.layers = nn.ModuleList()
        for source, pad in ((inputs, padding), (outputs, 1), (outputs, 1)):
            conv = SeparableConv(source, outputs, padding=pad) if separable else nn.Conv2d(source, outputs, 3, 1, pad)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(outputs)))
        self.between = nn.ReLU() if activation == "layer" else nn.Identity()
        if shortcut == "input":
            self.projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self._border = 1 - padding  # what a 'valid' first convolution takes away is taken from the input too
        self._shortcut = shortcut
        self._padded = pool == "padded"

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, h', w')``, halved by the average pool."""
        first, second, third = self.layers
        y = self.between(first(x))
        kept = y
        if self._shortcut == "input":
            kept = self.projection(x[:, :, 1:-1, 1:-1] if self._border else x)
        y = functional.relu(kept + third(self.between(second(y))))
        if self._padded:
            y = functional.pad(y, (1, 1, 1, 1))
        return functional.avg_pool2d(y, 2)


class ResEZAP(nn.Module):
    """Residual Extended Zero Average Pooling; see :func:`resezap`."""

    def __init__(
        self, classes: int, *, separable: bool, shortcut: Shortcut, activation: Activation, pool: Pool, top: Top
    ) -> None:
        """Build it for crops of 48 x 48 grey."""
        super().__init__()
        for name, value, valid in (
            ("activation", activation, ("block", "layer")),
            ("pool", pool, ("padded", "plain")),
            ("top", top, ("global", "dense")),
        ):
            if value not in valid:
                raise ValueError(f"{name} must be '{valid[0]}' or '{valid[1]}', got '{value}'")
        widths = (1, 32, 64, 96)
        self.blocks = nn.Sequential(
            *(
                ResEZAPBlock(
                    inputs,
                    outputs,
                    padding=0 if inputs == 1 else 1,
                    separable=separable,
                    activation=activation,
                    pool=pool,
                    shortcut=shortcut,
                )
                for inputs, outputs in pairwise(widths)
            )
        )
        side = 7 if pool == "padded" else 5
        inputs = 96 if top == "global" else 96 * side**2
        between = nn.ReLU() if activation == "layer" else nn.Identity()
        self.dense = nn.Sequential(nn.Linear(inputs, 96), nn.BatchNorm1d(96), between)
        if top == "dense":
            self.dense.extend([nn.ReLU(), nn.Linear(96, 96), nn.BatchNorm1d(96), between])
        self.head = nn.Linear(96, classes)
        self._global = top == "global"

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of normalised crops ``(n, 1, 48, 48)``."""
        maps = self.blocks(x)
        logits: Tensor = self.head(self.dense(maps.amax((2, 3)) if self._global else maps.flatten(1)))
        return logits


@register("resezap", paper=PAPER, trained=53_136, running=1_344)
def resezap(
    classes: int = 7, *, activation: Activation = "block", pool: Pool = "padded", top: Top = "global"
) -> nn.Module:
    """ResEZAP with depthwise-separable convolutions, the real-time network of paper 002.

    Three blocks (32, 64, 96 channels), each pooled after zero-padding: 46 -> 24 -> 13 -> 7 pixels; global max pool,
    dense 96 with batch norm, dense 7. Counted as Keras counts: 53,136 trained + 1,344 running = 54,480; 16,909,540
    multiplications. These four numbers of the paper fix the architecture; that a block is relu(first + third) with
    norms before the sum is inferred.

    The options, and the two networks below, undo the paper's design steps one by one (its section 3, steps 2 to 6;
    step 1 is the recipe's augmentation). What stood there before a step is inferred, for the paper only names it.

    Args:
        classes: outputs.
        activation: step 5; ``layer`` puts a ReLU after every convolution and the dense layer.
        pool: step 3; ``plain`` averages without padding first, 46 -> 23 -> 11 -> 5 pixels.
        top: step 2; ``dense`` replaces the global max pool by flattening and two dense layers of 96.
    """
    return ResEZAP(classes, separable=True, shortcut="first", activation=activation, pool=pool, top=top)


@register("resezap-conv", paper=PAPER, trained=343_975, running=1_344)
def resezap_conv(
    classes: int = 7, *, activation: Activation = "block", pool: Pool = "padded", top: Top = "global"
) -> nn.Module:
    """ResEZAP with ordinary convolutions (step 4 undone): 345,319 values, 130,075,776 multiplications, as published."""
    return ResEZAP(classes, separable=False, shortcut="first", activation=activation, pool=pool, top=top)


@register("resezap-residual", paper=PAPER, trained=61_936, running=1_728)
def resezap_residual(
    classes: int = 7, *, activation: Activation = "block", pool: Pool = "padded", top: Top = "global"
) -> nn.Module:
    """ResEZAP with the shortcut of a standard residual block (step 6 undone): 63,664 values.

    The shortcut starts at a block's input, through a 1 x 1 convolution with batch norm as He et al. (2016) project
    where widths differ, instead of at the first convolution's output: 1 * 32 + 32 * 64 + 64 * 96 weights, 192 biases,
    384 trained and 384 running values of norms, 9,184 more than ResEZAP. The paper counts 66,488, 12,008 more; the
    shape behind its number could not be recovered, so these two differ by 2,824 values.
    """
    return ResEZAP(classes, separable=True, shortcut="input", activation=activation, pool=pool, top=top)
