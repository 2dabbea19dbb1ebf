"""What a sink is: where results go, frame by frame; and the files that sinks write."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.core.preprocess import Image

Picture = Callable[[], Image]
"""Gives a frame's picture, RGB uint8 ``(height, width, 3)``; asked only by who draws, as it may have to be decoded."""


class Sink(ABC):
    """Takes the frames of pictures or of a stream one by one; :meth:`close` ends the output.

    What :meth:`write` took is in the output when it returns, and a sink's memory does not grow with their number.
    """

    @abstractmethod
    def write(self, frame: Frame, picture: Picture) -> None:
        """Take one frame's results.

        Raises:
            MienError: they cannot be written (a full disk); what was written before stays valid.
            ValueError: the sink is a stream's, and the frame has no time or one of its faces no track.
        """

    def fail(self, source: str, error: MienError) -> None:  # noqa: B027  # most outputs have no place for it
        """Take note of a picture that could not be read."""

    def close(self) -> None:  # noqa: B027  # most outputs are finished after each frame
        """Finish the output.

        Raises:
            MienError: it cannot be finished; what was written stays valid.
        """


class OutputFile:
    """A file that only ever ends after whole lines: an append that fails halfway is taken back."""

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Create the file, with its folders.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "w" if overwrite or is_device(path) else "x")
        except FileExistsError:
            refuse_existing(path)
            raise MienError(f"{path}: its folder cannot be made, as a file has that name") from None
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None
        self._whole = 0

    def append(self, text: str) -> None:
        """Add whole lines; they are in the file, not in this process's memory, when this returns.

        Raises:
            MienError: they cannot be written (a full disk); what was written before stays valid.
        """
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        except OSError as error:
            with suppress(OSError):  # a device has no end to go back to
                self._file.truncate(self._whole)
                self._file.seek(self._whole)
            raise MienError(
                f"{self._path}: cannot be written any further ({error.strerror}); "
                f"what was written before, {self._whole:,} bytes, stays valid"
            ) from None
        self._whole += done

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class OpenText:
    """Somebody else's text file, such as standard output."""

    def __init__(self, file: TextIO) -> None:
        """Write into it; it stays open at the end."""
        self._file = file

    def append(self, text: str) -> None:
        """Add whole lines, at once."""
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        """It stays open."""


def refuse_outputs(outputs: Mapping[str, Path | None], *, overwrite: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Refuse outputs of one name, one that is read, and, unless ``overwrite``, one that exists.

    Args:
        outputs: the options, and what they name.
        overwrite: whether outputs that exist may be replaced.
        inputs: the files that are read.

    Raises:
        MienError: one of them is refused.
    """
    read = {_real(path) for path in inputs}
    named: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None or is_device(path):
            continue
        key = _real(path)
        if key in named:
            raise MienError(f"{named[key]} and {option} both name {path}: give each output a file of its own")
        if key in read:
            raise MienError(f"{option} names {path}, which is read: give the output another name")
        named[key] = option
        if path.is_dir() or not overwrite:
            refuse_existing(path)


def refuse_existing(path: Path) -> None:
    """Refuse an output that exists; a device or a pipe is there to be written.

    Raises:
        MienError: it does.
    """
    if path.is_dir():
        raise MienError(f"{path}: cannot be written, as it is a folder: name a file in it")
    if path.exists() and not is_device(path):
        raise MienError(f"{path}: exists already; choose another name, or allow it to be replaced (--overwrite)")


def is_device(path: Path) -> bool:
    """Whether a path names neither a file nor a folder: a device or a pipe."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _real(path: str | Path) -> str:
    return os.path.normcase(os.path.realpath(path))
