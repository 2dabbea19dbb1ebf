"""Runs within the environment that ``video_fer.py`` makes: ``fer`` at its defaults on the first frames of a video.

    python benchmarks/video_fer_side.py VIDEO FRAMES

Prints JSON: frames, wall and CPU seconds, milliseconds of each frame from the decoded picture to its readings, boxes
``[x, y, width, height]`` of each frame, versions.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import cv2
from fer.fer import FER  # type: ignore[import-not-found]

PACKAGES = ("fer", "tensorflow", "keras", "opencv-contrib-python-headless", "numpy")


def main() -> None:
    path, frames = sys.argv[1], int(sys.argv[2])
    reader = FER()
    _, first = cv2.VideoCapture(path).read()
    for _ in range(3):
        reader.detect_emotions(first)
    capture = cv2.VideoCapture(path)
    milliseconds, boxes = [], []
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(frames):
        more, picture = capture.read()
        if not more:
            break
        start = time.perf_counter()
        found = reader.detect_emotions(picture)
        milliseconds.append(1000 * (time.perf_counter() - start))
        boxes.append([[int(value) for value in one["box"]] for one in found])
    print(
        json.dumps(
            {
                "frames": len(boxes),
                "seconds": time.perf_counter() - wall,
                "cpu_seconds": time.process_time() - cpu,
                "milliseconds": milliseconds,
                "boxes": boxes,
                "versions": {name: version(name) for name in PACKAGES},
            }
        )
    )


if __name__ == "__main__":
    main()
