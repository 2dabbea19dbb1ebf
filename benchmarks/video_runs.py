"""One video watched once: what it took, and which faces were found; and how these compare with a reference's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import harness
from mien.core.face import Box, Frame
from mien.runtime.inference.detect import Detector
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.follow import DetectEvery
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.source import Source
from mien.runtime.stream.stream_picture import StreamPicture
from mien.runtime.stream.watcher import Watcher, watch_pictures
from video_stages import StageClock, TimedSource

SAME = 0.5
"""Least intersection over union of a find with a face of the reference for this face to count as found."""

Boxes = list[list[Box]]
"""Of the faces in each picture."""

Write = Callable[[Frame, StreamPicture], None]


@dataclass
class Run:
    """What watching a video, or its beginning, took.

    Attributes:
        frames: how many were watched.
        seconds: on the clock.
        cpu_seconds: of all threads.
        milliseconds: on the clock, from each decoded picture to its readings.
        boxes: what was found.
    """

    frames: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    boxes: Boxes = field(default_factory=list)

    @property
    def cpu_seconds_per_1000(self) -> float:
        """CPU seconds per 1,000 frames."""
        return 1000 * self.cpu_seconds / self.frames

    def to_dict(self) -> dict[str, Any]:
        """The figures of speed."""
        latency = {"latency_ms": harness.percentiles(self.milliseconds)} if self.milliseconds else {}
        rates = {"fps": self.frames / self.seconds, "cpu_seconds_per_1000": self.cpu_seconds_per_1000}
        return {"frames": self.frames, **rates, **latency}


class _TimedWatcher(Watcher):
    milliseconds: list[float]

    def step(self, picture: StreamPicture, source: str | None = None) -> Frame:
        start = time.perf_counter()
        frame = super().step(picture, source)
        self.milliseconds.append(1000 * (time.perf_counter() - start))
        return frame


def watch(
    video: Path,
    recognizer: Recognizer,
    *,
    detect_every: DetectEvery = "auto",
    limit: int | None = None,
    write: Write | None = None,
    clock: StageClock | None = None,
) -> Run:
    """Watch a video, or its first ``limit`` frames, from the file to the readings.

    Args:
        video: the file.
        recognizer: its detector and models are used.
        detect_every: see :class:`~mien.runtime.stream.watcher.Watcher`.
        limit: frames; None for all.
        write: called with each frame, within the time that is measured.
        clock: charged with the stages, which costs a little time.
    """
    run, watcher = Run(), _TimedWatcher(recognizer.reader, detect_every=detect_every)
    watcher.milliseconds = run.milliseconds
    source: Source = open_source(video) if clock is None else TimedSource(open_source(video), clock)
    cpu, wall = time.process_time(), time.perf_counter()
    with closing(watch_pictures(watcher, source)) as pairs:
        for frame, picture in islice(pairs, limit):
            run.boxes.append([face.box for face in frame.faces])
            if write:
                write(frame, picture)
    run.seconds, run.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    run.frames = len(run.boxes)
    return run


def decode(video: Path, *, limit: int | None = None) -> Run:
    """Decode a video and do nothing with it: the floor under all that watches it."""
    run = Run()
    cpu, wall = time.process_time(), time.perf_counter()
    with closing(open_source(video).pictures()) as pictures:
        for _ in islice(pictures, limit):
            run.frames += 1
    run.seconds, run.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return run


def search_each(video: Path, detector: Detector) -> Boxes:
    """What a detector finds in each whole picture by itself."""
    return [[face.box for face in detector.detect(picture.rgb)] for picture in open_source(video).pictures()]


def agreement(found: Boxes, reference: Boxes) -> dict[str, Any]:
    """How far the finds in each picture are those of the reference, one to one, the closest first.

    Only as many pictures count as were watched.
    """
    overlaps: list[float] = []
    pairs = list(zip(found, reference, strict=False))
    for own, wanted in pairs:
        overlaps += _matched(own, wanted)
    finds, faces = (sum(map(len, side)) for side in zip(*pairs, strict=True))
    return {
        "faces": faces,
        "missed": 1 - len(overlaps) / faces,
        "false_finds": (finds - len(overlaps)) / faces,
        "mean_iou": sum(overlaps) / len(overlaps) if overlaps else 0.0,
    }


def _matched(found: Sequence[Box], reference: Sequence[Box]) -> list[float]:
    """Overlaps of the finds that are faces of the reference."""
    candidates = sorted(((a.iou(b), i, j) for i, a in enumerate(found) for j, b in enumerate(reference)), reverse=True)
    taken: tuple[set[int], set[int]] = set(), set()
    overlaps = []
    for overlap, i, j in candidates:
        if overlap >= SAME and i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            overlaps.append(overlap)
    return overlaps
