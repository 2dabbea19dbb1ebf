"""The figure and the table of accuracy against one-thread latency, from what frontier.py measured and the ledger."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.evaluation import ledger
from mien.reporting.figures import BLUE, GREY, ORANGE
from mien.studies.cell_results import Reproduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parents[1]
LEDGER = ROOT / "results" / "private_test.jsonl"
BATCHES = (1, 8)


@dataclass(frozen=True, slots=True)
class Peer:
    """A network of others, with the accuracy that its paper states for FER2013, and what gives ours.

    ``recipe`` names it in the ledger, ``cell`` in a study's results (``"000/wu-chen"``), where it counts once it was
    trained for as long as its recipe asks.
    """

    network: str
    stated: float
    source: str
    recipe: str = ""
    cell: str = ""


PEERS = (
    Peer("resezap", 0.6974, "paper 002", "resezap"),
    Peer("mini-xception", 0.66, "Arriaga et al. 2017, as paper 002 cites it", "002-mini-xception"),
    Peer("deepface-emotion", 0.57, "paper 000, Model B", "000-model-b"),
    Peer("mobilenet-v2", 0.53, "paper 000, its reference 10"),
    Peer("wu-chen", 0.65, "paper 000, its reference 10", cell="000/wu-chen"),
    Peer("densenet121", 0.49, "paper 000, its reference 10"),
    Peer("resnet50", 0.6372, "paper 001, ImageNet weights"),
    Peer("custom-cnn", 0.6492, "paper 001", cell="001/custom-cnn"),
    Peer("vgg16", 0.67, "paper 000, its reference 10"),
    Peer("vgg19", 0.66, "paper 000, its reference 10"),
    Peer("model-a", 0.70, "paper 000, about", cell="000/model-a"),
)


def known_accuracy(name: str, book: Path = LEDGER) -> tuple[float, str, bool] | None:
    """PrivateTest accuracy of a bundled model or peer, where it is from, and whether it was measured here."""
    manifest = BUNDLED / f"{name}.json"
    peer = next((peer for peer in PEERS if peer.network == name), None)
    recipe = Manifest.read(manifest).recipe if manifest.is_file() else peer and peer.recipe
    entries = ledger.read(book) if book.is_file() else []
    runs = {
        entry.identity: entry.accuracy
        for entry in entries
        if (entry.recipe or entry.model, entry.dataset, entry.split, entry.views)
        == (recipe, "fer2013", "private", "one")
    }
    if runs:
        return sum(runs.values()) / len(runs), f"mean of {len(runs)} run{'' if len(runs) == 1 else 's'}", True
    if peer is None:
        return None
    return _of_study(peer, book.parent) or (peer.stated, peer.source, False)


def _of_study(peer: Peer, results: Path) -> tuple[float, str, bool] | None:
    """Its accuracy in a study's results, in the form of :func:`known_accuracy`."""
    study, _, cell = peer.cell.partition("/")
    path = results / f"{study}.json"
    result = Reproduction.read(path).result(cell) if study and path.is_file() else None
    if result is None or result.score is None or result.asked is not None:
        return None
    return result.score.accuracy, f"study {study}", True


def render(rows: list[dict[str, Any]], form: str) -> bytes:
    """The figure as SVG or PNG."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shown = [(row, known) for row in rows if (known := known_accuracy(row["name"])) is not None]
    words = {}
    for row, (accuracy, _, measured) in shown:
        at, colour = row["milliseconds"]["1"]["p50"], ORANGE if row["ours"] else BLUE
        size = 30 + 25 * np.log10(row["parameters"] / 1e4)
        face = colour if measured else "none"
        axes.scatter(at, 100 * accuracy, s=size, facecolors=face, edgecolors=colour, linewidths=1.5, zorder=3)
        words[at, 100 * accuracy] = f"{row['name']} ({_size(row['parameters'])})"
        if measured and (stated := next((p for p in PEERS if p.network == row["name"]), None)):
            axes.scatter(at, 100 * stated.stated, s=size, facecolors="none", edgecolors=colour, linewidths=1.0)
            axes.plot(
                [at, at], [100 * accuracy, 100 * stated.stated], color=GREY, linewidth=0.8, linestyle=":", zorder=1
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.6, high * 2.2)  # room for the words beside the fastest and the slowest
    axes.set_xlabel("CPU milliseconds for one face, one thread, network alone")
    axes.set_ylabel("accuracy on FER2013's PrivateTest, single crop, %")
    axes.grid(visible=True, which="both", color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    _name(axes, words)
    shapes = (
        ("mien, measured", ORANGE, ORANGE),
        ("peer, measured here", BLUE, BLUE),
        ("stated, not measured", BLUE, "none"),
    )
    axes.legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", color=edge, markerfacecolor=face, label=label)
            for label, edge, face in shapes
        ],
        loc="lower right",
        fontsize=8,
    )
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "mien"}):  # the same figure gives the same bytes
        figure.savefig(buffer, format=form, dpi=130, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()


def _name(axes: Axes, words: dict[tuple[float, float], str]) -> None:
    """Write each point's words beside it, on the first side where they meet neither a point nor other words."""
    from matplotlib.transforms import Bbox

    axes.figure.canvas.draw()
    marks = [Bbox.from_bounds(x - 7, y - 7, 14, 14) for x, y in axes.transData.transform(list(words))]
    taken: list[Bbox] = []
    for point, text in words.items():
        for offset, across, down in _SIDES:
            note = axes.annotate(text, point, xytext=offset, textcoords="offset points", ha=across, va=down, fontsize=8)
            box = note.get_window_extent()
            if not any(box.overlaps(other) for other in (*marks, *taken)):
                break
            note.remove()
        else:
            note = axes.annotate(text, point, xytext=_SIDES[0][0], textcoords="offset points", va="center", fontsize=8)
            box = note.get_window_extent()
        taken.append(box)


_SIDES = (
    ((8, 0), "left", "center"),
    ((-8, 0), "right", "center"),
    ((0, -9), "center", "top"),
    ((0, 9), "center", "bottom"),
)
"""Where words may stand beside their point: offset in points and alignment, the best first."""


def table(found: dict[str, Any], book: Path = LEDGER) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the figure's numbers."""
    rows = []
    for row in found["rows"]:
        known, goal = known_accuracy(row["name"], book), found["goals"].get(row["name"])
        accuracy = "–"
        if known is not None:
            accuracy = f"{100 * known[0]:.2f} ({known[1] if known[2] else f'stated: {known[1]}'})"
        times = (
            f"{row['milliseconds'][str(b)]['p50']:.2f} ({row['milliseconds'][str(b)]['p95']:.2f})" for b in BATCHES
        )
        rate = f"{row['faces_per_second']:,.0f}{'' if goal is None else f' (goal {goal:,})'}"
        rows.append((f"`{row['name']}`", f"{row['parameters']:,}", accuracy, *times, rate))
    heads = ("network", "values", "accuracy %", "CPU ms, one face", "CPU ms, eight faces", "faces/s at eight")
    return heads, rows


def _size(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e6 else f"{parameters / 1e3:.0f} k"
