"""Whether pictures that lie on their side or stand on their head are noticed, and upright ones left alone.

python benchmarks/turned.py JAFFE

JAFFE's heads, at four sizes, lie in parts of photographs without a face; each such picture is read in four ways.
Photographs alone must not be turned at all. ``looks`` is the time of reading over that of one search.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import harness
from mien.core.pictures import read_picture
from mien.runtime.inference.detect import make_detector
from mien.runtime.inference.reader import FaceReader, open_reader
from mien.runtime.inference.upright import turned
from scenes import Picture, background

WIDTH, HEIGHT = 640, 480
HEADS = (400, 256, 160, 100)
WAYS = (0, 90, 180, 270)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jaffe", type=Path, help="folder of JAFFE's pictures")
    parser.add_argument("--every", type=int, default=3, help="take every so many of them")
    parser.add_argument("--detectors", nargs="+", default=["yunet", "haar"])
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for turned.json")
    options = parser.parse_args()
    heads = [read_picture(path) for path in sorted(options.jaffe.glob("*.tiff"))[:: options.every]]
    rng = np.random.default_rng(0)
    pictures = {f"head of {size}": [_lay(head, size, rng) for head in heads] for size in HEADS}
    pictures["no face"] = [background(WIDTH, HEIGHT, rng) for _ in range(2 * len(heads))]
    rows = [
        row for name in options.detectors for title, some in pictures.items() for row in _measure(name, title, some)
    ]
    harness.write("turned", {"threads": 1, "rows": rows}, folder=options.out)


def _lay(head: Picture, size: int, rng: np.random.Generator) -> Picture:
    picture = background(WIDTH, HEIGHT, rng)
    top, left = rng.integers(HEIGHT - size + 1), rng.integers(WIDTH - size + 1)
    shown = cv2.resize(head, (size, size), interpolation=cv2.INTER_AREA if size < head.shape[0] else cv2.INTER_LINEAR)
    picture[top : top + size, left : left + size] = shown
    return picture


def _measure(name: str, title: str, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    reader, detector = open_reader("tiny", detector=name), make_detector(name)
    rows = []
    for way in WAYS:
        lying = [turned(picture, way) for picture in pictures]
        said = [_said(reader, picture) for picture in lying]
        searched = harness.seconds(partial(_each, detector.detect, lying))
        row = {
            "detector": name,
            "pictures": title,
            "way": way,
            "of": len(lying),
            "right": sum(one == (360 - way) % 360 for one in said),
            "wrong": sum(one is not None and one != (360 - way) % 360 for one in said),
            "looks": round(harness.seconds(partial(_each, reader.find, lying)) / searched, 2),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def _each(work: Callable[[Picture], object], pictures: Sequence[Picture]) -> None:
    for picture in pictures:
        work(picture)


def _said(reader: FaceReader, picture: Picture) -> int | None:
    """By how much the picture was turned; None where no face was found."""
    faces, _, _ = reader.find(picture)
    return faces[0].turned if faces else None


if __name__ == "__main__":
    main()
