"""Grad-CAM and Grad-CAM++: which positions of a layer's maps speak for an expression."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.preprocess import InputSpec
from mien.explain.method import Method, default_layer, find_layer
from mien.models.network import Normalised


@dataclass(frozen=True)
class LayerMethod(Method):
    """Base of the methods that weigh a layer's channels by the gradient of the logit.

    Attributes:
        layer: its name; None for the last one before the global pooling (:func:`~mien.explain.method.default_layer`).
        relu: keep only what speaks for the expression, as the papers do; False keeps what speaks against it too.
    """

    layer: str | None = None
    relu: bool = True

    def _maps(self, graph: Normalised, spec: InputSpec, crops: Tensor, classes: Tensor) -> Tensor:
        layer = find_layer(graph, spec, self.layer)
        features, gradients = features_and_gradients(graph, layer, crops, classes)
        if features.ndim != 4:
            shape = ", ".join(map(str, features.shape[1:]))
            default = default_layer(graph, spec)
            raise ModelError(f"the layer '{self.layer}' gives (n, {shape}), no map; the default is '{default}'")
        maps = torch.einsum("nc,nchw->nhw", self._weights(features, gradients), features)
        return maps.relu() if self.relu else maps

    @abstractmethod
    def _weights(self, features: Tensor, gradients: Tensor) -> Tensor:
        """The weight of each channel ``(n, C)``."""


@dataclass(frozen=True)
class GradCAM(LayerMethod):
    """Grad-CAM (Selvaraju et al. 2017): a channel weighs as much as its gradient is on average over all positions."""

    name: ClassVar[str] = "grad-cam"
    title: ClassVar[str] = "Grad-CAM"

    def _weights(self, features: Tensor, gradients: Tensor) -> Tensor:  # noqa: ARG002
        return gradients.mean((2, 3))


@dataclass(frozen=True)
class GradCAMPlusPlus(LayerMethod):
    """Grad-CAM++ (Chattopadhay et al. 2018): positive gradients alone, each by its share of the activation.

    With g the gradient of the logit, a position's share is ``g^2 / (2 g^2 + g^3 sum(features))``, the sum over the
    channel's positions: their equation 19 for the exponential of the logit, whose value, one factor for the whole map,
    is left out.
    """

    name: ClassVar[str] = "grad-cam++"
    title: ClassVar[str] = "Grad-CAM++"

    def _weights(self, features: Tensor, gradients: Tensor) -> Tensor:
        squared = gradients**2
        below = 2 * squared + squared * gradients * features.sum((2, 3), keepdim=True)
        shares = torch.where(below == 0, torch.zeros_like(below), squared / below.where(below != 0, 1.0))
        return (shares * gradients.relu()).sum((2, 3))


def features_and_gradients(
    graph: Normalised, layer: nn.Module, crops: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """A layer's output and the gradient of each crop's logit by it, both of the output's shape.

    One forward pass; autograd watches only what follows the layer, so that a late layer costs hardly more than the
    forward pass alone.

    Raises:
        ModelError: the logits do not depend on the layer.
    """
    kept: list[Tensor] = []

    def cut(_: nn.Module, __: object, output: object) -> Tensor:
        if not isinstance(output, Tensor):
            raise ModelError(f"a layer whose output is a {type(output).__name__} gives no map: choose another")
        kept.append(output.detach().requires_grad_())
        torch.set_grad_enabled(True)  # until the surrounding no_grad ends
        return kept[-1].clone()  # what follows may write into it

    handle = layer.register_forward_hook(cut)
    try:
        with torch.no_grad():
            logits = graph(crops)
            score = logits.gather(1, classes[:, None]).sum()
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(score, kept[-1], allow_unused=True) if score.requires_grad else (None,)
    if gradients is None:
        raise ModelError("the logits do not depend on this layer: choose another")
    return kept[-1].detach(), gradients
