"""The registry: one typed record for every network, and what can be counted on a built one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

import torch
from torch import nn

from mien.core.errors import ConfigError, UnknownModelError, nearest
from mien.core.preprocess import InputSpec

FER2013_INPUT = InputSpec(mean=(129.47,), std=(65.03,))
"""48 x 48 grey, normalised by the mean and deviation of FER2013's Training rows (129.474, 65.027)."""

_FAMILIES = ("resezap", "deepface_emotion", "mini_xception", "stacks", "tiny", "backbones")


@dataclass(frozen=True, slots=True)
class Network:
    """What is known of a network before it is trained.

    Attributes:
        name: what recipes call it.
        summary: one sentence.
        build: makes it with fresh weights: ``build(classes, **options)``.
        input: what its crops are.
        paper: where its architecture is from.
        trained: trained values at seven classes, as published or as derived in its docstring.
        running: running means and variances, which Keras counts too.
    """

    name: str
    summary: str
    build: Callable[..., nn.Module]
    input: InputSpec
    paper: str
    trained: int
    running: int


Build = TypeVar("Build", bound=Callable[..., nn.Module])
_networks: dict[str, Network] = {}


def register(
    name: str,
    *,
    paper: str,
    trained: int,
    running: int,
    input: InputSpec = FER2013_INPUT,  # noqa: A002
) -> Callable[[Build], Build]:
    """Register the decorated builder ``build(classes=7, **options)``; its docstring's first line is the summary."""

    def keep(build: Build) -> Build:
        if name in _networks:
            raise ValueError(f"the network name '{name}' is taken")
        summary = (build.__doc__ or "").strip().partition("\n")[0]
        _networks[name] = Network(name, summary, build, input, paper, trained, running)
        return build

    return keep


def networks() -> dict[str, Network]:
    """All registered networks by name, in alphabetical order."""
    for family in _FAMILIES:
        import_module(f"mien.models.{family}")
    return dict(sorted(_networks.items()))


def network(name: str) -> Network:
    """The record of one network.

    Raises:
        UnknownModelError: there is none of that name; the message holds the nearest.
    """
    known = networks()
    if name not in known:
        raise UnknownModelError(f"unknown network '{name}': {nearest(name, known)}")
    return known[name]


def build(name: str, classes: int = 7, **options: object) -> nn.Module:
    """A network with fresh weights from torch's global random state.

    It maps normalised planes ``(n, planes, size, size)`` float to logits ``(n, classes)``.

    Raises:
        UnknownModelError: there is none of that name.
        ConfigError: it has no such option, or refuses its value.
    """
    record = network(name)
    try:
        return record.build(classes, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"network '{name}' with options {options}: {error}") from error


def count_values(model: nn.Module) -> tuple[int, int]:
    """Trained values, and running means and variances, of a network. Keras reports their sum."""
    trained = sum(p.numel() for p in model.parameters())
    running = sum(b.numel() for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var")))
    return trained, running


def count_multiplications(model: nn.Module, spec: InputSpec) -> int:
    """Multiplications of the convolutions for one crop, as paper 002 counts them in its Table 1.

    A convolution with kernel k x k from i channels in g groups to o channels, at an output of h x w, takes
    ``h * w * k * k * (i / g) * o``.
    """
    total = 0

    def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output.shape[2] * output.shape[3] * layer.weight.numel()

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d)]
    was_training = model.training
    try:
        with torch.no_grad():
            place = next(model.parameters()).device  # "meta" computes shapes alone
            model.eval()(torch.zeros(1, spec.planes, spec.size, spec.size, device=place))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
