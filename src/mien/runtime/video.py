"""Streams of pictures from files and folders, one at a time, with the time stamps that the file itself has.

:func:`open_source` is the one door; cameras and network streams are in :mod:`mien.runtime.live`.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mien.core.errors import PictureError, VideoError
from mien.core.pictures import iter_pictures, read_picture
from mien.runtime.decode import (
    NOTHING,
    Decoding,
    announced_end,
    open_container,
    open_file,
    public_address,
    turns,
    video_stream,
)
from mien.runtime.shots import ArrayShot, Converter, DecodedShot, Shot

if TYPE_CHECKING:
    from av.container import InputContainer

Say = Callable[[str], None]
"""Told in one sentence what a user should know and no error stands for: what was skipped, lost or found again."""

FPS = 25.0
"""Pictures per second of a folder, unless the user says otherwise."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@runtime_checkable
class Source(Protocol):
    """A stream of pictures.

    Attributes:
        name: what results call it.
        live: whether pictures come by themselves, so that a late reader must let some go.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def live(self) -> bool: ...  # noqa: D102

    def shots(self) -> Generator[Shot, None, None]:
        """The pictures in order, each made when it is asked for; to be used once.

        Raises:
            VideoError: the stream holds no picture, or was lost for good.
        """
        ...

    def close(self) -> None:
        """End :meth:`shots`, also from another thread, and let go of what is open. May be called again."""
        ...


def say_in_log(notice: str) -> None:
    """Log a notice as a warning of the logger ``mien``: what happens to it where nobody listens."""
    logging.getLogger("mien").warning(notice)


def open_source(
    source: str | Path | int, *, say: Say = say_in_log, fps: float = FPS, retry: float = 60.0, threads: int = 1
) -> Source:
    """Open a stream.

    Args:
        source: a video file; a folder of pictures; a camera's number; or a URL that FFmpeg can open (``rtsp://``,
            ``http://`` …).
        say: told what was skipped, lost or found again.
        fps: pictures per second of a folder.
        retry: seconds for which a camera or stream that was lost is tried again.
        threads: threads that decode a file.

    Raises:
        VideoError: it cannot be opened; the message says why.
    """
    from mien.runtime.live import Camera, NetworkStream

    text = str(source)
    if isinstance(source, int) or text.isdecimal():
        return Camera(int(source if isinstance(source, int) else text), say=say, retry=retry)
    if _URL.match(text):
        name = public_address(text)
        container = open_container(name, text)
        if container.duration is None:
            return NetworkStream(text, container, say=say, retry=retry)
        return VideoFile(name, container, say=say, threads=threads)
    if Path(text).is_dir():
        return PictureFolder(Path(text), say=say, fps=fps)
    return VideoFile(text, open_file(Path(text)), say=say, threads=threads)


class VideoFile:
    """A video file, or a URL of one.

    Times are the container's own, from its first picture on. Pictures are turned upright as the file says. What cannot
    be decoded is skipped and counted.
    """

    live = False

    def __init__(self, name: str, container: InputContainer, *, say: Say, threads: int = 1) -> None:
        """Take an open container.

        Raises:
            VideoError: it has no video, or one in a code that FFmpeg does not know.
        """
        self.name = name
        self._say = say
        self._container = container
        self._stream = video_stream(name, container)
        self._stream.thread_type = "FRAME" if threads > 1 else "NONE"
        self._stream.codec_context.thread_count = threads
        self._end = announced_end(container, self._stream)
        self._closed = False

    def shots(self) -> Generator[Shot, None, None]:
        """The pictures in order.

        Raises:
            VideoError: not one can be decoded.
        """
        frames, converter, time, index = Decoding(self._container, self._stream), Converter(), 0.0, -1
        try:
            for index, frame in enumerate(frames):
                if self._closed:
                    return
                time = max(frames.time, time)
                yield DecodedShot(frame, index=index, time=time, turns=turns(frame), converter=converter)
        finally:
            self._container.close()
        if index < 0:
            raise VideoError(f"{self.name}: {NOTHING}")
        if frames.damaged:
            self._say(
                f"{self.name}: {frames.damaged} damaged picture{'s were' if frames.damaged > 1 else ' was'} skipped"
            )
        if frames.broken or time < self._end - max(0.5, 0.02 * self._end):
            announced = f" of {self._end:.1f} s" if self._end > time else ""
            self._say(f"{self.name}: the file is cut short, it was read as far as it goes: {time:.1f} s{announced}")

    def close(self) -> None:
        """End :meth:`shots`."""
        self._closed = True


class PictureFolder:
    """The pictures of a folder and of those below, as frames at a fixed rate: ``frame2.png`` before ``frame10.png``.

    Raises:
        VideoError: there is none, or the rate is not positive.
    """

    live = False

    def __init__(self, folder: Path, *, say: Say, fps: float = FPS) -> None:
        """List the folder."""
        if not (math.isfinite(fps) and fps > 0):
            raise VideoError(f"pictures per second must be above 0, got {fps}")
        self.name = str(folder)
        self._say = say
        self._fps = fps
        try:
            self._paths = sorted(iter_pictures([folder]), key=_counting)
        except PictureError as error:
            raise VideoError(str(error)) from None
        self._closed = False

    def shots(self) -> Generator[Shot, None, None]:
        """The pictures in order; one that cannot be read is skipped, said, and keeps its time.

        Raises:
            VideoError: not one can be read.
        """
        read = 0
        for index, path in enumerate(self._paths):
            if self._closed:
                return
            try:
                picture = read_picture(path)
            except PictureError as error:
                self._say(f"skipped {error}")
                continue
            read += 1
            yield ArrayShot(picture, index=index, time=index / self._fps)
        if read == 0:
            raise VideoError(f"{self.name}: not one of its {len(self._paths)} pictures can be read")

    def close(self) -> None:
        """End :meth:`shots`."""
        self._closed = True


def _counting(path: Path) -> list[tuple[int, int, str]]:
    """Key by which numbers in names sort by value."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", str(path))]
