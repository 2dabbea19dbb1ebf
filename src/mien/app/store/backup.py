"""The database copied to a file, and back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.app.store.database import APPLICATION_ID, HEAD, Database, check_integrity, explained, too_new
from mien.core.errors import StoreError
from mien.core.files import replacing

RESTORING = ".restoring"
"""End of the name under which a restore prepares its database."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Attributes:
        path: the file.
        schema: version of its tables.
        recordings: how many.
        seconds: how many seconds, in all recordings.
        latest: start of the latest recording, Unix seconds; None where there is none.
    """

    path: Path
    schema: str
    recordings: int
    seconds: int
    latest: float | None


def write_backup(database: Database, target: Path, *, overwrite: bool = False) -> Backup:
    """Copy a database, also while it is written to, into one file that only its owner can read.

    The copy is made beside ``target``, checked, put on the disk and then renamed: a backup is whole or not there.

    Raises:
        StoreError: ``target`` exists and ``overwrite`` is off, is the database itself, or cannot be written.
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target}: exists already; choose another name, or allow it to be replaced (--overwrite)")
    if target.exists() and target.samefile(database.path):
        raise StoreError(f"{target}: is the database itself; choose another name")
    try:
        with replacing(target) as part:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                _copy(database, part, target)
            finally:
                part.with_name(part.name + "-journal").unlink(missing_ok=True)
            with part.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error.strerror or error})") from None
    return inspect_backup(target)


def _copy(database: Database, part: Path, target: Path) -> None:
    with database.raw() as source:
        try:
            with _opened(part) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                check_integrity(copy, part)
        except sqlite3.Error as error:
            # What is damaged is what was read; all else is the trouble of what is written.
            damaged = getattr(error, "sqlite_errorname", "").startswith("SQLITE_CORRUPT")
            raise explained(error, database.path if damaged else target) from None


def inspect_backup(source: Path) -> Backup:
    """What a backup holds, and that it can be restored.

    Raises:
        StoreError: there is no such file, it is no backup of mien, is damaged, or was written by a newer version.
    """
    if not source.is_file():
        raise StoreError(f"{source}: no such file; expected a backup that 'mien app backup' wrote")
    try:
        with _opened(source, read_only=True) as copy:
            if copy.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise StoreError(f"{source}: is no backup of mien; expected a file that 'mien app backup' wrote")
            check_integrity(copy, source)
            schema = str(copy.execute("SELECT version_num FROM alembic_version").fetchone()[0])
            if schema > HEAD:
                raise too_new(source, schema)
            recordings, latest = copy.execute("SELECT count(*), max(started) FROM recordings").fetchone()
            seconds = copy.execute("SELECT count(*) FROM seconds").fetchone()[0]
    except sqlite3.Error as error:
        raise explained(error, source, remedy="use another backup") from None
    return Backup(path=source, schema=schema, recordings=recordings, seconds=seconds, latest=latest)


def replace_by(source: Path, path: Path) -> Path | None:
    """Put a checked backup in a database's place, in one transaction of SQLite, so that it is the old or the new one.

    A file there that is no readable database is moved aside first, and its new name given back.

    Raises:
        StoreError: another program is writing to the database, or it cannot be written.
    """
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size and not is_readable(path):
            aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
            shutil.move(path, aside)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with _opened(source, read_only=True) as backup, _opened(path) as target:
            target.execute("PRAGMA secure_delete = ON")
            target.execute("BEGIN IMMEDIATE")  # a writer is refused here: the copying would wait for it without end
            target.rollback()
            backup.backup(target)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    except sqlite3.Error as error:
        raise explained(error, path) from None
    return aside


def remove(path: Path) -> None:
    """Remove a database and what SQLite keeps beside it."""
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def is_readable(path: Path) -> bool:
    """Whether a file is a whole database, of whatever program."""
    try:
        with _opened(path) as raw:
            return bool(raw.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return False
        raise


@contextlib.contextmanager
def _opened(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    # immutable would hide a log beside the file; a backup has none, and the database's own must be read.
    address = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(address, uri=True, timeout=2.0)
    try:
        yield connection
    finally:
        connection.close()
