"""Rooms: what many people's coarse polarity amounts to, without a line of anybody.

Whoever opens a room sees *reports*: half a minute each, at the earliest twenty seconds late, rounded, over five people
or more. No time comes from a clock here: ``now`` is monotonic seconds, handed in.

::

    room = Room(decide("audience-test", "eu"), now=time.monotonic())
    token = room.join(room.code, terms_version=ROOM_VERSION, now=…)      # a participant, who consented on their machine
    room.send(token, Coarse(3, 1, 0), now=…)                        # every ten seconds; None: present, but no reading
    room.tap(token, "too fast", now=…)
    room.leave(token, now=…)
    room.view(now=…).reports                                        # for whoever opened it
    hints(rules, room.view(now=…).reports, now=…)                   # pace hints, by the rules of advice

How nobody is picked out:

- What arrives is added into the sums of its ten seconds and forgotten; a window in which fewer than five people could
  be read is thrown away as it ends. So no line of a person outlives its window.
- A report is about a fixed *circle* of five people or more, all of whom stay until it is shown. When one of them
  leaves, all that is not shown yet is thrown away, and the next report begins a minute after the last one ended.
- People who join wait, uncounted, until they are five, or until one has waited for three minutes and the room pauses
  for one. So two reports are either about the same circle, or a minute apart, or differ by five people or more, and
  their difference is not the one who came or went.
- Shares are rounded to a tenth, under ten people to a fifth; the number of people is given as a range.

What this cannot prevent: whoever opened the room may join it as four people, and learn of the fifth. The consent text
says so.
"""

from __future__ import annotations

import hmac
import math
import secrets
from collections import deque
from dataclasses import dataclass

from mien.app.law.terms import ROOM_VERSION, Pace
from mien.app.rooms.reports import (
    LEAST,
    REPORT_WINDOWS,
    WINDOW,
    Coarse,
    Draft,
    Report,
    WindowSums,
    report,
)
from mien.core.errors import RoomError
from mien.core.expression import Polarity
from mien.core.policy import Decision, Feature

DELAY_WINDOWS = 2
"""Windows between a report's end and its showing."""

QUIET_WINDOWS = 6
"""Windows between the reports of two circles that differ by fewer than five people."""

SILENT_WINDOWS = 3
"""Windows without a word after which a participant counts as gone."""

WAITING_WINDOWS = 18
"""Windows for which somebody who joined has waited when a room that goes on pauses to take them in."""

MOST_PEOPLE = 500
KEPT_REPORTS = 240
"""Two hours of reports; older ones are dropped."""

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class RoomView:
    """What whoever opened a room sees.

    Attributes:
        open: whether people can join and send.
        enough: whether five people or more are there now.
        waiting: why no report is due soon, in words; empty while reports follow each other.
        next_in: seconds until the next report at the earliest; None where none is due.
        reports: the oldest first.
    """

    open: bool
    enough: bool
    waiting: str
    next_in: float | None
    reports: tuple[Report, ...]


@dataclass(slots=True)
class _Member:
    """A participant's presence: since which window, and in which they last said something."""

    since: int
    seen: int


class Room:
    """A room, in the memory of the machine that opened it. Not for several threads at once.

    Args:
        decision: what the policy says of its purpose and place.
        now: monotonic seconds.

    Raises:
        PolicyError: the policy allows no room for the purpose.
    """

    def __init__(self, decision: Decision, *, now: float) -> None:  # noqa: D107
        decision.require(Feature.ROOM_TAPS)
        self.decision = decision
        self.code = "".join(secrets.choice(_LETTERS) for _ in range(8))
        self._opened = now
        self._at = 0
        self._open = True
        self._members: dict[str, _Member] = {}
        self._circle: frozenset[str] = frozenset()
        self._window = WindowSums()
        self._drafts: list[Draft] = []
        self._next = 0
        self._shown_until: int | None = None
        self._reports: deque[Report] = deque(maxlen=KEPT_REPORTS)

    @property
    def is_open(self) -> bool:
        """Whether people can join and send."""
        return self._open

    @property
    def members(self) -> frozenset[str]:
        """The tokens of who is in it now."""
        return frozenset(self._members)

    @property
    def window(self) -> int:
        """Number of the ten seconds under way, from 0."""
        return self._at

    @property
    def faces(self) -> bool:
        """Whether coarse polarity may be sent; else there are taps only."""
        return self.decision.allows(Feature.ROOM_FACES)

    def join(self, code: str, *, terms_version: int, now: float) -> str:
        """Take in a participant who consented; the token that they send with.

        Raises:
            RoomError: the room is closed or full, the code is wrong, or the consent was to another version of the text.
        """
        self._advance(now)
        self.check_code(code)
        if terms_version != ROOM_VERSION:
            raise RoomError(
                f"the room asks for consent to version {ROOM_VERSION} of the text, not {terms_version}: update mien"
            )
        if len(self._members) >= MOST_PEOPLE:
            raise RoomError(f"the room is full: {MOST_PEOPLE} people")
        token = secrets.token_urlsafe(24)
        self._members[token] = _Member(since=self._at, seen=self._at)
        return token

    def check_code(self, code: str) -> None:
        """Refuse a wrong code, and everything once the room is closed.

        Raises:
            RoomError: see above.
        """
        if not self._open:
            raise RoomError("the room is closed")
        if not hmac.compare_digest(code.strip().upper().encode(), self.code.encode()):
            raise RoomError("the code is wrong: ask whoever opened the room")

    def send(self, token: str, said: Coarse | None, *, now: float) -> float:
        """Take in what one participant's machine says of the last ten seconds, once in each window.

        Args:
            token: of the participant.
            said: None where there is no reading, and in a room of taps: it says that the participant is there.
            now: monotonic seconds.

        Returns:
            Seconds until the middle of the next window, when to send again; a second message within a window counts
            for nothing.

        Raises:
            RoomError: the room is closed, or does not know the token.
            PolicyError: a reading in a room in which no face may be analysed.
        """
        self._advance(now)
        self._member(token).seen = self._at
        if said is not None and not self.faces:
            self.decision.require(Feature.ROOM_FACES)
        if token in self._circle and token not in self._window.sent:
            self._window.sent.add(token)
            if said is not None:
                self._window.readings += 1
                parts = (said.positive, said.neutral, said.negative)
                self._window.quarters.update(dict(zip(Polarity, parts, strict=True)))
        return self._opened + (self._at + 1.5) * WINDOW - now

    def tap(self, token: str, pace: str, *, now: float) -> bool:
        """Take in a tap; the first of a participant counts in each report. Whether this one did.

        Raises:
            RoomError: the room is closed, or does not know the token.
            ValueError: no such pace.
        """
        self._advance(now)
        self._member(token).seen = self._at
        if pace not in tuple(Pace):
            raise ValueError(f"a tap is one of {', '.join(Pace)}, got {pace!r}")
        draft = self._current()
        if draft is None or token not in self._circle or token in draft.tapped:
            return False
        draft.tapped.add(token)
        draft.taps[pace] += 1
        return True

    def leave(self, token: str, *, now: float) -> None:
        """Let a participant go, and throw away what is not shown yet. One who is not there may leave too."""
        self._advance(now)
        self._remove(token)

    def close(self, *, now: float) -> None:
        """End the room: who was in it and all sums are forgotten; reports that were shown stay for the view."""
        self._advance(now)
        self._open = False
        self._members.clear()
        self._circle = frozenset()
        self._drafts.clear()
        self._window = WindowSums()

    def view(self, *, now: float) -> RoomView:
        """What whoever opened it sees at this moment."""
        self._advance(now)
        enough = len(self._members) >= LEAST
        next_in = self._next_in(now) if self._open and enough else None
        return RoomView(self._open, enough, self._waiting(enough), next_in, tuple(self._reports))

    def _member(self, token: str) -> _Member:
        if not self._open:
            raise RoomError("the room is closed")
        member = self._members.get(token)
        if member is None:
            raise RoomError("the room does not know you (any more): join again")
        return member

    def _waiting(self, enough: bool) -> str:
        if not self._open:
            return "The room is closed."
        if not enough:
            return f"Fewer than {LEAST} people are here; nothing is shown until {LEAST} are."
        if not self._reports:
            return "The first half minute is being gathered."
        going_on = self._drafts and self._at - (self._shown_until or 0) <= REPORT_WINDOWS + DELAY_WINDOWS
        return "" if going_on else "People came or went, so there is a pause of a minute or more."

    def _next_in(self, now: float) -> float:
        end = self._drafts[0].end if self._drafts else max(self._next, self._at + 1) + REPORT_WINDOWS
        return max(self._opened + (end + DELAY_WINDOWS) * WINDOW - now, 0.0)

    def _current(self) -> Draft | None:
        """The report that the window under way belongs to."""
        last = self._drafts[-1] if self._drafts else None
        return last if last is not None and last.first <= self._at < last.end else None

    def _remove(self, token: str) -> None:
        self._members.pop(token, None)
        if token not in self._circle and not any(token in draft.circle for draft in self._drafts):
            return
        self._circle = frozenset()
        self._drafts.clear()
        self._window = WindowSums()
        earliest = 0 if self._shown_until is None else self._shown_until + QUIET_WINDOWS
        self._next = max(self._at + 1, earliest)

    def _advance(self, now: float) -> None:
        """Finish the windows that are over. A ``now`` that lies before the last one counts as that."""
        target = max(math.floor((now - self._opened) / WINDOW), self._at)
        while self._at < target:
            if not self._members:
                self._at = target  # with nobody there, nothing happens in the windows between
                return
            self._finish_window()
            self._at += 1
            for token in [t for t, m in self._members.items() if self._at - m.seen > SILENT_WINDOWS]:
                self._remove(token)
            self._show()
            self._begin()

    def _finish_window(self) -> None:
        draft, window = self._current(), self._window
        self._window = WindowSums()
        if draft is not None and window.readings >= LEAST:
            draft.windows += 1
            draft.readings += window.readings
            draft.quarters.update(window.quarters)

    def _show(self) -> None:
        while self._drafts and self._at >= self._drafts[0].end + DELAY_WINDOWS:
            draft = self._drafts.pop(0)
            self._reports.append(report(draft, faces=self.faces))
            self._shown_until = draft.end

    def _begin(self) -> None:
        """Begin a report with this window, if one may begin, and decide whom it is about."""
        if self._current() is not None or self._at < self._next:
            return
        waiting = self._members.keys() - self._circle
        if self._circle and waiting and len(waiting) < LEAST:
            longest = max(self._at - self._members[token].since for token in waiting)
            if longest >= WAITING_WINDOWS:
                self._circle = frozenset()
                self._next = self._at + QUIET_WINDOWS
                return
        elif len(self._members) >= LEAST:
            self._circle = frozenset(self._members)
        if len(self._circle) >= LEAST:
            self._drafts.append(Draft(first=self._at, circle=self._circle))
