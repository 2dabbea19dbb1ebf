"""What a recording amounts to: time in each expression, polarities, changes, and how they ran. Pure numpy.

Times are *face-seconds*: two faces in view for a second are two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Polarity
from mien.runtime.output.watched import MAX_GAP
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording

Floats = NDArray[np.float64]

MEASURED: tuple[str, ...] = (*Polarity, UNCERTAIN)
"""What measurable time divides into."""

_GROUP = np.array([[e.polarity is p for e in Expression] for p in Polarity], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Totals:
    """How long everything lasted, in seconds.

    Attributes:
        span: from the first frame to the end of the last.
        watched: for which there are frames.
        empty: watched without a face in view.
        states: ``(10,)`` face-seconds in each of :data:`mien.runtime.recordings.read.STATES`; they sum to all face
            time.
        mass: ``(8,)`` face-seconds that the smoothed probabilities give each :class:`Expression`; they sum to the
            measurable time, as an expected value does, whether or not an expression was held.
        sureness: ``(8,)`` mean smoothed probability of each :class:`Expression` while it was held; NaN if it never was.
        reasons: face-seconds of each reason why a face was not measurable.
        tracks: number of tracks.
    """

    span: float
    watched: float
    empty: float
    states: Floats
    mass: Floats
    sureness: Floats
    reasons: dict[str, float]
    tracks: int

    @property
    def faces(self) -> float:
        """All face-seconds."""
        return float(self.states.sum())

    @property
    def measurable(self) -> float:
        """Face-seconds in which the face could be read, uncertain ones among them."""
        return float(self.states[:-1].sum())

    @property
    def held(self) -> dict[str, float]:
        """Face-seconds of each polarity by what was held, of uncertainty, and not measurable; they sum to all."""
        polarities = dict(zip(MEASURED, (*by_polarity(self.states[:-2]), self.states[-2]), strict=True))
        return {**{str(k): float(v) for k, v in polarities.items()}, UNMEASURABLE: float(self.states[-1])}

    @property
    def polarity_mass(self) -> dict[Polarity, float]:
        """Face-seconds that the smoothed probabilities give each polarity."""
        return {p: float(v) for p, v in zip(Polarity, by_polarity(self.mass), strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; all in seconds, but the number of tracks and the sureness (a mean probability)."""
        return {
            "span": self.span,
            "watched": self.watched,
            "no_face": self.empty,
            "face_time": self.faces,
            "tracks": self.tracks,
            "held": {state: float(value) for state, value in zip(STATES, self.states, strict=True)},
            "by_probability": {str(e): float(value) for e, value in zip(Expression, self.mass, strict=True)},
            "sureness": {str(e): float(v) for e, v in zip(Expression, self.sureness, strict=True) if np.isfinite(v)},
            "polarity": {"held": self.held, "by_probability": {str(k): v for k, v in self.polarity_mass.items()}},
            "not_measurable": self.reasons,
        }


def by_polarity(values: Floats) -> Floats:
    """Sums ``(…, 3)`` by polarity of values ``(…, 8)`` by expression."""
    return values @ _GROUP.T


def frame_seconds(times: Floats, *, max_gap: float = MAX_GAP) -> Floats:
    """Seconds that each frame stands for, ``(F,)``: until the next one.

    Over a gap longer than ``max_gap`` nobody looked: the frame before it, as the last of all, stands for the mean
    of the shorter intervals, and for ``max_gap`` where there is no shorter one.

    Args:
        times: ``(F,)`` seconds, never falling.
        max_gap: seconds.
    """
    intervals = np.diff(times)
    short = intervals[intervals <= max_gap]
    usual = float(np.mean(short)) if len(short) else max_gap
    return np.append(np.where(intervals <= max_gap, intervals, usual), usual)


def totals(recording: Recording, *, max_gap: float = MAX_GAP) -> Totals:
    """Add up a recording; see :func:`frame_seconds` for ``max_gap``."""
    seconds = frame_seconds(recording.times, max_gap=max_gap)
    weights = seconds[recording.frames]
    empty = np.ones(len(seconds), dtype=np.bool_)
    empty[recording.frames] = False
    held = (recording.states < len(Expression)) & np.isfinite(recording.smoothed[:, 0])
    own = recording.smoothed[held, recording.states[held]].astype(np.float64)
    lasted = _sums(recording.states[held], weights[held], len(Expression))
    believed = _sums(recording.states[held], weights[held] * own, len(Expression))
    reasons = {str(r): float(weights[recording.reasons == r].sum()) for r in np.unique(recording.reasons) if r}
    return Totals(
        span=float(recording.times[-1] - recording.times[0] + seconds[-1]),
        watched=float(seconds.sum()),
        empty=float(seconds[empty].sum()),
        states=_sums(recording.states, weights, len(STATES)),
        mass=np.nansum(recording.smoothed.astype(np.float64) * weights[:, None], axis=0),
        sureness=np.where(lasted > 0, believed / np.where(lasted > 0, lasted, 1), np.nan),
        reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])),
        tracks=len(np.unique(recording.tracks)),
    )


def add_up(all_totals: Sequence[Totals]) -> Totals:
    """The sum of several recordings; its ``sureness`` is the mean over the time held.

    Raises:
        ValueError: there is none to add up.
    """
    if not all_totals:
        raise ValueError("nothing to add up")
    states = np.sum([t.states for t in all_totals], axis=0)
    held = np.stack([t.states[: len(Expression)] for t in all_totals])
    believed = np.nansum(held * np.stack([t.sureness for t in all_totals]), axis=0)
    lasted = held.sum(axis=0)
    reasons: dict[str, float] = {}
    for one in all_totals:
        for reason, seconds in one.reasons.items():
            reasons[reason] = reasons.get(reason, 0.0) + seconds
    return Totals(
        span=sum(t.span for t in all_totals),
        watched=sum(t.watched for t in all_totals),
        empty=sum(t.empty for t in all_totals),
        states=states,
        mass=np.sum([t.mass for t in all_totals], axis=0),
        sureness=np.where(lasted > 0, believed / np.where(lasted > 0, lasted, 1), np.nan),
        reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])),
        tracks=sum(t.tracks for t in all_totals),
    )


def transitions(recording: Recording, *, max_gap: float = MAX_GAP) -> NDArray[np.int64]:
    """How often a track changed from each state (row) to each other (column), ``(10, 10)``.

    Counted are changes within a track between faces that lie no further apart than ``max_gap`` seconds.
    """
    order = np.lexsort((recording.frames, recording.tracks))
    tracks, states = recording.tracks[order], recording.states[order]
    times = recording.times[recording.frames[order]]
    changed = (np.diff(tracks) == 0) & (np.diff(states) != 0) & (np.diff(times) <= max_gap)
    counts = np.zeros((len(STATES), len(STATES)), dtype=np.int64)
    np.add.at(counts, (states[:-1][changed], states[1:][changed]), 1)
    return counts


@dataclass(frozen=True, eq=False)
class Timeline:
    """How a recording ran, in B slices of equal length.

    Attributes:
        starts: ``(B,)`` seconds at which each slice begins.
        length: seconds of a slice.
        states: ``(B, 10)`` face-seconds in each of :data:`mien.runtime.recordings.read.STATES`.
        mass: ``(B, 8)`` face-seconds by smoothed probability.
        empty: ``(B,)`` seconds watched without a face in view.
        watched: ``(B,)`` seconds watched.
    """

    starts: Floats
    length: float
    states: Floats
    mass: Floats
    empty: Floats
    watched: Floats


def timeline(recording: Recording, *, length: float = 60.0, max_gap: float = MAX_GAP) -> Timeline:
    """Cut a recording into slices of ``length`` seconds from time 0; a frame counts where it begins.

    Raises:
        ValueError: a length that is not positive.
    """
    if length <= 0:
        raise ValueError(f"a slice needs a positive length, got {length}")
    slots = (recording.times // length).astype(np.int64)
    first = int(slots[0])
    slots, count = slots - first, int(slots[-1]) - first + 1
    seconds = frame_seconds(recording.times, max_gap=max_gap)
    rows, weights = slots[recording.frames], seconds[recording.frames]
    states = np.zeros((count, len(STATES)))
    np.add.at(states, (rows, recording.states), weights)
    mass = np.zeros((count, len(Expression)))
    np.add.at(mass, rows, np.nan_to_num(recording.smoothed.astype(np.float64)) * weights[:, None])
    empty = np.ones(len(seconds), dtype=np.bool_)
    empty[recording.frames] = False
    return Timeline(
        starts=np.arange(first, first + count, dtype=np.float64) * length,
        length=length,
        states=states,
        mass=mass,
        empty=_sums(slots, seconds * empty, count),
        watched=_sums(slots, seconds, count),
    )


def _sums(groups: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.bincount(groups, weights=values, minlength=count).astype(np.float64)
