"""The style that all figures share: small, told apart by every kind of colour vision, PNG and SVG.

A figure is as wide as a page's column (:data:`WIDTH`) and carries a description in words, which becomes the alternative
text of a page and the metadata of both files. The shapes that figures are made of are in :mod:`mien.reporting.panels`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError, MissingExtraError
from mien.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 7.0
"""Inches: a column of some 700 pixels at a page's usual size; the text in it is 7 to 9 points."""

DPI = 200

BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
"""From Okabe & Ito's palette, in the order in which lines take them."""

SERIES = (BLUE, ORANGE, GREEN, PINK, "#E69F00", "#56B4E9")
"""The colours of parts of a whole, such as splits; a further part begins anew."""

SEQUENTIAL, DIVERGING, SHARES = "inferno", "PuOr_r", "cividis"
"""Colours of maps from 0 up, of values with a sign, and of shares: lightness alone orders the first and the last,
purple and orange part the second."""

_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
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

    @property
    def pixels(self) -> int:
        """How wide a page shows it where there is room, in CSS pixels."""
        return round(110 * float(self.figure.get_figwidth()))

    @cached_property
    def png(self) -> bytes:
        """As PNG, with the description in its metadata."""
        return self._encode("png", {"Description": self.alt, "Software": "mien"})

    def svg(self) -> bytes:
        """As SVG with text as text, with the description in its metadata."""
        return self._encode("svg", {"Description": self.alt, "Date": None})

    def data(self) -> str:
        """The PNG as a data URL, for a page that needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    def save(self, stem: Path) -> tuple[Path, Path]:
        """Write ``STEM.png`` and ``STEM.svg``; their paths.

        Raises:
            MienError: a file cannot be written.
        """
        paths = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        try:
            for path, content in zip(paths, (self.png, self.svg()), strict=True):
                write_whole(path, content)
        except OSError as error:
            raise MienError(f"{stem}: cannot be written ({error.strerror})") from None
        return paths

    def _encode(self, form: str, metadata: dict[str, str | None]) -> bytes:
        buffer = io.BytesIO()
        with style():
            self.figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata, bbox_inches="tight", pad_inches=0.04)
            self.figure.set_layout_engine("none")  # laid out once: the next form need not do it again
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


def blank(*, height: float, width: float = WIDTH) -> Figure:
    """A figure without axes, sizes in inches, to be made and drawn on inside :func:`style`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def canvas(rows: int, columns: int, *, height: float, width: float = WIDTH, **options: Any) -> tuple[Figure, Any]:
    """A figure and its axes ``(rows, columns)``, see :func:`blank`; ``options`` are those of ``Figure.subplots``."""
    figure = blank(height=height, width=width)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)
