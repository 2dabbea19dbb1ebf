"""What a model loses under covers, as a table, two figures and one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.explain.occlusion import Covered, Occlusion
from mien.reporting.figures import BLUE, GREY, ORANGE, WIDTH, Drawing, canvas, style
from mien.reporting.numbers import span, tenths
from mien.reporting.pages import write_page
from mien.reporting.panels import draw_intervals, lost_recall
from mien.reporting.tables import Table

MARKS = {"noise": ("o", BLUE), "grey": ("s", ORANGE)}
"""Marker and colour of each fill."""


def print_occlusion(result: Occlusion) -> None:
    """Print accuracy, what is lost, and the recall that each expression loses to the terminal; no intervals."""
    heads = ("covered", "with", "accuracy", "lost", *(loss.label for loss in result.open.classes))
    rows = []
    for scores in result.covered:
        if scores.fill is None:
            cells = ("", *(tenths(loss.recall) for loss in scores.classes))
        else:
            cells = (tenths(scores.lost), *(tenths(loss.lost) for loss in scores.classes))
        rows.append((scores.region, scores.fill or "", tenths(scores.accuracy), *cells))
    low, high = tenths(result.open.accuracy_interval[0]), tenths(result.open.accuracy_interval[1])
    note = f"per cent; recall of the open face, below it what is lost; open face {low} to {high}, n = {result.n:,}"
    Table(f"{result.model} on {result.dataset}/{result.split}", heads, tuple(rows), words=(0, 1)).print(
        f"{note}; {result.protocol}"
    )


def write(result: Occlusion, folder: Path) -> list[Path]:
    """Write ``occlusion.html``, ``occlusion.json`` and both figures as PNG and SVG.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    accuracy, recall = accuracy_figure(result), recall_figure(result)
    note = (
        f"{result.n:,} faces; {result.protocol}. Intervals are 95 % bootstrap intervals, of what is lost on the same "
        f"faces (paired); seed {result.bootstrap_seed}. Weights {result.identity[:12]}."
    )
    return write_page(
        folder / "occlusion.html",
        f"{result.model} on {result.dataset}/{result.split} with parts of the face covered",
        [note],
        {"Accuracy": [accuracy], "Recall": [recall], "Every cover": [table(result)]},
        figures={"occlusion-accuracy": accuracy, "occlusion-recall": recall},
        numbers=result,
    )


def table(result: Occlusion) -> Table:
    """One row for each cover: accuracy, what is lost, and the recall that each expression loses."""
    heads = ("covered", "with", "accuracy", "lost", *(f"{loss.label}: recall lost" for loss in result.open.classes))
    rows = []
    for scores in result.covered:
        accuracy = f"{tenths(scores.accuracy)} ({span(scores.accuracy_interval)})"
        if scores.fill is None:
            recalls = (f"of {tenths(loss.recall)}" for loss in scores.classes)
            rows.append((scores.region, "", accuracy, "", *recalls))
        else:
            losses = ((scores.lost, scores.lost_interval), *((c.lost, c.lost_interval) for c in scores.classes))
            cells = (f"{tenths(lost)} ({span(interval)})" for lost, interval in losses)
            rows.append((scores.region, scores.fill, accuracy, *cells))
    return Table(f"{result.model} on {result.dataset}/{result.split}", heads, tuple(rows), words=(0, 1))


def accuracy_figure(result: Occlusion) -> Drawing:
    """Accuracy under each cover with its interval, the least harm first, beside that of the open face."""
    names, fills = _by_loss(result), _fills(result)
    with style():
        figure, grid = canvas(1, 1, height=1.0 + 0.26 * len(names), width=0.75 * WIDTH)
        axes = grid[0, 0]
        low, high = result.open.accuracy_interval
        axes.axvspan(100 * low, 100 * high, color=GREY, alpha=0.2, linewidth=0)
        axes.axvline(100 * result.open.accuracy, color=GREY, linewidth=1, label="open face, 95 % interval")
        for place, fill in enumerate(fills):
            found = [(c.accuracy, c.accuracy_interval) for c in (_under(result, name, fill) for name in names)]
            at = np.arange(len(names)) + (place - (len(fills) - 1) / 2) * 0.3
            draw_intervals(axes, found, at, mark=MARKS[fill], label=f"covered with {fill}", sideways=True)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("accuracy, %")
        axes.set_title(f"{result.model}, {result.dataset}/{result.split}, n = {result.n:,}")
        axes.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=3)
    worst = min(result.covered, key=lambda scores: scores.accuracy)
    return Drawing(
        figure,
        f"Accuracy of {result.model} with parts of the face covered: {tenths(result.open.accuracy)} % on the open "
        f"face, least under {worst.region} ({worst.fill}), {tenths(worst.accuracy)} %; the table holds every number",
    )


def recall_figure(result: Occlusion) -> Drawing:
    """Recall that each expression loses under each region: a panel for each fill, one scale for all."""
    names, fills = _by_loss(result), _fills(result)
    labels = [loss.label for loss in result.open.classes]
    panels = [
        np.array([[100 * c.lost for c in _under(result, name, fill).classes] for name in names]) for fill in fills
    ]
    every = [(loss.lost, loss.label, s) for s in result.covered if s.fill for loss in s.classes]
    lost, label, worst = max(every, key=lambda item: item[0])
    return lost_recall(
        panels,
        titles=[f"covered with {fill}" for fill in fills],
        rows=names,
        labels=labels,
        alt=f"Recall that each expression loses under each cover: most is lost by {label} under {worst.region} "
        f"({worst.fill}), {tenths(lost)} points; the table holds every number",
    )


def _by_loss(result: Occlusion) -> list[str]:
    worst: dict[str, float] = {}
    for scores in result.covered:
        if scores.fill:
            worst[scores.region] = max(worst.get(scores.region, -1.0), scores.lost)
    return sorted(worst, key=worst.__getitem__)


def _fills(result: Occlusion) -> list[str]:
    return list(dict.fromkeys(scores.fill for scores in result.covered if scores.fill))


def _under(result: Occlusion, region: str, fill: str) -> Covered:
    return next(scores for scores in result.covered if (scores.region, scores.fill) == (region, fill))
