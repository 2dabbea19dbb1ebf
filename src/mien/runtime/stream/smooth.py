"""From readings that flicker to expressions that stand: smoothing in seconds, hysteresis, events.

Per track, and in time rather than in frames: what comes out does not depend on the frame rate, nor on who else is in
view. Between two expressions there is an *uncertain* state, in which nothing is held.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Labels
from mien.core.face import Event, Reading
from mien.core.predictor import candidate_set
from mien.runtime.stream.hysteresis import Hold, decide, finish

Floats = NDArray[np.float64]

NEUTRAL_PROFILE: Mapping[Expression, float] = {
    Expression.ANGRY: 0.085,
    Expression.DISGUST: 0.01,
    Expression.FEAR: 0.075,
    Expression.HAPPY: 0.045,
    Expression.SAD: 0.16,
    Expression.SURPRISE: 0.02,
    Expression.NEUTRAL: 0.605,
    Expression.CONTEMPT: 0.01,
}
"""How a model without a ``neutral_profile`` of its own is taken to read neutral faces: as a ``tiny`` read FER2013's.

Contempt, which FER2013 has not, is put on a par with disgust.
"""

_FLOOR = 1e-3
_OFFSET_LIMIT = 1.5


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How readings of one track are smoothed, and when an expression is held.

    Attributes:
        time_constant: seconds after which a lasting change has come through by 63 %; 0 for no smoothing.
        enter: an expression is held once its smoothed probability has been this or more for ``sustain``.
        leave: and let go once it has been below this for ``sustain``. Another takes its place directly if it has been
            ``enter`` or more, and ahead by ``enter - leave``, for ``sustain``.
        sustain: seconds of unbroken evidence that beginning and ending take.
        max_gap: seconds without a reading over which nothing is concluded: what was held ends, smoothing starts anew.
        baseline: seconds of a track's first readings from which the person's own neutral face is learnt; nothing is
            held meanwhile. 0 for none. See :func:`personalise`.

    Raises:
        ValueError: a value out of range, or two that contradict each other.
    """

    time_constant: float = 0.5
    enter: float = 0.5
    leave: float = 0.35
    sustain: float = 0.5
    max_gap: float = 2.0
    baseline: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        numbers = (self.time_constant, self.enter, self.leave, self.sustain, self.max_gap, self.baseline)
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"smoothing needs finite numbers: {self}")
        if not 0 < self.leave <= self.enter <= 1:
            raise ValueError(f"smoothing needs 0 < leave <= enter <= 1, got leave {self.leave}, enter {self.enter}")
        if self.sustain <= 0:
            raise ValueError(f"sustain must be above 0 s, got {self.sustain}: one frame is no evidence")
        if self.max_gap <= 0:
            raise ValueError(f"max_gap must be above 0 s, got {self.max_gap}")
        if self.time_constant < 0 or self.baseline < 0:
            raise ValueError(f"time_constant and baseline must be 0 s or more: {self}")


class Smoother:
    """Smooths the readings of any number of tracks, and says when expressions begin and end.

    It keeps a few numbers for each track until that is closed.

    Args:
        settings: how; None for the defaults.
        thresholds: the model's ``conformal_thresholds``, from which the candidates of a smoothed reading follow. Their
            stated coverage is that of single readings.
        neutral: the model's probabilities on neutral faces of people at large, for the baseline.

    Raises:
        ValueError: a threshold outside 0 to 1.
    """

    def __init__(  # noqa: D107
        self,
        settings: Smoothing | None = None,
        *,
        thresholds: Sequence[float],
        neutral: Mapping[Expression, float] = NEUTRAL_PROFILE,
    ) -> None:
        if not all(0 <= threshold <= 1 for threshold in thresholds):
            raise ValueError(f"a conformal threshold is 0 to 1, got {thresholds}")
        self._settings = settings or Smoothing()
        self._thresholds = thresholds
        self._neutral = neutral
        self._states: dict[int, _State] = {}

    def step(
        self, track: int, reading: Reading | None, time: float
    ) -> tuple[Reading | None, Expression | None, tuple[Event, ...]]:
        """Take in one frame of a track.

        Args:
            track: its id.
            reading: what was read, always by the same model; None where the face was not measurable or not looked at.
            time: seconds from the start of the stream.

        Returns:
            The smoothed reading (None before the first one, and once none came for ``max_gap``), the expression that
            is held (None while uncertain), and the events of this step. An event bears the time at which its evidence
            began, so it lies ``sustain`` or more in the past.

        Raises:
            ValueError: the time is not finite, or the reading knows other expressions than those before it, or another
                number than there are thresholds.
        """
        if not math.isfinite(time):
            raise ValueError(f"a time must be a finite number of seconds, got {time}")
        state, settings = self._states.get(track, _State()), self._settings
        events: tuple[Event, ...] = ()
        if state.mean is not None and abs(time - state.time) > settings.max_gap:
            events = finish(state.hold, track)
            state = replace(state, mean=None, hold=Hold())
        if reading is not None:
            state, more = self._decide(self._read(state, reading, time), track)
            events += more
        self._states[track] = state
        held = state.hold.held
        return state.smoothed(self._thresholds), None if held is None else held.expression, events

    def close(self, track: int, time: float) -> tuple[Event, ...]:
        """Forget a track that ended by ``time``; what it held ended when it was last read."""
        state = self._states.pop(track, _State())
        hold = state.hold
        if hold.held is not None and hold.held.until > time:
            hold = replace(hold, held=replace(hold.held, until=max(time, hold.held.since)))
        return finish(hold, track)

    def _read(self, state: _State, reading: Reading, time: float) -> _State:
        if state.last is not None and state.last.labels != reading.labels:
            raise ValueError(
                f"a track is smoothed over one set of labels: got ({', '.join(reading.labels)}) after "
                f"({', '.join(state.last.labels)})"
            )
        now = time if state.mean is None else max(time, state.time)
        elapsed = 0.0 if state.mean is None else now - state.time
        values, habit = reading.probabilities.astype(np.float64), state.habit
        if self._settings.baseline > 0:
            if habit.measured < self._settings.baseline:
                habit = habit.extended(values, elapsed)
            if habit.measured >= self._settings.baseline:
                values = personalise(values, habit.mean, _profile(self._neutral, reading.labels))
        mean = blend(state.mean, values, reading.energy, elapsed, self._settings.time_constant)
        return replace(state, mean=mean, habit=habit, last=reading, raw=tuple(values.tolist()), time=now)

    def _decide(self, state: _State, track: int) -> tuple[_State, tuple[Event, ...]]:
        settings = self._settings
        if state.mean is None or state.last is None or state.habit.measured < settings.baseline:
            return state, ()
        hold, events = decide(
            state.hold,
            dict(zip(state.last.labels, state.mean.values.tolist(), strict=True)),
            dict(zip(state.last.labels, state.raw, strict=True)),
            state.time,
            track=track,
            enter=settings.enter,
            leave=settings.leave,
            sustain=settings.sustain,
        )
        return replace(state, hold=hold), events


@dataclass(frozen=True, slots=True)
class Mean:
    """An exponentially weighted mean over time, and the weight it rests on, 0 to 1."""

    values: Floats
    energy: float
    weight: float


def blend(mean: Mean | None, values: Floats, energy: float, elapsed: float, time_constant: float) -> Mean:
    """Take ``values`` ``(K,)`` into an exponential mean, ``elapsed`` seconds after the last ones.

    A value weighs 1 - exp(-elapsed / time_constant), which is exact for intervals of any length, and what came before
    fades by the rest. Divided by the weight so far, so that a track's first frame does not stand for the time before
    it: it counts as next to nothing once there is a second.
    """
    if mean is None:
        return Mean(values, energy, 1e-9)
    kept = math.exp(-elapsed / time_constant) if time_constant > 0 else 0.0
    weight = kept * mean.weight + (1 - kept)
    share = (1 - kept) / weight
    return Mean(mean.values + share * (values - mean.values), mean.energy + share * (energy - mean.energy), weight)


def personalise(probabilities: Floats, habit: Floats, neutral: Floats) -> Floats:
    """Probabilities ``(K,)`` as they would be, had this person the neutral face of people at large.

    The person's ``habit`` ``(K,)``, mean log-probabilities while neutral, differs from the logarithm of the
    population's ``neutral`` ``(K,)`` by an offset for each expression. It is subtracted from the log-probabilities,
    which are then normalised: the usual correction of a classifier for a shift that is constant in the logits. No
    offset goes beyond 1.5 nats, so that a smile in those first seconds does not make happiness invisible for good.
    """
    offset = habit - np.log(neutral)
    logits = np.log(np.maximum(probabilities, _FLOOR)) - np.clip(offset - offset.mean(), -_OFFSET_LIMIT, _OFFSET_LIMIT)
    exponentials = np.exp(logits - logits.max())
    values: Floats = exponentials / exponentials.sum()
    return values


@dataclass(frozen=True, slots=True)
class _Habit:
    """A person's mean log-probabilities over their track's first ``measured`` seconds."""

    measured: float = 0.0
    count: int = 0
    mean: Floats = field(default_factory=lambda: np.zeros(1))

    def extended(self, probabilities: Floats, elapsed: float) -> _Habit:
        logs = np.log(np.maximum(probabilities, _FLOOR))
        return _Habit(self.measured + elapsed, self.count + 1, self.mean + (logs - self.mean) / (self.count + 1))


@dataclass(frozen=True, slots=True)
class _State:
    """All that is kept of a track."""

    mean: Mean | None = None
    hold: Hold = field(default_factory=Hold)
    habit: _Habit = field(default_factory=_Habit)
    last: Reading | None = None
    raw: tuple[float, ...] = ()
    time: float = 0.0

    def smoothed(self, thresholds: Sequence[float]) -> Reading | None:
        if self.mean is None or self.last is None:
            return None
        values = self.mean.values.astype(np.float32)
        return replace(
            self.last,
            probabilities=values,
            candidates=candidate_set(values, self.last.labels, thresholds),
            energy=self.mean.energy,
        )


def _profile(neutral: Mapping[Expression, float], labels: Labels) -> Floats:
    values = np.array([max(neutral.get(label, 0.0), _FLOOR) for label in labels])
    profile: Floats = values / values.sum()
    return profile
