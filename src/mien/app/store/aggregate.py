"""One second of a person's readings as one line of numbers: all that is ever stored. Pure.

A live session feeds each frame's own face (never anybody else's) and stores what comes back::

    aggregator = Aggregator()
    for frame in frames:                                   # frame.time: monotonic seconds since the recording began
        second = aggregator.push_face(frame.time, own_face_or_None, faces=len(frame.faces))
        if second is not None:
            store.append(recording_id, second)
    last = aggregator.finish()                             # the second that was under way, or None
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Polarity
from mien.core.face import Face, Reading


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of a recording amounted to.

    Attributes:
        index: which second of the recording, from 0; by a monotonic clock, so it never falls.
        frames: how many frames were looked at, 1 or more.
        probabilities: mean probability of each :class:`Expression` (its order) over the frames in which the own face
            could be read, 0 for one that the model does not know; they sum to 1. None where it never could.
        held: seconds' share in which each expression was held, in the same order.
        uncertain: share in which the face could be read and nothing was held.
        unmeasurable: share of each reason for which the face could not be read.
        absent: share in which the own face was not in view. All these shares sum to 1.
        faces: greatest number of faces in view at once; others than the own are counted and not read.

    Raises:
        ValueError: numbers that contradict each other.
    """

    index: int
    frames: int
    probabilities: tuple[float, ...] | None
    held: tuple[float, ...]
    uncertain: float
    unmeasurable: dict[str, float] = field(default_factory=dict)
    absent: float = 0.0
    faces: int = 1

    def __post_init__(self) -> None:
        """Check that the shares add up."""
        shares = (*self.held, self.uncertain, *self.unmeasurable.values(), self.absent)
        if self.index < 0 or self.frames < 1 or self.faces < 0:
            raise ValueError(f"a second needs an index of 0 or more, a frame and a number of faces: {self}")
        if len(self.held) != len(Expression) or not all(math.isfinite(s) and s >= 0 for s in shares):
            raise ValueError(f"a second needs {len(Expression)} shares that are 0 or more: {self}")
        if abs(sum(shares) - 1) > 1e-3:
            raise ValueError(f"the shares of a second must sum to 1, got {sum(shares):.4f}: {self}")
        if (self.probabilities is None) != (self.measured < 1e-9):
            raise ValueError(f"a second has probabilities exactly when something in it was measured: {self}")
        if self.probabilities is not None and (
            len(self.probabilities) != len(Expression) or abs(sum(self.probabilities) - 1) > 1e-3
        ):
            raise ValueError(f"the probabilities of a second must be {len(Expression)} and sum to 1: {self}")

    @property
    def measured(self) -> float:
        """Share in which the face could be read."""
        return sum(self.held) + self.uncertain

    @property
    def polarity(self) -> dict[Polarity, float]:
        """Mean probability of each polarity; all 0 where nothing was measured."""
        values = self.probabilities or (0.0,) * len(Expression)
        return {p: sum(v for e, v in zip(Expression, values, strict=True) if e.polarity is p) for p in Polarity}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        known = self.probabilities
        return {
            "index": self.index,
            "frames": self.frames,
            "probabilities": None if known is None else dict(zip(map(str, Expression), known, strict=True)),
            "polarity": {str(p): v for p, v in self.polarity.items()},
            "held": dict(zip(map(str, Expression), self.held, strict=True)),
            "uncertain": self.uncertain,
            "unmeasurable": dict(self.unmeasurable),
            "absent": self.absent,
            "faces": self.faces,
        }


@dataclass(slots=True)
class _Sums:
    """The second under way."""

    index: int
    frames: int = 0
    faces: int = 0
    absent: int = 0
    uncertain: int = 0
    readings: int = 0
    mass: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(Expression)))
    held: Counter[Expression] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def second(self) -> Second:
        return Second(
            index=self.index,
            frames=self.frames,
            probabilities=tuple((self.mass / self.mass.sum()).tolist()) if self.readings else None,
            held=tuple(self.held[e] / self.frames for e in Expression),
            uncertain=self.uncertain / self.frames,
            unmeasurable={reason: count / self.frames for reason, count in self.reasons.items()},
            absent=self.absent / self.frames,
            faces=self.faces,
        )


class Aggregator:
    """Gathers frames into :class:`Second`; keeps no frame, only sums of the second under way.

    Times are monotonic seconds since the recording began. One that lies before the last counts as the last, and what
    was finished is never opened again: its later frames count for the second after it.
    """

    def __init__(self) -> None:  # noqa: D107
        self._sums: _Sums | None = None
        self._next = 0

    def push_face(self, time: float, face: Face | None, *, faces: int = 1) -> Second | None:
        """Take in a frame by the person's own face in it; None where that is not in view.

        Of a tracked face the smoothed reading counts and what is held; of a single picture's its reading, and nothing
        is held in it. See :meth:`push`.
        """
        if face is None:
            return self.push(time, None, faces=faces)
        if face.unmeasurable is not None:
            return self.push(time, None, face.unmeasurable, faces=faces)
        track = face.track
        smoothed = None if track is None else track.smoothed
        return self.push(time, smoothed or face.reading, held=None if track is None else track.held, faces=faces)

    def push(
        self,
        time: float,
        reading: Reading | None,
        reason: str | None = None,
        *,
        held: Expression | None = None,
        faces: int = 1,
    ) -> Second | None:
        """Take in a frame, and give back the second that it ended, if any.

        Args:
            time: monotonic seconds since the recording began.
            reading: of the own face; None where it was not measurable or not in view.
            reason: why it was not measurable; None with no reading means that it was not in view.
            held: the expression that stood by hysteresis; None while uncertain.
            faces: how many faces were in view.

        Raises:
            ValueError: a time that is no finite number of 0 or more, or a reading with a reason why there is none.
        """
        if not math.isfinite(time) or time < 0:
            raise ValueError(f"a time must be a finite number of seconds, 0 or more, got {time}")
        if reading is not None and reason is not None:
            raise ValueError(f"a frame with a reading has no reason to have none, got {reason!r}")
        index = max(int(time), self._next)
        finished = self.finish() if self._sums is not None and index > self._sums.index else None
        sums = self._sums = self._sums or _Sums(index)
        self._next = sums.index
        sums.frames += 1
        sums.faces = max(sums.faces, faces)
        if reading is not None:
            sums.readings += 1
            sums.mass += [reading.probability(e) for e in Expression]
            if held is None:
                sums.uncertain += 1
            else:
                sums.held[held] += 1
        elif reason is not None:
            sums.reasons[reason] += 1
        else:
            sums.absent += 1
        return finished

    def finish(self) -> Second | None:
        """The second under way, if there is one; the next frame begins a new one."""
        if self._sums is None:
            return None
        second, self._sums = self._sums.second(), None
        self._next = second.index + 1
        return second
