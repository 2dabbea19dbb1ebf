"""One picture every so often, over hours: the camera is closed in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing

from mien.core.errors import VideoError
from mien.runtime.stream.source import Say, SkippingSource, Source
from mien.runtime.stream.stream_picture import ArrayPicture, StreamPicture

WARM_UP = 1.0
"""Seconds that a camera is given to set its exposure before its picture counts."""


class SampledSource:
    """One picture every ``every`` seconds of another source, the first at once; a source itself.

    A live source is opened for each picture and closed before the wait for the next. One that is missing is said and
    left out; if it is the first, that is an error. Of a file the pictures are taken by its own time; what lies between
    one and the keyframe before the next is not decoded.

    Args:
        open_: opens the source.
        every: seconds from one picture to the next.
        duration: seconds after which none is taken any more; None for no end but the source's.
        say: told which picture is missing, and why.
        warm_up: seconds from opening a live source to the picture.

    Raises:
        VideoError: the source cannot be opened at the first time.
        ValueError: ``every`` or ``duration`` is not positive.
    """

    live = False

    def __init__(  # noqa: D107
        self,
        open_: Callable[[], Source],
        *,
        every: float,
        duration: float | None = None,
        say: Say,
        warm_up: float = WARM_UP,
    ) -> None:
        if every <= 0 or (duration is not None and duration <= 0):
            raise ValueError(f"every and duration must be above 0 s, got {every} and {duration}")
        self._open = open_
        self._every = every
        self._duration = duration
        self._say = say
        self._warm_up = warm_up
        self._closed = threading.Event()
        self._first = open_()
        self.name = self._first.name

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures in order.

        Raises:
            VideoError: the first one is missing, or the source is a file without pictures.
        """
        return self._by_clock() if self._first.live else self._by_time()

    def close(self) -> None:
        """End :meth:`pictures`, also while it waits."""
        self._closed.set()

    def _by_clock(self) -> Generator[StreamPicture, None, None]:
        start, index = time.monotonic(), 0
        taken = self._last_of_warm_up(self._first)
        while not self._closed.is_set():
            yield ArrayPicture(taken.rgb, index=index, time=time.monotonic() - start)
            while True:
                index = max(index + 1, int((time.monotonic() - start) / self._every))
                due = index * self._every
                over = self._duration is not None and due >= self._duration
                if over or self._closed.wait(max(start + due - time.monotonic(), 0.0)):
                    return
                try:
                    taken = self._last_of_warm_up(self._open())
                    break
                except VideoError as error:
                    self._say(f"no picture at {due:g} s: {error}")

    def _by_time(self) -> Generator[StreamPicture, None, None]:
        due = 0.0
        with closing(self._first), closing(self._first.pictures()) as pictures:
            for picture in pictures:
                if self._closed.is_set() or (self._duration is not None and picture.time >= self._duration):
                    return
                if picture.time >= due:
                    yield picture
                    due = (picture.time // self._every + 1) * self._every
                    if isinstance(self._first, SkippingSource):
                        self._first.skip_to(due)

    def _last_of_warm_up(self, source: Source) -> StreamPicture:
        with closing(source), closing(source.pictures()) as pictures:
            last = next(pictures)
            while last.time < self._warm_up and not self._closed.is_set():
                last = next(pictures, last)
            return last
