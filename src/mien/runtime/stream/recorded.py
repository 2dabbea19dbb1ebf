"""Streams of pictures from files and folders, one at a time, with the time stamps that the file itself has."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import PictureError, VideoError
from mien.core.picture_files import iter_pictures, say_left_out
from mien.core.pictures import read_picture
from mien.runtime.stream.decode import NOTHING, Decoding, announced_end, turns, video_stream
from mien.runtime.stream.source import Say
from mien.runtime.stream.stream_picture import ArrayPicture, Converter, DecodedPicture, StreamPicture

if TYPE_CHECKING:
    from av.container import InputContainer

FPS = 25.0
"""Pictures per second of a folder, unless the user says otherwise."""


class VideoFile:
    """A video file, or a URL of one.

    Times are the container's own, from its first picture on. Pictures are turned upright as the file says. What cannot
    be decoded is skipped and counted.

    Attributes:
        name: what results call it.
        duration: seconds that its header promises; 0 where it promises nothing.
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
        self.duration = announced_end(container, self._stream)
        self._frames = Decoding(container, self._stream)
        self._closed = False

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures in order.

        Raises:
            VideoError: not one can be decoded.
        """
        frames, converter, time, index = self._frames, Converter(), 0.0, -1
        try:
            for index, frame in enumerate(frames):
                if self._closed:
                    return
                time = max(frames.time, time)
                yield DecodedPicture(frame, index=index, time=time, turns=turns(frame), converter=converter)
        finally:
            self._container.close()
        if index < 0:
            raise VideoError(f"{self.name}: {NOTHING}")
        if frames.damaged:
            self._say(
                f"{self.name}: {frames.damaged} damaged picture{'s were' if frames.damaged > 1 else ' was'} skipped"
            )
        if frames.broken or time < self.duration - max(0.5, 0.02 * self.duration):
            announced = f" of {self.duration:.1f} s" if self.duration > time else ""
            self._say(f"{self.name}: the file is cut short, it was read as far as it goes: {time:.1f} s{announced}")

    def skip_to(self, time: float) -> None:
        """Go on at the last keyframe before ``time``, where that leaves something out."""
        self._frames.skip_to(time)

    def close(self) -> None:
        """End :meth:`pictures`."""
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
        others = Counter[str]()
        try:
            self._paths = sorted(iter_pictures([folder], left_out=others), key=_counting)
        except PictureError as error:
            raise VideoError(str(error)) from None
        if others:
            say(say_left_out(others))
        self._closed = False

    def pictures(self) -> Generator[StreamPicture, None, None]:
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
            yield ArrayPicture(picture, index=index, time=index / self._fps)
        if read == 0:
            raise VideoError(f"{self.name}: not one of its {len(self._paths)} pictures can be read")

    def close(self) -> None:
        """End :meth:`pictures`."""
        self._closed = True


def _counting(path: Path) -> list[tuple[int, int, str]]:
    """Key by which numbers in names sort by value."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", str(path))]
