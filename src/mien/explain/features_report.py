"""Feature maps and filters as one figure each, and one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.preprocess import Image
from mien.explain.features import FeatureMaps, Filters
from mien.reporting.figures import DIVERGING, SEQUENTIAL, WIDTH, Drawing, canvas, style
from mien.reporting.pages import Part, write_page
from mien.reporting.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ONE_LINE = 6
"""From so many blocks on their maps stand in one line each, in two lines before."""

_LEAST = 8
"""A line is as wide as so many maps at least."""

_STEP = 1.09
"""From one map's left edge to the next, in widths of a map."""


def write(name: str, crop: Image, maps: Sequence[FeatureMaps], kernels: Sequence[Filters], folder: Path) -> list[Path]:
    """Write ``features.html``, and the figures ``features`` and ``filters`` as PNG and SVG.

    Args:
        name: the network's.
        crop: what it was shown.
        maps: of :func:`mien.explain.features.feature_maps`.
        kernels: of :func:`mien.explain.features.filters`; there may be none.
        folder: where to.
    """
    note = (
        "Each row has a scale of its own. Of a layer with many channels those are drawn that vary most over the face, "
        "of a convolution with many filters those of the largest norm, each at its strongest input."
    )
    figures = {"features": maps_figure(name, crop, maps)}
    sections: dict[str, list[Part]] = {"Feature maps": [figures["features"], maps_table(maps)]}
    if kernels:
        figures["filters"] = filters_figure(name, kernels)
        sections["Filters"] = [figures["filters"]]
    return write_page(folder / "features.html", f"What {name} makes of one face", [note], sections, figures=figures)


def maps_table(maps: Sequence[FeatureMaps]) -> Table:
    """Name, class and shape of each layer, and how many of its channels are flat."""
    rows = (
        (one.layer, one.kind, " × ".join(map(str, one.shape)), str(one.flat), ", ".join(map(str, one.channels)))
        for one in maps
    )
    heads = ("layer", "kind", "channels × height × width", "channels without variation", "channels drawn")
    return Table("Layers", heads, tuple(rows), words=(0, 1, 4))


def maps_figure(name: str, crop: Image, maps: Sequence[FeatureMaps]) -> Drawing:
    """The crop, then a row of maps for each layer, each row with its scale."""
    titles = [one.words for one in maps]
    with style():
        figure = _rows([one.maps for one in maps], titles, above=crop, unit="activation")
        figure.suptitle(f"Feature maps of {name}")
    return Drawing(figure, f"Feature maps of {name} for one face: {'; '.join(titles)}; the input stands above")


def filters_figure(name: str, kernels: Sequence[Filters]) -> Drawing:
    """A row of kernels for each convolution, each row with its scale around 0."""
    titles = [one.words for one in kernels]
    with style():
        figure = _rows([one.kernels for one in kernels], titles, above=None, unit="weight")
        figure.suptitle(f"Filters of {name}")
    return Drawing(figure, f"Filters of {name}: {'; '.join(titles)}; purple below 0, orange above")


def _rows(stacks: Sequence[NDArray[np.float32]], titles: Sequence[str], *, above: Image | None, unit: str) -> Figure:
    most = max(len(stack) for stack in stacks)
    lines = 1 if len(stacks) >= _ONE_LINE or most <= _LEAST else 2
    columns = max(-(-most // lines), _LEAST)
    tile = min((WIDTH - 0.9) / columns, 0.8)
    used = [min(lines, -(-len(stack) // columns)) for stack in stacks]
    heights = ([0.95] if above is not None else []) + [0.22 + tile * n for n in used]
    figure, grid = canvas(
        len(heights), 1, height=sum(heights) + 0.3 + 0.05 * len(heights), width=WIDTH, height_ratios=heights
    )
    places = list(grid[:, 0])
    for axes in places:
        axes.set_axis_off()
    if above is not None:
        first = places.pop(0)
        first.imshow(above, cmap="gray", vmin=0, vmax=255)
        first.set_title(f"input {' × '.join(map(str, above.shape))}", loc="left")
        first.set_anchor("W")
    for axes, stack, title in zip(places, stacks, titles, strict=True):
        lowest, highest = float(stack.min()), float(stack.max())
        limit = max(abs(lowest), abs(highest)) or 1.0
        colours: dict[str, Any] = {"cmap": SEQUENTIAL, "vmin": 0.0, "vmax": limit}
        if lowest < 0:
            colours = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
        image = _tiles(axes, stack, columns, colours)
        axes.set_title(title, loc="left")
        axes.set_anchor("W")
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, aspect=12, panchor=False)
        bar.set_label(unit, fontsize=6)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_visible(False)
    return figure


def _tiles(axes: Axes, stack: NDArray[np.float32], columns: int, colours: dict[str, Any]) -> Any:
    """Draw maps ``(k, h, w)`` side by side, each one wide; all rows of a figure share these measures."""
    tall = stack.shape[1] / stack.shape[2]
    for index, one in enumerate(stack):
        left, top = (index % columns) * _STEP, (index // columns) * (tall + _STEP - 1)
        image = axes.imshow(one, extent=(left, left + 1, top + tall, top), interpolation="nearest", **colours)
    axes.set_xlim(0, columns * _STEP - (_STEP - 1))
    axes.set_ylim(-(-len(stack) // columns) * (tall + _STEP - 1), 0)
    return image
