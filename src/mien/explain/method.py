"""What all methods of attribution share: the network's layers, batches, and the checks before them.

A method is a frozen dataclass of its settings, called as a function: ``GradCAM()(network, crops, "happy")``. A subclass
of :class:`Method` writes only how one batch becomes maps.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import DatasetError, ModelError
from mien.core.expression import label_indices
from mien.core.predictor import Predictor
from mien.core.preprocess import Image, InputSpec
from mien.models.network import Normalised, TorchPredictor

Floats = NDArray[np.float32]

CHUNK = 32
"""Crops that go through a network together: larger batches fall out of a CPU's cache, and ResEZAP's maps then take
three times as long."""


@dataclass(frozen=True)
class Method(ABC):
    """Base of all methods: from a network, crops and expressions to maps.

    Maps are float32 ``(n, h, w)`` in the unit of the logit and are not normalised. Those of one network and method have
    one size: that of the crop, or of the layer that is looked at (:func:`mien.core.heatmap.enlarge` makes them larger).
    """

    name: ClassVar[str]
    """What the command line and results call it."""
    title: ClassVar[str]
    """What figures call it."""

    def __call__(self, network: Predictor, crops: Image, expressions: str | Sequence[str]) -> Floats:
        """Maps ``(n, h, w)`` of uint8 crops ``(n, *input.shape)``.

        Args:
            network: a torch network.
            crops: what it reads.
            expressions: the logit that is explained: one for all crops, or one for each.

        Raises:
            ModelError: the model has no gradients, or no such layer.
            LabelError: the model does not know an expression.
            DatasetError: there are no crops.
            ValueError: the crops have another shape or type.
        """
        graph = graph_of(network)
        check_crops(network, crops)
        classes = torch.from_numpy(label_indices(network.labels, expressions, len(crops), network.name))
        device = graph.mean.device
        parts = []
        for start in range(0, len(crops), CHUNK):
            chunk = torch.from_numpy(np.ascontiguousarray(crops[start : start + CHUNK])).to(device)
            maps = self._maps(graph, network.input, chunk, classes[start : start + CHUNK].to(device))
            parts.append(maps.detach().cpu().numpy().astype(np.float32, copy=False))
        return np.concatenate(parts)

    @abstractmethod
    def _maps(self, graph: Normalised, spec: InputSpec, crops: Tensor, classes: Tensor) -> Tensor:
        """Maps ``(n, h, w)`` of one batch of uint8 crops and their class indices ``(n,)``."""


def graph_of(network: Predictor) -> Normalised:
    """The torch graph of a network, of one look where it averages several views.

    Raises:
        ModelError: it is no torch network.
    """
    if not isinstance(network, TorchPredictor):
        raise ModelError(
            f"'{network.name}' has no gradients, because it is an ONNX file: ask for its class activation map "
            "(mien.runtime.ActivationMapper, or 'mien read --explain'), or open the run that it was exported from"
        )
    return network.look


def check_crops(network: Predictor, crops: Image) -> None:
    """Refuse crops that the network does not take.

    Raises:
        DatasetError: there are none.
        ValueError: they have another shape or type.
    """
    if crops.dtype != np.uint8 or crops.shape[1:] != network.input.shape:
        shape = f"(n, {', '.join(map(str, network.input.shape))})"
        raise ValueError(f"{network.name} takes uint8 crops {shape}, got {crops.dtype} {crops.shape}")
    if len(crops) == 0:
        raise DatasetError(f"there is no crop for {network.name} to explain: give one or more")


def layers(graph: Normalised, spec: InputSpec) -> dict[str, tuple[int, ...]]:
    """Every layer that gives maps: its name and its output's ``(channels, h, w)``, in the order they are finished."""
    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            shapes.pop(name, None)  # a layer that is called again counts where it is finished last
            shapes[name] = tuple(output.shape[1:])

    watch(graph, [name for name, _ in graph.body.named_modules() if name], np.zeros((1, *spec.shape), np.uint8), keep)
    return shapes


def watch(graph: Normalised, names: Sequence[str], crops: Image, see: Callable[[str, Any], None]) -> None:
    """Run crops through a network, and hand each named layer's name and output to ``see`` when it is finished."""
    modules = dict(graph.body.named_modules())

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda _, __, output: see(name, output)

    handles = [modules[name].register_forward_hook(hook(name)) for name in names]
    try:
        with torch.no_grad():
            graph(torch.from_numpy(np.ascontiguousarray(crops)).to(graph.mean.device))
    finally:
        for handle in handles:
            handle.remove()


def default_layer(graph: Normalised, spec: InputSpec) -> str:
    """The last layer whose output is still a map, before the global pooling; within containers the innermost.

    Raises:
        ModelError: no layer gives a map.
    """
    shapes = layers(graph, spec)
    maps = [name for name, (_, height, width) in shapes.items() if height * width > 1]
    if not maps:
        raise ModelError("no layer of this network gives a map of more than one position")
    name, modules = maps[-1], dict(graph.body.named_modules())
    while (children := list(modules[name].named_children())) and type(modules[name]).forward is nn.Sequential.forward:
        last = f"{name}.{children[-1][0]}"
        if shapes.get(last) != shapes[name]:
            break
        name = last
    return name


def find_layer(graph: Normalised, spec: InputSpec, name: str | None) -> nn.Module:
    """A layer by its name, or the default one.

    Raises:
        ModelError: there is none of that name; the nearest that give maps are named.
    """
    if name is None:
        if graph not in _defaults:
            _defaults[graph] = default_layer(graph, spec)
        name = _defaults[graph]
    modules: dict[str, nn.Module] = dict(graph.body.named_modules())
    if not name or name not in modules:
        near = difflib.get_close_matches(name, layers(graph, spec), n=3, cutoff=0.4)
        hint = f"near to it: {', '.join(near)}; " if near else ""
        raise ModelError(f"the layer '{name}' does not exist: {hint}the default is '{default_layer(graph, spec)}'")
    return modules[name]


_defaults: WeakKeyDictionary[Normalised, str] = WeakKeyDictionary()
"""Default layers found: finding one takes a pass through the network, as much as a map of one face."""
