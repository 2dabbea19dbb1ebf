"""The log of what was done: append-only, and without a word about anybody's face.

Rows are written by :class:`mien.app.store.facade.Store` and can be neither changed nor removed, which triggers in the
database enforce. Withdrawal and deletion erase recordings and leave the log: that a consent was given and taken back
must be provable (GDPR Art. 7(1)). A detail is one of :data:`DETAILS` and nothing else, so that no reading, name or
note can slip in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What can be in the log."""

    OPENED = "app opened"
    CLOSED = "app closed"
    SETTINGS_CHANGED = "settings changed"
    CONSENT_SHOWN = "consent shown"
    CONSENT_GIVEN = "consent given"
    CONSENT_PAUSED = "consent paused"
    CONSENT_RESUMED = "consent resumed"
    CONSENT_WITHDRAWN = "consent withdrawn"
    CONSENT_EXPIRED = "consent expired"
    RECORDING_STARTED = "recording started"
    RECORDING_STOPPED = "recording stopped"
    RECORDING_DELETED = "recording deleted"
    ALL_DELETED = "all recordings deleted"
    PURGED = "recordings purged"
    EXPORTED = "recording exported"
    BACKED_UP = "backup written"
    RESTORED = "backup restored"
    UPLOADED = "upload analysed and deleted"
    ROOM_OPENED = "room opened"
    ROOM_CLOSED = "room closed"
    ROOM_JOINED = "room joined"
    ROOM_LEFT = "room left"


DETAILS: Mapping[str, type] = {
    "consent": str,
    "terms_version": int,
    "terms_sha256": str,
    "recording": int,
    "recordings": int,
    "format": str,
    "purpose": str,
    "place": str,
    "retention_days": int,
    "advice": bool,
    "scope": str,
    "mien": str,
}
"""What a row may say besides its action, and of which type."""

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the log.

    Attributes:
        id: its number; a gap would be a removed row.
        at: when, Unix seconds.
        action: what.
        details: see :data:`DETAILS`.
    """

    id: int
    at: float
    action: Action
    details: Mapping[str, str | int | bool]


def check_details(details: Mapping[str, object]) -> None:
    """Refuse a detail that the log does not know.

    Raises:
        ValueError: an unknown key, another type, or a text of more than 80 characters.
    """
    for key, value in details.items():
        kind = DETAILS.get(key)
        if kind is None:
            raise ValueError(f"the audit log takes no '{key}'; it takes {', '.join(DETAILS)}")
        if type(value) is not kind or (isinstance(value, str) and len(value) > _LONGEST):
            raise ValueError(f"the audit log's '{key}' is a {kind.__name__} of at most {_LONGEST} characters")
