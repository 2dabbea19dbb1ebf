"""Watching video: speed, latency and stages, what the cadence misses, and the ``fer`` package on the same file.

    python benchmarks/video.py [--model MODEL] [--fer-frames 150] [--cache FOLDER]

Needs YuNet (``mien models pull yunet``). The videos, and an environment with ``fer``, are made once and kept in the
cache. ``--fer-frames 0`` leaves ``fer`` out, whose environment takes 2 GB.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

import harness
import video_fer
from mien.core.face import Box
from mien.runtime.inference.detect import YuNetDetector
from mien.runtime.inference.library import detector_path
from mien.runtime.output.mp4 import VideoSink
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.follow import DetectEvery
from video_clip import FACE_SIDES, Clip
from video_live import idle, live
from video_runs import Boxes, Run, agreement, decode, search_each, watch
from video_stages import STAGES, StageClock

GOALS = {
    "fps": {"yunet": 200, "haar": 60},
    "latency_p95_ms": 10,
    "over_decoding": 2.5,
    "fewer_than_fer": {"default": 60, "haar": 10},
    "missed": 0.01,
    "mean_iou": 0.8,
}
"""At 720p with one face and the default cadence; what is missed, in all videos."""

CADENCES: tuple[DetectEvery, ...] = ("auto", 1)
LIVE_FRAMES, IDLE_SECONDS = 240, 5.0
TURNS = 3


@dataclass(frozen=True)
class Video:
    """A clip with its file, and the faces that a search of each whole picture finds in it.

    Finds of that search where no face was drawn are no faces: they are left out, and counted.
    """

    clip: Clip
    path: Path
    reference: Boxes
    left_out: int

    @property
    def labels(self) -> dict[str, int]:
        """What its rows begin with."""
        return {"height": self.clip.height, "faces": self.clip.faces}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a bundled name or a path")
    parser.add_argument("--heights", type=int, nargs="+", default=[480, 720, 1080], help="of the pictures, pixels")
    parser.add_argument("--faces", type=int, nargs="+", choices=FACE_SIDES, default=list(FACE_SIDES))
    parser.add_argument("--frames", type=int, default=450, help="of each video")
    parser.add_argument("--fer-frames", type=int, default=150, help="frames that fer is timed on; 0 leaves it out")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mien-benchmarks")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for video.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    recognizers = {name: Recognizer(options.model, detector=name) for name in ("yunet", "haar")}
    clips = [Clip(height, faces, options.frames) for height in options.heights for faces in options.faces]
    videos = list(_videos(clips, options.cache))
    single = [video for video in videos if video.clip.faces == min(options.faces)]
    for recognizer in recognizers.values():
        watch(videos[0].path, recognizer, limit=30)
    measured = {
        "model": options.model,
        "threads": 1,
        "goals": GOALS,
        "rows": [
            row
            for video in videos
            for name, recognizer in recognizers.items()
            if name == "yunet" or video in single
            for row in _speed(video, name, recognizer)
        ],
        "stages": [row for video in single for row in _stages(video, recognizers)],
        "encoding": [_encoding(video, recognizers["yunet"], options.cache) for video in single],
        "live": [{**v.labels, **live(v.path, r, LIVE_FRAMES)} for v in single for r in recognizers.values()],
        "idle_share_of_a_core": idle(recognizers["yunet"], IDLE_SECONDS),
    }
    if options.fer_frames:
        python = video_fer.environment(options.cache)
        measured["fer"] = [_beside_fer(video, recognizers, python, options.fer_frames) for video in single]
    harness.write("video", measured, folder=options.out)


def _videos(clips: list[Clip], cache: Path) -> Iterator[Video]:
    """The clips with their references, which are found by two threads at once: nothing is timed here."""
    paths = [clip.file(cache) for clip in clips]
    with ThreadPoolExecutor(2) as pool:
        for clip, path, found in zip(clips, paths, pool.map(_found, clips, paths), strict=True):
            faces = [[box for box in boxes if _is_drawn(box, clip, index)] for index, boxes in enumerate(found)]
            yield Video(clip, path, faces, sum(map(len, found)) - sum(map(len, faces)))


def _found(clip: Clip, path: Path) -> Boxes:
    return search_each(path, YuNetDetector(detector_path("yunet"), search_size=clip.width))


def _is_drawn(box: Box, clip: Clip, index: int) -> bool:
    return any(box.iou(drawn) >= 0.3 for drawn in clip.drawn(index))


def _speed(video: Video, detector: str, recognizer: Recognizer) -> Iterator[dict[str, Any]]:
    """One row for each cadence, beside decoding alone; of several runs in turn, those with the least CPU time."""
    for cadence in CADENCES:
        turns = [
            (decode(video.path), watch(video.path, recognizer, detect_every=cadence))
            for _ in range(TURNS if cadence == "auto" else 1)
        ]
        floor = min(alone.cpu_seconds_per_1000 for alone, _ in turns)
        run = min((watched for _, watched in turns), key=lambda one: one.cpu_seconds_per_1000)
        yield {
            **video.labels,
            "detector": detector,
            "detect_every": cadence,
            **run.to_dict(),
            "decoding_cpu_seconds_per_1000": floor,
            "over_decoding": run.cpu_seconds_per_1000 / floor,
            "agreement": {**agreement(run.boxes, video.reference), "reference_left_out": video.left_out},
        }


def _stages(video: Video, recognizers: Mapping[str, Recognizer]) -> Iterator[dict[str, Any]]:
    """CPU milliseconds a frame of each stage; what no stage accounts for goes to the last one."""
    for name, recognizer in recognizers.items():
        for cadence in CADENCES:
            clock = StageClock()
            with clock.watching(recognizer.detector):
                run = watch(video.path, recognizer, detect_every=cadence, clock=clock)
            clock.seconds[STAGES[-1]] = run.cpu_seconds - sum(clock.seconds.values())
            stages = {stage: 1000 * clock.seconds[stage] / run.frames for stage in STAGES}
            yield {**video.labels, "detector": name, "detect_every": cadence, "milliseconds": stages}


def _encoding(video: Video, recognizer: Recognizer, cache: Path) -> dict[str, Any]:
    """What the annotated video costs on top: the whole picture as RGB, drawing, and H.264."""
    plain = watch(video.path, recognizer)
    sink = VideoSink(cache / "annotated.mp4", overwrite=True)
    try:
        whole = watch(video.path, recognizer, write=lambda frame, picture: sink.write(frame, lambda: picture.rgb))
    finally:
        sink.close()
    return {
        **video.labels,
        "fps": whole.frames / whole.seconds,
        "cpu_seconds_per_1000": whole.cpu_seconds_per_1000 - plain.cpu_seconds_per_1000,
    }


def _beside_fer(video: Video, recognizers: Mapping[str, Recognizer], python: Path, frames: int) -> dict[str, Any]:
    """The first frames by each contender: mien once before ``fer`` and once after it."""
    plans: dict[str, tuple[str, DetectEvery]] = {
        "mien": ("yunet", "auto"),
        "mien, Haar": ("haar", "auto"),
        "mien, Haar on every frame": ("haar", 1),
    }

    def turn() -> dict[str, Run]:
        return {
            label: watch(video.path, recognizers[name], detect_every=cadence, limit=frames)
            for label, (name, cadence) in plans.items()
        }

    before, theirs, after = turn(), video_fer.measure(python, video.path, frames), turn()
    runs = {label: _joined(before[label], after[label]) for label in plans}
    boxes = [[Box(*map(float, box)) for box in found] for found in theirs["boxes"]]
    fer = Run(theirs["frames"], theirs["seconds"], theirs["cpu_seconds"], theirs["milliseconds"], boxes)
    return {
        **video.labels,
        "versions": theirs["versions"],
        "rows": [
            {
                "contender": label,
                **run.to_dict(),
                "fewer_cpu_seconds": fer.cpu_seconds_per_1000 / run.cpu_seconds_per_1000,
                "agreement": agreement(run.boxes, video.reference),
            }
            for label, run in {"fer": fer, **runs}.items()
        ],
    }


def _joined(one: Run, other: Run) -> Run:
    """Two runs over the same frames as one."""
    return Run(
        one.frames + other.frames,
        one.seconds + other.seconds,
        one.cpu_seconds + other.cpu_seconds,
        one.milliseconds + other.milliseconds,
        one.boxes,
    )


if __name__ == "__main__":
    main()
