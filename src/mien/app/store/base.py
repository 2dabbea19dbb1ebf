"""What the parts of the store share: the database, the clock and the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Row, insert, select

from mien.app.law.audit import Action, AuditEntry, check_details
from mien.app.store import tables as t
from mien.app.store.database import Database
from mien.app.store.values import RecordingId
from mien.core.errors import NoRecordingError


class StoreBase:
    """Base of the store's parts.

    Args:
        database: where to keep things.
        clock: gives Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:  # noqa: D107
        self._database = database
        self._clock = clock
        self._stopped: set[str] = set()  # consents that are being withdrawn, should that not succeed

    def log(self, action: Action, **details: str | int | bool) -> None:
        """Write a row of the audit log, for what happens outside of the store (app opened, export, room …).

        Raises:
            ValueError: a detail that the log does not take, see :data:`mien.app.law.audit.DETAILS`.
        """
        with self._database.write() as connection:
            self._log(connection, action, details)

    def audit(self) -> tuple[AuditEntry, ...]:
        """The audit log, the oldest row first."""
        with self._database.read() as connection:
            rows = connection.execute(select(t.AUDIT).order_by(t.AUDIT.c.id))
            return tuple(AuditEntry(row.id, row.at, Action(row.action), row.details) for row in rows)

    def _log(self, connection: Connection, action: Action, details: Mapping[str, str | int | bool]) -> None:
        check_details(details)
        connection.execute(insert(t.AUDIT).values(at=self._clock(), action=str(action), details=dict(details)))


def recording_row(connection: Connection, recording: RecordingId) -> Row[tuple[object, ...]]:
    """The row of a recording.

    Raises:
        NoRecordingError: there is none of that number.
    """
    row = connection.execute(select(t.RECORDINGS).where(t.RECORDINGS.c.id == recording)).one_or_none()
    if row is None:
        raise NoRecordingError(f"there is no recording {recording}: it was deleted, withdrawn or purged, or never was")
    return row
