"""What a network makes of one face, layer by layer: its feature maps, and the filters that make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.predictor import Predictor
from mien.core.preprocess import Image, InputSpec
from mien.explain.method import check_crops, find_layer, graph_of, layers, watch
from mien.models.network import Normalised

SHOWN = 16
"""Channels and filters that are kept of a layer, unless asked for more."""


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Some channels of a layer's output for one face.

    Attributes:
        layer: the module's name.
        kind: its class, such as ``Conv2d``.
        shape: ``(channels, height, width)`` of the whole output.
        channels: ``(k,)`` which channels are kept, in order: those that vary most over the face.
        maps: ``(k, height, width)`` float32.
        flat: how many of all channels have one value all over the face.
    """

    layer: str
    kind: str
    shape: tuple[int, int, int]
    channels: NDArray[np.int64]
    maps: NDArray[np.float32]
    flat: int

    @property
    def words(self) -> str:
        """Name, class and shape: ``"blocks.0 (Block) 32 × 24 × 24"``."""
        return f"{self.layer} ({self.kind}) {' × '.join(map(str, self.shape))}"


@dataclass(frozen=True, eq=False)
class Filters:
    """Some kernels of a convolution.

    Attributes:
        layer: the module's name.
        shape: ``(outputs, inputs of each, height, width)`` of all kernels.
        outputs: ``(k,)`` which filters are kept, in order: those of the largest norm.
        inputs: ``(k,)`` the input whose kernel is kept: of each filter that of the largest norm.
        kernels: ``(k, height, width)`` float32.
    """

    layer: str
    shape: tuple[int, int, int, int]
    outputs: NDArray[np.int64]
    inputs: NDArray[np.int64]
    kernels: NDArray[np.float32]

    @property
    def words(self) -> str:
        """Name and shape: ``"features.0 64 × 3 × 3 × 3"``."""
        return f"{self.layer} {' × '.join(map(str, self.shape))}"


def feature_maps(
    network: Predictor, crop: Image, *, names: Sequence[str] = (), shown: int = SHOWN
) -> tuple[FeatureMaps, ...]:
    """The feature maps of one crop.

    Args:
        network: a torch network.
        crop: uint8, of shape ``network.input.shape``.
        names: layers; every block's output if none is named (:func:`blocks`).
        shown: how many channels of each layer are kept.

    Raises:
        ModelError: the model has no torch layers, no such layer, or one that gives no map.
        ValueError: the crop has another shape or type.
    """
    graph = graph_of(network)
    check_crops(network, crop[None])
    chosen = names or blocks(graph, network.input)
    shapes = layers(graph, network.input) if names else dict.fromkeys(chosen)
    for name in chosen:
        find_layer(graph, network.input, name)
    for name in chosen:
        if name not in shapes:
            ends = ", ".join(blocks(graph, network.input))
            raise ModelError(f"the layer '{name}' gives no map (channels, height, width); the blocks end in {ends}")
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        found[name] = output.detach()[0].float().cpu().clone()  # what follows may write into it

    watch(graph, chosen, crop[None], keep)
    modules = dict(graph.body.named_modules())
    return tuple(_kept(name, type(modules[name]).__name__, found[name].numpy(), shown) for name in chosen)


def filters(network: Predictor, *, names: Sequence[str] = (), shown: int = SHOWN) -> tuple[Filters, ...]:
    """The kernels of convolutions.

    Args:
        network: a torch network.
        names: convolutions, or modules that hold some, of which the first counts; each block's if none is named.
        shown: how many filters of each are kept.

    Raises:
        ModelError: the model has no torch layers, or a name holds no convolution wider than 1 x 1.
    """
    graph = graph_of(network)
    if names:
        return tuple(_kernels(*_first_wide(graph.body, name), shown) for name in names)
    starts = [first for first, _ in _groups(graph, network.input)]
    modules = dict(graph.body.named_modules())
    wide = [next(_wide(modules[name], name), None) for name in starts]
    return tuple(_kernels(*conv, shown) for conv in wide if conv is not None)


def blocks(graph: Normalised, spec: InputSpec) -> tuple[str, ...]:
    """The layer at the end of each block of a network, in order.

    A block begins with a child that holds a convolution and ends before the next such child, so that norm, activation
    and pooling belong to the convolution before them. The children are those of the outermost module that has several
    with convolutions.

    Raises:
        ModelError: the network has no convolution.
    """
    return tuple(last for _, last in _groups(graph, spec))


def _groups(graph: Normalised, spec: InputSpec) -> list[tuple[str, str]]:
    """First and last child of each block that was run and ends in a map."""
    shapes = layers(graph, spec)
    children = list(_children(graph.body, ""))
    while True:
        holding = [(name, child) for name, child in children if _convolves(child) and _ran(name, shapes)]
        if len(holding) != 1 or isinstance(holding[0][1], nn.Conv2d):
            break
        children = list(_children(holding[0][1], f"{holding[0][0]}."))
    if not holding:
        raise ModelError(f"{type(graph.body).__name__} has no convolution, and so no feature maps")
    groups: list[list[str]] = []
    for name, child in children:
        if (name, child) in holding:
            groups.append([name])
        if groups and name in shapes and shapes[name][1] * shapes[name][2] > 1:
            groups[-1].append(name)
    return [(group[0], group[-1]) for group in groups if len(group) > 1]


def _children(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if type(child) in (nn.ModuleList, nn.ModuleDict):  # never run themselves; DenseNet's subclass is
            yield from _children(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())


def _ran(name: str, shapes: dict[str, tuple[int, ...]]) -> bool:
    return any(layer == name or layer.startswith(f"{name}.") for layer in shapes)


def _wide(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Conv2d]]:
    for inner, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1:
            yield f"{name}.{inner}".strip("."), part


def _first_wide(body: nn.Module, name: str) -> tuple[str, nn.Conv2d]:
    modules = dict(body.named_modules())
    found = next(_wide(modules[name], name), None) if modules.get(name) is not None else None
    if found is None:
        import difflib

        known = [wide for wide, _ in _wide(body, "")]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"near to it: {', '.join(near)}" if near else f"the first is '{known[0]}'" if known else "there is none"
        raise ModelError(f"the layer '{name}' holds no convolution wider than 1 x 1: {hint}")
    return found


def _kept(name: str, kind: str, output: NDArray[np.float32], shown: int) -> FeatureMaps:
    spread = output.std(axis=(1, 2))
    order = np.argsort(-spread, kind="stable")[:shown]
    channels = np.sort(order)
    channel, height, width = output.shape
    flat = int((np.ptp(output, axis=(1, 2)) == 0).sum())
    return FeatureMaps(name, kind, (channel, height, width), channels, output[channels], flat)


def _kernels(name: str, convolution: nn.Conv2d, shown: int) -> Filters:
    weight = convolution.weight.detach().float().cpu().numpy()
    outputs, inputs, height, width = weight.shape
    norms = np.sqrt((weight**2).sum(axis=(2, 3)))
    chosen = np.sort(np.argsort(-np.sqrt((norms**2).sum(axis=1)), kind="stable")[:shown])
    strongest = norms[chosen].argmax(axis=1)
    return Filters(name, (outputs, inputs, height, width), chosen, strongest, weight[chosen, strongest])
