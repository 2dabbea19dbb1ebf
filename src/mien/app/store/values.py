"""What the store gives back: frozen, checked when made. Times are Unix seconds unless said otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from mien.core.expression import Expression
from mien.core.policy import Place, Purpose

RecordingId = int
"""A recording's number in its store; never used again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person set.

    Attributes:
        purpose: what mien is used for; None until it was chosen at the first start.
        place: where; unset counts as the EU.
        retention_days: after how many days recordings are erased, 1 to 365.
        advice: whether suggestions are made at all.

    Raises:
        ValueError: a retention outside 1 to 365 days, or a value of another type.
    """

    purpose: Purpose | None = None
    place: Place = Place.UNSET
    retention_days: int = 7
    advice: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        if self.purpose is not None and not isinstance(self.purpose, Purpose):
            raise ValueError(f"purpose is one of {', '.join(Purpose)}, got {self.purpose!r}")
        if not isinstance(self.place, Place):
            raise ValueError(f"place is one of {', '.join(Place)}, got {self.place!r}")
        if type(self.retention_days) is not int or not 1 <= self.retention_days <= 365:
            raise ValueError(f"recordings are kept for 1 to 365 days, got {self.retention_days!r}")
        if type(self.advice) is not bool:
            raise ValueError(f"advice is on (true) or off (false), got {self.advice!r}")


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """One recording, without its seconds.

    Attributes:
        id: its number.
        consent: id of the consent that it was made under.
        name: what the person called it; may be empty.
        kind: watched without a break, or sampled on a schedule.
        model: name of the model that read it.
        started: by the wall clock; everything after is counted from here by a monotonic clock.
        utc_offset: seconds that local time was ahead of UTC when it began, so that a day is the person's own day.
        length: seconds from the start to the end of the last stored second.
        seconds: how many seconds are stored.
        closed: whether it was stopped. One that is neither closed nor under way was cut off; what is stored is whole.
        expires: when the retention erases it.
    """

    id: RecordingId
    consent: str
    name: str
    kind: Literal["live", "scheduled"]
    model: str
    started: float
    utc_offset: int
    length: float
    seconds: int
    closed: bool
    expires: float


def local_time(at: float, utc_offset: int | None = None) -> datetime:
    """A Unix time by a clock that is ``utc_offset`` seconds ahead of UTC; None for this machine's own."""
    zone = None if utc_offset is None else timezone(timedelta(seconds=utc_offset))
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote beside a recording.

    Attributes:
        id: its number.
        recording: of which.
        at: seconds from the recording's start that it is about; None for the whole.
        text: the words.
        written: when.
    """

    id: int
    recording: RecordingId
    at: float | None
    text: str
    written: float


@dataclass(frozen=True, slots=True)
class Correction:
    """A person's word against the model's: "that was not sad".

    What was measured stays as it is; what is shown and added up follows the correction.

    Attributes:
        id: its number.
        recording: of which.
        start: first second that it is about, from the recording's start.
        end: the second after the last.
        was: the expression that it was not.
        instead: what it was; None where the person does not say.
        written: when.
    """

    id: int
    recording: RecordingId
    start: float
    end: float
    was: Expression
    instead: Expression | None
    written: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person did with suggestions.

    Attributes:
        ratings: by rule, -1 (not helpful) or 1 (helpful), the last one given.
        snoozed: by rule, until when it is not shown.
        off: rules that are switched off.
    """

    ratings: Mapping[str, int] = field(default_factory=dict)
    snoozed: Mapping[str, float] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
