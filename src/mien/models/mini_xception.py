"""mini-Xception (Arriaga, Valdenegro-Toro & Plöger 2017), the peer among the small networks."""

from __future__ import annotations

from torch import Tensor, nn

from mien.models.registry import register
from mien.models.resezap import SeparableConv


class XceptionModule(nn.Module):
    """Two separable convolutions and a max-pool, beside a strided 1 x 1 convolution that is added to them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Map ``inputs`` channels to ``outputs`` at half the side."""
        super().__init__()
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))
        self.body = nn.Sequential(
            *(SeparableConv(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()),
            *(SeparableConv(outputs, outputs, bias=False), nn.BatchNorm2d(outputs)),
            nn.MaxPool2d(3, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, inputs, h, w)`` to ``(n, outputs, (h + 1) // 2, (w + 1) // 2)``."""
        total: Tensor = self.shortcut(x) + self.body(x)
        return total


@register(
    "mini-xception",
    paper="Arriaga, Valdenegro-Toro & Ploeger 2017, Real-time CNNs for Emotion and Gender Classification (1710.07557)",
    trained=56_951,
    running=1_472,
)
def mini_xception(classes: int = 7) -> nn.Module:
    """mini-Xception, some 60,000 values, after its authors' code: two convolutions, four residual modules, no dense.

    Keras counts, batch norm with its running values: stem 72 + 32 + 576 + 32, modules of 16, 32, 64, 128 channels 920 +
    2,864 + 9,824 + 36,032, last convolution 3 * 3 * 128 * 7 + 7 = 8,071: 58,423 in all, of which 1,472 are running.
    Its authors' crops are 64 x 64; it takes any side, 48 here. At stride 2 Keras pads on one side, torch on both.
    """
    stem = (
        *(nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
    )
    modules = (XceptionModule(8, 16), XceptionModule(16, 32), XceptionModule(32, 64), XceptionModule(64, 128))
    return nn.Sequential(*stem, *modules, nn.Conv2d(128, classes, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
