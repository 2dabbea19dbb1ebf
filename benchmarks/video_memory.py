"""Whether memory grows while a stream is watched for an hour: resident memory over 108,000 frames, rows on disk.

python benchmarks/video_memory.py [--frames N] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Generator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

import harness
from mien.runtime.output.tables import CsvStreamSink
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.stream_picture import StreamPicture
from mien.runtime.stream.watcher import Watcher, watch_pictures
from video_clip import FPS, Clip

GOAL = 20
"""MB of 10^6 bytes by which resident memory may grow after the warm-up."""

SAMPLES = 100


class RepeatedSource:
    """A video over and over, opened and decoded anew each time, on one clock that goes on."""

    live = False

    def __init__(self, path: Path) -> None:
        """Take the file."""
        self.name = path.name
        self._path = path
        self._closed = False

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """Its pictures without an end."""
        index, began = 0, 0.0
        while True:
            picture: Any
            for picture in open_source(self._path).pictures():
                if self._closed:
                    return
                picture.index, picture.time = index, began + picture.time
                index += 1
                yield picture
            began = picture.time + 1 / FPS

    def close(self) -> None:
        """End :meth:`pictures`."""
        self._closed = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a bundled name or a path")
    parser.add_argument("--detector", choices=("haar", "yunet"), default="yunet")
    parser.add_argument("--frames", type=int, default=108_000, help="an hour at 30 a second")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "mien-benchmarks")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for video_memory.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clip = Clip(height=240, faces=2, frames=450)
    video = clip.file(options.cache)
    recognizer = Recognizer(options.model, detector=options.detector)
    start = time.perf_counter()
    megabytes = _watch(RepeatedSource(video), recognizer, options.frames)
    warm = megabytes[len(megabytes) // 20 :]
    measured = {
        "model": options.model,
        "detector": options.detector,
        "threads": 1,
        "height": clip.height,
        "faces": clip.faces,
        "frames": options.frames,
        "warm_up_frames": options.frames // 20,
        "seconds": time.perf_counter() - start,
        "resident_mb": [round(value, 1) for value in megabytes],
        "growth_mb": max(warm) - warm[0],
        "growth_mb_goal": GOAL,
    }
    harness.write("video_memory", measured, folder=options.out)


def _watch(source: RepeatedSource, recognizer: Recognizer, frames: int) -> list[float]:
    """Resident MB, a hundred times along the way."""
    step = max(frames // SAMPLES, 1)
    megabytes = []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(CsvStreamSink(Path(folder) / "rows.csv")) as sink,
        closing(watch_pictures(Watcher(recognizer.reader), source)) as pairs,
    ):
        for count, (frame, picture) in enumerate(islice(pairs, frames), 1):
            sink.write(frame, partial(getattr, picture, "rgb"))
            if count % step == 0:
                megabytes.append(harness.resident_mb())
    return megabytes


if __name__ == "__main__":
    main()
