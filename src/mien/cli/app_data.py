"""``mien app``: the app's database copied, restored and purged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.core.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    from mien.app.store.backup import Backup

data = typer.Typer(help="Back up, restore and purge what the app keeps.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)]
_Database = Annotated[
    Path | None, typer.Option("--database", help="The app's database; else the one in your data folder.", metavar="DB")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(data, name="app")


@data.command()
def backup(
    file: _File,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists.")] = False,
    database: _Database = None,
) -> None:
    """Copy everything that the app keeps into FILE, also while it runs.

    The copy keeps what you delete later, and no retention ends for it: look after it, and delete it in time.
    """
    _need_app()
    from mien.app.store.facade import Store

    with Store(_existing(database)) as store:
        made = store.backup(file, overwrite=overwrite)
    print(f"{made.path}: {_describe(made)}")


@data.command()
def restore(
    file: _File,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: _Database = None,
) -> None:
    """Put the backup FILE in the place of what the app keeps now: all of it or, where that fails, nothing.

    Recordings whose consent was withdrawn since stay erased, those whose retention has run out are erased, and the log
    of what was done goes on.
    """
    _need_app()
    from mien.app.store.backup import inspect_backup
    from mien.app.store.facade import Store, default_path
    from mien.app.store.facade import restore as put_back

    found = inspect_backup(file)
    place = database or default_path()
    if place.exists() and not yes:
        print(f"{file}: {_describe(found)}")
        typer.confirm(f"Replace {place} by it?", abort=True)
    done = put_back(file, database)
    if done.aside is not None:
        print(f"the former database was damaged and now is {done.aside}; delete it when you do not need it")
    with Store(database) as store:
        days = store.settings.retention_days
    print(f"restored: recordings: {done.recordings} (kept for {days} days from their start)")


@data.command()
def purge(database: _Database = None) -> None:
    """Erase recordings whose retention has run out, as the app does every hour while it runs."""
    _need_app()
    from mien.app.store.facade import Store

    with Store(_existing(database)) as store:
        purged = store.purge()
        store.erase_traces()
        left = len(store.recordings())
    print(f"purged recordings: {purged}, left: {left}")


def _existing(database: Path | None) -> Path:
    """The database's file, refused where there is none: opening one that is not there would make it."""
    from mien.app.store.facade import default_path

    place = database or default_path()
    if not place.is_file():
        raise StoreError(f"{place}: there is nothing yet; 'mien serve' makes it, or name another with --database")
    return place


def _describe(one: Backup) -> str:
    import datetime

    zone = datetime.datetime.now().astimezone().tzinfo
    latest = (
        "" if one.latest is None else f", the latest of {datetime.datetime.fromtimestamp(one.latest, zone):%d %B %Y}"
    )
    return f"recordings: {one.recordings}{latest}; {one.seconds / 60:.0f} minutes in all"


def _need_app() -> None:
    """Refuse where the app's packages are not installed."""
    from importlib.util import find_spec

    for package in ("sqlalchemy", "alembic"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "app", "the app's database")
