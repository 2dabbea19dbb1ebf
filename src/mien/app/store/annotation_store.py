"""The store of what a person says: notes, corrections, and what they think of suggestions."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from mien.app.store import database_tables as t
from mien.app.store.base import StoreBase, recording_row
from mien.app.store.values import Correction, Feedback, Note, RecordingId
from mien.core.errors import NotStoredError
from mien.core.expression import Expression

LONGEST_NOTE = 2_000
"""Characters of a note."""


class AnnotationStore(StoreBase):
    """Notes, corrections and feedback."""

    def note(self, recording: RecordingId, text: str, *, at: float | None = None) -> Note:
        """Write a note beside a recording, or beside one moment of it (seconds from its start).

        Raises:
            NoRecordingError: there is no recording of that number.
            ValueError: it is empty, longer than 2,000 characters, or ``at`` lies before the start.
        """
        words = text.strip()
        if not words or len(words) > LONGEST_NOTE:
            raise ValueError(f"a note has 1 to {LONGEST_NOTE:,} characters, got {len(words):,}")
        if at is not None and not at >= 0:
            raise ValueError(f"a note's time is counted from the recording's start, got {at} s")
        with self.database.write() as connection:
            recording_row(connection, recording)
            values: dict[str, Any] = {"recording": recording, "at": at, "text": words, "written": self.clock()}
            number = connection.execute(insert(t.NOTES).values(values).returning(t.NOTES.c.id)).scalar_one()
        return Note(id=number, **values)

    def notes(self, recording: RecordingId) -> tuple[Note, ...]:
        """The notes of a recording: those on the whole, then by their time."""
        query = select(t.NOTES).where(t.NOTES.c.recording == recording).order_by(t.NOTES.c.at, t.NOTES.c.id)
        with self.database.read() as connection:
            return tuple(Note(**row._mapping) for row in connection.execute(query))

    def delete_note(self, note: int) -> None:
        """Erase a note.

        Raises:
            NotStoredError: there is none of that number.
        """
        with self.database.write(erases=True) as connection:
            if not connection.execute(delete(t.NOTES).where(t.NOTES.c.id == note)).rowcount:
                raise NotStoredError(f"there is no note {note}: it was erased, or never was")

    def correct(
        self, recording: RecordingId, *, start: float, end: float, was: Expression, instead: Expression | None = None
    ) -> Correction:
        """Say that what was read from ``start`` to ``end`` (seconds from the recording's start) was not so.

        Raises:
            NoRecordingError: there is no recording of that number.
            ValueError: the times are not in order or lie outside the recording, or both expressions are the same.
        """
        if was is instead:
            raise ValueError(f"a correction needs another expression than {was}")
        with self.database.write() as connection:
            length = recording_row(connection, recording)._mapping["length"]
            if not 0 <= start < end <= length:
                raise ValueError(f"a correction lies within 0 to {length:g} s, its start first; got {start} to {end}")
            values: dict[str, Any] = {"recording": recording, "start": start, "end": end, "written": self.clock()}
            stored = {**values, "was": str(was), "instead": None if instead is None else str(instead)}
            number = connection.execute(insert(t.CORRECTIONS).values(stored).returning(t.CORRECTIONS.c.id)).scalar_one()
        return Correction(id=number, was=was, instead=instead, **values)

    def corrections(self, recording: RecordingId) -> tuple[Correction, ...]:
        """The corrections of a recording, in the order in which they were made; a later one overrules."""
        query = select(t.CORRECTIONS).where(t.CORRECTIONS.c.recording == recording).order_by(t.CORRECTIONS.c.id)
        with self.database.read() as connection:
            found = [dict(row._mapping) for row in connection.execute(query)]
        for values in found:
            values["was"] = Expression(values["was"])
            values["instead"] = None if values["instead"] is None else Expression(values["instead"])
        return tuple(Correction(**values) for values in found)

    def delete_correction(self, correction: int) -> None:
        """Take a correction back.

        Raises:
            NotStoredError: there is none of that number.
        """
        with self.database.write(erases=True) as connection:
            if not connection.execute(delete(t.CORRECTIONS).where(t.CORRECTIONS.c.id == correction)).rowcount:
                raise NotStoredError(f"there is no correction {correction}: it was taken back, or never was")

    def rate(self, rule: str, rating: Literal[-1, 1]) -> None:
        """Keep whether a suggestion helped (1) or not (-1); the last word counts.

        Raises:
            ValueError: another rating.
        """
        if rating not in (-1, 1):
            raise ValueError(f"a rating is 1 (helpful) or -1 (not helpful), got {rating}")
        self._feedback(rule, rating=rating)

    def snooze(self, rule: str, until: float) -> None:
        """Do not show a suggestion before ``until``, Unix seconds."""
        self._feedback(rule, snoozed=until)

    def switch(self, rule: str, *, off: bool) -> None:
        """Switch a rule off for good, or on again (which ends a snooze too)."""
        self._feedback(rule, off=off, **({} if off else {"snoozed": None}))

    @property
    def feedback(self) -> Feedback:
        """All that was said of suggestions."""
        with self.database.read() as connection:
            rows = connection.execute(select(t.FEEDBACK)).all()
        return Feedback(
            ratings={row.rule: row.rating for row in rows if row.rating is not None},
            snoozed={row.rule: row.snoozed for row in rows if row.snoozed is not None},
            off=frozenset(row.rule for row in rows if row.off),
        )

    def _feedback(self, rule: str, **values: Any) -> None:
        with self.database.write() as connection:
            statement = upsert(t.FEEDBACK).values({"rule": rule, "off": False, **values})
            connection.execute(statement.on_conflict_do_update(index_elements=["rule"], set_=values))
