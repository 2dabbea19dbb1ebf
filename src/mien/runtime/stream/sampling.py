"""One picture every so often, over hours: the camera is closed in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing

from mien.core.errors import VideoError
from mien.runtime.stream.source import Say, Source
from mien.runtime.stream.stream_picture import ArrayShot, Shot

WARM_UP = 1.0
"""Seconds that a camera is given to set its exposure before its picture counts."""


def sample(
    open_: Callable[[], Source],
    *,
    every: float,
    duration: float | None,
    say: Say,
    stop: threading.Event | None = None,
    warm_up: float = WARM_UP,
) -> Generator[Shot, None, None]:
    """One picture every ``every`` seconds, the first at once.

    A live source is opened for each picture and closed before the wait for the next. One that is missing is said and
    left out; if it is the first, that is an error. A file is read through, and its pictures are taken by its own time.

    Args:
        open_: opens the source.
        every: seconds from one picture to the next.
        duration: seconds after which none is taken any more; None for no end but the source's or ``stop``'s.
        say: told which picture is missing, and why.
        stop: ends the wait and the samples when it is set.
        warm_up: seconds from opening a live source to the picture.

    Raises:
        VideoError: the source cannot be opened at the first time, or is a file without pictures.
        ValueError: ``every`` or ``duration`` is not positive.
    """
    if every <= 0 or (duration is not None and duration <= 0):
        raise ValueError(f"every and duration must be above 0 s, got {every} and {duration}")
    stop, start, index = stop or threading.Event(), time.monotonic(), 0
    source = open_()
    if not source.live:
        yield from _by_time(source, every=every, duration=duration, stop=stop)
        return
    taken = _last_of_warm_up(source, warm_up, stop)
    while True:
        if stop.is_set():
            return
        yield ArrayShot(taken.picture, index=index, time=time.monotonic() - start)
        while True:
            index = max(index + 1, int((time.monotonic() - start) / every))
            if (duration is not None and index * every >= duration) or stop.wait(
                max(start + index * every - time.monotonic(), 0.0)
            ):
                return
            try:
                taken = _last_of_warm_up(open_(), warm_up, stop)
                break
            except VideoError as error:
                say(f"no picture at {index * every:g} s: {error}")


def _by_time(
    source: Source, *, every: float, duration: float | None, stop: threading.Event
) -> Generator[Shot, None, None]:
    due = 0.0
    with closing(source), closing(source.shots()) as shots:
        for shot in shots:
            if stop.is_set() or (duration is not None and shot.time >= duration):
                return
            if shot.time >= due:
                yield shot
                due = (shot.time // every + 1) * every


def _last_of_warm_up(source: Source, warm_up: float, stop: threading.Event) -> Shot:
    with closing(source), closing(source.shots()) as shots:
        last = next(shots)
        while last.time < warm_up and not stop.is_set():
            last = next(shots, last)
        return last
