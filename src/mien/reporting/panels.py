"""The shapes that figures are made of: maps under one scale, matrices of numbers, learning curves, intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.heatmap import OPACITY
from mien.core.preprocess import TEMPLATE
from mien.reporting.figures import BLUE, DIVERGING, ORANGE, SEQUENTIAL, SHARES, WIDTH, Drawing, canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]
Interval = tuple[float, float]


class EpochScores(Protocol):
    """One epoch of a learning curve."""

    @property
    def train_loss(self) -> float: ...  # noqa: D102
    @property
    def train_accuracy(self) -> float: ...  # noqa: D102
    @property
    def validation_loss(self) -> float: ...  # noqa: D102
    @property
    def validation_accuracy(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """One network's epochs.

    Attributes:
        title: the network's, above its panels.
        epochs: in their order, counted from 1.
        marked: the epoch at which a dotted line stands, if any.
    """

    title: str
    epochs: Sequence[EpochScores]
    marked: int | None = None


def maps_panel(
    maps: Sequence[Sequence[Floats | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    unit: str,
    alt: str,
    title: str = "",
    faces: Sequence[Sequence[NDArray[np.uint8] | None]] | None = None,
    finish: Callable[[Axes, int, int], None] | None = None,
    side: float = 1.0,
) -> Drawing:
    """A table of maps under one scale, with one colour bar.

    Maps without a negative value are coloured from 0 to the highest of them all; where one has a sign, from minus to
    plus the largest amount.

    Args:
        maps: a row of maps ``(h, w)`` each; None leaves a place empty.
        rows: names at the left.
        columns: names above.
        unit: what the colour bar measures.
        alt: the figure in words.
        title: above it.
        faces: a grey ``(h, w)`` uint8 crop to lay each map over.
        finish: draws on the axes of a row and a column whatever else belongs there.
        side: of one map, inches; fewer where the columns would not fit.

    Raises:
        ValueError: rows, columns and maps disagree, or there is no map.
        MissingExtraError: matplotlib is not installed.
    """
    present = [one for row in maps for one in row if one is not None]
    if not present or len(maps) != len(rows) or any(len(row) != len(columns) for row in maps):
        raise ValueError(f"{len(rows)} x {len(columns)} names need as many maps, and at least one")
    low = min(float(one.min()) for one in present)
    top = max(float(np.abs(one).max()) for one in present) or 1.0
    labels = 0.07 * max(map(len, rows)) + 0.1
    side = min(side, (WIDTH - labels - 0.8) / len(columns))
    names = [textwrap.fill(name, max(round(side * 14), 8)) for name in columns]
    beside = len(rows) > 1
    width = side * len(columns) + labels + (0.8 if beside else 0.1)
    lines = 1 + max(name.count("\n") for name in names)
    height = (side + 0.05) * len(rows) + 0.16 * lines + (0.25 if title else 0.05) + (0.1 if beside else 0.6)
    with style():
        colours = _colours(-top if low < 0 else 0.0, top)
        figure, axes = canvas(len(rows), len(columns), height=height, width=max(width, 3.5))
        for (row, column), place in np.ndenumerate(axes):
            face = faces[row][column] if faces is not None else None
            _draw_map(place, maps[row][column], face, colours)
            if finish is not None and maps[row][column] is not None:
                finish(place, row, column)
            if row == 0:
                place.set_title(names[column])
            if column == 0:
                place.set_ylabel(rows[row], rotation=0, ha="right", va="center")
        where: dict[str, Any] = {"location": "right", "aspect": 30} if beside else {"location": "bottom", "aspect": 40}
        bar = figure.colorbar(colours, ax=axes, shrink=min(1.0, 3 / height) if beside else 0.6, pad=0.02, **where)
        bar.set_label(unit)
        bar.outline.set_visible(False)
        if title:
            figure.suptitle(title)
    return Drawing(figure, alt)


def mark_landmarks(axes: Axes, side: int) -> None:
    """Small crosses where an aligned face has its eyes, nose tip and mouth corners, on a map of ``side`` pixels."""
    x, y = (TEMPLATE * side - 0.5).T
    for size, ink in ((1.8, "black"), (0.8, "white")):
        axes.plot(x, y, linestyle="none", marker="+", markersize=4, markeredgewidth=size, color=ink)


def outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """A dashed line around what a mask ``(h, w)`` covers."""
    axes.contour(mask.astype(float), [0.5], colors="white", linewidths=0.7, linestyles="dashed")


def draw_confusion(axes: Axes, counts: Sequence[Sequence[int]], labels: Sequence[str], *, with_counts: bool) -> Any:
    """A confusion matrix as shares of the true expression; the picture that a colour bar belongs to."""
    numbers = np.array(counts)
    shares = numbers / np.maximum(numbers.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        words = f"{100 * share:.0f} %\n{numbers[row, column]:,}" if with_counts else f"{100 * share:.0f}"
        ink = "black" if share > 0.5 else "white"
        axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=6)
    _name_sides(axes, labels, labels)
    axes.set(xlabel="answer", ylabel="truth")
    return image


def lost_recall(
    panels: Sequence[NDArray[np.floating]],
    *,
    titles: Sequence[str],
    rows: Sequence[str],
    labels: Sequence[str],
    alt: str,
    ylabel: str = "",
    lines: Iterable[float] = (),
) -> Drawing:
    """Recall that each expression loses, in points: a panel ``(rows, labels)`` for each title, one scale for all.

    Args:
        panels: points lost.
        titles: above each panel.
        rows: names at the left.
        labels: the expressions.
        alt: the figure in words.
        ylabel: what the rows are.
        lines: between which rows a white line stands.
    """
    limit = max(1.0, *(float(np.abs(values).max()) for values in panels))
    with style():
        width = min(WIDTH, 0.08 * max(map(len, rows)) + 1.1 + 0.42 * len(labels) * len(panels))
        figure, grid = canvas(1, len(panels), height=0.9 + 0.24 * len(rows), width=width, sharey=True)
        for axes, title, values in zip(grid[0], titles, panels, strict=True):
            image = axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
            for (row, column), value in np.ndenumerate(values):
                ink = "white" if abs(value) > 0.6 * limit else "black"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=7)
            for line in lines:
                axes.axhline(line, color="white", linewidth=1.5)
            _name_sides(axes, labels, rows)
            axes.set_title(title)
        grid[0, 0].set_ylabel(ylabel)
        bar = figure.colorbar(image, ax=grid, shrink=0.9)
        bar.set_label("recall lost, points")
        bar.outline.set_visible(False)
    return Drawing(figure, alt)


def learning_curves(curves: Sequence[LearningCurve], *, alt: str, title: str = "") -> Drawing:
    """Loss and accuracy against the epoch, train beside validation: a row of two panels for each network."""
    with style():
        figure, grid = canvas(len(curves), 2, height=1.9 * len(curves) + (0.7 if len(curves) == 1 else 0))
        for axes, curve in zip(grid, curves, strict=True):
            for place, what in zip(axes, ("loss", "accuracy"), strict=True):
                for split, colour in (("train", BLUE), ("validation", ORANGE)):
                    values = [getattr(epoch, f"{split}_{what}") for epoch in curve.epochs]
                    place.plot(range(1, len(values) + 1), values, color=colour, label=split, linewidth=1)
                if curve.marked is not None:
                    place.axvline(curve.marked, color="#999999", linewidth=0.8, linestyle=":")
                place.set(xlabel="epoch", ylabel=what)
            axes[0].set_title(curve.title)
        grid[0][0].legend()
        figure.suptitle(title)
    return Drawing(figure, alt)


def draw_intervals(
    axes: Axes,
    accuracies: Sequence[tuple[float, Interval]],
    at: NDArray[np.floating],
    *,
    mark: tuple[str, str],
    label: str,
    sideways: bool = False,
) -> None:
    """Shares with their intervals, in per cent: points of one marker and colour at the places ``at``.

    ``sideways`` has the shares along x and the places along y.
    """
    middle = 100 * np.array([value for value, _ in accuracies])
    ends = 100 * np.array([bounds for _, bounds in accuracies]).T
    marker, colour = mark
    reach = np.abs(ends - middle)
    look: dict[str, Any] = {"fmt": marker, "color": colour, "markersize": 4, "linewidth": 1, "capsize": 2}
    if sideways:
        axes.errorbar(middle, at, xerr=reach, label=label, **look)
    else:
        axes.errorbar(at, middle, yerr=reach, label=label, **look)


def _name_sides(axes: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    axes.set_xticks(range(len(columns)), list(columns), rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.spines[:].set_visible(False)


def _colours(low: float, high: float) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high), SEQUENTIAL if low == 0 else DIVERGING)


def _draw_map(axes: Axes, heat: Floats | None, face: NDArray[np.uint8] | None, colours: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if face is not None:
        axes.imshow(face, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if heat is None:
        return
    look: dict[str, Any] = {"cmap": colours.cmap, "norm": colours.norm, "interpolation": "nearest"}
    if face is None:
        axes.imshow(heat, **look)
    else:
        extent = (-0.5, face.shape[1] - 0.5, face.shape[0] - 0.5, -0.5)
        axes.imshow(heat, alpha=OPACITY * np.abs(heat) / colours.norm.vmax, extent=extent, **look)
