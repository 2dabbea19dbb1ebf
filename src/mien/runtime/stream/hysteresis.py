"""When an expression stands: held from sustained evidence, let go on sustained evidence, uncertain between. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mien.core.expression import Expression
from mien.core.face import Event


@dataclass(frozen=True, slots=True)
class Stretch:
    """An expression's unbroken evidence from ``since`` to ``until``.

    Attributes:
        expression: which.
        since: where it began, seconds.
        until: where it was last extended.
        value: smoothed probability there.
        area: integral of the smoothed probability over time, by trapezoids.
        support: single readings that reached ``enter`` by themselves.
    """

    expression: Expression
    since: float
    until: float
    value: float
    area: float = 0.0
    support: int = 0

    @property
    def strength(self) -> float:
        """Mean smoothed probability."""
        return self.area / (self.until - self.since) if self.until > self.since else self.value

    def to(self, time: float, value: float, support: bool) -> Stretch:
        """The run extended to ``time``."""
        area = self.area + (self.value + value) / 2 * (time - self.until)
        return replace(self, until=time, value=value, area=area, support=self.support + support)


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held, what may take its place, and the held run as it was when either began to speak against it."""

    held: Stretch | None = None
    rising: Stretch | None = None
    before_rise: Stretch | None = None
    falling: Stretch | None = None


def decide(
    hold: Hold,
    smoothed: Mapping[Expression, float],
    raw: Mapping[Expression, float],
    time: float,
    *,
    track: int,
    enter: float,
    leave: float,
    sustain: float,
) -> tuple[Hold, tuple[Event, ...]]:
    """One step of the hysteresis.

    Nothing begins on one reading alone, however heavy: two within the evidence must reach ``enter`` by themselves.

    Args:
        hold: the state so far.
        smoothed: probability of each expression, smoothed.
        raw: probability of each expression in the single reading at hand.
        time: seconds from the start of the stream, not before the last step's.
        track: id for the events.
        enter: see :class:`mien.runtime.stream.smooth.Smoothing`, as for ``leave`` and ``sustain``.
        leave: likewise.
        sustain: likewise.

    Returns:
        The new state, and the events: an end comes before the beginning of what takes its place.
    """
    held, falling = hold.held, hold.falling
    if held is not None:
        value = smoothed[held.expression]
        held = held.to(time, value, support=False)
        falling = None if value >= leave else falling or held
    top = max(smoothed, key=smoothed.__getitem__)
    lead = smoothed[top] - (smoothed[held.expression] if held else 0.0)
    rises = smoothed[top] >= enter and (held is None or (top is not held.expression and lead >= enter - leave))
    rising, before_rise = None, None
    if rises and hold.rising is not None and hold.rising.expression is top:
        rising, before_rise = hold.rising.to(time, smoothed[top], raw[top] >= enter), hold.before_rise
    elif rises:
        rising, before_rise = Stretch(top, time, time, smoothed[top], support=int(raw[top] >= enter)), held
    began = rising is not None and time - rising.since >= sustain and rising.support >= 2
    fell = falling is not None and time - falling.until >= sustain
    over = [run for run in (falling if fell else None, before_rise if began else None) if run is not None]
    events: list[Event] = []
    if over and held is not None:
        last = min(over, key=lambda run: run.until)
        events.append(_event("ended", last, track))
        held, falling, before_rise = None, None, None
    if began and rising is not None:
        events.append(_event("began", rising, track))
        held, rising, before_rise, falling = rising, None, None, None
    return Hold(held, rising, before_rise, falling), tuple(events)


def finish(hold: Hold, track: int) -> tuple[Event, ...]:
    """The end of what is held, when it was last seen."""
    return () if hold.held is None else (_event("ended", hold.held, track),)


def _event(kind: Literal["began", "ended"], run: Stretch, track: int) -> Event:
    time = run.since if kind == "began" else run.until
    return Event(kind, track, run.expression, time, min(max(run.strength, 0.0), 1.0))
