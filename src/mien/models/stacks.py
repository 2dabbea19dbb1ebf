"""The plain stacks of convolutions of papers 000 and 001: groups of 3 x 3 convolutions, pools, dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from mien.core.preprocess import InputSpec
from mien.models.registry import register


def group(
    inputs: int, outputs: int, depth: int, *, norm: str, pool: nn.Module, dropout: float = 0.0, padding: int = 1
) -> list[nn.Module]:
    """``depth`` convolutions 3 x 3 with ReLU, then a pool and dropout; ``norm`` is ``each``, ``last`` or ``none``."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers.append(nn.Conv2d(inputs if index == 0 else outputs, outputs, 3, padding=padding))
        normed = norm == "each" or (norm == "last" and index == depth - 1)
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if normed else [nn.ReLU()]
    return [*layers, pool, *([nn.Dropout(dropout)] if dropout else [])]


def dense(inputs: int, widths: Sequence[int], classes: int, *, dropout: float = 0.0) -> list[nn.Module]:
    """Flatten, dense layers with ReLU and dropout, and the head."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = width
    return [*layers, nn.Linear(inputs, classes)]


@register("model-a", paper="Atanasov & Pilev 2020, Table II (Model A)", trained=13_367_367, running=9_216)
def model_a(classes: int = 7, *, dropout: float = 0.25) -> nn.Module:
    """Model A of paper 000: five groups of 2, 3, 4, 4, 4 convolutions after VGG16, with batch norm.

    Weights of the convolutions, by groups: 37,568 (2 x 64), 369,024 (3 x 128), 2,065,408 (4 x 256), 2,360,320
    (4 x 256), 8,259,584 (4 x 512); dense 512 * 512 + 512 = 262,656 and 512 * 7 + 7 = 3,591: 13,358,151, the paper's
    number before batch norm. The norms of 4,608 channels add 9,216 trained and 9,216 running values. The rate of its
    dropout is not in the paper.
    """
    groups = ((1, 64, 2), (64, 128, 3), (128, 256, 4), (256, 256, 4), (256, 512, 4))
    layers = [
        layer for i, o, n in groups for layer in group(i, o, n, norm="each", pool=nn.MaxPool2d(2), dropout=dropout)
    ]
    return nn.Sequential(*layers, *dense(512, (512,), classes, dropout=2 * dropout))


@register(
    "wu-chen",
    paper="Wu & Chen 2019, Facial emotion recognition using deep learning (arXiv 1910.11113), as paper 000 gives it",
    trained=4_274_567,
    running=2_432,
)
def wu_chen(classes: int = 7, *, dropout: float = 0.25) -> nn.Module:
    """Reference [10] of paper 000: four groups of one convolution, 64-128-512-512, and dense layers 256, 256.

    Paper 000 gives the widths, and convolution, batch norm, ReLU and max-pool as the order of a group; 3 x 3 kernels
    and the dropout are ours. Convolutions 640 + 73,856 + 590,336 + 2,359,808; norms of 1,216 channels 2,432 trained,
    2,432 running; dense 3 * 3 * 512 * 256 + 256 = 1,179,904, 65,792 and 1,799: 4,274,567 trained.
    """
    widths = (1, 64, 128, 512, 512)
    layers = [
        layer
        for i, o in pairwise(widths)
        for layer in group(i, o, 1, norm="each", pool=nn.MaxPool2d(2), dropout=dropout)
    ]
    return nn.Sequential(*layers, *dense(4_608, (256, 256), classes, dropout=dropout))


@register(
    "custom-cnn",
    paper="Rodrigues, Brioso & Cruz, Facial expression recognition with machine learning, figure 4 (paper 001)",
    trained=4_718_407,
    running=1_920,
)
def custom_cnn(classes: int = 7, *, dropout: float = 0.25) -> nn.Module:
    """The custom network of paper 001: eight convolutions in four blocks, and one dense layer.

    A block is two convolutions, one batch norm, a 3 x 3 max-pool and dropout, says the paper; the widths (64, 128, 256,
    512), the stride of 2 and the rate of dropout are ours. Sides 48, 24, 12, 6, 3. Convolutions 37,568 + 221,440 +
    885,248 + 3,539,968; norms of 960 channels 1,920 trained, 1,920 running; dense 3 * 3 * 512 * 7 + 7 = 32,263:
    4,718,407 trained.
    """
    widths = (1, 64, 128, 256, 512)
    layers = [
        layer
        for i, o in pairwise(widths)
        for layer in group(i, o, 2, norm="last", pool=nn.MaxPool2d(3, 2, 1), dropout=dropout)
    ]
    return nn.Sequential(*layers, *dense(4_608, (), classes))


@register(
    "fathallah",
    paper="Fathallah, Abdi & Douik 2017, Facial expression recognition via deep learning, as paper 000 gives it",
    trained=8_631_495,
    running=0,
    input=InputSpec(size=165, channels=3, mean=(127.5,) * 3, std=(127.5,) * 3),
)
def fathallah(classes: int = 7, *, dropout: float = 0.5) -> nn.Module:
    """Reference [12] of paper 000: 165 x 165 RGB, four convolutions, three max-pools, two dense layers.

    There it tells six expressions apart (``data.labels: without-disgust``). Paper 000 gives the input and the number of
    layers; widths 32, 64, 128, 128, 3 x 3 'valid' kernels and the dense 256 are ours. Sides 163, 81, 79, 39, 37, 18,
    16. Convolutions 896 + 18,496 + 73,856 + 147,584 = 240,832; dense 16 * 16 * 128 * 256 + 256 = 8,388,864 and
    256 * 7 + 7 = 1,799: 8,631,495.
    """
    layers = [
        layer
        for i, o in ((3, 32), (32, 64), (64, 128))
        for layer in group(i, o, 1, norm="none", pool=nn.MaxPool2d(2), padding=0)
    ]
    last = group(128, 128, 1, norm="none", pool=nn.Identity(), padding=0)
    return nn.Sequential(*layers, *last, *dense(32_768, (256,), classes, dropout=dropout))
