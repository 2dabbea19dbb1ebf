"""Stored recordings as the runtime's: what its all_totals, timelines, comparisons and pictures take.

::

    recording = load(store, recording_id)                # corrected; a mien.runtime.recordings.read.Recording
    totals(recording), timeline(recording), draw_lanes(recording), describe(recording, totals(recording))
    for day in days(store, since=…, until=…):            # the person's own days, oldest first
        day.date, day.totals.held, day.recordings
    compare_days(monday, tuesday)                         # a mien.runtime.recordings.compare.Comparison

A second counts as one frame: in the state that most of it was in, with its mean probabilities. What a person corrected
is changed here and nowhere else; the store keeps what was measured.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.app.store.aggregate import Second
from mien.app.store.facade import Store
from mien.app.store.values import Correction, RecordingId, RecordingInfo, local_time
from mien.core.expression import Expression
from mien.runtime.recordings.compare import Cohort, Comparison, compare_cohorts
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE, Recording
from mien.runtime.recordings.totals import Totals, add_up, totals

_UNCERTAIN, _UNMEASURABLE = STATES.index(UNCERTAIN), STATES.index(UNMEASURABLE)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a person, by the local time at which it was recorded.

    Attributes:
        date: which.
        recordings: what was recorded on it, corrected; a recording that runs over midnight is cut there.
        totals: all of them added up.
    """

    date: datetime.date
    recordings: tuple[Recording, ...]
    totals: Totals


def correct(second: Second, corrections: Sequence[Correction]) -> Second:
    """A second as the person says that it was: later corrections overrule earlier ones.

    The share in which the wrong expression was held goes to the right one, or to uncertain where none is named; so does
    its probability, or to the others in their proportion.
    """
    for correction in corrections:
        if not correction.start <= second.index < correction.end or second.probabilities is None:
            continue
        was, instead = list(Expression).index(correction.was), correction.instead
        held, probabilities = list(second.held), list(second.probabilities)
        moved, mass = held[was], probabilities[was]
        held[was] = probabilities[was] = 0.0
        uncertain = second.uncertain
        if instead is not None:
            right = list(Expression).index(instead)
            held[right] += moved
            probabilities[right] += mass
        else:
            uncertain += moved
            rest = sum(probabilities)
            others = len(probabilities) - 1
            probabilities = [p / rest if rest > 0 else float(at != was) / others for at, p in enumerate(probabilities)]
        second = replace(second, probabilities=tuple(probabilities), held=tuple(held), uncertain=uncertain)
    return second


def as_recording(
    info: RecordingInfo, seconds: Sequence[Second], corrections: Sequence[Correction] = (), *, name: str | None = None
) -> Recording:
    """A stored recording as the runtime's, of one track, with the person's corrections.

    Args:
        info: which recording.
        seconds: one or more of its seconds, in order.
        corrections: of it.
        name: what to call it; None for its own name, or its number.

    Raises:
        ValueError: no second.
    """
    if not seconds:
        raise ValueError("a recording without a second cannot be added up")
    corrected = [correct(second, corrections) for second in seconds]
    faces = [(at, second) for at, second in enumerate(corrected) if second.absent <= 0.5]
    states = [_state(second) for _, second in faces]
    nothing = [np.nan] * len(Expression)
    means = [
        nothing if state == _UNMEASURABLE or second.probabilities is None else second.probabilities
        for state, (_, second) in zip(states, faces, strict=True)
    ]
    values = np.array(means, dtype=np.float32).reshape(-1, len(Expression))
    return Recording(
        name=info.name or f"recording {info.id}" if name is None else name,
        models=(info.model,),
        times=np.array([float(second.index) for second in corrected]),
        frames=np.array([at for at, _ in faces], dtype=np.int64),
        tracks=np.ones(len(faces), dtype=np.int64),
        states=np.array(states, dtype=np.int64),
        smoothed=values,
        probabilities=values,
        reasons=_reasons(states, faces),
        notes=() if info.closed else ("not stopped: it is under way, or the program ended",),
    )


def load(store: Store, recording: RecordingId) -> Recording:
    """A stored recording, corrected.

    Raises:
        NoRecordingError: there is none of that number.
        ValueError: it holds no second yet.
    """
    return as_recording(store.recording(recording), store.seconds(recording), store.corrections(recording))


def days(store: Store, *, since: float | None = None, until: float | None = None) -> tuple[Day, ...]:
    """The days on which something was recorded, the oldest first.

    Args:
        store: where.
        since: Unix seconds; earlier seconds are left out. None for all that is kept.
        until: Unix seconds; seconds from then on are left out.
    """
    found: dict[datetime.date, list[Recording]] = {}
    for info in reversed(store.recordings(until=until)):
        if since is not None and info.started + info.length <= since:
            continue
        corrections = store.corrections(info.id)
        by_date: dict[datetime.date, list[Second]] = {}
        for second in store.seconds(info.id):
            at = info.started + second.index
            if (since is None or at >= since) and (until is None or at < until):
                by_date.setdefault(local_time(at, info.utc_offset).date(), []).append(second)
        for date, seconds in by_date.items():
            found.setdefault(date, []).append(as_recording(info, seconds, corrections))
    return tuple(
        Day(date=date, recordings=tuple(recordings), totals=add_up([totals(recording) for recording in recordings]))
        for date, recordings in sorted(found.items())
    )


def compare_days(first: Sequence[Day], second: Sequence[Day], *, names: tuple[str, str] | None = None) -> Comparison:
    """Two days, or two spans of days, compared: see :func:`mien.runtime.recordings.compare.compare_cohorts`.

    Args:
        first: one or more days.
        second: one or more others.
        names: what to call them; None for their dates.

    Raises:
        ValueError: no day, the same name twice, or days on which nothing could be measured.
    """
    if not first or not second:
        raise ValueError("a comparison needs two days or more")
    named = names or (_span(first), _span(second))
    cohorts = [
        Cohort(name, tuple(recording for day in part for recording in day.recordings))
        for name, part in zip(named, (first, second), strict=True)
    ]
    return compare_cohorts(cohorts)[0]


def _state(second: Second) -> int:
    shares = [*second.held, second.uncertain, sum(second.unmeasurable.values())]
    return int(np.argmax(shares))


def _reasons(states: Sequence[int], faces: Sequence[tuple[int, Second]]) -> NDArray[np.str_]:
    words = [
        max(second.unmeasurable, key=second.unmeasurable.__getitem__) if state == _UNMEASURABLE else ""
        for state, (_, second) in zip(states, faces, strict=True)
    ]
    return np.array(words, dtype=np.str_)


def _span(part: Sequence[Day]) -> str:
    first, last = part[0].date.isoformat(), part[-1].date.isoformat()
    return first if first == last else f"{first} to {last}"
