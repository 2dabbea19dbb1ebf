"""Fetching models on demand: checked before use, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, cast

from mien.core.errors import ChecksumError, DownloadError, UnknownModelError, nearest
from mien.runtime.inference.library import PULLABLE, Pullable

Progress = Callable[[int, int], None]
"""Told the bytes so far and the bytes in all."""

_BLOCK = 1 << 16


def pull(name: str, *, source: str | None = None, timeout: float = 30.0, progress: Progress | None = None) -> Path:
    """Fetch a model into the folder of pulled models and return its path.

    It is written as ``.part`` and renamed once its sha256 has been found right, so that neither an interruption nor a
    wrong file can leave something behind that would be used.

    Args:
        name: what to fetch, a key of :data:`~mien.runtime.inference.library.PULLABLE`.
        source: a file, or an http or https URL, to take it from instead of its publisher.
        timeout: seconds without an answer or a byte after which the network is given up.
        progress: told the bytes so far and in all.

    Raises:
        UnknownModelError: nothing of that name can be pulled.
        DownloadError: the source is missing, unreachable or broke off.
        ChecksumError: what came is not the file that was published.
    """
    if name not in PULLABLE:
        raise UnknownModelError(f"no model '{name}' can be pulled: {nearest(name, PULLABLE)}")
    record = PULLABLE[name]
    record.path.parent.mkdir(parents=True, exist_ok=True)
    where = source or record.url
    part = record.path.with_name(f"{record.file}.{os.getpid()}.part")
    try:
        with _open(where, timeout, record) as stream, part.open("wb") as file:
            found = _copy(stream, file, where, record, progress)
        if found != record.sha256:
            raise ChecksumError(
                f"{where} has sha256 {found}, {record.name} needs {record.sha256}: it is another file or version; "
                "nothing was kept"
            )
        part.replace(record.path)
    finally:
        part.unlink(missing_ok=True)
    return record.path


def _open(where: str, timeout: float, record: Pullable) -> AbstractContextManager[BinaryIO]:
    if not where.startswith(("http://", "https://")):
        try:
            return Path(where).open("rb")
        except OSError as error:
            raise DownloadError(f"{where}: {error.strerror}; --from takes a file or an http(s) URL") from None
    try:
        return cast(BinaryIO, urllib.request.urlopen(where, timeout=timeout))  # noqa: S310 (scheme checked above)
    except urllib.error.HTTPError as error:
        with error:
            raise DownloadError(f"{where} answered {error.code} {error.reason}. {_remedy(record)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{where} cannot be reached ({reason}). {_remedy(record)}") from None


def _copy(stream: BinaryIO, file: BinaryIO, where: str, record: Pullable, progress: Progress | None) -> str:
    """Copy the stream and return its sha256; more or fewer bytes than announced are refused."""
    digest = hashlib.sha256()
    done = 0
    try:
        while block := stream.read(_BLOCK):
            done += len(block)
            if done > record.bytes:
                break
            digest.update(block)
            file.write(block)
            if progress:
                progress(done, record.bytes)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{where} broke off after {done:,} of {record.bytes:,} bytes ({error}). Try again"
        ) from None
    if done != record.bytes:
        size = f"only {done:,}" if done < record.bytes else "more"
        raise DownloadError(f"{where} gave {size} bytes, {record.name} has {record.bytes:,}: cut short or another file")
    return digest.hexdigest()


def _remedy(record: Pullable) -> str:
    return (
        f"Without internet, fetch {record.url} elsewhere and run: mien models pull {record.name} --from FILE "
        "(or --from the URL of a mirror)"
    )
