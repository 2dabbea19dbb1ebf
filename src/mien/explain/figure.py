"""The style that all figures of explanations share: small, told apart by every kind of colour vision, PNG and SVG.

A figure is as wide as a page's column (:data:`WIDTH`), has one scale and one colour bar for all its maps, and carries a
description in words, which becomes the alternative text of a page and the metadata of both files.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import MienError, MissingExtraError
from mien.core.heatmap import OPACITY
from mien.core.preprocess import TEMPLATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float32]

WIDTH = 7.0
"""Inches: a column of some 700 pixels at a page's usual size; the text in it is 7 to 9 points."""

DPI = 200

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
"""From Okabe & Ito's palette, in the order in which lines take them."""

SEQUENTIAL, DIVERGING = "inferno", "PuOr_r"
"""Colours of maps from 0 up, and of maps with a sign: lightness alone orders the first, purple and orange part the
second."""

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "figure.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mien",
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """A finished figure and what it shows in words.

    Attributes:
        figure: of matplotlib, that no global state knows of.
        alt: the description, a sentence or some.
    """

    figure: Figure
    alt: str

    def png(self) -> bytes:
        """As PNG, with the description in its metadata."""
        return self._encode("png", {"Description": self.alt, "Software": "mien"})

    def svg(self) -> bytes:
        """As SVG with text as text, with the description in its metadata."""
        return self._encode("svg", {"Description": self.alt, "Date": None})

    def data(self) -> str:
        """The PNG as a data URL, for a page that needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png()).decode("ascii")

    def save(self, stem: Path) -> tuple[Path, Path]:
        """Write ``STEM.png`` and ``STEM.svg``; their paths.

        Raises:
            MienError: a file cannot be written.
        """
        paths = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            for path, content in zip(paths, (self.png(), self.svg()), strict=True):
                path.write_bytes(content)
        except OSError as error:
            raise MienError(f"{stem}: cannot be written ({error.strerror})") from None
        return paths

    def _encode(self, form: str, metadata: dict[str, str | None]) -> bytes:
        buffer = io.BytesIO()
        with style():
            self.figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata, bbox_inches="tight", pad_inches=0.04)
        return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """This module's sizes and fonts, for whatever is drawn inside; matplotlib's own are as before afterwards.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "a figure") from None
    with mpl.rc_context(_STYLE):
        yield


def canvas(rows: int, columns: int, *, height: float, width: float = WIDTH, **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes ``(rows, columns)``, sizes in inches, to be made and drawn on inside :func:`style`.

    ``options`` are those of matplotlib's ``subplots``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


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
