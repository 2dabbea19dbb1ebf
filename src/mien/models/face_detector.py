"""mien's own face detector: boxes and five landmarks at three scales in one pass, small enough to come with mien."""

from __future__ import annotations

import copy
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.core.anchors import STRIDES

OUTPUTS = 15
"""Of each anchor: the score's logit, four values of the box, ten of the landmarks."""

MEAN, SCALE = 127.5, 1 / 64
"""Taken from each pixel, and what the rest is multiplied by."""

_PRIOR = 0.01
"""Score of an anchor before anything is learnt (Lin et al. 2017): nearly all of them see no face."""


class FaceDetectorNetwork(nn.Module):
    """From RGB planes ``(n, 3, h, w)``, sides multiples of 32, 0 to 255, to ``(n, anchors, 15)``.

    Depthwise separable convolutions as in MobileNet (Howard et al. 2017), residual where shapes allow it; coarser maps
    are added to finer ones (Lin et al. 2017, feature pyramids), and each scale has a head of its own, as in YuNet
    (Wu, Peng & Yu 2023). Each convolution with a stride is centred on its cell's anchor.

    Args:
        width: channels of the maps at the three scales.
        stem: channels of the first convolution, at half of the picture's size.
    """

    def __init__(self, width: int = 64, stem: int = 16) -> None:  # noqa: D107
        super().__init__()
        half = width // 2
        self.stem = nn.Sequential(
            _norm(nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)), nn.ReLU(),
            Separable(stem, half, stride=2), Separable(half, half),
        )  # fmt: skip
        self.stages = nn.ModuleList(
            nn.Sequential(Separable(before, width, stride=2), *(Separable(width, width) for _ in range(more)))
            for before, more in ((half, 2), (width, 3), (width, 3))
        )
        self.merges = nn.ModuleList(Separable(width, width) for _ in STRIDES[:-1])
        self.heads = nn.ModuleList(
            nn.Sequential(
                Separable(width, width),
                nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                nn.Conv2d(width, OUTPUTS, 1),
            )
            for _ in STRIDES
        )
        for head in self.heads:
            last = cast(nn.Conv2d, cast(nn.Sequential, head)[-1])
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, last.bias))
            cast(Tensor, last.bias).data[0] = -math.log((1 - _PRIOR) / _PRIOR)

    def forward(self, planes: Tensor) -> Tensor:
        """See the class."""
        x = self.stem((planes - MEAN) * SCALE)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for level in range(len(maps) - 2, -1, -1):
            coarse = functional.interpolate(maps[level + 1], scale_factor=2.0, mode="nearest")
            maps[level] = self.merges[level](maps[level] + coarse)
        outputs = [head(one).flatten(2).transpose(1, 2) for head, one in zip(self.heads, maps, strict=True)]
        return torch.cat(outputs, dim=1)


class Separable(nn.Module):
    """A depthwise 3 x 3 and a pointwise convolution, each with a norm and ReLU; added to its input where that fits."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:  # noqa: D107
        super().__init__()
        self.body = nn.Sequential(
            _norm(nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False)), nn.ReLU(),
            _norm(nn.Conv2d(inputs, outputs, 1, bias=False)),
        )  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = self.body(x)
        return functional.relu(x + y if self.adds else y)


def _norm(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))


class _Answering(nn.Module):
    """The network as it is used: from a picture, uint8 ``(1, h, w, 3)``, to scores and places."""

    def __init__(self, network: FaceDetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        rows = self.network(picture.permute(0, 3, 1, 2).float())
        return torch.cat([rows[..., :1].sigmoid(), rows[..., 1:]], dim=-1)


def answering_in_half(network: FaceDetectorNetwork) -> nn.Module:
    """The network as it is exported: its norms folded into the convolutions, its weights rounded to 16 bits."""
    answering = _Answering(copy.deepcopy(network)).eval()
    for module in list(answering.modules()):
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1, 0, -1):
                before, norm = module[index - 1], module[index]
                if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[index - 1] = fuse_conv_bn_eval(before, norm)
                    del module[index]
    with torch.no_grad():
        for values in answering.parameters():
            values.requires_grad_(False).copy_(values.half().float())
    return answering
