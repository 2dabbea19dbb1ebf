"""What a camera would ask of the pipeline: pictures at their own pace, and none at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import harness
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.stream_picture import StreamPicture
from mien.runtime.stream.watcher import Watcher, watch_pictures


class PacedSource:
    """A video as a camera would give it: each picture at its own time, on this machine's clock.

    Attributes:
        arrived: ``time.perf_counter()`` at which each picture was there, by its index.
    """

    live = True

    def __init__(self, path: Path) -> None:
        """Open the video."""
        self.name = path.name
        self.arrived: dict[int, float] = {}
        self._video = open_source(path)

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures, each when it is due."""
        start = time.perf_counter()
        for picture in self._video.pictures():
            time.sleep(max(start + picture.time - time.perf_counter(), 0))
            self.arrived[picture.index] = time.perf_counter()
            yield picture

    def close(self) -> None:
        """End the video."""
        self._video.close()


class SilentSource:
    """A camera that gives nothing."""

    name = "silent"
    live = True

    def __init__(self) -> None:
        """Begin to wait."""
        self._closed = threading.Event()

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """Nothing, until it is closed."""
        self._closed.wait()
        yield from ()

    def close(self) -> None:
        """End the waiting."""
        self._closed.set()


def live(path: Path, recognizer: Recognizer, frames: int) -> dict[str, Any]:
    """Watch a video at its own pace: latency from each picture's arrival to its readings, and the load of one core."""
    source = PacedSource(path)
    milliseconds, last = [], 0
    cpu, wall = time.process_time(), time.perf_counter()
    with closing(watch_pictures(Watcher(recognizer.reader), source)) as pairs:
        for _, picture in islice(pairs, frames):
            milliseconds.append(1000 * (time.perf_counter() - source.arrived[picture.index]))
            last = picture.index
    return {
        "detector": recognizer.detector.name,
        "frames": len(milliseconds),
        "frames_passed_over": last + 1 - len(milliseconds),
        "latency_ms": harness.percentiles(milliseconds),
        "share_of_a_core": (time.process_time() - cpu) / (time.perf_counter() - wall),
    }


def idle(recognizer: Recognizer, seconds: float) -> float:
    """Share of one core that watching takes while no picture comes."""
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    cpu, wall = time.process_time(), time.perf_counter()
    timer.start()
    for _ in watch_pictures(Watcher(recognizer.reader), SilentSource(), stop=stop):
        pass
    timer.join()
    return (time.process_time() - cpu) / (time.perf_counter() - wall)
