from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from app.made import Clock, agreed, filled, second
from mien.app.law.audit import Action
from mien.app.law.consent import State
from mien.app.law.terms import DAY
from mien.app.store import backup as module
from mien.app.store.facade import Store, restore
from mien.core.errors import StoreError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "app.db"


def leftovers(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_backup_made_during_a_recording_is_whole_and_private(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        recording = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        store.append(recording, second(0))
        made = store.backup(tmp_path / "copies" / "one.db")
        store.append(recording, second(1))
        assert (made.recordings, made.seconds, made.latest) == (2, 6, clock.now)
        assert store.audit()[-1].action is Action.BACKED_UP
    assert leftovers(tmp_path / "copies") == ["one.db"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with Store(made.path) as copy:
        assert [len(copy.seconds(info.id)) for info in copy.recordings()] == [1, 5]


def test_a_backup_replaces_a_file_only_where_that_is_allowed(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        target = tmp_path / "one.db"
        target.write_text("precious")
        with pytest.raises(StoreError, match="--overwrite"):
            store.backup(target)
        assert target.read_text() == "precious"
        store.backup(target, overwrite=True)
        with pytest.raises(StoreError, match="is the database itself"):
            store.backup(path, overwrite=True)
        assert len(store.recordings()) == 1


def test_a_backup_that_fails_leaves_the_former_one_and_no_half(
    tmp_path: Path, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorname = "SQLITE_FULL"
        raise error

    with filled(path, clock) as store:
        target = tmp_path / "copies" / "one.db"
        store.backup(target)
        before = target.read_bytes()
        monkeypatch.setattr(module, "check_integrity", full)
        with pytest.raises(StoreError, match=r"one\.db: the disk is full"):
            store.backup(target, overwrite=True)
        monkeypatch.undo()
    assert target.read_bytes() == before
    assert leftovers(target.parent) == ["one.db"]


def test_a_backup_brings_everything_back(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        (info,) = store.recordings()
        store.note(info.id, "after lunch")
        store.backup(tmp_path / "one.db")
        store.delete_all()
        log = store.audit()
    done = restore(tmp_path / "one.db", path, clock=clock)
    assert (done.recordings, done.aside) == (1, None)
    with Store(path, clock=clock) as store:
        assert len(store.seconds(info.id)) == 5
        assert store.notes(info.id)[0].text == "after lunch"
        assert store.consent().state is State.GIVEN  # type: ignore[union-attr]
        kept = [(entry.at, entry.action) for entry in store.audit()]
        assert [pair for pair in kept if pair in [(e.at, e.action) for e in log]] != []
        assert {entry.action for entry in log} <= {action for _, action in kept}
        assert kept[-1][1] is Action.RESTORED
    assert leftovers(path.parent) == ["app.db"]


def test_a_backup_can_be_restored_where_nothing_is(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        store.backup(tmp_path / "one.db")
    elsewhere = tmp_path / "new" / "app.db"
    assert restore(tmp_path / "one.db", elsewhere, clock=clock).recordings == 1
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    assert leftovers(elsewhere.parent) == ["app.db"]


def test_what_was_withdrawn_since_stays_erased(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        withdrawn = store.consent()
        assert withdrawn is not None
        store.backup(tmp_path / "one.db")
        clock.now += 60
        store.withdraw(withdrawn)
        agreed(store)
    done = restore(tmp_path / "one.db", path, clock=clock)
    assert done.recordings == 0
    with Store(path, clock=clock) as store:
        assert store.consents()[0].state is State.WITHDRAWN
        actions = [entry.action for entry in store.audit()]
        assert Action.CONSENT_WITHDRAWN in actions
        assert b"first" not in path.read_bytes()
    assert b"first" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_ratings_that_a_withdrawal_erased_stay_erased_and_later_ones_come_back(
    tmp_path: Path, path: Path, clock: Clock
) -> None:
    with filled(path, clock) as store:
        store.rate("walk", 1)
        store.backup(tmp_path / "before.db")
        store.withdraw(store.consent())  # type: ignore[arg-type]
        store.rate("short-break", -1)
        store.backup(tmp_path / "after.db")
    restore(tmp_path / "after.db", path, clock=clock)
    with Store(path, clock=clock) as store:
        assert store.feedback.ratings == {"short-break": -1}
    restore(tmp_path / "before.db", path, clock=clock)
    with Store(path, clock=clock) as store:
        assert store.feedback.ratings == {}


def test_what_the_retention_has_run_out_for_is_not_brought_back(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        store.backup(tmp_path / "one.db")
    clock.now += 8 * DAY
    assert restore(tmp_path / "one.db", path, clock=clock).recordings == 0


def test_a_program_that_has_the_database_open_sees_what_was_restored(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        store.backup(tmp_path / "one.db")
        store.delete_all()
        restore(tmp_path / "one.db", path, clock=clock)
        (info,) = store.recordings()
        store.note(info.id, "written after")
        assert len(store.notes(info.id)) == 1


def test_a_database_that_is_being_written_to_is_not_replaced(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        store.backup(tmp_path / "one.db")
        store.delete_all()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program holds the database; nothing was changed"):
        restore(tmp_path / "one.db", path, clock=clock)
    other.close()
    with Store(path, clock=clock) as store:
        assert store.recordings() == ()


def test_a_damaged_database_is_moved_aside(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock) as store:
        store.backup(tmp_path / "one.db")
    path.write_bytes(b"nonsense " * 1000)
    done = restore(tmp_path / "one.db", path, clock=clock)
    assert done.aside is not None
    assert done.aside.read_bytes() == b"nonsense " * 1000
    with Store(path) as store:
        assert len(store.recordings()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "is no backup of mien"),
        (b"hello, this is a letter to my aunt" * 50, "is no database|is damaged"),
    ],
)
def test_what_is_no_backup_is_refused_and_nothing_changes(
    tmp_path: Path, path: Path, clock: Clock, content: bytes | None, words: str
) -> None:
    filled(path, clock).close()
    if content is not None:
        (tmp_path / "one.db").write_bytes(content)
    with pytest.raises(StoreError, match=words) as caught:
        restore(tmp_path / "one.db", path, clock=clock)
    assert "mien app restore" not in str(caught.value)
    with Store(path) as store:
        assert len(store.recordings()) == 1


def test_a_damaged_newer_or_own_file_is_refused_and_nothing_changes(tmp_path: Path, path: Path, clock: Clock) -> None:
    with filled(path, clock, seconds=100) as store:
        store.backup(tmp_path / "one.db")
        store.backup(tmp_path / "two.db")
    content = bytearray((tmp_path / "one.db").read_bytes())
    content[8_192:16_384] = b"\xff" * 8_192
    (tmp_path / "one.db").write_bytes(content)
    with sqlite3.connect(tmp_path / "two.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    for name, words in (("one.db", "is damaged"), ("two.db", r"newer version of mien \(schema 9999")):
        with pytest.raises(StoreError, match=words):
            restore(tmp_path / name, path, clock=clock)
    with pytest.raises(StoreError, match="is the database itself"):
        restore(path, path, clock=clock)
    with Store(path) as store:
        assert len(store.recordings()) == 1
    assert leftovers(path.parent) == ["app.db"]


def test_what_a_killed_restore_left_is_removed_after_an_hour(tmp_path: Path, path: Path, clock: Clock) -> None:
    import os
    import time

    with filled(path, clock) as store:
        draft = path.with_name("app.db.restoring")
        store.backup(draft)
        store.purge()
        assert draft.exists()
        os.utime(draft, (time.time() - 4_000,) * 2)
        store.purge()
        assert not draft.exists()
