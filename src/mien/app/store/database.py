"""The SQLite file: opened, checked, brought to this version's schema, locked, erased for good, and its errors named."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from mien.core.errors import StoreError

HEAD = "0001"
"""The schema that this version reads and writes: the newest file of ``mien/app/store/migrations/versions``."""

APPLICATION_ID = 0x6D69656E
"""``mien`` in ASCII, in the file's header: tells a database of mien from that of another program."""

BUSY_SECONDS = 5.0
"""How long an operation waits for another program that holds the database."""

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 200",
)


class Database:
    """One SQLite file in WAL mode, through one connection that threads take in turn.

    Args:
        path: the file; made with its folder, readable by its owner alone.
        busy_seconds: how long an operation waits for another program.

    Raises:
        StoreError: it cannot be opened, is no database of mien, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:  # noqa: D107
        self.path = path
        self._lock = threading.RLock()
        self._closed = False
        self._others_changes = 0
        _make_file(path)
        self._engine = create_engine(
            f"sqlite:///{path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "timeout": busy_seconds},
        )
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        try:
            with self._named():
                self._prepare()
        except BaseException:
            self._engine.dispose()
            raise

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading, in one transaction."""
        with self._turn(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, erases: bool = False) -> Iterator[Connection]:
        """A connection for one transaction, on the disk when the block ends, and undone where it raises.

        Args:
            erases: whether what is deleted must leave no trace: the file is then rebuilt and the log emptied.
        """
        with self._turn():
            with self._engine.connect().execution_options(mien_write=True) as connection, connection.begin():
                if erases:
                    owe_erasing(connection)
                yield connection
            if erases:
                self._erase()

    @contextlib.contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """The driver's own connection, outside of any transaction: for backups and checks."""
        with self._turn():
            connection = self._engine.raw_connection()
            try:
                yield cast(sqlite3.Connection, connection.driver_connection)
            finally:
                connection.close()

    @property
    def owes_erasing(self) -> bool:
        """Whether something was deleted, by whatever program, whose traces could not be erased yet."""
        with self.raw() as raw:
            return bool(raw.execute("PRAGMA user_version").fetchone()[0])

    def others_changes(self) -> int:
        """Differs after what another program wrote; waits for nobody, so the last answer stands while one is busy."""
        if self._lock.acquire(blocking=False):
            try:
                with self.raw() as raw:
                    self._others_changes = int(raw.execute("PRAGMA data_version").fetchone()[0])
            finally:
                self._lock.release()
        return self._others_changes

    def erase(self) -> None:
        """Overwrite what earlier deletions may have left in the file and in the write-ahead log.

        Raises:
            StoreError: another program reads the database at this moment.
        """
        with self._turn():
            self._erase()

    def close(self) -> None:
        """Empty the write-ahead log into the file and close it; closing twice does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._engine.dispose()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StoreError(f"{self.path}: the store is closed")
            with self._named():
                yield

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Give SQLite's errors a name that helps."""
        try:
            yield
        except DBAPIError as error:
            raise explained(error.orig, self.path) from None
        except sqlite3.Error as error:
            raise explained(error, self.path) from None

    def _prepare(self) -> None:
        with self.raw() as raw:
            kind = raw.execute("PRAGMA application_id").fetchone()[0]
            tables = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and kind != APPLICATION_ID:
                raise StoreError(f"{self.path}: is a database of another program; name another file")
            check_integrity(raw, self.path, quick=True)
            raw.execute("PRAGMA journal_mode = WAL")
            if kind != APPLICATION_ID:
                raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with self.read() as connection:
            current = revision(connection) == HEAD
        if not current:
            with self.write() as connection:
                migrate(connection, self.path)

    def _erase(self) -> None:
        reason = "another program reads the database"
        try:
            with self.raw() as raw:
                raw.execute("VACUUM")
                busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if not busy:
                    raw.execute("PRAGMA user_version = 0")
                    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreError as error:
            # The deletion itself is done: the error must not say that nothing was changed.
            busy, reason = 1, "the disk is full" if "full" in str(error) else "another program holds the database"
        if busy:
            raise StoreError(
                f"{self.path}: it is deleted, but {reason}, so that traces of it stay in the file until that is over "
                "and they are erased: by the app within the hour, or by 'mien app purge'"
            )


def owe_erasing(connection: Connection) -> None:
    """Note in the file's header, within the caller's transaction, that what is deleted in it has to be erased.

    :meth:`Database.erase` takes the note out; until then it outlives kills and goes into backups.
    """
    connection.exec_driver_sql("PRAGMA user_version = 1")


def migrate(connection: Connection, path: Path) -> None:
    """Bring a database to :data:`HEAD`, within the caller's transaction: all of it or nothing.

    Raises:
        StoreError: it was written by a newer version.
    """
    found = revision(connection)
    if found == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "mien.app:store/migrations")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise too_new(path, found)
    command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """The schema of a database; None where it is empty."""
    query = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    if not connection.exec_driver_sql(query).scalar():
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def check_integrity(raw: sqlite3.Connection, path: Path, *, quick: bool = False) -> None:
    """Refuse a damaged database.

    Raises:
        StoreError: SQLite's own check finds it damaged.
    """
    found = raw.execute("PRAGMA quick_check(1)" if quick else "PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(f"{path}: is damaged ({found.splitlines()[0]}); {_RESTORE}")


def too_new(path: Path, schema: str) -> StoreError:
    """The error for a database or a backup of a newer version of mien."""
    return StoreError(
        f"{path}: was written by a newer version of mien (schema {schema}; this one knows {HEAD}): update mien. "
        "Nothing was changed"
    )


_RESTORE = "restore a backup with 'mien app restore FILE', or move the file away to begin anew"


def explained(error: BaseException | None, path: Path, *, remedy: str = _RESTORE) -> StoreError:
    """An error of SQLite in words: what is wrong and what to do; ``remedy`` is for a damaged file."""
    name = str(getattr(error, "sqlite_errorname", ""))
    for start, words in _WORDS.items():
        if name.startswith(start):
            return StoreError(f"{path}: {words.format(remedy=remedy)}")
    return StoreError(f"{path}: {error}")


_WORDS = {
    "SQLITE_FULL": "the disk is full; what was stored before is safe. Make room and try again",
    "SQLITE_BUSY": "another program holds the database; nothing was changed. Close it and try again",
    "SQLITE_LOCKED": "another program holds the database; nothing was changed. Close it and try again",
    "SQLITE_READONLY": "cannot be written: check the permissions of the file and its folder",
    "SQLITE_CANTOPEN": "cannot be opened: check that it is a file, and the permissions of its folder",
    "SQLITE_PERM": "cannot be opened: check the permissions of the file and its folder",
    "SQLITE_NOTADB": "is no database, or is damaged; {remedy}",
    "SQLITE_CORRUPT": "is damaged; {remedy}",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error; what was stored before is safe",
}


def _make_file(path: Path) -> None:
    """An empty file that only its owner can read: SQLite gives its log the same permissions."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened ({error.strerror}); check the permissions of its folder") from None


def _on_connect(raw: Any, _: Any) -> None:
    # None switches off the driver's own transactions, which leave reads and DDL outside of them.
    raw.isolation_level = None
    for pragma in _PRAGMAS:
        raw.execute(pragma)


def _on_begin(connection: Connection) -> None:
    # A writer asks for its lock at once: one that began as a reader could be refused halfway.
    writes = connection.get_execution_options().get("mien_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
