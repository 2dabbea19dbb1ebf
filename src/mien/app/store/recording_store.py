"""The store of recordings and their seconds, and how they are erased."""

from __future__ import annotations

import time
from typing import Any, Literal, cast

from sqlalchemy import Row, delete, insert, select, update

from mien.app.law.audit import Action
from mien.app.law.consent import Consent, State
from mien.app.law.permission import may_read, may_store
from mien.app.law.terms import DAY
from mien.app.store import database_tables as t
from mien.app.store.aggregate import Second
from mien.app.store.base import recording_row
from mien.app.store.consent_store import ConsentStore, read_consent
from mien.app.store.database import owe_erasing
from mien.app.store.values import RecordingId, RecordingInfo
from mien.core.errors import ConsentError
from mien.core.policy import Feature

LONGEST_NAME = 200
"""Characters of a recording's name; what is beyond is cut."""

_DIGITS = 6


class RecordingStore(ConsentStore):
    """Recordings, their seconds, and how they end: deleted, purged."""

    def open_recording(
        self, consent: Consent, *, model: str, name: str = "", kind: Literal["live", "scheduled"] = "live"
    ) -> RecordingId:
        """Begin a recording under a consent that is given and fits what applies now.

        Raises:
            ConsentError: it is not, see :meth:`Consent.check`.
            PolicyError: the policy does not allow recordings.
        """
        now = self.clock()
        with self.database.write() as connection:
            person = self._participant(connection, consent.id)
            if person.consent is None:
                raise ConsentError("the store does not know this consent: keep it when it is given")
            may_read(person, Feature.RECORDINGS, now=now).require()
            values = {
                "consent": consent.id,
                "name": name.strip()[:LONGEST_NAME],
                "kind": kind,
                "model": model,
                "started": now,
                "utc_offset": time.localtime(now).tm_gmtoff,
                "length": 0.0,
                "seconds": 0,
                "closed": False,
                "expires": now + person.retention_days * DAY,
            }
            query = insert(t.RECORDINGS).values(values).returning(t.RECORDINGS.c.id)
            recording = int(connection.execute(query).scalar_one())
            self._log(connection, Action.RECORDING_STARTED, {"recording": recording, "consent": consent.id})
        return recording

    def append(self, recording: RecordingId, *seconds: Second) -> None:
        """Append a second, or several in their order; all of them are on the disk when this returns, or none.

        Raises:
            NoRecordingError: no such recording; a withdrawal erased it, say.
            StoreError: the disk is full or the database held by another program: what was stored before stays, and the
                same seconds may be tried again.
            ConsentError: the consent it was made under is no longer given.
            ValueError: it is closed, or the second does not come after the last one.
        """
        with self.database.write() as connection:
            info = read_info(recording_row(connection, recording))
            refusal = may_store(self._participant(connection, info.consent)).refusal
            if refusal is not None:
                raise ConsentError(f"recording {recording} cannot go on: {refusal}")
            if info.closed:
                raise ValueError(f"recording {recording} is closed; open a new one")
            length = info.length
            for second in seconds:
                if second.index < length:
                    raise ValueError(
                        f"recording {recording} holds {length:g} s already, so second {second.index} cannot be "
                        "appended: count seconds by a monotonic clock from its start"
                    )
                length = second.index + 1.0
            rows = [{"recording": recording, "second": one.index, "numbers": _pack(one)} for one in seconds]
            connection.execute(insert(t.SECONDS), rows)
            grown = {"length": length, "seconds": info.seconds + len(rows)}
            connection.execute(update(t.RECORDINGS).where(t.RECORDINGS.c.id == recording).values(grown))

    def close_recording(self, recording: RecordingId) -> RecordingInfo:
        """End a recording; ending twice does nothing.

        Raises:
            NoRecordingError: there is none of that number.
        """
        with self.database.write() as connection:
            if not read_info(recording_row(connection, recording)).closed:
                connection.execute(update(t.RECORDINGS).where(t.RECORDINGS.c.id == recording).values(closed=True))
                self._log(connection, Action.RECORDING_STOPPED, {"recording": recording})
            return read_info(recording_row(connection, recording))

    def recordings(self, *, since: float | None = None, until: float | None = None) -> tuple[RecordingInfo, ...]:
        """Recordings, the latest first; only those that started from ``since`` on and before ``until``."""
        query = select(t.RECORDINGS).order_by(t.RECORDINGS.c.started.desc(), t.RECORDINGS.c.id.desc())
        if since is not None:
            query = query.where(t.RECORDINGS.c.started >= since)
        if until is not None:
            query = query.where(t.RECORDINGS.c.started < until)
        with self.database.read() as connection:
            return tuple(read_info(row) for row in connection.execute(query))

    def recording(self, recording: RecordingId) -> RecordingInfo:
        """One recording.

        Raises:
            NoRecordingError: there is none of that number.
        """
        with self.database.read() as connection:
            return read_info(recording_row(connection, recording))

    def seconds(self, recording: RecordingId) -> tuple[Second, ...]:
        """The seconds of a recording, in order, as they were measured (corrections stand apart).

        Raises:
            NoRecordingError: there is no recording of that number.
        """
        with self.database.read() as connection:
            recording_row(connection, recording)
            query = select(t.SECONDS).where(t.SECONDS.c.recording == recording).order_by(t.SECONDS.c.second)
            return tuple(_unpack(row.second, row.numbers) for row in connection.execute(query))

    def rename(self, recording: RecordingId, name: str) -> RecordingInfo:
        """Give a recording another name.

        Raises:
            NoRecordingError: there is no recording of that number.
        """
        with self.database.write() as connection:
            recording_row(connection, recording)
            values = {"name": name.strip()[:LONGEST_NAME]}
            connection.execute(update(t.RECORDINGS).where(t.RECORDINGS.c.id == recording).values(values))
            return read_info(recording_row(connection, recording))

    def delete(self, recording: RecordingId) -> None:
        """Erase one recording with its notes and corrections; nothing of it stays in the file.

        Raises:
            NoRecordingError: there is none of that number.
            StoreError: it is deleted, but a program that reads the database keeps traces alive.
        """
        with self.database.write(erases=True) as connection:
            recording_row(connection, recording)
            connection.execute(delete(t.RECORDINGS).where(t.RECORDINGS.c.id == recording))
            self._log(connection, Action.RECORDING_DELETED, {"recording": recording})

    def delete_all(self) -> int:
        """Erase all recordings with notes and corrections, and all ratings; how many recordings there were.

        Settings, receipts and the audit log stay.
        """
        with self.database.write(erases=True) as connection:
            erased = connection.execute(delete(t.RECORDINGS)).rowcount
            connection.execute(delete(t.FEEDBACK))
            self._log(connection, Action.ALL_DELETED, {"recordings": erased})
        return erased

    def erase_traces(self) -> None:
        """Rebuild the file and empty its log, so that nothing of what was deleted before stays in them.

        Deleting does it too; this is for when that could not be done because another program read the database.

        Raises:
            StoreError: another program reads it now.
        """
        self.database.erase()

    def purge(self, now: float | None = None) -> int:
        """See :meth:`mien.app.store.facade.Store.purge`."""
        now = self.clock() if now is None else now
        with self.database.write() as connection:
            purged = connection.execute(delete(t.RECORDINGS).where(t.RECORDINGS.c.expires <= now)).rowcount
            if purged:
                owe_erasing(connection)
                self._log(connection, Action.PURGED, {"recordings": purged})
            for row in connection.execute(select(t.CONSENTS)).all():
                consent = read_consent(row)
                if consent.at(now) != consent:
                    self._keep(connection, consent.at(now))
            stale = (t.CONSENTS.c.state == State.SHOWN) & (t.CONSENTS.c.shown < now - DAY)
            connection.execute(delete(t.CONSENTS).where(stale))
        if self.database.owes_erasing:
            self.database.erase()
        return purged


def read_info(row: Row[Any]) -> RecordingInfo:
    """The recording of a row."""
    return RecordingInfo(**row._mapping)


def _pack(second: Second) -> dict[str, Any]:
    known = second.probabilities
    return {
        "frames": second.frames,
        "probabilities": None if known is None else [round(p, _DIGITS) for p in known],
        "held": [round(share, _DIGITS) for share in second.held],
        "uncertain": round(second.uncertain, _DIGITS),
        "unmeasurable": {reason: round(share, _DIGITS) for reason, share in second.unmeasurable.items()},
        "absent": round(second.absent, _DIGITS),
        "faces": second.faces,
    }


def _unpack(index: int, values: dict[str, Any]) -> Second:
    known = cast("list[float] | None", values["probabilities"])
    total = sum(known) if known else 1.0  # rounding left it a little off 1
    probabilities = None if known is None else tuple(p / total for p in known)
    return Second(**{**values, "index": index, "probabilities": probabilities, "held": tuple(values["held"])})
