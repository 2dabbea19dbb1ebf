"""The store of settings and of consents, with their withdrawal; and what the two make of a person at one moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mien.app.law.audit import Action, AuditEntry
from mien.app.law.consent import Consent, State
from mien.app.law.permission import TAKEN_BACK, Participant
from mien.app.law.terms import DAY, Scope, Terms
from mien.app.store import database_tables as t
from mien.app.store.base import StoreBase
from mien.app.store.values import Settings
from mien.core.errors import ConsentError
from mien.core.policy import Decision, Place, Purpose

_LATEST_FIRST = (t.CONSENTS.c.shown.desc(), t.CONSENTS.c.changed.desc())
_ACTIONS = {
    State.SHOWN: Action.CONSENT_SHOWN,
    State.GIVEN: Action.CONSENT_GIVEN,
    State.PAUSED: Action.CONSENT_PAUSED,
    State.WITHDRAWN: Action.CONSENT_WITHDRAWN,
    State.EXPIRED: Action.CONSENT_EXPIRED,
}


class ConsentStore(StoreBase):
    """Settings, what the policy makes of them, and consents."""

    @property
    def settings(self) -> Settings:
        """What the person set; the defaults where nothing was."""
        with self.database.read() as connection:
            return read_settings(connection)

    def change_settings(self, **changes: Any) -> Settings:
        """Change fields of :class:`Settings`. A shorter retention holds for what is stored too, a longer one does not.

        Raises:
            ValueError: a value out of range.
            TypeError: no such field.
        """
        with self.database.write() as connection:
            new = dataclasses.replace(read_settings(connection), **changes)
            for field in dataclasses.fields(new):
                value = getattr(new, field.name)
                statement = upsert(t.SETTINGS).values(key=field.name, value=value)
                connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
            latest = t.RECORDINGS.c.started + new.retention_days * DAY
            connection.execute(update(t.RECORDINGS).where(t.RECORDINGS.c.expires > latest).values(expires=latest))
            purpose = {} if new.purpose is None else {"purpose": str(new.purpose)}
            kept = {"retention_days": new.retention_days, "advice": new.advice}
            self._log(connection, Action.SETTINGS_CHANGED, {"place": str(new.place), **kept, **purpose})
            self._changed()
        return new

    def participant(self, consent: str | None = None) -> Participant:
        """The person as one transaction finds them, for :func:`mien.app.law.permission.may_read`.

        Args:
            consent: id of the consent that is asked about; None for the latest to reading their own face.
        """
        with self.database.read() as connection:
            return self._participant(connection, consent)

    @property
    def decision(self) -> Decision | None:
        """What the policy says of the purpose and place that are set; None before a purpose was chosen."""
        return self.participant().decision

    def terms(self) -> Terms:
        """The text on reading one's own face that applies now.

        Raises:
            PolicyError: no purpose was chosen yet, or the policy refuses.
        """
        return self.participant().terms()

    def keep(self, consent: Consent) -> None:
        """Keep a consent as it stands, and log its state. :meth:`withdraw` withdraws one.

        Raises:
            ValueError: it is withdrawn.
            ConsentError: the store has it as withdrawn already.
        """
        if consent.state is State.WITHDRAWN:
            raise ValueError("a consent is withdrawn by Store.withdraw, which also erases")
        with self.database.write() as connection:
            self._keep(connection, consent)

    def pause(self) -> None:
        """Pause the consent to reading one's own face, for all who ask; where none is given nothing is done."""
        self._move(State.GIVEN, Consent.pause)

    def resume(self) -> None:
        """Go on after a pause; where none is made nothing is done.

        Raises:
            ConsentError: it is being withdrawn.
        """
        self._move(State.PAUSED, Consent.resume)

    def consent(self, scope: Scope = Scope.OWN) -> Consent | None:
        """The latest consent of a scope as it stands now, expired where its time is up; None where there is none."""
        return next((found for found in self.consents() if found.terms.scope is scope), None)

    def consents(self) -> tuple[Consent, ...]:
        """All consents as they stand now, the latest first; withdrawn ones stay as receipts."""
        now = self.clock()
        with self.database.read() as connection:
            found = [
                read_consent(row).at(now) for row in connection.execute(select(t.CONSENTS).order_by(*_LATEST_FIRST))
            ]
        return tuple(c.pause(now) if c.id in self._taken_back and c.state is State.GIVEN else c for c in found)

    def withdrawable(self) -> tuple[Consent, ...]:
        """The consents to reading one's own face that were not withdrawn yet, the latest first."""
        own = (consent for consent in self.consents() if consent.terms.scope is Scope.OWN)
        return tuple(consent for consent in own if consent.state is not State.WITHDRAWN)

    def withdraw(self, consent: Consent) -> Consent:
        """Withdraw a consent: erase all recordings under it with their notes and corrections, and all ratings.

        One's own takes all others of one's own with it, as recordings may stand under an earlier one than the latest.
        What survives is the receipts and the audit log, which hold no reading. Whatever comes of the erasing, it stops:
        from the call on nothing is read under it, and it cannot be resumed.

        Raises:
            ConsentError: it is withdrawn already.
            StoreError: it cannot be erased (the disk is full, say) and has to be withdrawn again, or it is erased but a
                program that reads the database keeps traces of it alive.
        """
        own, now = consent.terms.scope is Scope.OWN, self.clock()
        withdrawn = {consent.id: consent.withdraw(now)}
        if own:
            withdrawn |= {one.id: one.withdraw(now) for one in self.withdrawable() if one.id != consent.id}
        self._taken_back.update(withdrawn)
        self._changed()  # from here on nobody goes by what they knew, however long the erasing takes
        with self.database.write(erases=True) as connection:
            for one in withdrawn.values():
                self._keep(connection, one)
            connection.execute(delete(t.RECORDINGS).where(t.RECORDINGS.c.consent.in_(list(withdrawn))))
            if own:
                connection.execute(delete(t.FEEDBACK))
        self._taken_back.difference_update(withdrawn)
        return withdrawn[consent.id]

    def _participant(self, connection: Connection, consent: str | None = None) -> Participant:
        query = select(t.CONSENTS).order_by(*_LATEST_FIRST).limit(1)
        wanted = t.CONSENTS.c.scope == Scope.OWN if consent is None else t.CONSENTS.c.id == consent
        row = connection.execute(query.where(wanted)).one_or_none()
        settings = read_settings(connection)
        return Participant(
            purpose=settings.purpose,
            place=settings.place,
            retention_days=settings.retention_days,
            consent=None if row is None else read_consent(row),
            taken_back=row is not None and row.id in self._taken_back,
        )

    def _move(self, at: State, move: Callable[[Consent, float], Consent]) -> None:
        """Move the latest consent to reading one's own face on, where it stands at ``at``."""
        now = self.clock()
        with self.database.write() as connection:
            consent = self._participant(connection).consent
            if consent is not None and consent.at(now).state is at:
                self._keep(connection, move(consent, now))

    def take_over(self, entries: Sequence[AuditEntry], consents: Sequence[Consent]) -> None:
        """Take over what a restore must not undo: another database's audit log, and what was withdrawn in it."""
        with self.database.write(erases=True) as connection:
            rows = connection.execute(select(t.AUDIT.c.at, t.AUDIT.c.action))
            known = {(row.at, row.action) for row in rows}
            for entry in entries:
                if (entry.at, str(entry.action)) not in known:
                    row = {"at": entry.at, "action": str(entry.action), "details": dict(entry.details)}
                    connection.execute(insert(t.AUDIT).values(row))
            query = select(t.CONSENTS.c.id).where(t.CONSENTS.c.state == State.WITHDRAWN)
            withdrawn = set(connection.execute(query).scalars())
            for consent in consents:
                if consent.state is State.WITHDRAWN and consent.id not in withdrawn:
                    self._write(connection, consent)
                    connection.execute(delete(t.RECORDINGS).where(t.RECORDINGS.c.consent == consent.id))
                    if consent.terms.scope is Scope.OWN:
                        connection.execute(delete(t.FEEDBACK))

    def _keep(self, connection: Connection, consent: Consent) -> None:
        kept = connection.execute(select(t.CONSENTS.c.state).where(t.CONSENTS.c.id == consent.id)).scalar()
        if kept == State.WITHDRAWN:
            raise ConsentError("this consent was withdrawn: consent anew to go on")
        if consent.state is State.GIVEN and consent.id in self._taken_back:
            raise ConsentError(TAKEN_BACK)
        self._write(connection, consent)
        self._changed()
        if kept == consent.state:
            return
        resumed = kept == State.PAUSED and consent.state is State.GIVEN
        action = Action.CONSENT_RESUMED if resumed else _ACTIONS[consent.state]
        text = consent.terms
        details = {"consent": consent.id, "scope": str(text.scope), "purpose": str(text.purpose)}
        self._log(connection, action, {**details, "terms_version": text.version, "terms_sha256": text.sha256})

    def _write(self, connection: Connection, consent: Consent) -> None:
        values = {
            "scope": str(consent.terms.scope),
            "state": str(consent.state),
            "terms": consent.terms.to_dict(),
            "shown": consent.shown,
            "changed": consent.changed,
            "given": consent.given,
            "expires": consent.expires,
        }
        statement = upsert(t.CONSENTS).values(id=consent.id, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def read_settings(connection: Connection) -> Settings:
    """The settings that a database holds."""
    stored = {row.key: row.value for row in connection.execute(select(t.SETTINGS))}
    known = {f.name: stored[f.name] for f in dataclasses.fields(Settings) if stored.get(f.name) is not None}
    if "purpose" in known:
        known["purpose"] = Purpose(known["purpose"])
    if "place" in known:
        known["place"] = Place(known["place"])
    return Settings(**known)


def read_consent(row: Row[Any]) -> Consent:
    """The consent of a row."""
    return Consent(
        id=row.id,
        terms=Terms.from_dict(row.terms),
        state=State(row.state),
        shown=row.shown,
        changed=row.changed,
        given=row.given,
        expires=row.expires,
    )
