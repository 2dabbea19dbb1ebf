"""A network read at several layers: their outputs joined, and one linear layer on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mien.core.errors import ConfigError, nearest
from mien.core.preprocess import InputSpec
from mien.models.weights import head_of


class Tapped(nn.Module):
    """Logits from the joined outputs of several modules of a network, each scaled by a number of its own."""

    def __init__(self, body: nn.Module, taps: Sequence[str], spec: InputSpec, classes: int) -> None:
        """Read ``body`` at the modules named ``taps``; empty for :func:`default_taps`.

        Raises:
            ConfigError: there is no module of such a name.
        """
        super().__init__()
        modules = dict(body.named_modules())
        for name in taps:
            if name not in modules or not name:
                raise ConfigError(f"transfer.taps: the network has no module '{name}': {nearest(name, modules)}")
        self.body = body
        self.taps = tuple(taps) or default_taps(body)
        place = next(body.parameters()).device
        was_training = body.training
        body.eval()  # a look at the shapes must not move running values
        with torch.no_grad():
            seen = self.outputs(torch.zeros(1, spec.planes, spec.size, spec.size, device=place))
        body.train(was_training)
        self.widths = tuple(part.shape[1] for part in seen)
        self.head = nn.Linear(sum(self.widths), classes)

    def forward(self, planes: Tensor) -> Tensor:
        """Logits ``(n, classes)`` of normalised planes ``(n, channels, h, w)``."""
        logits: Tensor = self.head(self.features(planes))
        return logits

    def features(self, planes: Tensor) -> Tensor:
        """The joined outputs ``(n, d)``."""
        return torch.cat(self.outputs(planes), 1)

    def outputs(self, planes: Tensor) -> list[Tensor]:
        """The output of each tap, flattened to ``(n, d_i)``."""
        found: dict[str, Tensor] = {}

        def keep(name: str, output: Tensor) -> None:
            found[name] = output.flatten(1)

        hooks = [
            self.body.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: keep(name, output))
            for name in self.taps
        ]
        try:
            self.body(planes)
        finally:
            for hook in hooks:
                hook.remove()
        return [found[name] for name in self.taps]


def default_taps(body: nn.Module) -> tuple[str, ...]:
    """Every max-pool, and the first dense layer where there are others before the head (reference [11] of paper 000).

    Raises:
        ConfigError: the network has neither.
    """
    head, _ = head_of(body)
    named = list(body.named_modules())
    pools = [name for name, module in named if isinstance(module, nn.MaxPool2d)]
    dense = [name for name, module in named if isinstance(module, nn.Linear) and name != head]
    if not pools and not dense:
        raise ConfigError("the network has no max-pool and no dense layer to read: name modules in transfer.taps")
    return (*pools, *dense[:1])
