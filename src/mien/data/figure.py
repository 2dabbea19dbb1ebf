"""The picture of a dataset: how many rows each expression has, and what they look like."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError
from mien.data.dataset import Dataset, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""One for each split, from Okabe & Ito's palette; a further split begins anew."""

SAMPLES = 6
"""Faces of each expression in the grid."""


def render(dataset: Dataset) -> bytes:
    """The picture as PNG. It shows faces of the dataset: whether it may be passed on is for its licence to say.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    buffer = io.BytesIO()
    draw(dataset).savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def draw(dataset: Dataset) -> Figure:
    """Class counts as stacked bars, a colour for each split, above a grid of faces, a column for each expression.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingExtraError("matplotlib", "plots", "drawing a dataset") from None
    columns = len(dataset.labels)
    figure = Figure(figsize=(1.25 * columns + 0.6, 2.6 + 1.15 * SAMPLES), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(2.4, 1.15 * SAMPLES))
    chart, grid = parts
    _draw_counts(chart.subplots(), dataset)
    cells = grid.subplots(SAMPLES, columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for column in range(columns):
        rows = samples(dataset, column)
        for cell, row in zip(cells[:, column], [*rows, *[None] * (SAMPLES - len(rows))], strict=True):
            cell.set_axis_off()
            if row is not None:
                cell.imshow(dataset.images[row], cmap="gray", vmin=0, vmax=255)
    figure.suptitle(f"{dataset.name}: {len(dataset):,} faces", fontsize=11)
    return figure


def samples(dataset: Dataset, column: int) -> NDArray[np.int64]:
    """Positions of up to :data:`SAMPLES` rows of one class, evenly spread over them in the owner's order."""
    rows = np.flatnonzero(dataset.indices == column)
    return rows[spread(len(rows), SAMPLES)]


def _draw_counts(axes: Axes, dataset: Dataset) -> None:
    names = list(dict.fromkeys(dataset.splits.tolist()))
    bottom = np.zeros(len(dataset.labels), dtype=np.int64)
    for number, name in enumerate(names):
        counts = np.array(list(dataset.split(name).counts.values()))
        colour = COLOURS[number % len(COLOURS)]
        axes.bar([str(label) for label in dataset.labels], counts, bottom=bottom, color=colour, width=0.7, label=name)
        bottom += counts
    for position, total in enumerate(bottom.tolist()):
        axes.annotate(
            f"{total:,}", (position, total), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=8
        )
    axes.margins(x=0.01, y=0.12)
    axes.set_ylabel("faces")
    axes.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=8, ncols=len(names), loc="upper right")
