"""Pictures of recordings: who showed what when, how long, and what followed on what; of days; and of comparisons.

All are drawn by the same functions in one style: those of ``mien report`` as PNG, those of the app as SVG. A
:class:`ChartStyle` holds the colours and the size.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mien.core.errors import MissingExtraError
from mien.core.expression import Expression, Polarity
from mien.runtime.output.canvas import COLOURS
from mien.runtime.recordings.compare import Comparison, Difference
from mien.runtime.recordings.epochs import QUANTITIES
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording
from mien.runtime.recordings.responses import Experiment
from mien.runtime.recordings.totals import Totals, frame_seconds, timeline, totals, transitions

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Theme = Literal["light", "dark"]
Width = Literal["wide", "phone"]


@dataclass(frozen=True, slots=True)
class ChartStyle:
    """Colours and size of a picture.

    Attributes:
        ink: of text.
        soft: of quiet text, hatches and the line at zero.
        line: of grids, and behind the hatch of what was not measurable.
        ground: behind the hatch of what was uncertain.
        accent: of differences that say something.
        sheet: behind all of it; ``"none"`` shows the page.
        width: inches across.
        letters: points of the smallest text; titles are a point larger.
    """

    ink: str
    soft: str
    line: str
    ground: str
    accent: str
    sheet: str = "none"
    width: float = 7.2
    letters: float = 8.0


_THEMES: dict[Theme, ChartStyle] = {
    "light": ChartStyle("#1c2126", "#545d66", "#d9d6cd", "#ffffff", "#0a5c6b"),
    "dark": ChartStyle("#eceef0", "#aab3bb", "#343a40", "#1c2024", "#7fc9d6"),
}

PRINTED = replace(_THEMES["light"], sheet="white")
"""On white; read at its own size in a column of text, its letters are 8 points high."""

_INCHES: dict[Width, float] = {"wide": 8.6, "phone": 4.3}

_SLICES = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_SLICES = 90
_LANES = 8
_STACK = (
    *(Expression.HAPPY, Expression.SURPRISE, Expression.NEUTRAL, Expression.SAD, Expression.ANGRY),
    *(Expression.FEAR, Expression.DISGUST, Expression.CONTEMPT),
)
"""From the positive over neutral to the negative ones, so that polarity can be read off a stack."""

_POLARITIES: dict[str, Expression] = {
    str(Polarity.POSITIVE): Expression.HAPPY,
    str(Polarity.NEUTRAL): Expression.NEUTRAL,
    str(Polarity.NEGATIVE): Expression.SAD,
}
"""Whose colour each polarity has."""

_CONDITION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Of conditions, which are no expressions: Okabe and Ito's, told apart by colour-blind eyes."""

_DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")

_CAPTION = "What faces looked like to the model, not what people felt"
"""In pictures that can be passed on alone; beside those of a page it stands in the page."""

_FONTS = ["system-ui", "Segoe UI", "Roboto", "Liberation Sans", "DejaVu Sans", "sans-serif"]


def on_page(theme: Theme, width: Width = "wide") -> ChartStyle:
    """The look of a picture in a page of the app, whose letters are as large as those around it."""
    return replace(_THEMES[theme], width=_INCHES[width], letters=9.0)


def draw(recordings: Sequence[Recording], comparisons: Sequence[Comparison] = (), look: ChartStyle = PRINTED) -> Figure:
    """One block for each recording, and one for each comparison below, as a figure that no global state knows of.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: neither is given.
    """
    if not recordings and not comparisons:
        raise ValueError("expected a recording or a comparison to draw")
    blocks = [*(3.8 + _course_height(r) for r in recordings), *(1.5 + 0.1 * len(c.differences) for c in comparisons)]
    figure = _new_figure(sum(blocks), look)
    parts = figure.subfigures(len(blocks), 1, height_ratios=blocks, squeeze=False)[:, 0]
    for part, recording in zip(parts[: len(recordings)], recordings, strict=True):
        _draw_recording(part, recording, look)
    for part, comparison in zip(parts[len(recordings) :], comparisons, strict=True):
        _draw_comparison(part, comparison, look)
    return figure


def draw_lanes(recording: Recording, look: ChartStyle = PRINTED) -> Figure:
    """The recording's course alone, for a page that gives the sums in words.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _new_figure((0.5 + _course_height(recording)) * look.letters / PRINTED.letters, look)
    lanes, course = figure.subplots(2, 1, sharex=True, height_ratios=(_lane_height(recording), 1.5))
    _draw_course(lanes, course, recording, look)
    _legend(figure, _present(recording), look, title=None if look.sheet == "none" else _CAPTION)
    return figure


def draw_days(days: Sequence[tuple[str, Totals]], look: ChartStyle) -> Figure:
    """The polarity of each day, or of whatever else has a name and a sum, as shares of its measurable time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _new_figure(0.95 + 0.36 * len(days), look)
    axes, names = figure.subplots(), (*_POLARITIES, UNCERTAIN)
    left = np.zeros(len(days))
    for name in names:
        values = np.array([100 * added.held[name] / max(added.measurable, 1e-9) for _, added in days])
        axes.barh(range(len(days)), values, 0.66, left=left, **_style(name, look))
        left += values
    axes.set_yticks(range(len(days)), [name for name, _ in days])
    axes.set(xlim=(0, 100), xticks=(0, 50, 100))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(_percent)
    _bare(axes, "Share of the measurable time, by what was held", look)
    _legend(figure, names, look)
    return figure


def draw_difference(comparison: Comparison, look: ChartStyle) -> Figure:
    """The differences by what was held, with their intervals.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    rows = [row for row in comparison.differences if row.measure == "held"]
    figure = _new_figure(0.9 + 0.3 * len(rows), look)
    title = f"{comparison.second} less {comparison.first}, in percentage points of the measurable time"
    names = [row.quantity for row in rows]
    _draw_differences(figure.subplots(), rows, names, look, title=title, conclusive=comparison.conclusive)
    return figure


def draw_experiment(experiment: Experiment, look: ChartStyle = PRINTED) -> Figure:
    """The mean course of each condition around its onset, with its band, for the quantities that move most.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = _moving(experiment)
    rows = -(-len(names) // 2)
    figure = _new_figure(0.9 + 1.75 * rows, look)
    from matplotlib.lines import Line2D

    panels = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel()
    times, styles = experiment.spec.times, _condition_styles(len(experiment.courses))
    for panel, name in zip(panels, names, strict=False):
        at = QUANTITIES.index(name)
        panel.axvline(0, color=look.soft, linewidth=1)
        panel.axhline(0, color=look.line, linewidth=1)
        for index, course in enumerate(experiment.courses):
            colour, dash = styles[index]
            if course.band is not None:
                low, high = 100 * course.band[:, :, at]
                panel.fill_between(times, low, high, color=colour, alpha=0.18, linewidth=0)
            panel.plot(times, 100 * course.mean[:, at], color=colour, linestyle=dash, linewidth=1.6)
        _bare(panel, name, look)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    change = "change from the time before, percentage points" if experiment.spec.baseline else "percent"
    for panel in panels[-2:]:
        panel.set_xlabel("seconds from the onset", fontsize=look.letters, color=look.soft)
    figure.supylabel(change, fontsize=look.letters, color=look.soft)
    labels = [
        f"{c.condition} ({c.participants} participant{'' if c.participants == 1 else 's'})" for c in experiment.courses
    ]
    handles: list[Artist] = [
        Line2D([], [], color=c, linestyle=d, label=label) for (c, d), label in zip(styles, labels, strict=True)
    ]
    legend = figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=3,
        fontsize=look.letters,
        frameon=False,
        labelcolor=look.ink,
        title=f"Mean over participants, band: 95 % bootstrap. {_CAPTION}",
        title_fontsize=look.letters,
        alignment="left",
    )
    legend.get_title().set_color(look.ink)
    return figure


def _condition_styles(count: int) -> list[tuple[str, Literal["-", "--", ":"]]]:
    colours = len(_CONDITION_COLOURS)
    return [(_CONDITION_COLOURS[i % colours], _DASHES[i // colours % len(_DASHES)]) for i in range(count)]


def _moving(experiment: Experiment) -> list[str]:
    """Up to six quantities, those whose mean course goes furthest from 0 in any condition, in their own order."""
    peaks = {r.quantity: 0.0 for r in experiment.responses}
    for response in experiment.responses:
        peaks[response.quantity] = max(peaks[response.quantity], abs(response.peak))
    most = sorted(peaks, key=lambda name: -peaks[name])[:6]
    return [name for name in QUANTITIES if name in most]


def render(figure: Figure, *, alt: str) -> bytes:
    """A figure as PNG, with ``alt`` as its description."""
    return _saved(figure, "png", dpi=160, metadata={"Description": alt})


def render_svg(figure: Figure) -> str:
    """A figure as SVG, with words as text."""
    return _saved(figure, "svg", metadata={"Date": None, "Creator": None}).decode("utf-8")


def clock(seconds: float) -> str:
    """A time or a duration: ``"4.2 s"``, ``"3:05"``, ``"1:02:03"``; above a minute in whole seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _new_figure(height: float, look: ChartStyle) -> Figure:
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "the timeline") from None
    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.08)
    return Figure(figsize=(look.width, height), layout=layout, facecolor=look.sheet)


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "font.sans-serif": _FONTS, "svg.hashsalt": "mien"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _style(state: str, look: ChartStyle) -> dict[str, Any]:
    """How a state or a polarity is filled; what has no colour has a hatch."""
    if state == UNCERTAIN:
        return {"facecolor": look.ground, "edgecolor": look.soft, "hatch": "////", "linewidth": 0}
    if state == UNMEASURABLE:
        return {"facecolor": look.line, "edgecolor": look.soft, "hatch": "xxxx", "linewidth": 0}
    rgb = COLOURS[_POLARITIES.get(state) or Expression(state)]
    return {"facecolor": tuple(channel / 255 for channel in rgb), "linewidth": 0, "antialiased": False}


def _drawn_tracks(recording: Recording) -> list[int]:
    """The tracks that have most frames, in the order of their numbers."""
    tracks, counts = np.unique(recording.tracks, return_counts=True)
    return sorted(int(track) for track in tracks[np.argsort(-counts, kind="stable")[:_LANES]])


def _lane_height(recording: Recording) -> float:
    return 0.35 + 0.27 * max(len(_drawn_tracks(recording)), 1)


def _course_height(recording: Recording) -> float:
    return _lane_height(recording) + 1.9


def _draw_recording(part: SubFigure, recording: Recording, look: ChartStyle) -> None:
    added = totals(recording)
    axes = part.subplot_mosaic(
        [["lanes", "lanes"], ["course", "course"], ["shares", "changes"]],
        height_ratios=(_lane_height(recording), 1.5, 2.6),
        width_ratios=(1.15, 1),
    )
    axes["course"].sharex(axes["lanes"])
    _draw_course(axes["lanes"], axes["course"], recording, look)
    _draw_shares(axes["shares"], added, look)
    _draw_changes(axes["changes"], recording, look)
    _legend(part, _present(recording), look, title=_CAPTION)
    tracks = f"{added.tracks} face track{'' if added.tracks == 1 else 's'}"
    _head(part, f"{recording.name}: {clock(added.watched)} watched, {tracks}", look)


def _draw_course(lanes: Axes, course: Axes, recording: Recording, look: ChartStyle) -> None:
    seconds = frame_seconds(recording.times)
    tracks = _drawn_tracks(recording)
    for lane, track in enumerate(tracks):
        for state, spans in _runs(recording, track, seconds).items():
            lanes.broken_barh(spans, (lane - 0.4, 0.8), **_style(state, look))
    lanes.set_yticks(range(len(tracks)), [f"face {track}" for track in tracks])
    lanes.set_ylim(max(len(tracks), 1) - 0.5, -0.5)
    hidden = len(np.unique(recording.tracks)) - len(tracks)
    _bare(lanes, "What was held" + (f" (the {_LANES} longest of {hidden + _LANES} tracks)" if hidden else ""), look)
    lanes.tick_params(labelbottom=False, labelleft=len(tracks) > 1)
    if not tracks:
        lanes.text(0.5, 0.5, "no face in view", transform=lanes.transAxes, ha="center", va="center", color=look.soft)
    start, end = float(recording.times[0]), float(recording.times[-1] + seconds[-1])
    cut = timeline(recording, length=_slice(end - start, float(np.median(seconds))))
    totals = cut.mass.sum(axis=1)
    shares = 100 * cut.mass / np.where(totals > 0, totals, np.inf)[:, None]
    base = np.zeros(len(totals))
    for expression in _STACK:
        values = shares[:, list(Expression).index(expression)]
        course.bar(cut.starts, values, cut.length, bottom=base, align="edge", **_style(str(expression), look))
        base += values
    _bare(course, f"Smoothed probability, in slices of {_length(cut.length)}", look)
    course.set(xlim=(start, end), ylim=(0, 100), yticks=(0, 50, 100))
    course.yaxis.set_major_formatter(_percent)
    course.xaxis.set_major_formatter(lambda value, _: _tick(value, end - start))
    course.tick_params(axis="x", pad=7)  # clear of the 0 % beside it


def _slice(span: float, usual: float) -> float:
    """Length of a slice: few enough of them to be told apart, and none shorter than a frame."""
    return next((s for s in _SLICES if s >= usual - 1e-6 and span / s <= _MOST_SLICES), _SLICES[-1])


def _runs(recording: Recording, track: int, seconds: np.ndarray[Any, Any]) -> dict[str, list[tuple[float, float]]]:
    """Start and length of each unbroken run of a track, by state."""
    mine = recording.tracks == track
    frames, states = recording.frames[mine], recording.states[mine]
    starts = recording.times[frames]
    ends = starts + seconds[frames]
    joined = (np.diff(states) == 0) & (starts[1:] - ends[:-1] < 1e-6)
    first = np.flatnonzero(np.append(True, ~joined))
    last = np.append(first[1:] - 1, len(states) - 1)
    runs: dict[str, list[tuple[float, float]]] = {}
    for a, b in zip(first, last, strict=True):
        runs.setdefault(STATES[states[a]], []).append((float(starts[a]), float(ends[b] - starts[a])))
    return runs


def _draw_shares(axes: Axes, added: Totals, look: ChartStyle) -> None:
    """Bars by what was held, and a mark by probability; all of them shares of the face time."""
    places = {e: list(Expression).index(e) for e in _STACK if e is not Expression.NEUTRAL}
    mass = {str(p): seconds for p, seconds in added.polarity_mass.items()}
    mass |= {str(e): float(added.mass[at]) for e, at in places.items() if added.mass[at] > 0}
    held = {**added.held, **{str(e): float(added.states[at]) for e, at in places.items() if str(e) in mass}}
    total = max(added.faces, 1e-9)
    at = [place + (0.6 if place >= len(added.held) else 0) for place in range(len(held))]
    for place, (name, value) in zip(at, held.items(), strict=True):
        axes.barh(place, 100 * value / total, 0.72, **_style(name, look))
        if name in mass:
            axes.plot(100 * mass[name] / total, place, marker="D", markersize=4, color="white", markeredgecolor="black")
        right = 100 * max(value, mass.get(name, 0)) / total
        words = f"{100 * value / total:.0f} % · {clock(value)}"
        axes.text(right + 5, place, words, va="center", fontsize=look.letters - 0.5, color=look.ink)
    axes.set_yticks(at, list(held))
    axes.invert_yaxis()
    axes.set(xlim=(0, 140), xticks=(0, 50, 100))
    axes.xaxis.set_major_formatter(_percent)
    _bare(axes, "Share of face time (◇ by probability)", look)


def _draw_changes(axes: Axes, recording: Recording, look: ChartStyle) -> None:
    counts = transitions(recording)
    seen = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    _bare(axes, "Changes: from row to column", look)
    if not len(seen):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no change", transform=axes.transAxes, ha="center", va="center", color=look.soft)
        return
    part = counts[np.ix_(seen, seen)]
    axes.imshow(part, cmap="Blues", vmin=0, vmax=max(part.max() * 1.25, 1), aspect="auto")
    for (row, column), count in np.ndenumerate(part):
        ink = "white" if count > 0.75 * part.max() else "black"  # on the map's own colours, in every look
        axes.text(column, row, str(count) if count else "·", ha="center", va="center", fontsize=8, color=ink)
    names = [STATES[index] for index in seen]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)


def _draw_comparison(part: SubFigure, comparison: Comparison, look: ChartStyle) -> None:
    both = part.subplots(1, 2, sharex=True, sharey=True)
    names = [row.quantity for row in comparison.differences if row.measure == "held"]
    _head(
        part,
        f"{comparison.second} less {comparison.first}, in percentage points of the measurable time"
        + ("" if comparison.conclusive else "\ntoo few to say anything"),
        look,
    )
    words = {"held": "By the expression held", "by_probability": "By probability"}
    for axes, (measure, title) in zip(both, words.items(), strict=True):
        rows = [row for row in comparison.differences if row.measure == measure]
        _draw_differences(axes, rows, names, look, title=title, conclusive=comparison.conclusive)


def _draw_differences(
    axes: Axes, rows: Sequence[Difference], names: Sequence[str], look: ChartStyle, *, title: str, conclusive: bool
) -> None:
    """Each difference and its interval, in the row of its name."""
    colour = look.accent if conclusive else look.soft
    axes.axvline(0, color=look.soft, linewidth=1)
    for row in rows:
        place = names.index(row.quantity)
        low, high = row.interval or (row.difference, row.difference)
        axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(100 * row.difference, place, marker="o", markersize=5.5, color=colour)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    axes.grid(axis="x", color=look.line, linewidth=0.8)
    axes.set_axisbelow(True)
    _bare(axes, title, look)


def _present(recording: Recording) -> list[str]:
    """What a legend of its course has to name."""
    present = {STATES[index] for index in np.unique(recording.states)}
    present |= {str(e) for e, value in zip(Expression, np.nansum(recording.smoothed, axis=0), strict=True) if value > 0}
    return [name for name in (*map(str, _STACK), UNCERTAIN, UNMEASURABLE) if name in present]


def _legend(part: Figure | SubFigure, names: Sequence[str], look: ChartStyle, *, title: str | None = None) -> None:
    from matplotlib.patches import Patch

    if not names:
        return
    legend = part.legend(
        handles=[Patch(label=name, **_style(name, look)) for name in names],
        loc="outside lower left",
        ncols=6 if look.width > 6 else 4,
        fontsize=look.letters,
        title=title,
        title_fontsize=look.letters,
        alignment="left",
        frameon=False,
        labelcolor=look.ink,
        handlelength=1.2,
    )
    legend.get_title().set_color(look.ink)


def _bare(axes: Axes, title: str, look: ChartStyle) -> None:
    """A title, letters in the look's size and colour, and no frame."""
    letters = look.letters + 1
    wrapped = textwrap.fill(title, round((look.width - 1.2) * 72 / (0.52 * letters)))  # beside the names of the rows
    axes.set_facecolor("none")
    axes.set_title(wrapped, loc="left", fontsize=letters, color=look.ink)
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=look.letters, colors=look.ink, length=0)


def _head(part: SubFigure, words: str, look: ChartStyle) -> None:
    part.suptitle(words, fontsize=look.letters + 3, color=look.ink, fontweight="bold")


def _percent(value: float, _: object) -> str:
    return f"{value:.0f} %"


def _tick(seconds: float, span: float) -> str:
    if span < 10:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if span >= 3600 else f"{minutes}:{rest:02}"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"
