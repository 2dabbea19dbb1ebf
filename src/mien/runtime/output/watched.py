"""How long a stream was watched, added up frame by frame by the rule of recordings."""

from __future__ import annotations

MAX_GAP = 2.0
"""Seconds between two frames beyond which nobody looked, as between the samples of a schedule."""


class WatchedTime:
    """Seconds for which there are frames: each stands for the time until the next one.

    Over a gap longer than :data:`MAX_GAP` nobody looked: the frame before it, as the last of all, stands for the mean
    of the shorter intervals, and for :data:`MAX_GAP` where there is no shorter one.
    :func:`mien.runtime.recordings.totals.frame_seconds` is the same rule for all frames at once.
    """

    def __init__(self) -> None:
        """Nothing was watched yet."""
        self._last: float | None = None
        self._between = 0.0
        self._intervals = 0
        self._ends = 0

    def add(self, time: float) -> None:
        """Take in the time of the next frame, seconds; never before the last one's."""
        interval = MAX_GAP + 1 if self._last is None else time - self._last
        if interval > MAX_GAP:
            self._ends += 1
        else:
            self._between += interval
            self._intervals += 1
        self._last = time

    @property
    def seconds(self) -> float:
        """What was watched so far."""
        usual = self._between / self._intervals if self._intervals else MAX_GAP
        return self._between + self._ends * usual
