"""Animated WebP files as streams: FFmpeg opens them and decodes nothing of them, OpenCV does."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from mien.core.errors import PictureError, VideoError
from mien.core.opencv_log import quiet
from mien.core.pictures import read_picture, rgb_of
from mien.core.preprocess import Image
from mien.runtime.stream.source import Say
from mien.runtime.stream.stream_picture import ArrayPicture, StreamPicture

AT_ONCE = 256_000_000
"""Bytes of pictures that are decoded together. Each call decodes all that comes before as well."""

_SHORTEST, _INSTEAD = 0.010, 0.100
"""A picture that stands for no longer than the first stands for the second, seconds: so browsers show it."""


class Animation:
    """An animated WebP, its pictures in order with the times that the file gives; it is shown once, however it loops.

    Raises:
        VideoError: it is damaged or cut short.
    """

    live = False

    def __init__(self, path: Path, *, say: Say) -> None:
        """Read the file; its pictures are decoded as they are asked for."""
        self.name = str(path)
        self._say = say
        self._closed = False
        try:
            height, width = read_picture(path).shape[:2]
        except PictureError as error:
            raise VideoError(str(error)) from None
        self._data = np.frombuffer(path.read_bytes(), dtype=np.uint8)[None]
        self._count = max(AT_ONCE // (4 * width * height), 1)

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures in order."""
        time = 0.0
        for index, (picture, seconds) in enumerate(self._decoded()):
            if self._closed:
                return
            yield ArrayPicture(picture, index=index, time=time)
            time += seconds

    def close(self) -> None:
        """End :meth:`pictures`."""
        self._closed = True

    def _decoded(self) -> Iterator[tuple[Image, float]]:
        """Pictures, and the seconds that each stands for."""
        start = 0
        while True:
            with quiet:
                whole, animation = cv2.imdecodeanimation(self._data, start=start, count=self._count)
            frames = animation.frames if whole else ()
            for frame, milliseconds in zip(frames, np.ravel(animation.durations), strict=False):
                seconds = float(milliseconds) / 1000
                yield rgb_of(cast(Image, frame)), seconds if seconds > _SHORTEST else _INSTEAD
            start += len(frames)
            if not whole:
                self._say(f"{self.name}: damaged after {start} pictures, it was read as far as it goes")
            if len(frames) < self._count:
                return
