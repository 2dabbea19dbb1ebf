"""Where an output lies: a folder of this machine, or one of a bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.bulk.inputs import asked, file_system, is_remote
from mien.core.errors import BulkError
from mien.core.files import read_json, write_whole

_ABOUT = "run.json"


class Store:
    """A folder that holds an output, or will.

    Args:
        address: a path, or an address that both fsspec and Delta Lake know, such as ``s3://bucket/out``.
    """

    def __init__(self, address: str | Path) -> None:  # noqa: D107
        self.address = str(address).rstrip("/") or "/"
        self._remote = file_system(self.address) if is_remote(self.address) else None

    def __str__(self) -> str:
        """As messages name it."""
        return self.address

    def at(self, name: str) -> str:
        """The address of something in it."""
        return f"{self.address}/{name}"

    @property
    def options(self) -> dict[str, str] | None:
        """What Delta Lake must know beyond what it reads from the environment, as fsspec does."""
        plain = any(
            os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
        )
        return {"AWS_ALLOW_HTTP": "true"} if self._remote and plain else None

    def names(self, folder: str = "") -> list[str]:
        """What lies directly in it, or in a folder of it; nothing where there is no such folder."""
        if self._remote is None:
            where = Path(self.address, folder)
            return [path.name for path in where.iterdir()] if where.is_dir() else []
        fs, root = self._remote
        path = f"{root}/{folder}".rstrip("/")
        found = asked(self.address, lambda: fs.ls(path, detail=False) if fs.isdir(path) else [])
        return [name.rstrip("/").rsplit("/", 1)[-1] for name in found]

    def remove(self, name: str) -> None:
        """Remove a file."""
        if self._remote is None:
            Path(self.address, name).unlink()
        else:
            fs, root = self._remote
            fs.rm_file(f"{root}/{name}")

    def has_output(self) -> bool:
        """Whether a run has been started there."""
        if self._remote is None:
            return Path(self.address, _ABOUT).exists()
        return _ABOUT in self.names()

    def read_about(self) -> Any:
        """What ``run.json`` holds.

        Raises:
            BulkError: there is none, or it is damaged.
        """
        remedy = "start it with `mien bulk run INPUT --out OUT`"
        missing = BulkError(f"{self}: no output of mien bulk: {remedy}")
        if self._remote is None:
            return read_json(Path(self.address, _ABOUT), missing=missing, remedy=remedy, damaged=BulkError)
        if not self.has_output():
            raise missing
        fs, root = self._remote
        fs.invalidate_cache()
        text = asked(self.address, lambda: fs.cat_file(f"{root}/{_ABOUT}"))
        try:
            return json.loads(text)
        except ValueError as error:
            raise BulkError(f"{self.at(_ABOUT)} is not JSON ({error}): {remedy}") from None

    def write_about(self, about: dict[str, Any]) -> None:
        """Write ``run.json``, whole or not at all.

        Raises:
            BulkError: the place is full or read-only.
        """
        text = json.dumps(about, indent=2) + "\n"
        with self.writing():
            if self._remote is None:
                write_whole(Path(self.address, _ABOUT), text)
                return
            fs, root = self._remote
            fs.pipe_file(f"{root}/{_ABOUT}", text.encode())
            fs.invalidate_cache()

    def check_writable(self) -> None:
        """Say before any work that nothing can be written.

        Raises:
            BulkError: the folder is a file or read-only, or there is no such bucket.
        """
        if self._remote is not None:
            fs, root = self._remote
            asked(self.address, lambda: fs.ls(root.split("/", 1)[0], detail=False))
            return
        there = Path(self.address)
        while not there.exists():
            there = there.parent
        if not there.is_dir():
            raise BulkError(f"{there}: is a file: name a folder for the output")
        if not os.access(there, os.W_OK):
            raise BulkError(f"{there}: is read-only for this user: name another folder for the output")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What is raised while something is written, as one sentence."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            yield
        except CommitFailedError:
            raise BulkError(f"{self}: another run has taken this output over; this one has stopped") from None
        except (OSError, DeltaError) as error:
            said = " ".join(str(error).split())
            full = "No space left" in said or "os error 28" in said
            why = (
                "the disk is full: make room and run the same command again" if full else f"cannot be written ({said})"
            )
            raise BulkError(f"{self}: {why}") from None
