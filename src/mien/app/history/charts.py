"""Charts of the pages: SVG by matplotlib, light or dark, with words as text."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.app.history.stored_recordings import Day
from mien.core.errors import MissingExtraError
from mien.core.expression import Expression, Polarity
from mien.runtime.output.canvas import COLOURS
from mien.runtime.recordings.compare import Comparison
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording
from mien.runtime.recordings.totals import frame_seconds, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
Width = Literal["wide", "phone"]

_SLICES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_STACK = (
    *(Expression.HAPPY, Expression.SURPRISE, Expression.NEUTRAL, Expression.SAD, Expression.ANGRY),
    *(Expression.FEAR, Expression.DISGUST, Expression.CONTEMPT),
)
_POLARITIES = {
    str(Polarity.POSITIVE): COLOURS[Expression.HAPPY],
    str(Polarity.NEUTRAL): COLOURS[Expression.NEUTRAL],
    str(Polarity.NEGATIVE): COLOURS[Expression.SAD],
}
_INCHES: dict[Width, float] = {"wide": 8.6, "phone": 4.3}
"""Across: letters are as large on the page as those around them."""

_drawing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Inks:
    """The colours of a theme: text, quiet text, lines, and the ground between hatches."""

    ink: str
    soft: str
    line: str
    ground: str
    accent: str


INKS: dict[Theme, Inks] = {
    "light": Inks("#1c2126", "#545d66", "#d9d6cd", "#ffffff", "#0a5c6b"),
    "dark": Inks("#eceef0", "#aab3bb", "#343a40", "#1c2024", "#7fc9d6"),
}


def draw_course(recording: Recording, theme: Theme, width: Width = "wide") -> str:
    """A recording over its time: what was held, and how the smoothed probabilities were shared."""
    with _drawing:
        figure, inks = _figure(3.5, theme, width)
        lane, course = figure.subplots(2, 1, sharex=True, height_ratios=(0.55, 1.6))
        seconds = frame_seconds(recording.times)
        start, end = float(recording.times[0]), float(recording.times[-1] + seconds[-1])
        for state, spans in _runs(recording, seconds).items():
            lane.broken_barh(spans, (0, 1), **_style(state, inks))
        _bare(lane, inks, "What was held")
        lane.set(ylim=(0, 1), yticks=[])
        lane.tick_params(labelbottom=False, length=0)
        cut = timeline(recording, length=next((s for s in _SLICES if (end - start) / s <= 90), _SLICES[-1]))
        totals = cut.mass.sum(axis=1)
        base = np.zeros(len(totals))
        for expression in _STACK:
            part = cut.mass[:, list(Expression).index(expression)]
            values = 100 * part / np.where(totals > 0, totals, np.inf)
            course.bar(cut.starts, values, cut.length, bottom=base, align="edge", **_style(str(expression), inks))
            base += values
        _bare(course, inks, f"Smoothed probability, in slices of {_length(cut.length)}")
        course.set(xlim=(start, end), ylim=(0, 100), yticks=(0, 50, 100))
        course.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        course.xaxis.set_major_formatter(lambda value, _: _tick(value, end - start))
        present = {STATES[at] for at in np.unique(recording.states)}
        present |= {str(e) for e in _STACK if np.nansum(recording.smoothed[:, list(Expression).index(e)]) > 0}
        names = [n for n in (*map(str, _STACK), UNCERTAIN, UNMEASURABLE) if n in present]
        _legend(figure, names, inks)
        return _svg(figure)


def draw_days(days: Sequence[Day], theme: Theme, width: Width = "wide") -> str:
    """The polarity of each day, as shares of its measurable time."""
    with _drawing:
        figure, inks = _figure(0.95 + 0.36 * len(days), theme, width)
        axes = figure.subplots()
        names = (*_POLARITIES, UNCERTAIN)
        left = np.zeros(len(days))
        for name in names:
            values = np.array([100 * day.tally.held[name] / max(day.tally.measurable, 1e-9) for day in days])
            axes.barh(range(len(days)), values, 0.66, left=left, **_style(name, inks))
            left += values
        axes.set_yticks(range(len(days)), [f"{day.date:%a} {day.date.day} {day.date:%b}" for day in days])
        axes.set(xlim=(0, 100), xticks=(0, 50, 100))
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        _bare(axes, inks, "Share of the measurable time, by what was held")
        _legend(figure, list(names), inks)
        return _svg(figure)


def draw_difference(comparison: Comparison, theme: Theme, width: Width = "wide") -> str:
    """The differences between two spans of days, with their intervals."""
    rows = [row for row in comparison.differences if row.measure == "held"]
    with _drawing:
        figure, inks = _figure(0.9 + 0.3 * len(rows), theme, width)
        axes = figure.subplots()
        axes.axvline(0, color=inks.soft, linewidth=1)
        colour = inks.accent if comparison.conclusive else inks.soft
        for place, row in enumerate(rows):
            low, high = row.interval or (row.difference, row.difference)
            axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(100 * row.difference, place, marker="o", markersize=6, color=colour)
        axes.set_yticks(range(len(rows)), [row.quantity for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
        axes.grid(axis="x", color=inks.line, linewidth=0.8)
        axes.set_axisbelow(True)
        _bare(axes, inks, f"{comparison.second} less {comparison.first}, in percentage points of the measurable time")
        return _svg(figure)


def _figure(height: float, theme: Theme, width: Width) -> tuple[Figure, Inks]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "the charts") from None
    figure = Figure(figsize=(_INCHES[width], height), layout=ConstrainedLayoutEngine(w_pad=0.14), facecolor="none")
    FigureCanvasSVG(figure)
    return figure, INKS[theme]


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    fonts = ["system-ui", "Segoe UI", "Roboto", "Liberation Sans", "DejaVu Sans", "sans-serif"]
    with rc_context({"svg.fonttype": "none", "font.sans-serif": fonts, "svg.hashsalt": "mien"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _style(state: str, inks: Inks) -> dict[str, Any]:
    if state == UNCERTAIN:
        return {"facecolor": inks.ground, "edgecolor": inks.soft, "hatch": "////", "linewidth": 0}
    if state == UNMEASURABLE:
        return {"facecolor": inks.line, "edgecolor": inks.soft, "hatch": "xxxx", "linewidth": 0}
    rgb = _POLARITIES.get(state) or COLOURS[Expression(state)]
    return {"facecolor": tuple(channel / 255 for channel in rgb), "linewidth": 0, "antialiased": False}


def _bare(axes: Axes, inks: Inks, title: str) -> None:
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", fontsize=10, color=inks.ink)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=9, colors=inks.ink, length=0)


def _legend(figure: Figure, names: Sequence[str], inks: Inks) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label=name, **_style(name, inks)) for name in names]
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=6 if figure.get_figwidth() > 6 else 4,
        fontsize=9,
        frameon=False,
        labelcolor=inks.ink,
        handlelength=1.2,
    )


def _runs(recording: Recording, seconds: np.ndarray[Any, Any]) -> dict[str, list[tuple[float, float]]]:
    """Start and length of each unbroken run of a state."""
    runs: dict[str, list[tuple[float, float]]] = {}
    last: tuple[int, float] | None = None
    for frame, state in zip(recording.frames, recording.states, strict=True):
        start, length = float(recording.times[frame]), float(seconds[frame])
        spans = runs.setdefault(STATES[state], [])
        if last is not None and last[0] == state and abs(last[1] - start) < 1e-6:
            spans[-1] = (spans[-1][0], start + length - spans[-1][0])
        else:
            spans.append((start, length))
        last = (int(state), start + length)
    return runs


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def _tick(seconds: float, span: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if span >= 3600 else f"{minutes}:{rest:02}"
