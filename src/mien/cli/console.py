"""The console as every command meets it: in any code page, closed by its reader, or on a full disk."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from mien.cli.progress import say
from mien.core.errors import MienError
from mien.core.safe_text import escaped, printable

_ERRORS = "mien"
_SIGNS = {
    **dict.fromkeys("·–—−", "-"),
    **dict.fromkeys("\u202f\xa0", " "),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    **dict(zip("…×→≥≤±•█░", ("...", "x", "->", ">=", "<=", "+-", "*", "#", "."), strict=True)),
}
"""What stands for a sign where the console's code page lacks it; everything else becomes an escape."""


@contextmanager
def any_console() -> Iterator[None]:
    """Standard output and error that take any text, and a standard output whose failure is one sentence.

    Raises:
        MienError: standard output was closed before the end, or its disk is full.
    """
    codecs.register_error(_ERRORS, _replace)
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        # a program without standard streams, as the system starts it, has nobody to tell
        streams = [stream or stack.enter_context(open(os.devnull, "w")) for stream in before]  # noqa: PTH123
        for stream in streams:
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=_ERRORS)
        sys.stdout, sys.stderr = cast(TextIO, _Output(streams[0])), cast(TextIO, _Notices(streams[1]))
        try:
            try:
                yield
            finally:
                sys.stdout.flush()
        except MienError as error:
            say(f"mien: {error}")
            sys.exit(1)
        except OSError as error:
            say(f"mien: {_system_error(error)}")
            sys.exit(1)
        finally:
            sys.stdout, sys.stderr = before


class _Output:
    """Standard output whose failure is one sentence; what is written after that goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise self._lost(error) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: OSError) -> MienError:
        # what is still buffered would fail once more when Python ends
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        if error.errno in (errno.EPIPE, errno.EINVAL):  # the second is a closed pipe on Windows
            return MienError("whoever read the output closed it before its end; the rest was not written")
        return MienError(f"standard output cannot be written any further ({error.strerror})")


class _Notices(_Output):
    """Standard error: when it fails there is nobody left to tell."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign) or escaped(sign) for sign in lost), error.end


def _system_error(error: OSError) -> str:
    """An error of the system that no command foresaw, in one sentence."""
    where = printable(error.filename) if error.filename else "a file"
    remedy = {
        errno.ENOSPC: ": make room, and run the same command again",
        errno.EDQUOT: ": make room, and run the same command again",
        errno.EACCES: ": allow it, or name another place",
        errno.EROFS: ": name another place",
    }.get(error.errno or 0, "")
    return f"{where}: {error.strerror or error}{remedy}"
