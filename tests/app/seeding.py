"""Days that have passed, as the real store would have kept them."""

from __future__ import annotations

import random
from pathlib import Path

from app.made import hurry
from mien.app.law.consent import Consent, State, show
from mien.app.law.terms import DAY
from mien.app.store.aggregate import Second
from mien.app.store.facade import Store
from mien.core.expression import Expression
from mien.core.policy import Place, Purpose


def second(index: int, expression: Expression | None, *, sure: float = 0.7, unmeasurable: str | None = None) -> Second:
    """One second in which an expression was held, or none, or nothing could be read."""
    if unmeasurable is not None:
        return Second(index, 10, None, (0.0,) * len(Expression), 0.0, {unmeasurable: 1.0})
    shown = expression or Expression.NEUTRAL
    level = sure if expression else 0.4
    rest = (1 - level) / 6
    values = tuple(level if e is shown else 0.0 if e is Expression.CONTEMPT else rest for e in Expression)
    held = tuple(float(e is expression) for e in Expression)
    return Second(index, 10, values, held, float(expression is None))


def course(minutes: float, shares: dict[Expression | None, float], *, seed: int = 0) -> list[Second]:
    """Seconds in spells of some length, in about these shares."""
    chance = random.Random(seed)
    found: list[Second] = []
    while len(found) < 60 * minutes:
        expression = chance.choices(list(shares), list(shares.values()))[0]
        for _ in range(chance.randint(4, 20)):
            found.append(second(len(found), expression, sure=chance.uniform(0.55, 0.9)))
    return found[: round(60 * minutes)]


def seed_days(
    path: Path, now: float, days: list[list[Second]], *, purpose: Purpose = Purpose.SELF_REFLECTION
) -> Consent:
    """One recording on each of the days that end with today, the last an hour ago; the consent to them."""
    at = now - len(days) * DAY

    def clock() -> float:
        return at

    with Store(path, clock=clock) as store:
        hurry(store)
        store.change_settings(purpose=purpose, place=Place.EU)
        given = store.consent()
        if given is None or given.state is not State.GIVEN:
            shown = show(store.terms(), now=at)
            store.keep(shown)
            given = shown.give(at)
            store.keep(given)
        for place, seconds in enumerate(days):
            at = now - (len(days) - 1 - place) * DAY - 3600
            number = store.open_recording(given, model="tiny", name="")
            store.append(number, *seconds)
            store.close_recording(number)
    return given
