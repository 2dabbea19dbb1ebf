"""The tables of docs/networks.md: what the registry and paper 000's Table I hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def networks(root: Path) -> Table:  # noqa: ARG001
    """Heads and rows: every network of mien's own that recipes can name, counted at its own input."""
    return _counted()


@cache
def _counted() -> Table:
    from mien.models.registry import ENTRY_POINTS, count
    from mien.models.registry import networks as registered

    brought = {point.name for point in entry_points(group=ENTRY_POINTS)}
    rows = [
        (f"`{name}`", *count(record).cells()[2:], record.summary.rstrip("."), record.paper)
        for name, record in registered().items()
        if name not in brought
    ]
    return ("network", "input", "trained", "running", "multiplications", "MB", "what", "paper"), rows


def face_networks(root: Path) -> Table:  # noqa: ARG001
    """Heads and rows: paper 000's Table I."""
    from mien.models.onnx_embedding import TABLE_I

    rows = [
        (n.name, f"{n.parameters:,}", "x".join(map(str, n.input)), f"{n.outputs:,}", f"{n.accuracy:.2%}", n.source)
        for n in TABLE_I
    ]
    return ("network", "parameters", "input", "outputs", "persons told apart", "source"), rows
