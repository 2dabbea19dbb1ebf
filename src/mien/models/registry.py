"""The registry: one typed record for every network, and what can be counted on a built one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

import torch
from torch import nn

from mien.core.errors import ConfigError, MissingExtraError, ModelError, UnknownModelError, nearest
from mien.core.preprocess import InputSpec

FER2013_INPUT = InputSpec()
"""48 x 48 grey, normalised by FER2013's own statistics."""

ENTRY_POINTS = "mien.networks"
"""Group of entry points by which other packages bring networks: the network's name, and a module or anything in it
whose import registers a network of that name with :func:`register`."""

_FAMILIES = (
    "resezap",
    "deepface_emotion",
    "mini_xception",
    "stacks",
    "tiny",
    "small",
    "face_gate_network",
    "backbones",
)


@dataclass(frozen=True, slots=True)
class Network:
    """What is known of a network before it is trained.

    Attributes:
        name: what recipes call it.
        summary: one sentence.
        build: makes it with fresh weights: ``build(classes, **options)``.
        input: what its crops are.
        paper: where its architecture is from.
        trained: trained values at seven classes, as published or as derived in its docstring; None where they are
            only counted, as another package may have it.
        running: running means and variances, which Keras counts too; None likewise.
    """

    name: str
    summary: str
    build: Callable[..., nn.Module]
    input: InputSpec
    paper: str
    trained: int | None = None
    running: int | None = None


Build = TypeVar("Build", bound=Callable[..., nn.Module])
_networks: dict[str, Network] = {}


def register(
    name: str,
    *,
    paper: str,
    trained: int | None = None,
    running: int | None = None,
    input: InputSpec = FER2013_INPUT,  # noqa: A002
) -> Callable[[Build], Build]:
    """Register the decorated builder ``build(classes=7, **options)``; its docstring's first line is the summary.

    The counts are what somebody published or derived by hand, against which mien's tests hold mien's own networks.
    """

    def keep(build: Build) -> Build:
        if name in _networks:
            raise ValueError(f"the network name '{name}' is taken")
        summary = (build.__doc__ or "").strip().partition("\n")[0]
        _networks[name] = Network(name, summary, build, input, paper, trained, running)
        return build

    return keep


def unregister(name: str) -> None:
    """Forget a network, so that its name can be registered again, as in a notebook or a test."""
    _networks.pop(name, None)


def networks() -> dict[str, Network]:
    """All registered networks by name, in alphabetical order: mien's own and those that other packages bring.

    Raises:
        ModelError: a network of another package cannot be loaded.
    """
    _load_families()
    for point in entry_points(group=ENTRY_POINTS):
        _bring(point)
    return dict(sorted(_networks.items()))


def network(name: str) -> Network:
    """The record of one network.

    Raises:
        UnknownModelError: there is none of that name; the message holds the nearest.
        ModelError: another package brings it, and it cannot be loaded.
    """
    _load_families()
    brought = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in brought:
        _bring(brought[name])
    if name not in _networks:
        raise UnknownModelError(f"unknown network '{name}': {nearest(name, sorted({*_networks, *brought}))}")
    return _networks[name]


def _load_families() -> None:
    for family in _FAMILIES:
        import_module(f"mien.models.{family}")


def _bring(point: EntryPoint) -> None:
    if point.name in _networks:
        return
    try:
        point.load()
    except Exception as error:  # it is another package's code, and fails in its own ways
        raise ModelError(f"the network '{point.name}' of {point.value} cannot be loaded: {error}") from error
    if point.name not in _networks:
        raise ModelError(f"{point.value} was to bring the network '{point.name}' and registers none of that name")


def build(name: str, classes: int = 7, **options: object) -> nn.Module:
    """A network with fresh weights from torch's global random state.

    It maps normalised planes ``(n, planes, size, size)`` float to logits ``(n, classes)``.

    Raises:
        UnknownModelError: there is none of that name.
        ConfigError: it has no such option, or refuses its value.
    """
    record = network(name)
    takes = inspect.signature(record.build).parameters
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values()):
        for option in options:
            if option not in takes:
                known = list(takes)[1:]
                hint = nearest(option, known) if known else "it has none"
                raise ConfigError(f"network '{name}' has no option '{option}': {hint}")
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


@dataclass(frozen=True, slots=True)
class NetworkCounts:
    """What can be said of a network at its own input.

    Attributes:
        network: its record.
        trained: trained values.
        running: running means and variances.
        multiplications: of its convolutions for one crop, see :func:`count_multiplications`; None where torchvision
            is missing.
    """

    network: Network
    trained: int
    running: int
    multiplications: int | None

    @property
    def bytes(self) -> int:
        """Of its values as float32."""
        return 4 * (self.trained + self.running)

    def cells(self) -> tuple[str, ...]:
        """Name, paper, input, trained and running values, multiplications and megabytes, for a person."""
        return (
            self.network.name,
            self.network.paper,
            " x ".join(map(str, self.network.input.shape)),
            f"{self.trained:,}",
            f"{self.running:,}",
            "–" if self.multiplications is None else f"{self.multiplications:,}",
            f"{self.bytes / 1e6:.2f}",
        )

    def to_dict(self) -> dict[str, object]:
        """The same for a program, with the summary."""
        return {
            "name": self.network.name,
            "summary": self.network.summary,
            "paper": self.network.paper,
            "input": list(self.network.input.shape),
            "planes": self.network.input.planes,
            "trained": self.trained,
            "running": self.running,
            "bytes": self.bytes,
            "multiplications": self.multiplications,
        }


def count(record: Network) -> NetworkCounts:
    """Count a network on the meta device, without computing; what its record says goes first.

    Raises:
        MissingExtraError: it cannot be built here, and its record does not say how many values it has.
    """
    trained, running, multiplications = record.trained, record.running, None
    try:
        with torch.device("meta"):
            body = record.build()
            multiplications = count_multiplications(body, record.input)
    except MissingExtraError:
        if trained is None or running is None:
            raise
    else:
        found = count_values(body)
        trained, running = (own if own is not None else one for own, one in zip((trained, running), found, strict=True))
    return NetworkCounts(record, trained, running, multiplications)
