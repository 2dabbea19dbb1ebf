"""Epochs: how a face's readings run around the stimuli of an experiment. Pure numpy.

An epoch is a stretch of a recording around the onset of one stimulus, in bins of equal length, less its own baseline.
Epochs are averaged within each participant and condition; participants are the units of everything that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Polarity
from mien.runtime.output.watched import MAX_GAP
from mien.runtime.recordings.read import Recording
from mien.runtime.recordings.stimuli import Stimulus
from mien.runtime.recordings.totals import Floats, by_polarity, frame_seconds

QUANTITIES: tuple[str, ...] = (*(str(e) for e in Expression), str(Polarity.POSITIVE), str(Polarity.NEGATIVE))
"""What is averaged: the probability of each expression, and the sums of the positive and the negative ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSpec:
    """How epochs are cut.

    Attributes:
        before: seconds before the onset.
        after: seconds after it.
        step: seconds of a bin; before and after are whole numbers of them.
        baseline: whether the mean of the time before the onset is taken off each epoch.
        min_coverage: the share of an epoch, and of its baseline, in which the face must have been read; below it the
            epoch does not count.

    Raises:
        ValueError: a value out of range, or a baseline without time before the onset.
    """

    before: float = 1.0
    after: float = 5.0
    step: float = 0.1
    baseline: bool = True
    min_coverage: float = 0.7

    def __post_init__(self) -> None:
        """Check the values."""
        if not (0 <= self.before <= 600 and 0 < self.after <= 600):
            raise ValueError(
                f"an epoch lies from 0 to 600 seconds around its onset, got -{self.before} to {self.after}"
            )
        if not 0.01 <= self.step <= self.after:
            raise ValueError(f"a bin lasts from 0.01 s up to the time after the onset, got {self.step}")
        if any(abs(part / self.step - round(part / self.step)) > 1e-6 for part in (self.before, self.after)):
            raise ValueError(f"{self.before} and {self.after} s are no whole numbers of bins of {self.step} s")
        if self.baseline and not self.before:
            raise ValueError("a baseline needs time before the onset")
        if not 0 < self.min_coverage <= 1:
            raise ValueError(f"min_coverage lies above 0, up to 1, got {self.min_coverage}")

    @property
    def times(self) -> Floats:
        """Middle of each bin ``(T,)``, seconds from the onset."""
        bins = np.arange(self.bins_before + self.bins_after, dtype=np.float64)
        return np.asarray((bins + 0.5) * self.step - self.before, dtype=np.float64)

    @property
    def bins_before(self) -> int:
        """Bins before the onset."""
        return round(self.before / self.step)

    @property
    def bins_after(self) -> int:
        """Bins after it."""
        return round(self.after / self.step)


@dataclass(frozen=True, eq=False)
class Epochs:
    """The epochs of one participant, E of them with T bins of Q quantities.

    Attributes:
        participant: whose they are: the name of the recording.
        spec: how they were cut.
        stimuli: ``(E,)`` what each was cut around.
        values: ``(E, T, Q)`` probabilities (see :data:`QUANTITIES`) less those of the baseline; NaN in a bin in which
            the face was not read.
        baselines: ``(E, Q)`` mean over the time before the onset, NaN where the face was not read then.
        coverage: ``(E,)`` share of the epoch in which the face was read.
        excluded: ``(E,)`` why an epoch does not count; empty where it does.
        notes: what the reader must know.
    """

    participant: str
    spec: EpochSpec
    stimuli: tuple[Stimulus, ...]
    values: Floats
    baselines: Floats
    coverage: Floats
    excluded: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which epochs count, ``(E,)``."""
        return np.array([not reason for reason in self.excluded], dtype=np.bool_)

    def mean(self, condition: str) -> Floats | None:
        """Mean course ``(T, Q)`` of a condition over the epochs that count; None where none does."""
        chosen = self.counted & np.array([s.condition == condition for s in self.stimuli], dtype=np.bool_)
        return known_mean(self.values[chosen], axis=0) if chosen.any() else None


def cut_epochs(
    recording: Recording, stimuli: Sequence[Stimulus], spec: EpochSpec | None = None, *, max_gap: float = MAX_GAP
) -> Epochs:
    """Cut a recording around stimuli.

    A bin holds the mean of the frames in it, each for the time that it stands for (see
    :func:`mien.runtime.recordings.totals.frame_seconds`). The readings are those of single frames, not the smoothed
    ones: smoothing would move every response to later. Where several faces are in view at once, the one counts whose
    track was read for longest.

    Args:
        recording: of one participant.
        stimuli: in any order; their times are the recording's.
        spec: how to cut.
        max_gap: seconds between frames beyond which nobody looked.

    Raises:
        ValueError: no stimulus, or a recording in which no face was ever read.
    """
    spec = spec or EpochSpec()
    if not stimuli:
        raise ValueError("no stimulus to cut epochs around")
    ordered = tuple(sorted(stimuli, key=lambda stimulus: stimulus.onset))
    signal, notes = _signal(recording)
    edges, spent, read = _cumulated(recording.times, signal, max_gap)
    onsets = np.array([stimulus.onset for stimulus in ordered])
    grid = onsets[:, None] + (np.arange(spec.bins_before + spec.bins_after + 1) * spec.step - spec.before)
    covered = np.diff(np.interp(grid, edges, read), axis=1)
    summed = np.stack([np.diff(np.interp(grid, edges, column), axis=1) for column in spent.T], axis=2)
    enough = covered > 0.01 * spec.step
    values = np.where(enough[:, :, None], summed / np.where(enough, covered, 1.0)[:, :, None], np.nan)
    before = covered[:, : spec.bins_before].sum(axis=1)
    baselines = summed[:, : spec.bins_before].sum(axis=1) / np.where(before > 0, before, np.nan)[:, None]
    if spec.baseline:
        values = values - baselines[:, None, :]
    coverage = covered.sum(axis=1) / (spec.before + spec.after)
    ahead = before / max(spec.before, 1e-9)
    span = float(edges[0]), float(edges[-1])
    excluded = tuple(
        _why_not(spec, float(onset), (float(share), float(base)), span)
        for onset, share, base in zip(onsets, coverage, ahead, strict=True)
    )
    overlapping = int(np.sum(np.diff(onsets) < spec.after))
    if overlapping:
        notes.append(f"{overlapping} of {len(ordered)} epochs reach into the next stimulus")
    return Epochs(recording.name, spec, ordered, values, baselines, coverage, excluded, tuple(notes))


def merge_epochs(parts: Sequence[Epochs], participant: str) -> Epochs:
    """The epochs of several recordings of one participant as one.

    Raises:
        ValueError: none, or parts that were cut in different ways.
    """
    if not parts or any(part.spec != parts[0].spec for part in parts):
        raise ValueError("expected epochs that were cut alike")
    return Epochs(
        participant,
        parts[0].spec,
        tuple(stimulus for part in parts for stimulus in part.stimuli),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.baselines for part in parts]),
        np.concatenate([part.coverage for part in parts]),
        tuple(reason for part in parts for reason in part.excluded),
        tuple(note for part in parts for note in part.notes),
    )


def _why_not(spec: EpochSpec, onset: float, read: tuple[float, float], span: tuple[float, float]) -> str:
    """Why an epoch does not count, by the shares of it and of its baseline that were read, and the recording's ends."""
    if onset >= span[1]:
        return "the stimulus lies after the end of the recording"
    if onset - spec.before < span[0] - spec.step or onset + spec.after > span[1] + spec.step:
        return "the epoch reaches beyond the recording"
    coverage, baseline = read
    if coverage < spec.min_coverage:
        return "the face was read for too little of the epoch"
    if spec.baseline and baseline < spec.min_coverage:
        return "the face was read for too little of the baseline"
    return ""


def _signal(recording: Recording) -> tuple[Floats, list[str]]:
    """The readings ``(F, Q)`` of the one face that counts in each frame, NaN where it was not read."""
    readable = np.isfinite(recording.probabilities[:, 0])
    if not readable.any():
        raise ValueError(f"no face of {recording.name} was ever read, so there is nothing to average")
    _, track, counts = np.unique(recording.tracks, return_inverse=True, return_counts=True)
    rank = np.bincount(track, weights=readable, minlength=len(counts))
    order = np.lexsort((rank[track], readable, recording.frames))  # the last of a frame is read, of the longest track
    probabilities = np.full((len(recording.times), len(Expression)), np.nan)
    probabilities[recording.frames[order]] = recording.probabilities[order]
    sums = by_polarity(probabilities)
    polarities = list(Polarity)
    columns = [sums[:, polarities.index(p)] for p in (Polarity.POSITIVE, Polarity.NEGATIVE)]
    several = int(np.sum(np.bincount(recording.frames[readable], minlength=len(recording.times)) > 1))
    notes = list(recording.notes)
    if several:
        share = 100 * several / len(recording.times)
        notes.append(f"{share:.0f} % of the frames show several faces; the face whose track was read longest counts")
    return np.column_stack([probabilities, *columns]), notes


def _cumulated(times: Floats, signal: Floats, max_gap: float) -> tuple[Floats, Floats, Floats]:
    """Integrals over time, to be interpolated between their edges.

    Returns:
        edges ``(2F,)`` in seconds, where each frame begins and where the time that it stands for ends; at each the
        integral ``(2F, Q)`` of the readings so far, and ``(2F,)`` the seconds read so far.
    """
    seconds = frame_seconds(times, max_gap=max_gap)
    edges = np.column_stack([times, times + seconds]).ravel()
    edges = np.maximum.accumulate(edges)
    read = np.where(np.isfinite(signal[:, 0]), seconds, 0.0)
    spent = np.nan_to_num(signal) * read[:, None]
    held = np.zeros((2 * len(times), signal.shape[1] + 1))
    held[1::2] = np.column_stack([spent, read])
    total = np.cumsum(held, axis=0)
    return edges, total[:, :-1], total[:, -1]


def known_mean(values: Floats, *, axis: int) -> Floats:
    """Mean of what is not NaN, and NaN where nothing is, without a warning."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    means: Floats = np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan)
    return means
