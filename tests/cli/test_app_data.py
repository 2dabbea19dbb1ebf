from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.made import Clock, filled, second
from mien.app.law.terms import DAY
from mien.app.store.facade import Store
from mien.cli import app_data
from mien.cli.main import app, run
from mien.core.errors import StoreError


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    if not any(group.name == "app" for group in app.registered_groups):
        app_data.register(app)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of this moment, as the commands purge by the real clock."""
    import time

    path = tmp_path / "home" / "app.db"
    filled(path, Clock(time.time())).close()
    return path


def invoke(*words: object, **options: str) -> Result:
    return CliRunner().invoke(app, ["app", *map(str, words)], **options)  # type: ignore[arg-type]


def test_backup_and_restore_by_one_command_each(tmp_path: Path, database: Path) -> None:
    result = invoke("backup", tmp_path / "one.db")
    assert result.exit_code == 0
    assert "recordings: 1, the latest of" in result.stdout
    with Store(database) as store:
        store.delete_all()
    result = invoke("restore", tmp_path / "one.db", "--yes")
    assert result.exit_code == 0
    assert result.stdout == "restored: recordings: 1 (kept for 7 days from their start)\n"
    with Store(database) as store:
        assert len(store.recordings()) == 1


def test_a_restore_asks_before_it_replaces(tmp_path: Path, database: Path) -> None:
    invoke("backup", tmp_path / "one.db")
    with Store(database) as store:
        number = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        store.append(number, second(0))
    assert invoke("restore", tmp_path / "one.db", input="n\n").exit_code == 1
    with Store(database) as store:
        assert len(store.recordings()) == 2
    assert invoke("restore", tmp_path / "one.db", input="y\n").exit_code == 0
    with Store(database) as store:
        assert len(store.recordings()) == 1


def test_another_database_can_be_named(tmp_path: Path, database: Path) -> None:
    invoke("backup", tmp_path / "one.db")
    assert invoke("restore", tmp_path / "one.db", "--database", tmp_path / "new.db").exit_code == 0
    with Store(tmp_path / "new.db") as store:
        assert len(store.recordings()) == 1


def test_purge_erases_what_the_retention_has_run_out_for(database: Path) -> None:
    assert invoke("purge").stdout == "purged recordings: 0, left: 1\n"
    with Store(database) as store, store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE recordings SET expires = expires - {8 * DAY}")
    assert invoke("purge").stdout == "purged recordings: 1, left: 0\n"


def test_a_damaged_database_is_moved_aside_and_named(tmp_path: Path, database: Path) -> None:
    invoke("backup", tmp_path / "one.db")
    database.write_bytes(b"nonsense " * 1000)
    result = invoke("restore", tmp_path / "one.db", "--yes")
    assert result.exit_code == 0
    assert "the former database was damaged and now is" in result.stdout


@pytest.mark.parametrize("verb", [("backup", "x.db"), ("purge",)])
def test_where_nothing_is_nothing_is_made(tmp_path: Path, verb: tuple[str, ...]) -> None:
    result = invoke(*verb)
    assert isinstance(result.exception, StoreError)
    assert "there is nothing yet" in str(result.exception)
    assert not (tmp_path / "home").exists()


def test_errors_are_one_line(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "app", "restore", str(tmp_path / "none.db")])
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("mien: ")
    assert error.count("\n") == 1
    assert "no such file; expected a backup that 'mien app backup' wrote" in error


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "alembic" else real(name))
    result = invoke("purge")
    assert "pip install 'mien[app]'" in str(result.exception)
