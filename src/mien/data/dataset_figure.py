"""The picture of a dataset: how many rows each expression has, and what they look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset, spread
from mien.reporting.figures import SERIES, Drawing, blank, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 6
"""Faces of each expression in the grid."""


def draw(dataset: Dataset) -> Drawing:
    """Class counts as stacked bars, a colour for each split, above a grid of faces, a column for each expression.

    It shows faces of the dataset: whether it may be passed on is for its licence to say.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    columns = len(dataset.labels)
    title = f"{dataset.name}: {len(dataset):,} faces"
    with style():
        figure = blank(width=columns + 0.5, height=2.0 + 0.95 * SAMPLES)
        parts: Any = figure.subfigures(2, 1, height_ratios=(2.0, 0.95 * SAMPLES))
        chart, grid = parts
        _draw_counts(chart.subplots(), dataset)
        cells = grid.subplots(SAMPLES, columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
        for column in range(columns):
            rows = samples(dataset, column)
            for cell, row in zip(cells[:, column], [*rows, *[None] * (SAMPLES - len(rows))], strict=True):
                cell.set_axis_off()
                if row is not None:
                    cell.imshow(dataset.images[row], cmap="gray", vmin=0, vmax=255)
        figure.suptitle(title)
    counts = ", ".join(f"{count:,} {label}" for label, count in dataset.counts.items())
    return Drawing(figure, f"{title}: {counts}; some of each below")


def samples(dataset: Dataset, column: int) -> NDArray[np.int64]:
    """Positions of up to :data:`SAMPLES` rows of one class, evenly spread over them in the owner's order."""
    rows = np.flatnonzero(dataset.indices == column)
    return rows[spread(len(rows), SAMPLES)]


def _draw_counts(axes: Axes, dataset: Dataset) -> None:
    names = list(dict.fromkeys(dataset.splits.tolist()))
    bottom = np.zeros(len(dataset.labels), dtype=np.int64)
    for number, name in enumerate(names):
        counts = np.array(list(dataset.split(name).counts.values()))
        colour = SERIES[number % len(SERIES)]
        axes.bar([str(label) for label in dataset.labels], counts, bottom=bottom, color=colour, width=0.7, label=name)
        bottom += counts
    for position, total in enumerate(bottom.tolist()):
        axes.annotate(
            f"{total:,}", (position, total), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=7
        )
    axes.margins(x=0.01, y=0.12)
    axes.set_ylabel("faces")
    if len(names) > 1:
        axes.legend(ncols=len(names), loc="upper right")
