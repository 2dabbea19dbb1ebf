"""Made seconds, consents and stores that the tests of the app's core share."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mien.app.law.consent import Consent, show
from mien.app.law.terms import Scope, terms
from mien.app.store.aggregate import Second
from mien.app.store.facade import Store
from mien.core.expression import FER2013, Expression
from mien.core.face import Reading
from mien.core.policy import Place, Purpose, decide


class Clock:
    """A wall clock that the test sets."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def second(index: int, expression: Expression | None = Expression.HAPPY, *, probability: float = 0.8) -> Second:
    """A second in which one expression was held throughout; None for one that was uncertain."""
    main = Expression.HAPPY if expression is None else expression
    probabilities = [0.0 if e is Expression.CONTEMPT else (1 - probability) / 6 for e in Expression]
    probabilities[list(Expression).index(main)] = probability
    held = tuple(float(e is expression) for e in Expression)
    return Second(
        index=index, frames=10, probabilities=tuple(probabilities), held=held, uncertain=float(expression is None)
    )


def dark(index: int) -> Second:
    """A second in which the face could not be read."""
    return Second(
        index=index, frames=10, probabilities=None, held=(0.0,) * 8, uncertain=0.0, unmeasurable={"dark": 1.0}
    )


def absent(index: int) -> Second:
    """A second in which nobody was in view."""
    return Second(index=index, frames=10, probabilities=None, held=(0.0,) * 8, uncertain=0.0, absent=1.0, faces=0)


def reading(**probabilities: float) -> Reading:
    """A reading of the named probabilities, the rest shared out."""
    rest = (1 - sum(probabilities.values())) / (len(FER2013) - len(probabilities))
    values = np.array([probabilities.get(str(e), rest) for e in FER2013], dtype=np.float32)
    best = FER2013[int(values.argmax())]
    return Reading(model="toy", labels=FER2013, probabilities=values, candidates=(best,), coverage=0.9, energy=1.0)


def agreed(store: Store, now: float | None = None) -> Consent:
    """Choose a purpose in a store, and consent."""
    if store.settings.purpose is None:
        store.change_settings(purpose=Purpose.SELF_REFLECTION, place=Place.EU)
    at = store.clock() if now is None else now
    shown = show(store.terms(), now=at)
    store.keep(shown)
    given = shown.give(at)
    store.keep(given)
    return given


@functools.cache
def _blank() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        Store(path).close()
        return path.read_bytes()


def fresh(path: Path, clock: Callable[[], float] = time.time, **options: Any) -> Store:
    """A store that has its tables already, and does not wait for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_blank())
    return hurry(Store(path, clock=clock, **options))


def hurry(store: Store) -> Store:
    """Let a store not wait for the disk: for many seconds that no test will cut off."""
    with store.database.raw() as raw:
        raw.execute("PRAGMA synchronous = OFF")
    return store


def room_consent(scope: Scope, now: float = 0.0) -> Consent:
    """A consent to a room that was given."""
    return show(terms(decide("audience-test", "eu"), scope=scope), now=now).give(now)


def filled(path: Path, clock: Clock, *, seconds: int = 5) -> Store:
    """A store with a closed recording of some happy seconds."""
    store = fresh(path, clock)
    recording = store.open_recording(agreed(store), model="toy", name="first")
    store.append(recording, *map(second, range(seconds)))
    store.close_recording(recording)
    return store
