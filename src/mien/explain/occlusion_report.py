"""What a model loses under covers, as a table, two figures and one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.core.schema import to_mapping
from mien.explain.figure import BLUE, DIVERGING, GREY, ORANGE, WIDTH, Drawing, canvas, style
from mien.explain.occlusion import Covered, Occlusion
from mien.explain.page import Table, page, points, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {"noise": ("o", BLUE), "grey": ("s", ORANGE)}
"""Marker and colour of each fill."""


def print_occlusion(result: Occlusion) -> None:
    """Print accuracy, what is lost, and the recall that each expression loses to the terminal; no intervals."""
    heads = ("covered", "with", "accuracy", "lost", *(loss.label for loss in result.open.classes))
    rows = []
    for scores in result.covered:
        if scores.fill is None:
            cells = ("", *(points(loss.recall) for loss in scores.classes))
        else:
            cells = (points(scores.lost), *(points(loss.lost) for loss in scores.classes))
        rows.append((scores.region, scores.fill or "", points(scores.accuracy), *cells))
    low, high = points(result.open.accuracy_interval[0]), points(result.open.accuracy_interval[1])
    note = f"per cent; recall of the open face, below it what is lost; open face {low} to {high}, n = {result.n:,}"
    Table(f"{result.model} on {result.dataset}/{result.split}", heads, tuple(rows)).print(f"{note}; {result.protocol}")


def write(result: Occlusion, folder: Path) -> list[Path]:
    """Write ``occlusion.html``, ``occlusion.json`` and both figures as PNG and SVG.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accuracy, recall = accuracy_figure(result), recall_figure(result)
    sheet, numbers = folder / "occlusion.html", folder / "occlusion.json"
    title = f"{result.model} on {result.dataset}/{result.split} with parts of the face covered"
    note = (
        f"{result.n:,} faces; {result.protocol}. Intervals are 95 % bootstrap intervals, of what is lost on the same "
        f"faces (paired); seed {result.bootstrap_seed}. Weights {result.identity[:12]}."
    )
    sheet.write_text(page(title, [note], [accuracy, recall, table(result)]), encoding="utf-8")
    numbers.write_text(json.dumps(to_mapping(result), indent=1) + "\n", encoding="utf-8")
    files = [*accuracy.save(folder / "occlusion-accuracy"), *recall.save(folder / "occlusion-recall")]
    return [sheet, numbers, *files]


def table(result: Occlusion) -> Table:
    """One row for each cover: accuracy, what is lost, and the recall that each expression loses."""
    heads = ("covered", "with", "accuracy", "lost", *(f"{loss.label}: recall lost" for loss in result.open.classes))
    rows = []
    for scores in result.covered:
        accuracy = f"{points(scores.accuracy)} ({spread(scores.accuracy_interval)})"
        if scores.fill is None:
            recalls = (f"of {points(loss.recall)}" for loss in scores.classes)
            rows.append((scores.region, "", accuracy, "", *recalls))
        else:
            losses = ((scores.lost, scores.lost_interval), *((c.lost, c.lost_interval) for c in scores.classes))
            cells = (f"{points(lost)} ({spread(interval)})" for lost, interval in losses)
            rows.append((scores.region, scores.fill, accuracy, *cells))
    return Table(f"{result.model} on {result.dataset}/{result.split}", heads, tuple(rows))


def accuracy_figure(result: Occlusion) -> Drawing:
    """Accuracy under each cover with its interval, the least harm first, beside that of the open face."""
    names, fills = _by_loss(result), _fills(result)
    with style():
        figure, grid = canvas(1, 1, height=0.7 + 0.26 * len(names), width=0.75 * WIDTH)
        axes = grid[0, 0]
        low, high = result.open.accuracy_interval
        axes.axvspan(100 * low, 100 * high, color=GREY, alpha=0.2, linewidth=0)
        axes.axvline(100 * result.open.accuracy, color=GREY, linewidth=1, label="open face, 95 % interval")
        for place, fill in enumerate(fills):
            found = [_under(result, name, fill) for name in names]
            at = np.arange(len(names)) + (place - (len(fills) - 1) / 2) * 0.3
            draw_dots(axes, found, at, mark=MARKS[fill], label=f"covered with {fill}")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("accuracy, %")
        axes.set_title(f"{result.model}, {result.dataset}/{result.split}, n = {result.n:,}")
        axes.grid(axis="x", linewidth=0.4, color="#dddddd")
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    worst = min(result.covered, key=lambda scores: scores.accuracy)
    return Drawing(
        figure,
        f"Accuracy of {result.model} with parts of the face covered: {points(result.open.accuracy)} % on the open "
        f"face, least under {worst.region} ({worst.fill}), {points(worst.accuracy)} %; the table holds every number",
    )


def recall_figure(result: Occlusion) -> Drawing:
    """Recall that each expression loses under each region: a panel for each fill, one scale for all."""
    names, fills = _by_loss(result), _fills(result)
    labels = [loss.label for loss in result.open.classes]
    panels = [np.array([[c.lost for c in _under(result, name, fill).classes] for name in names]) for fill in fills]
    limit = 100 * max(0.01, *(float(np.abs(values).max()) for values in panels))
    with style():
        width = min(WIDTH, 2.1 + 0.42 * len(labels) * len(fills))
        figure, grid = canvas(1, len(fills), height=0.9 + 0.24 * len(names), width=width, sharey=True)
        for axes, fill, values in zip(grid[0], fills, panels, strict=True):
            image = axes.imshow(100 * values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
            for (row, column), value in np.ndenumerate(100 * values):
                ink = "white" if abs(value) > 0.6 * limit else "black"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=7)
            axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
            axes.set_title(f"covered with {fill}")
        grid[0, 0].set_yticks(range(len(names)), names)
        bar = figure.colorbar(image, ax=grid, shrink=0.9)
        bar.set_label("recall lost, points")
        bar.outline.set_visible(False)
    every = [(loss.lost, loss.label, s) for s in result.covered if s.fill for loss in s.classes]
    lost, label, worst = max(every, key=lambda item: item[0])
    return Drawing(
        figure,
        f"Recall that each expression loses under each cover: most is lost by {label} under {worst.region} "
        f"({worst.fill}), {points(lost)} points; the table holds every number",
    )


def draw_dots(
    axes: Axes,
    found: list[Covered],
    at: np.ndarray[tuple[int, ...], np.dtype[np.floating]],
    *,
    mark: tuple[str, str],
    label: str,
) -> None:
    """Accuracies with their intervals, as points of one marker and colour at heights ``at``."""
    middle = 100 * np.array([scores.accuracy for scores in found])
    ends = 100 * np.array([scores.accuracy_interval for scores in found]).T
    marker, colour = mark
    width = np.abs(ends - middle)
    axes.errorbar(middle, at, xerr=width, fmt=marker, color=colour, markersize=4, linewidth=1, capsize=2, label=label)


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
