"""What all of the store share: the database, the clock, the audit log, and the count of what has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Row, insert, select

from mien.app.law.audit import Action, AuditEntry, check_details
from mien.app.store import database_tables as t
from mien.app.store.database import Database
from mien.app.store.values import RecordingId
from mien.core.errors import NoRecordingError


class StoreBase:
    """What each part of the store builds on.

    Attributes:
        database: where things are kept.
        clock: gives Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:  # noqa: D107
        self.database = database
        self.clock = clock
        self._taken_back: set[str] = set()  # consents that are being withdrawn, should that not succeed
        self._changes = 0
        self._counting = threading.Lock()

    @property
    def changes(self) -> tuple[int, int]:
        """Differs after every change of a setting or a consent, and of anything by another program; costs no waiting.

        A withdrawal counts from the moment on at which it begins, everything else from that at which it is done.

        Raises:
            StoreError: the store is closed.
        """
        return self._changes, self.database.others_changes()

    def _changed(self) -> None:
        """Count a change; within its transaction, so that whoever reads after it was counted waits for its end."""
        with self._counting:
            self._changes += 1

    def log(self, action: Action, **details: str | int | bool) -> None:
        """Write a row of the audit log, for what happens outside of the store (app opened, export, room …).

        Raises:
            ValueError: a detail that the log does not take, see :data:`mien.app.law.audit.DETAILS`.
        """
        with self.database.write() as connection:
            self._log(connection, action, details)

    def audit(self) -> tuple[AuditEntry, ...]:
        """The audit log, the oldest row first."""
        with self.database.read() as connection:
            rows = connection.execute(select(t.AUDIT).order_by(t.AUDIT.c.id))
            return tuple(AuditEntry(row.id, row.at, Action(row.action), row.details) for row in rows)

    def _log(self, connection: Connection, action: Action, details: Mapping[str, str | int | bool]) -> None:
        check_details(details)
        connection.execute(insert(t.AUDIT).values(at=self.clock(), action=str(action), details=dict(details)))


def recording_row(connection: Connection, recording: RecordingId) -> Row[tuple[object, ...]]:
    """The row of a recording.

    Raises:
        NoRecordingError: there is none of that number.
    """
    row = connection.execute(select(t.RECORDINGS).where(t.RECORDINGS.c.id == recording)).one_or_none()
    if row is None:
        raise NoRecordingError(f"there is no recording {recording}: it was deleted, withdrawn or purged, or never was")
    return row
