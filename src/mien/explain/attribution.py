"""Methods that need no layer: integrated gradients and occlusion sensitivity, by captum, at the crop's own size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mien.core.errors import MissingExtraError
from mien.core.preprocess import InputSpec
from mien.explain.gradcam import GradCAM, GradCAMPlusPlus
from mien.explain.method import CHUNK, Method
from mien.models.network import Normalised, as_planes


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Integrated gradients (Sundararajan et al. 2017) along the straight way from a grey picture to the crop.

    The grey is the mean that the network's input is centred on. A map's sum is the difference of the two logits, up to
    the error of the sum over ``steps``; over colours it is summed. Positive speaks for the expression.

    Attributes:
        steps: at which the gradient is taken (Gauss-Legendre).
    """

    name: ClassVar[str] = "integrated-gradients"
    title: ClassVar[str] = "Integrated gradients"

    steps: int = 32

    def _maps(self, graph: Normalised, spec: InputSpec, crops: Tensor, classes: Tensor) -> Tensor:
        planes = as_planes(crops)
        method = _captum().IntegratedGradients(_from_planes(graph))
        attributions: Tensor = method.attribute(
            planes,
            baselines=_grey(graph, spec, planes),
            target=classes,
            n_steps=self.steps,
            internal_batch_size=max(CHUNK, len(crops)),
        )
        return attributions.sum(1)


@dataclass(frozen=True)
class OcclusionSensitivity(Method):
    """Occlusion sensitivity (Zeiler & Fergus 2014): how far the logit falls when a grey square covers a place.

    The square moves by half its side; a pixel has the mean over the squares that cover it. Positive speaks for the
    expression.

    Attributes:
        window: side of the square as a share of the crop's: 1/6 is 8 of 48 pixels.
    """

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion sensitivity"

    window: float = 1 / 6

    def _maps(self, graph: Normalised, spec: InputSpec, crops: Tensor, classes: Tensor) -> Tensor:
        planes = as_planes(crops)
        side = max(round(self.window * spec.size), 1)
        step = max(side // 2, 1)
        method = _captum().Occlusion(_from_planes(graph))
        with torch.no_grad():
            attributions: Tensor = method.attribute(
                planes,
                sliding_window_shapes=(planes.shape[1], side, side),
                strides=(planes.shape[1], step, step),
                baselines=_grey(graph, spec, planes),
                target=classes,
                perturbations_per_eval=max(CHUNK // len(crops), 1),
            )
        return attributions[:, 0]


METHODS: dict[str, type[Method]] = {
    method.name: method for method in (GradCAM, GradCAMPlusPlus, IntegratedGradients, OcclusionSensitivity)
}
"""Every method by its name."""


def _from_planes(graph: Normalised) -> Callable[[Tensor], Tensor]:
    def forward(planes: Tensor) -> Tensor:
        logits: Tensor = graph.body(graph.normalise(planes))
        return logits

    return forward


def _grey(graph: Normalised, spec: InputSpec, planes: Tensor) -> Tensor:
    """What the input is centred on, as a baseline of the planes' shape."""
    mean = graph.mean if graph.mean.shape[1] == spec.channels else graph.mean.mean(1, keepdim=True)
    return mean.expand_as(planes[:1])


def _captum() -> Any:
    try:
        import captum.attr
    except ModuleNotFoundError:
        raise MissingExtraError("captum", "explain", "this method of attribution") from None
    return captum.attr
