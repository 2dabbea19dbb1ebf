"""The picture of a recording: who showed what when, how long, and what followed on what; and of a comparison."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.core.errors import MissingExtraError
from mien.core.expression import Expression, Polarity
from mien.runtime.output.canvas import COLOURS
from mien.runtime.recordings.compare import Comparison
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording
from mien.runtime.recordings.totals import Tally, frame_seconds, tally, timeline, transitions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

WIDTH = 7.2
"""Inches across: read at its own size in a column of text, its letters are 8 points high."""

_SLICES = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_LANES = 8
_INK, _SOFT, _SLATE = "#1c2026", "#5b6470", "#46505e"
_STACK = (
    *(Expression.HAPPY, Expression.SURPRISE, Expression.NEUTRAL, Expression.SAD, Expression.ANGRY),
    *(Expression.FEAR, Expression.DISGUST, Expression.CONTEMPT),
)
"""From the positive over neutral to the negative ones, so that polarity can be read off a stack."""

_STYLES: dict[str, dict[str, Any]] = {
    **{str(e): {"facecolor": tuple(c / 255 for c in rgb), "linewidth": 0} for e, rgb in COLOURS.items()},
    UNCERTAIN: {"facecolor": "white", "edgecolor": "#8b94a0", "hatch": "/////", "linewidth": 0},
    UNMEASURABLE: {"facecolor": "#f3f0ea", "edgecolor": "#6b6255", "hatch": "xxxxx", "linewidth": 0},
}


def draw(recordings: Sequence[Recording], comparisons: Sequence[Comparison] = ()) -> Figure:
    """One block for each recording, and one for each comparison below, as a figure that no global state knows of.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ValueError: neither is given.
    """
    if not recordings and not comparisons:
        raise ValueError("expected a recording or a comparison to draw")
    blocks = [*(_recording_height(r) for r in recordings), *(_comparison_height(c) for c in comparisons)]
    figure = _new_figure(sum(blocks))
    parts = figure.subfigures(len(blocks), 1, height_ratios=blocks, squeeze=False)[:, 0]
    for part, recording in zip(parts[: len(recordings)], recordings, strict=True):
        _draw_recording(part, recording)
    for part, comparison in zip(parts[len(recordings) :], comparisons, strict=True):
        _draw_comparison(part, comparison)
    return figure


def draw_lanes(recording: Recording) -> Figure:
    """The recording's course alone, for a page that gives the sums in words.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = _new_figure(0.5 + _course_height(recording))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(_lane_height(recording), 1.5))
    _draw_course(top, bottom, recording)
    _legend(figure, recording)
    return figure


def render(figure: Figure, *, alt: str) -> bytes:
    """A figure as PNG, with ``alt`` as its description."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Description": alt})
    return buffer.getvalue()


def clock(seconds: float) -> str:
    """A time or a duration: ``"4.2 s"``, ``"3:05"``, ``"1:02:03"``; above a minute in whole seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _tick(seconds: float, span: float) -> str:
    if span < 10:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if span >= 3600 else f"{minutes}:{rest:02}"


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


def _new_figure(height: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise MissingExtraError("matplotlib", "plots", "the timeline") from None
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(h_pad=0.08), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _drawn_tracks(recording: Recording) -> list[int]:
    """The tracks that have most frames, in the order of their numbers."""
    tracks, counts = np.unique(recording.tracks, return_counts=True)
    return sorted(int(track) for track in tracks[np.argsort(-counts, kind="stable")[:_LANES]])


def _lane_height(recording: Recording) -> float:
    return 0.35 + 0.27 * max(len(_drawn_tracks(recording)), 1)


def _course_height(recording: Recording) -> float:
    return _lane_height(recording) + 1.9


def _recording_height(recording: Recording) -> float:
    return 0.9 + _course_height(recording) + 2.9


def _comparison_height(comparison: Comparison) -> float:
    return 1.5 + 0.1 * len(comparison.differences)


def _draw_recording(part: SubFigure, recording: Recording) -> None:
    added = tally(recording)
    axes = part.subplot_mosaic(
        [["lanes", "lanes"], ["course", "course"], ["shares", "changes"]],
        height_ratios=(_lane_height(recording), 1.5, 2.6),
        width_ratios=(1.15, 1),
    )
    axes["course"].sharex(axes["lanes"])
    _draw_course(axes["lanes"], axes["course"], recording)
    _draw_shares(axes["shares"], added)
    _draw_changes(axes["changes"], recording)
    _legend(part, recording)
    title = f"{recording.name}: {clock(added.watched)} watched, {_counted(added.tracks, 'face track')}"
    part.suptitle(title, fontsize=11, color=_INK, fontweight="bold")


def _draw_course(lanes: Axes, course: Axes, recording: Recording) -> None:
    seconds = frame_seconds(recording.times)
    tracks = _drawn_tracks(recording)
    for lane, track in enumerate(tracks):
        for state, spans in _runs(recording, track, seconds).items():
            lanes.broken_barh(spans, (lane - 0.4, 0.8), **_STYLES[state])
    lanes.set_yticks(range(len(tracks)), [f"face {track}" for track in tracks])
    lanes.set_ylim(max(len(tracks), 1) - 0.5, -0.5)
    lanes.tick_params(labelbottom=False)
    hidden = len(np.unique(recording.tracks)) - len(tracks)
    _title(
        lanes, "Expression that was held" + (f" (the {_LANES} longest of {hidden + _LANES} tracks)" if hidden else "")
    )
    if not tracks:
        lanes.text(0.5, 0.5, "no face in view", transform=lanes.transAxes, ha="center", va="center", color=_SOFT)
    start, end = float(recording.times[0]), float(recording.times[-1] + seconds[-1])
    cut = timeline(recording, length=next((s for s in _SLICES if (end - start) / s <= 60), _SLICES[-1]))
    totals = cut.mass.sum(axis=1)
    shares = 100 * cut.mass / np.where(totals > 0, totals, np.inf)[:, None]
    base = np.zeros(len(totals))
    for expression in _STACK:
        values = shares[:, list(Expression).index(expression)]
        course.bar(cut.starts, values, cut.length, bottom=base, align="edge", **_STYLES[expression])
        base += values
    _title(course, f"Share by smoothed probability, in slices of {_length(cut.length)}")
    course.set(xlim=(start, end), ylim=(0, 100), yticks=(0, 50, 100))
    course.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    course.xaxis.set_major_formatter(lambda value, _: _tick(value, end - start))
    for axes in (lanes, course):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=_INK)


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


def _draw_shares(axes: Axes, added: Tally) -> None:
    """Bars by what was held, and a mark by probability; all of them shares of the face time."""
    places = {e: list(Expression).index(e) for e in _STACK if e is not Expression.NEUTRAL}
    mass = {str(p): seconds for p, seconds in added.polarity_mass.items()}
    mass |= {str(e): float(added.mass[at]) for e, at in places.items() if added.mass[at] > 0}
    held = {**added.held, **{str(e): float(added.states[at]) for e, at in places.items() if str(e) in mass}}
    total = max(added.faces, 1e-9)
    for place, (name, value) in enumerate(held.items()):
        at = place + (0.6 if place >= 5 else 0)
        style = {"facecolor": _SLATE} if name in tuple(Polarity) else _STYLES[name]
        axes.barh(at, 100 * value / total, 0.72, **style)
        if name in mass:
            axes.plot(100 * mass[name] / total, at, marker="D", markersize=4, color="white", markeredgecolor=_INK)
        right = 100 * max(value, mass.get(name, 0)) / total
        words = f"{100 * value / total:.0f} % · {clock(value)}"
        axes.text(right + 5, at, words, va="center", fontsize=7.5, color=_INK)
    axes.set_yticks([p + (0.6 if p >= 5 else 0) for p in range(len(held))], list(held))
    axes.invert_yaxis()
    axes.set(xlim=(0, 140), xticks=(0, 50, 100))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=_INK)
    _title(axes, "Share of face time (◇ by probability)")


def _draw_changes(axes: Axes, recording: Recording) -> None:
    counts = transitions(recording)
    seen = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    _title(axes, "Changes: from row to column")
    if not len(seen):
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no change", transform=axes.transAxes, ha="center", va="center", color=_SOFT, fontsize=8)
        return
    part = counts[np.ix_(seen, seen)]
    axes.imshow(part, cmap="Blues", vmin=0, vmax=max(part.max() * 1.25, 1), aspect="auto")
    for (row, column), count in np.ndenumerate(part):
        ink = "white" if count > 0.75 * part.max() else _INK
        axes.text(column, row, str(count) if count else "·", ha="center", va="center", fontsize=8, color=ink)
    names = [STATES[index] for index in seen]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=8, colors=_INK, length=0)
    axes.spines[:].set_visible(False)


def _draw_comparison(part: SubFigure, comparison: Comparison) -> None:
    both = part.subplots(1, 2, sharex=True, sharey=True)
    names = [row.quantity for row in comparison.differences if row.measure == "held"]
    part.suptitle(
        f"{comparison.second} − {comparison.first}, in percentage points of the measurable time"
        + ("" if comparison.conclusive else "\ntoo few to say anything"),
        fontsize=11,
        color=_INK,
        fontweight="bold",
    )
    words = {"held": "By the expression held", "by_probability": "By probability"}
    for axes, (measure, title) in zip(both, words.items(), strict=True):
        rows = [d for d in comparison.differences if d.measure == measure]
        ink = "#0072B2" if comparison.conclusive else "#8b94a0"
        axes.axvline(0, color=_SOFT, linewidth=0.8)
        for row in rows:
            place = names.index(row.quantity)
            low, high = row.interval or (row.difference, row.difference)
            axes.plot([100 * low, 100 * high], [place, place], color=ink, linewidth=1.8, solid_capstyle="butt")
            axes.plot(100 * row.difference, place, marker="o", markersize=5, color=ink)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=_INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e9ecf0", linewidth=0.8)
        axes.set_axisbelow(True)
        _title(axes, title)


def _legend(part: Figure | SubFigure, recording: Recording) -> None:
    from matplotlib.patches import Patch

    present = {STATES[index] for index in np.unique(recording.states)}
    present |= {str(e) for e, value in zip(Expression, np.nansum(recording.smoothed, axis=0), strict=True) if value > 0}
    names = [*(str(e) for e in _STACK), UNCERTAIN, UNMEASURABLE]
    handles = [Patch(label=name, **_STYLES[name]) for name in names if name in present]
    if handles:
        title = "What faces looked like to the model, not what people felt"
        part.legend(
            handles=handles,
            loc="outside lower center",
            ncols=5,
            fontsize=8,
            title=title,
            title_fontsize=8,
            frameon=False,
        )


def _title(axes: Axes, words: str) -> None:
    axes.set_title(words, loc="left", fontsize=9, color=_INK)


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
