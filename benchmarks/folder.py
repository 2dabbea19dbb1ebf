"""A folder of pictures: all of mien against decoding and detecting alone, and whether memory grows with the count.

python benchmarks/folder.py [--model MODEL] [--pictures N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import harness
from mien.core.pictures import read_picture
from mien.runtime.inference.library import DEFAULT_MODEL
from mien.runtime.recognizer import Recognizer

GOAL = 0.8
"""Pictures a second of all of mien, as a share of those of decoding and detecting alone."""

SIDE = 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a bundled name or a path")
    parser.add_argument("--detector", choices=("haar", "yunet"), default="haar")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for folder.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as place:
        pictures = write_pictures(Path(place), options.pictures)
        recognizer = Recognizer(options.model, detector=options.detector)
        speed = _speed(recognizer, pictures)
        memory = _memory(pictures, options.model, options.detector)
    measured = {
        "model": options.model,
        "detector": options.detector,
        "pictures": options.pictures,
        "threads": 1,
        **speed,
        "peak_mb": memory,
        "peak_mb_growth": memory[str(len(pictures))] / next(iter(memory.values())),
    }
    harness.write("folder", measured, folder=options.out)


def write_pictures(folder: Path, count: int) -> list[Path]:
    """JPEGs of 640 x 640 pixels: the portrait, each time scaled and shifted otherwise."""
    random = np.random.default_rng(0)
    portrait = harness.portrait()
    paths = [folder / f"{index:04}.jpg" for index in range(count)]
    for path in paths:
        scale = random.uniform(0.7, 1.25)
        x, y = random.uniform(-60, 60, size=2) + (SIDE - scale * portrait.shape[0]) / 2
        matrix = np.array([[scale, 0, x], [0, scale, y]])
        varied = cv2.warpAffine(portrait, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
        harness.save_jpeg(path, varied.astype(np.uint8), quality=90)
    return paths


def _speed(recognizer: Recognizer, pictures: list[Path]) -> dict[str, Any]:
    """Both go through the same pictures in turns of a tenth of them, the other one first each time."""
    detector = recognizer.detector

    def detect(paths: list[Path]) -> None:
        for path in paths:
            detector.detect(read_picture(path))

    def read(paths: list[Path]) -> None:
        deque(recognizer.read_many(paths), maxlen=0)

    contenders: dict[str, Callable[[list[Path]], None]] = {"mien": read, "decode_and_detect": detect}
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    size = max(len(pictures) // 10, 1)
    chunks = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    for work in contenders.values():
        work(chunks[0])
    for chunk in chunks:
        for name, work in contenders.items():
            samples[name].append(harness.seconds(partial(work, chunk)) / len(chunk))
        contenders = dict(reversed(contenders.items()))
    return {
        "milliseconds_per_picture": {
            name: harness.percentiles([1000 * value for value in values]) for name, values in samples.items()
        },
        "pictures_per_second": {name: len(values) / sum(values) for name, values in samples.items()},
        "share_of_decode_and_detect": sum(samples["decode_and_detect"]) / sum(samples["mien"]),
        "share_goal": GOAL,
    }


def _memory(pictures: list[Path], model: str, detector: str) -> dict[str, float]:
    """Peak MB of ``mien read`` over a tenth of the pictures and over all of them, each in a fresh process."""
    command = [sys.executable, "-m", "mien", "read", "--json", "--model", model, "--detector", detector]
    counts = (max(len(pictures) // 10, 1), len(pictures))
    return {str(count): harness.child([*command, *pictures[:count]]).peak_mb for count in counts}


if __name__ == "__main__":
    main()
