"""Everything the app keeps, in one SQLite file of the user's data folder.

::

    with Store() as store:                                  # the platform's data folder; Store(path) elsewhere
        store.purge()                                       # at the start, and every hour
        store.change_settings(purpose=Purpose.SELF_REFLECTION, place=Place.EU)
        may_read(store.participant(), Feature.LIVE, now=time.time())    # the one answer; see mien.app.law.permission

        shown = show(store.terms(), now=time.time())        # the text to show; every state of a consent is kept
        store.keep(shown)
        store.keep(consent := shown.give(time.time()))
        recording = store.open_recording(consent, model="tiny")
        store.append(recording, second)                     # once a second
        store.close_recording(recording)
        store.note(recording, "after lunch")
        store.correct(recording, start=10, end=14, was=Expression.SAD)

        store.log(Action.EXPORTED, recording=recording, format="csv")   # what happens outside of the store
        store.delete(recording)
        store.withdraw(consent)                             # stop and erase
        store.backup(Path("mien-backup.db"))
    restore(Path("mien-backup.db"))                         # with the store closed

Frames never come here. A store may be used from many threads (an async server calls it through threads): operations
take turns. Each is one transaction, on the disk when it returns, so that a kill or a power cut loses at most the second
that was not appended yet. What is deleted is overwritten (``secure_delete``), the file rebuilt, and the write-ahead log
emptied.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mien.app.law.audit import Action
from mien.app.store.annotation_store import AnnotationStore
from mien.app.store.backup import RESTORING, Backup, inspect_backup, is_readable, remove, replace_by, write_backup
from mien.app.store.database import BUSY_SECONDS, Database
from mien.app.store.recording_store import RecordingStore
from mien.core.errors import StoreError

_STALE = 3600.0
"""Seconds after which a restore that is under way counts as killed."""


def default_path() -> Path:
    """Where the app's database is: ``$MIEN_HOME/app.db``, or ``app.db`` in the user's data folder."""
    from mien.core.places import models_folder

    return models_folder().parent / "app.db"


class Store(RecordingStore, AnnotationStore):
    """The app's database. See the module for how it is used, and the parts in ``mien.app.store`` for each operation.

    Args:
        path: of the database, made with its folder where it does not exist; None for :func:`default_path`.
        clock: gives Unix seconds.
        busy_seconds: how long an operation waits for another program that holds the database.

    Raises:
        StoreError: it cannot be opened, is no database of mien, is damaged, or was written by a newer version.
    """

    def __init__(  # noqa: D107
        self,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        super().__init__(Database(path or default_path(), busy_seconds=busy_seconds), clock)

    @property
    def path(self) -> Path:
        """The database's file."""
        return self.database.path

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def purge(self, now: float | None = None) -> int:
        """Erase what the retention has run out for, and what a killed restore left behind; how many recordings.

        What was deleted before and could not be erased, because another program read the database, is erased too.
        To be called at the start and every hour. Consents whose time is up are kept as expired, and texts that were
        shown a day ago and never agreed to are forgotten. A clock that has jumped back shortens no recording's life: it
        may be wrong itself, and what it would cost cannot be brought back.
        """
        draft = self.path.with_name(self.path.name + RESTORING)
        with contextlib.suppress(OSError):
            if draft.exists() and time.time() - draft.stat().st_mtime > _STALE:
                remove(draft)
        return super().purge(now)

    def backup(self, target: Path, *, overwrite: bool = False) -> Backup:
        """Copy everything into one file, also while a recording is under way.

        A backup is not purged and knows of no later deletion; whoever makes one has to look after it.

        Raises:
            StoreError: the file exists and ``overwrite`` is off, or cannot be written.
        """
        made = write_backup(self.database, target, overwrite=overwrite)
        self.log(Action.BACKED_UP, recordings=made.recordings)
        return made

    def close(self) -> None:
        """Empty the write-ahead log into the database and close it; closing twice does nothing."""
        self.database.close()


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        backup: what was restored.
        recordings: how many there are now: without those that were withdrawn since, or whose retention has run out.
        aside: where a damaged database was moved; None where there was none.
    """

    backup: Backup
    recordings: int
    aside: Path | None


def restore(source: Path, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> Restored:
    """Put a backup in the place of a database, all of it or nothing.

    What was withdrawn since the backup stays erased, what the retention has run out for is erased, and the audit log of
    the database that is replaced is kept. Whoever has that database open, and does not write, sees what was restored.

    Raises:
        StoreError: the backup is missing, damaged or of a newer version, or the database is of a newer version or just
            being written to by another program. Nothing was changed then.
    """
    place = path or default_path()
    backup = inspect_backup(source)
    with contextlib.suppress(FileNotFoundError):
        if source.samefile(place):
            raise StoreError(f"{source}: is the database itself; name a backup")
    former: Store | None = None
    if place.exists() and is_readable(place):
        former = Store(place, clock=clock)
    draft = place.with_name(place.name + RESTORING)
    try:
        remove(draft)
        replace_by(source, draft)
        with Store(draft, clock=clock) as prepared:
            if former is not None:
                prepared.take_over(former.audit(), former.consents())
            prepared.log(Action.RESTORED, recordings=backup.recordings)
            prepared.purge()
            recordings = len(prepared.recordings())
        if former is not None:
            former.close()
        aside = replace_by(draft, place)
        with Store(place, clock=clock):
            pass  # a database that cannot be opened would be said here, with the backup still at hand
    finally:
        remove(draft)
        if former is not None:
            former.close()
    return Restored(backup=backup, recordings=recordings, aside=aside)
