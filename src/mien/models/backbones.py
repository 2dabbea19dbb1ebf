"""The networks that the papers pretrain on ImageNet, through torchvision (extra ``backbones``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import ConfigError, nearest
from mien.core.preprocess import InputSpec
from mien.models.registry import FER2013_INPUT, register
from mien.models.vision import torchvision_models

BACKBONE_INPUT = InputSpec(mean=FER2013_INPUT.mean * 3, std=FER2013_INPUT.std * 3)
"""48 x 48 grey shown as RGB, normalised by FER2013's own statistics, for networks without ImageNet weights."""

_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


@dataclass(frozen=True, slots=True)
class BackboneSource:
    """What torchvision has, and what is left of it.

    Attributes:
        function: its name in ``torchvision.models``.
        title: in words.
        paper: where the architecture is from.
        published: trained values as published with ImageNet's 1,000 classes, auxiliary classifiers left out.
        top: those of the classifier, which a pool and one dense layer replace.
        running: running means and variances: twice the channels of its batch norms.
        width: features before the dense layer.
        native: side of the pictures that its ImageNet weights saw, pixels.
        smallest: side of the smallest picture that it takes.
        dropout: before the dense layer, as published.
        preprocessing: of torchvision's ImageNet weights, a key of :data:`mien.models.weights.PREPROCESSING`.
    """

    function: str
    title: str
    paper: str
    published: int
    top: int
    running: int
    width: int
    native: int = 224
    smallest: int = 32
    dropout: float = 0.0
    preprocessing: Literal["torch", "tf"] = "torch"


_VGG = "Simonyan & Zisserman 2015, Very Deep Convolutional Networks (arXiv 1409.1556)"
_RESNET = "He et al. 2016, Deep Residual Learning (arXiv 1512.03385)"
_MOBILE_3 = "Howard et al. 2019, Searching for MobileNetV3 (arXiv 1905.02244)"
_VGG_TOP = (25_088 * 4_096 + 4_096) + (4_096 * 4_096 + 4_096) + (4_096 * 1_000 + 1_000)

SOURCES = {
    "squeezenet": BackboneSource(
        "squeezenet1_1",
        "SqueezeNet 1.1",
        "Iandola et al. 2016, SqueezeNet (arXiv 1602.07360)",
        *(1_235_496, 512 * 1_000 + 1_000, 0, 512),
        dropout=0.5,
    ),
    "vgg16": BackboneSource("vgg16", "VGG16", _VGG, 138_357_544, _VGG_TOP, 0, 512, dropout=0.5),
    "vgg19": BackboneSource("vgg19", "VGG19", _VGG, 143_667_240, _VGG_TOP, 0, 512, dropout=0.5),
    "resnet18": BackboneSource("resnet18", "ResNet-18", _RESNET, 11_689_512, 512 * 1_000 + 1_000, 9_600, 512),
    "resnet50": BackboneSource("resnet50", "ResNet-50", _RESNET, 25_557_032, 2_048 * 1_000 + 1_000, 53_120, 2_048),
    "googlenet": BackboneSource(
        "googlenet",
        "GoogLeNet",
        "Szegedy et al. 2015, Going Deeper with Convolutions (arXiv 1409.4842)",
        *(6_624_904, 1_024 * 1_000 + 1_000, 14_560, 1_024),
        dropout=0.2,
        preprocessing="tf",
    ),
    "inception-v3": BackboneSource(
        "inception_v3",
        "InceptionV3",
        "Szegedy et al. 2016, Rethinking the Inception Architecture (arXiv 1512.00567)",
        *(23_834_568, 2_048 * 1_000 + 1_000, 34_432, 2_048),
        native=299,
        smallest=75,
        dropout=0.5,
        preprocessing="tf",
    ),
    "densenet121": BackboneSource(
        "densenet121",
        "DenseNet-121",
        "Huang et al. 2017, Densely Connected Convolutional Networks (arXiv 1608.06993)",
        *(7_978_856, 1_024 * 1_000 + 1_000, 83_648, 1_024),
    ),
    "mobilenet-v2": BackboneSource(
        "mobilenet_v2",
        "MobileNetV2",
        "Sandler et al. 2018, MobileNetV2 (arXiv 1801.04381)",
        *(3_504_872, 1_280 * 1_000 + 1_000, 34_112, 1_280),
        dropout=0.2,
    ),
    "mobilenet-v3-small": BackboneSource(
        "mobilenet_v3_small",
        "MobileNetV3 small",
        _MOBILE_3,
        *(2_542_856, (576 * 1_024 + 1_024) + (1_024 * 1_000 + 1_000), 12_112, 576),
        dropout=0.2,
    ),
    "mobilenet-v3-large": BackboneSource(
        "mobilenet_v3_large",
        "MobileNetV3 large",
        _MOBILE_3,
        *(5_483_032, (960 * 1_280 + 1_280) + (1_280 * 1_000 + 1_000), 24_400, 960),
        dropout=0.2,
    ),
}
"""Every backbone by its name in the registry."""


class Backbone(nn.Module):
    """A torchvision network without its classifier, a global average pool and one dense layer."""

    def __init__(
        self, body: nn.Module, width: int, classes: int, *, side: int | None, smallest: int, dropout: float
    ) -> None:
        """``body`` gives ``(n, width)`` of planes, brought to ``side`` pixels if given, or else to ``smallest``."""
        super().__init__()
        self.body = body
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        self._side = side
        self._smallest = smallest

    def forward(self, planes: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of normalised planes ``(n, 3, h, w)``."""
        side = self._side or max(planes.shape[-1], self._smallest)
        if planes.shape[-1] != side:
            planes = functional.interpolate(planes, (side, side), mode="bilinear")
        logits: Tensor = self.head(self.dropout(self.body(planes)))
        return logits


def backbone(
    name: str,
    classes: int = 7,
    *,
    side: int | None = None,
    dropout: float | None = None,
    top: Literal["pool", "dense"] = "pool",
) -> nn.Module:
    """A backbone with fresh weights; see :data:`SOURCES` for the counts.

    Values: those published, less the classifier, plus ``width * classes + classes``.

    Args:
        name: a key of :data:`SOURCES`.
        classes: outputs.
        side: enlarge the planes to so many pixels within the network, so that crops stay as small as the pictures
            that they come from; None takes them as they are, and enlarges only what the network could not take.
        dropout: before the dense layer; None for what was published.
        top: ``dense`` keeps the two dense layers of 4,096 that VGG16 and VGG19 were published with.

    Raises:
        MissingExtraError: torchvision is not installed.
        ValueError: a side below the smallest, or another ``top`` than the network has.
    """
    source = SOURCES[name]
    if side is not None and side < source.smallest:
        raise ValueError(f"side must be {source.smallest} or more, got {side}")
    if top not in ("pool", "dense") or (top == "dense" and not name.startswith("vgg")):
        raise ValueError(f"top must be 'pool'{' or dense' if name.startswith('vgg') else ''}, got '{top}'")
    models = torchvision_models()
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception-v3") else {}
    body = getattr(models, source.function)(weights=None, **extra)
    width = source.width
    if top == "dense":
        body.classifier = nn.Sequential(*list(body.classifier)[:-2])  # its last dropout and dense layer are ours
        width = 4_096
    elif name.startswith("vgg"):
        body.avgpool, body.classifier = nn.AdaptiveAvgPool2d(1), nn.Identity()
    elif name == "squeezenet":
        body.classifier = nn.AdaptiveAvgPool2d(1)
    elif name in ("densenet121", "mobilenet-v2", "mobilenet-v3-small", "mobilenet-v3-large"):
        body.classifier = nn.Identity()
    else:
        body.dropout, body.fc = nn.Identity(), nn.Identity()
    rate = source.dropout if dropout is None else dropout
    return Backbone(body, width, classes, side=side, smallest=source.smallest, dropout=rate)


def imagenet_state(name: str) -> tuple[Mapping[str, Tensor], Path]:
    """ImageNet weights (IMAGENET1K_V1) by torchvision's own download, its hash checked, and the file that it keeps.

    They are under torchvision's names.

    Raises:
        ConfigError: none are published for this network.
        MissingExtraError: torchvision is not installed.
        OSError: they could not be fetched.
        RuntimeError: what came has another hash.
    """
    if name not in SOURCES:
        raise ConfigError(f"no ImageNet weights are published for '{name}': {nearest(name, SOURCES)}")
    weights = torchvision_models().get_model_weights(SOURCES[name].function).IMAGENET1K_V1
    state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    kept = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    return cast(Mapping[str, Tensor], state), kept


def modern_name(name: str) -> str:
    """A tensor's name as torchvision calls it today.

    Its DenseNet files hold the older ``norm.1`` for ``norm1``; SqueezeNet files converted from Keras call ``squeeze``
    as Keras did, ``squeeze1x1``.
    """
    found = _DENSENET.fullmatch(name)
    return f"{found[1]}{found[2]}" if found else name.replace(".squeeze1x1.", ".squeeze.")


def _register(name: str, source: BackboneSource) -> None:
    build = cast(Callable[..., nn.Module], partial(backbone, name))
    build.__doc__ = f"{source.title} of torchvision with a global average pool and one dense layer."
    trained = source.published - source.top + source.width * 7 + 7
    register(name, paper=source.paper, trained=trained, running=source.running, input=BACKBONE_INPUT)(build)


for _name, _source in SOURCES.items():
    _register(_name, _source)
