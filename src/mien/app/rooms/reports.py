"""What a room says: coarse polarity in, half a minute's rounded shares out. Pure; the rules are in ``rooms``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mien.app.history.advice import Sample, Suggestion, evaluate
from mien.app.history.rules import NO_READING, Rules
from mien.app.law.terms import Pace
from mien.core.expression import Polarity

LEAST = 5
"""People below whom nothing is shown."""

WINDOW = 10.0
"""Seconds after which each participant sends once."""

REPORT_WINDOWS = 3
"""Windows of a report."""

QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Coarse:
    """All that a participant's machine says of ten seconds: how many quarters looked positive, neutral, negative.

    Raises:
        ValueError: not whole numbers of 0 or more that sum to 4.
    """

    positive: int
    neutral: int
    negative: int

    def __post_init__(self) -> None:
        """Check the sum."""
        parts = (self.positive, self.neutral, self.negative)
        if any(type(p) is not int or p < 0 for p in parts) or sum(parts) != QUARTERS:
            raise ValueError(f"positive, neutral and negative are quarters that sum to {QUARTERS}, got {parts}")


@dataclass(frozen=True, slots=True)
class Report:
    """What is shown of half a minute.

    Attributes:
        start: seconds since the room was opened.
        end: likewise.
        people: how many, as a range: ``"5 to 9"``.
        shares: of the people's time, by polarity and ``"no reading"``, rounded; they sum to 1. None in a room of taps,
            and where fewer than five could be read.
        taps: how many people tapped each pace.
        tap_shares: the same as shares of the people, rounded.
    """

    start: float
    end: float
    people: str
    shares: Mapping[str, float] | None
    taps: Mapping[str, int]
    tap_shares: Mapping[str, float]


@dataclass(slots=True)
class WindowSums:
    """Sums of the ten seconds under way."""

    sent: set[str] = field(default_factory=set)
    readings: int = 0
    quarters: Counter[Polarity] = field(default_factory=Counter)


@dataclass(slots=True)
class Draft:
    """Sums of a report that is not shown yet."""

    first: int
    circle: frozenset[str]
    windows: int = 0
    readings: int = 0
    quarters: Counter[Polarity] = field(default_factory=Counter)
    tapped: set[str] = field(default_factory=set)
    taps: Counter[str] = field(default_factory=Counter)

    @property
    def people(self) -> int:
        """How many it is about."""
        return len(self.circle)

    @property
    def end(self) -> int:
        """The window after its last."""
        return self.first + REPORT_WINDOWS


def coarse(polarity: Mapping[Polarity, float]) -> Coarse:
    """Shares of polarity rounded to quarters, by largest remainders.

    Raises:
        ValueError: shares that do not sum to 1.
    """
    if abs(sum(polarity.values()) - 1) > 1e-3:
        raise ValueError(f"shares of polarity sum to 1, got {dict(polarity)}")
    quarters = rounded({str(p): polarity.get(p, 0.0) for p in Polarity}, 1 / QUARTERS)
    return Coarse(*(round(quarters[str(p)] * QUARTERS) for p in Polarity))


def rounded(shares: Mapping[str, float], step: float) -> dict[str, float]:
    """Shares that sum to 1 as multiples of ``step`` that sum to 1, by largest remainders (Hamilton's method).

    Of equal remainders neutral is served first, then what says nothing: a tie must not look like a mood.
    """
    units = {name: share / step for name, share in shares.items()}
    whole = {name: math.floor(value + 1e-9) for name, value in units.items()}
    left = round(1 / step) - sum(whole.values())
    first = (str(Polarity.NEUTRAL), NO_READING)
    order = sorted(units, key=lambda one: (round(whole[one] - units[one], 9), (*first, one).index(one)))
    for name in order[: max(left, 0)]:
        whole[name] += 1
    return {name: round(count * step, 6) for name, count in whole.items()}


def people_range(count: int) -> str:
    """A number of people as a range."""
    for low, high in ((1, LEAST), (LEAST, 10), (10, 20), (20, 50), (50, 100), (100, 200)):
        if count < high:
            return f"fewer than {LEAST}" if low < LEAST else f"{low} to {high - 1}"
    return "200 or more"


def hints(rules: Rules, reports: Sequence[Report], *, now: float, latest: int = 6) -> tuple[Suggestion, ...]:
    """Pace hints by the rules for rooms, from the latest reports (three minutes)."""
    samples = [
        Sample(
            name=f"{one.start:.0f} s",
            minutes=(one.end - one.start) / 60,
            shares={**(one.shares or {}), **one.tap_shares},
            by_probability={},
        )
        for one in reports[-latest:]
    ]
    return evaluate(rules, samples, now=now, scope="room")


def report(draft: Draft, *, faces: bool) -> Report:
    """What a draft amounts to, rounded."""
    step = 0.1 if draft.people >= 10 else 0.2
    shares = None
    if faces and draft.windows:
        present = draft.windows * draft.people
        parts = {str(p): draft.quarters[p] / QUARTERS / present for p in Polarity}
        shares = rounded({**parts, NO_READING: 1 - draft.readings / present}, step)
    taps = {str(pace): draft.taps[pace] for pace in Pace}
    silent = draft.people - sum(taps.values())
    tapped = rounded({**{p: n / draft.people for p, n in taps.items()}, "": silent / draft.people}, step)
    return Report(
        start=draft.first * WINDOW,
        end=draft.end * WINDOW,
        people=people_range(draft.people),
        shares=shares,
        taps=taps,
        tap_shares={str(pace): tapped[pace] for pace in Pace},
    )
