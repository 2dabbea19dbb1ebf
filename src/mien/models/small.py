"""mien's own networks of ordinary convolutions, which eight bits make fast: up to a million values, and to four."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mien.models.registry import register


class BasicBlock(nn.Module):
    """Basic residual block (He et al. 2016): ``relu(skip(x) + norm(conv(relu(norm(conv(x))))))``."""

    def __init__(self, inputs: int, width: int) -> None:
        """From ``inputs`` to ``width`` channels; where they differ, ``skip`` is a 1x1 convolution with batch norm."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.skip: nn.Module = nn.Identity()
        if inputs != width:
            self.skip = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, width, h, w)``."""
        return functional.relu(self.skip(x) + self.body(x))


class SmallNet(nn.Sequential):
    """A stem at full size; stages of residual blocks, each opened by a max-pool; an average and a dense layer."""

    def __init__(self, classes: int, *, stem: int, widths: tuple[int, ...], depth: int, dropout: float) -> None:
        """``stem`` channels at full size, then ``depth`` blocks of ``widths[i]`` at 1/2, 1/4 … of it."""
        layers: list[nn.Module] = [nn.Conv2d(1, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem), nn.ReLU()]
        inputs = stem
        for width in widths:
            layers.append(nn.MaxPool2d(3, 2, 1))
            for _ in range(depth):
                layers.append(BasicBlock(inputs, width))
                inputs = width
        head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(inputs, classes))
        super().__init__(*layers, *head)


@register("small", paper="mien", trained=867_207, running=2_480)
def small(classes: int = 7, *, dropout: float = 0.3) -> nn.Module:
    """Residual network of mien's own with ordinary convolutions: 869,687 values.

    Trained: stem 288 + 64; stage of 32 channels 2 x 18,560; of 72, 70,128 + 93,600; of 144, 291,168 + 373,824; dense
    1,015. Running: two for each of the 1,240 channels that are normalised.
    """
    return SmallNet(classes, stem=32, widths=(32, 72, 144), depth=2, dropout=dropout)


@register("base", paper="mien", trained=3_455_063, running=5_056)
def base(classes: int = 7, *, dropout: float = 0.4) -> nn.Module:
    """Residual network of mien's own, twice as wide as ``small``: 3,460,119 values.

    Trained: stem 432 + 96; stage of 64 channels, 67,968 + 73,984; of 144, 279,648 + 373,824; of 288, 1,162,944 +
    1,494,144; dense 2,023. Running: two for each of the 2,528 channels that are normalised.
    """
    return SmallNet(classes, stem=48, widths=(64, 144, 288), depth=2, dropout=dropout)
