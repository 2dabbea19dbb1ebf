"""mien's own networks of at most ResEZAP's size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mien.models.registry import register
from mien.models.resezap import SeparableConv


class Residual(nn.Module):
    """``relu(x + norm(separable(x)))`` at equal width."""

    def __init__(self, width: int) -> None:
        """For ``width`` channels."""
        super().__init__()
        self.body = nn.Sequential(SeparableConv(width, width, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, width, h, w)`` to the same shape."""
        return functional.relu(x + self.body(x))


class TinyNet(nn.Sequential):
    """A stem, stages of residual separable convolutions each opened by a max-pool, an average and a dense layer."""

    def __init__(self, classes: int, *, stem: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        """``stem`` channels at full size, then ``depths[i]`` residual blocks of ``widths[i]`` at 1/2, 1/4 … of it."""
        layers: list[nn.Module] = [nn.Conv2d(1, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        inputs = stem
        for width, depth in zip(widths, depths, strict=True):
            layers += [SeparableConv(inputs, width, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2, 1), *(Residual(width) for _ in range(depth))]
            inputs = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


@register("tiny", paper="mien", trained=50_703, running=1_360)
def tiny(classes: int = 7) -> nn.Module:
    """Residual separable network of mien's own within ResEZAP's budget: 52,063 values."""
    return TinyNet(classes, stem=16, widths=(40, 64, 96), depths=(2, 3, 2))
