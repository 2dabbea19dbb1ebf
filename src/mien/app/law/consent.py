"""Consent as a state machine, which stands before every camera. Pure: no clock, no storage, no page.

::

    shown ──give──▶ given ◀─resume─ paused          expired: time is up; nothing runs, what is stored stays until its
      │              │ └──pause──▶   │               retention ends or it is withdrawn
      └──withdraw────┴──withdraw─────┴──▶ withdrawn  (= stop and erase; also from expired)

A page shows the text of :func:`mien.app.law.terms.terms`, makes a :class:`Consent` with :func:`show`, and moves it on;
each move returns a new one. :func:`mien.app.law.permission.may_read` says whether a face may be read under it.
:class:`mien.app.store.facade.Store` keeps consents and erases on withdrawal.

>>> from mien.core.policy import decide
>>> from mien.app.law.terms import terms
>>> asked = terms(decide("self-reflection"), retention_days=7)
>>> consent = show(asked, now=0.0).give(now=5.0)
>>> consent.check(asked, now=6.0)
>>> consent.withdraw(now=7.0).state
<State.WITHDRAWN: 'withdrawn'>

Times are Unix seconds. A clock that jumps back never takes a consent back in time: a move counts as made no earlier
than the one before it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mien.app.law.terms import Terms
from mien.core.errors import ConsentError


class State(StrEnum):
    """Where a consent stands."""

    SHOWN = "shown"
    GIVEN = "given"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


_MOVES: dict[str, tuple[frozenset[State], State]] = {
    "give": (frozenset({State.SHOWN}), State.GIVEN),
    "pause": (frozenset({State.GIVEN}), State.PAUSED),
    "resume": (frozenset({State.PAUSED}), State.GIVEN),
    "expire": (frozenset({State.SHOWN, State.GIVEN, State.PAUSED}), State.EXPIRED),
    "withdraw": (frozenset({State.SHOWN, State.GIVEN, State.PAUSED, State.EXPIRED}), State.WITHDRAWN),
}


@dataclass(frozen=True, slots=True)
class Consent:
    """One person's consent to one text.

    Attributes:
        id: random, tells nothing about the person.
        terms: the text.
        state: where it stands, see :meth:`at` for the passing of time.
        shown: when the text was shown, Unix seconds.
        changed: when the state last changed.
        given: when it was agreed to.
        expires: when it ends by itself.
    """

    id: str
    terms: Terms
    state: State
    shown: float
    changed: float
    given: float | None = None
    expires: float | None = None

    def give(self, now: float) -> Consent:
        """Agree.

        Raises:
            ConsentError: as with every move: it cannot be made from where the consent stands.
        """
        moved = self._move("give", now)
        return replace(moved, given=moved.changed, expires=moved.changed + self.terms.scope.valid_for)

    def pause(self, now: float) -> Consent:
        """Stop for a while; nothing is analysed."""
        return self._move("pause", now)

    def resume(self, now: float) -> Consent:
        """Go on after a pause."""
        return self._move("resume", now)

    def withdraw(self, now: float) -> Consent:
        """Take it back: stop and erase (:meth:`mien.app.store.facade.Store.withdraw` does the erasing)."""
        return self._move("withdraw", now)

    def at(self, now: float) -> Consent:
        """The consent as it stands at a moment: expired where its time is up."""
        due = self.expires is not None and now >= self.expires
        return self._move("expire", now) if due and self.state in _MOVES["expire"][0] else self

    def check(self, current: Terms, now: float) -> None:
        """Refuse unless analysis may run now.

        Args:
            current: the text as it is now, for the purpose and retention that are set now.
            now: Unix seconds.

        Raises:
            ConsentError: not given, paused, withdrawn, expired, or given to another text, another purpose
                or a shorter retention; the message says what to do.
        """
        state = self.at(now).state
        if state is not State.GIVEN:
            raise ConsentError(REMEDIES[state])
        mine = self.terms
        same = (mine.version, mine.purpose, mine.place.in_eu, mine.scope) == (
            *(current.version, current.purpose, current.place.in_eu, current.scope),
        )
        if not same or current.retention_days > mine.retention_days:
            raise ConsentError(
                f"the consent was given to {_named(mine)}, and what applies now is {_named(current)}: read it and "
                "consent anew"
            )

    def receipt(self) -> dict[str, Any]:
        """What the person can download, JSON-ready: that, when and to what they consented; it names nobody."""
        return {
            "schema": 1,
            "consent": self.id,
            "state": str(self.state),
            "shown": _iso(self.shown),
            "given": _iso(self.given),
            "changed": _iso(self.changed),
            "expires": _iso(self.expires),
            "terms_sha256": self.terms.sha256,
            "terms": self.terms.to_dict(),
        }

    def receipt_text(self) -> str:
        """The receipt as a person reads it."""
        lines = [
            f"Consent {self.id}: {self.state}",
            f"Purpose: {self.terms.purpose.words}",
            f"Place: {self.terms.place.words}",
            f"Text: version {self.terms.version}, sha256 {self.terms.sha256}",
            f"Shown: {_iso(self.shown)}",
            f"Given: {_iso(self.given) or 'never'}",
            f"Last change: {_iso(self.changed)}",
            f"Ends: {_iso(self.expires) or 'never began'}",
            "",
        ]
        for paragraph in self.terms.paragraphs:
            lines += [paragraph.heading, paragraph.words, ""]
        return "\n".join(lines)

    def _move(self, name: str, now: float) -> Consent:
        allowed, target = _MOVES[name]
        current = self if name in ("withdraw", "expire") else self.at(now)
        if current.state not in allowed:
            raise ConsentError(f"cannot {name} a consent that is {current.state}: {REMEDIES[current.state]}")
        return replace(current, state=target, changed=max(now, self.changed))


REMEDIES = {
    State.SHOWN: "consent has not been given yet: read the text and agree, or leave it",
    State.GIVEN: "consent is given already",
    State.PAUSED: "the analysis is paused: resume it first",
    State.WITHDRAWN: "consent was withdrawn and everything under it erased: consent anew to go on",
    State.EXPIRED: "the time of the consent is up: consent anew to go on",
}
"""Why nothing can be done with a consent as it stands, and what to do."""


def show(text: Terms, *, now: float) -> Consent:
    """A consent that was shown and not yet given."""
    return Consent(id=uuid.uuid4().hex, terms=text, state=State.SHOWN, shown=now, changed=now)


def _named(text: Terms) -> str:
    days = f"{text.retention_days} days"
    return f"version {text.version} of the text for {text.purpose.words} (place: {text.place.words}; {days})"


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
