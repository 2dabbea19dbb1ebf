"""The text that a person consents to, by purpose, place and what is asked for. It names what is done, and no more.

>>> from mien.core.policy import decide
>>> text = terms(decide("self-reflection"), retention_days=7)
>>> text.paragraphs[0].heading
'What is computed?'
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mien.core.policy import Decision, Feature, Place, Purpose

OWN_VERSION, ROOM_VERSION = 2, 1
"""Versions of the texts on one's own face and on rooms. Each grows with every change of meaning; a consent to an older
one is asked for anew, and both sides of a room need the same."""

DAY = 86_400.0


class Pace(StrEnum):
    """What a person in a room can tap."""

    TOO_FAST = "too fast"
    FINE = "fine"
    TOO_SLOW = "too slow"


*_BUT_LAST, _LAST = (f"'{pace}'" for pace in Pace)
_PACES = f"{', '.join(_BUT_LAST)} or {_LAST}"


class Scope(StrEnum):
    """What is consented to: reading one's own face here, or sending something to a room."""

    OWN = "own"
    ROOM_FACES = "room faces"
    ROOM_TAPS = "room taps"

    @property
    def feature(self) -> Feature:
        """The feature that the policy must allow."""
        return {Scope.OWN: Feature.LIVE, Scope.ROOM_FACES: Feature.ROOM_FACES, Scope.ROOM_TAPS: Feature.ROOM_TAPS}[self]

    @property
    def version(self) -> int:
        """Version of its text."""
        return OWN_VERSION if self is Scope.OWN else ROOM_VERSION

    @property
    def valid_for(self) -> float:
        """Seconds for which a consent holds: 30 days for oneself, half a day for a room."""
        return 30 * DAY if self is Scope.OWN else DAY / 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One answer of the consent text: a heading that is a question, and the answer."""

    heading: str
    words: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The text that a person consents to.

    Attributes:
        version: of the wording, that of its scope when it was shown.
        purpose: what for.
        place: where.
        scope: what.
        retention_days: how long one-second aggregates stay; 0 where nothing is stored.
        paragraphs: what is computed, where it is kept, how long, who sees it, how to stop, what it cannot tell.
    """

    version: int
    purpose: Purpose
    place: Place
    scope: Scope
    retention_days: int
    paragraphs: tuple[Paragraph, ...]

    @property
    def sha256(self) -> str:
        """Fingerprint of everything above, so that a receipt proves which text was agreed to."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "version": self.version,
            "purpose": str(self.purpose),
            "place": str(self.place),
            "scope": str(self.scope),
            "retention_days": self.retention_days,
            "paragraphs": [{"heading": p.heading, "words": p.words} for p in self.paragraphs],
        }

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> Terms:
        """The inverse of :meth:`to_dict`."""
        return cls(
            version=int(mapping["version"]),
            purpose=Purpose(mapping["purpose"]),
            place=Place(mapping["place"]),
            scope=Scope(mapping["scope"]),
            retention_days=int(mapping["retention_days"]),
            paragraphs=tuple(Paragraph(p["heading"], p["words"]) for p in mapping["paragraphs"]),
        )


def terms(decision: Decision, *, retention_days: int = 7, scope: Scope = Scope.OWN, room: str = "") -> Terms:
    """The current text for a purpose and place.

    Args:
        decision: what the policy decided.
        retention_days: for how many days aggregates are kept, 1 or more (a room's participant stores nothing).
        scope: what is consented to.
        room: address of the room, for the two scopes of rooms.

    Raises:
        PolicyError: the decision does not allow what the scope needs.
        ValueError: no retention of a day or more.
    """
    decision.require(scope.feature)
    if retention_days < 1:
        raise ValueError(f"retention is a day or more, got {retention_days}")
    own = scope is Scope.OWN
    return Terms(
        version=scope.version,
        purpose=decision.purpose,
        place=decision.place,
        scope=scope,
        retention_days=retention_days if own else 0,
        paragraphs=_own_paragraphs(retention_days) if own else _room_paragraphs(scope, room),
    )


def _own_paragraphs(days: int) -> tuple[Paragraph, ...]:
    kept = f"{days} day{'' if days == 1 else 's'}"
    return (
        Paragraph(
            "What is computed?",
            "Your camera's pictures are searched for faces. Of your face, and of no other, a model estimates how "
            "probable an expression like angry, disgust, fear, happy, sad, surprise or neutral is. In a picture or "
            "video that you hand over yourself, on the page for it or by a program of yours, it does so of every face. "
            "Nothing is computed about who you are, your age, your gender or where your family comes from.",
        ),
        Paragraph(
            "Where is it kept?",
            "Pictures, those that you hand over too, stay in this machine's memory for the moment in which they are "
            "read, and are never written down. While you record, one line of numbers for each second is kept in a "
            "database on this machine: the mean probabilities, how much was uncertain or could not be read and why, "
            "and how many faces were in view. Nothing leaves this machine.",
        ),
        Paragraph(
            "How long?",
            f"Recordings are erased after {kept}, or earlier when you delete them. A log of what was done, such as "
            "'consent given' and 'recording deleted', holds times and no readings, and stays.",
        ),
        Paragraph(
            "Who sees it?",
            "Whoever can use this machine under your account. A program to which you give the token of this launch "
            "gets the readings of what it hands over, and can do with them what it likes. mien shows them to nobody "
            "else and sends them nowhere.",
        ),
        Paragraph(
            "How do I stop?",
            "Pause at any moment. Withdraw, and everything is stopped, the reading of what you handed over too, and "
            "all recordings made under this consent are erased, with their notes, corrections and ratings. No reason "
            "is asked for.",
        ),
        Paragraph(
            "What can it not tell?",
            "What you feel. It estimates what your face looks like to a model that learnt from labelled photographs, "
            "and it is often wrong. It is no diagnosis of anything.",
        ),
    )


def _room_paragraphs(scope: Scope, room: str) -> tuple[Paragraph, ...]:
    where = f"the room at {room}" if room else "the room"
    if scope is Scope.ROOM_TAPS:
        sent = f"Your taps on {_PACES}, sent to {where}. No camera is opened and no face is read."
    else:
        sent = (
            "Your machine reads your face as it does for you alone. Every ten seconds it sends "
            f"{where} how much of it looked positive, neutral or negative, each rounded to a quarter, and your taps on "
            f"{_PACES}. No picture and no single expression leaves your machine."
        )
    return (
        Paragraph("What is computed and sent?", sent),
        Paragraph(
            "Where is it kept?",
            "Nowhere. The room adds what arrives into sums at once and keeps no line of anybody, not even in memory.",
        ),
        Paragraph("How long?", "The sums are shown while the room is open, and are gone when it is closed."),
        Paragraph(
            "Who sees it?",
            "Whoever opened the room sees shares over five or more people, rounded and twenty seconds late or more, "
            "with pauses of a minute when people come or go, so that comparing two reports does not pick them out. The "
            "room cannot prove that the others in it are real people: join only rooms of somebody you trust.",
        ),
        Paragraph("How do I stop?", "Leave. Your part of what is not yet shown is thrown away, and nothing is sent."),
        Paragraph(
            "What can it not tell?",
            "What you feel. It adds up what faces look like to a model, which is often wrong.",
        ),
    )
