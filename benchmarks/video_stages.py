"""Where the time of watching goes: CPU seconds of each stage, without those of the stages inside it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import Detector
from mien.runtime.stream import watcher
from mien.runtime.stream.smooth import Smoother
from mien.runtime.stream.source import Source
from mien.runtime.stream.stream_picture import DecodedPicture, StreamPicture
from mien.runtime.stream.track import Tracker

Value = TypeVar("Value")

DECODE, REST = "decode", "between threads, and the rest"
STAGES = (
    DECODE,
    "convert to RGB",
    "search whole pictures",
    "look for known faces",
    "track",
    "crop",
    "judge quality",
    "classify",
    "smooth",
    "put frames together",
    REST,
)
"""In the order in which a picture goes through them."""


class StageClock:
    """Adds up what stages take. A stage runs within one thread; different threads may run different stages.

    Attributes:
        seconds: CPU seconds of each stage's own thread so far, without those of the stages within it.
    """

    def __init__(self) -> None:  # noqa: D107
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._local = threading.local()

    def charge(self, stage: str, work: Callable[[], Value]) -> Value:
        """Do some work on a stage's account."""
        outer = getattr(self._local, "within", 0.0)
        self._local.within = 0.0
        start = time.thread_time()
        try:
            return work()
        finally:
            took = time.thread_time() - start
            self.seconds[stage] += took - self._local.within
            self._local.within = outer + took

    def timed(self, stage: str, function: Callable[..., Value]) -> Callable[..., Value]:
        """The function, on a stage's account whenever it is called."""
        return lambda *args, **kwargs: self.charge(stage, lambda: function(*args, **kwargs))

    @contextmanager
    def watching(self, detector: Detector) -> Iterator[None]:
        """Charge what :class:`~mien.runtime.stream.watcher.Watcher` does, with this detector, to its stages."""
        parts: list[tuple[str, Any, str]] = [
            ("convert to RGB", DecodedPicture, "reduced"),
            ("convert to RGB", DecodedPicture, "cut"),
            ("search whole pictures", type(detector), "detect"),
            ("look for known faces", type(detector), "detect_near"),
            *(("track", Tracker, name) for name in ("predict", "update", "confirm", "ended")),
            ("crop", watcher, "crop_face"),
            ("judge quality", watcher, "assess"),
            ("classify", OnnxClassifier, "read"),
            ("smooth", Smoother, "step"),
            ("put frames together", watcher.Watcher, "step"),
        ]
        with ExitStack() as stack:
            for stage, owner, name in parts:
                stack.enter_context(patch.object(owner, name, self.timed(stage, getattr(owner, name))))
            yield


class TimedSource:
    """A :class:`~mien.runtime.stream.source.Source` whose decoding is charged to a clock."""

    def __init__(self, source: Source, clock: StageClock) -> None:
        """Take the source to read."""
        self.name = source.name
        self.live = source.live
        self._source = source
        self._clock = clock

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures in order."""
        pictures = self._source.pictures()
        while (picture := self._clock.charge(DECODE, lambda: next(pictures, None))) is not None:
            yield picture

    def close(self) -> None:
        """Close the source."""
        self._source.close()
