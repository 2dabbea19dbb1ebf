"""Who shares the work of a run: Lightning's devices, nodes and strategies, by its own names."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal

from mien.core.errors import ConfigError, nearest
from mien.models.vision import mend_torchvision


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes compute each batch together; a recipe's ``batch`` is what all of them see in one step.

    Without batch norm, augmentation and dropout several workers compute what one would, up to rounding. A batch norm
    takes its statistics from its own worker's share, and each worker draws noise of its own.

    Attributes:
        devices: on each node; ``auto`` for all accelerators, or one process where there is none.
        nodes: machines; each has to be told the address of the first, as Lightning's documents say.
        strategy: ``auto``, or one of Lightning's, such as ``ddp``.

    Raises:
        ConfigError: no such strategy, or less than one worker.
    """

    devices: int | Literal["auto"] = 1
    nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.nodes < 1 or (self.devices != "auto" and self.devices < 1):
            raise ConfigError(f"a run needs one node and one device or more, got {self.nodes} and {self.devices}")
        if self.strategy == "auto":
            return
        strategies = lightning_module("lightning.pytorch.strategies")
        known = sorted(strategies.StrategyRegistry.available_strategies())
        if self.strategy not in known:
            raise ConfigError(f"unknown strategy '{self.strategy}': {nearest(self.strategy, ['auto', *known])}")


def is_first() -> bool:
    """Whether this process is the one that writes and speaks; the others only compute."""
    utilities = lightning_module("lightning.pytorch.utilities")
    return int(getattr(utilities.rank_zero_only, "rank", 0)) == 0


def lightning_module(name: str) -> ModuleType:
    """A module of Lightning, whose import would stop at a torchvision that was built for another torch.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
    """
    mend_torchvision()
    return import_module(name)
