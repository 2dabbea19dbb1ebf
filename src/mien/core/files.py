"""Files that mien writes and reads back: replaced whole or not at all, and logs that grow by whole lines."""

from __future__ import annotations

import glob
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mien.core.errors import ConfigError, MienError
from mien.core.schema import from_mapping, to_mapping

T = TypeVar("T")

_FORSAKEN = 86_400
"""Seconds after which a file under way that nobody writes to is taken for what a killed writer left."""


def read_json(
    path: Path, *, missing: MienError | None = None, remedy: str, damaged: type[MienError] = ConfigError
) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        missing: raised where it cannot be opened; None for ``damaged`` with the system's own words.
        remedy: how the file is made again, the end of the message.
        damaged: the error that is raised where it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise (missing or damaged(f"{path}: {error.strerror}: {remedy}")) from None
    except (ValueError, RecursionError) as error:
        raise damaged(f"{path} is not JSON ({error}): {remedy}") from None


def read_record(
    cls: type[T],
    path: Path,
    *,
    missing: MienError | None = None,
    remedy: str,
    damaged: type[MienError] = ConfigError,
) -> T:
    """A dataclass from the JSON file that :func:`write_json` wrote; see :func:`read_json`.

    Raises:
        ConfigError: a key or value is wrong.
    """
    return from_mapping(cls, read_json(path, missing=missing, remedy=remedy, damaged=damaged), str(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file of the writer's own beside ``path``, which takes its place at the end; after an error ``path`` stays.

    The folder is made where it is missing. What a writer that was killed left there goes after a day. A device or a
    pipe is written as it is.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        with _named(path):
            yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{glob.escape(path.name)}.*-*.part"):
        with suppress(OSError):  # another writer may have removed it first
            if time.time() - left.stat().st_mtime > _FORSAKEN:
                left.unlink()
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with _named(path):
            yield part
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system name ``path``: a full disk names nothing, and the part's name says nothing to its user."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; its folder is made where it is missing."""
    with replacing(path) as part:
        part.write_bytes(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def write_json(record: Any, path: Path, *, indent: int = 2) -> None:
    """Write a dataclass instance as JSON, whole or not at all."""
    write_whole(path, json.dumps(to_mapping(record), indent=indent) + "\n")


def append_line(path: Path, record: Any) -> None:
    """Append a dataclass instance to a log as one line of JSON, on disk when this returns.

    Raises:
        ValueError: one of its numbers is infinite or no number.
    """
    line = json.dumps(to_mapping(record), allow_nan=False, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(line.encode("utf-8"))
        os.fsync(file.fileno())


def read_lines(
    cls: type[T], path: Path, *, what: str, start: str, renew: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> list[T]:
    """The records of a log that :func:`append_line` wrote, oldest first.

    Args:
        cls: the dataclass of a line.
        path: the log.
        what: it is, in words: ``ledger``.
        start: the command that starts one.
        renew: makes a line of today of an older one.

    Raises:
        ConfigError: no such file, or a line that is no such record; the message holds its number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no {what} at {path}: `{start}` starts one") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no {what} ({error}): name another file") from None
    if text and not text.endswith("\n"):
        raise ConfigError(f"{path}: the last line is cut short: mend or remove it before more is appended")
    records = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}:{number} is not JSON ({error}): mend or remove the line") from None
        if renew is not None and isinstance(content, dict):
            content = renew(content)
        records.append(from_mapping(cls, content, f"{path}:{number}"))
    return records
