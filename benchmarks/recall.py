"""Which faces are found in pictures of every size and shape: recall by the face's side, false detections, and time.

python benchmarks/recall.py [--scenes N]

Each scene holds up to 24 faces of one side (a real portrait, turned, lit and blurred) on parts of real photographs.
Beside the search as it is, ``one copy`` is a single search at a long side of 640 pixels; ``decode`` is the time of the
picture's JPEG file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import harness
from mien.core.face import Face
from mien.runtime.inference.detect import Detector, make_detector
from mien.runtime.inference.face_gate import bundled_gate
from mien.runtime.inference.search import LONG_SIDE
from scenes import Scene, scene

PICTURES = {
    "0.3 MP": (640, 480),
    "2 MP": (1600, 1200),
    "12 MP": (4000, 3000),
    "24 MP": (6000, 4000),
    "4:1": (6000, 1500),
    "1:15": (400, 6000),
}
SIDES = (24, 32, 40, 60, 80, 120, 200)
FACES = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2, help="scenes of each picture size and face side")
    parser.add_argument("--detectors", nargs="+", default=["yunet", "haar"])
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for recall.json")
    options = parser.parse_args()
    rows = [row for name in options.detectors for row in _measure(name, options.scenes)]
    harness.write("recall", {"threads": 1, "scenes": options.scenes, "faces": FACES, "rows": rows}, folder=options.out)


def _measure(name: str, scenes: int) -> list[dict[str, Any]]:
    whole, single = make_detector(name), make_detector(name, search_size=LONG_SIDE)
    rows = []
    for title, (width, height) in PICTURES.items():
        for side in SIDES:
            rng = np.random.default_rng(side)
            found = [_look(whole, single, scene(width, height, side, FACES, rng)) for _ in range(scenes)]
            total = {key: sum(one[key] for one in found) for key in found[0]}
            row = {"detector": name, "picture": title, "width": width, "height": height, "side": side, **total}
            print(row, flush=True)
            rows.append(row)
    return rows


def _look(whole: Detector, single: Detector, one: Scene) -> dict[str, float]:
    """What is found in one scene, by both searches, and the seconds that they and the picture's decoding take."""
    jpeg = cv2.imencode(".jpg", one.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    faces = whole.detect(one.picture)
    return {
        "faces": len(one.centres),
        "found": _hits(faces, one),
        "found_in_one_copy": _hits(single.detect(one.picture), one),
        "false": _false(faces, one),
        "false_in_one_copy": _false(single.detect(one.picture), one),
        "seconds": min(harness.seconds(lambda: whole.detect(one.picture)) for _ in range(2)),
        "seconds_one_copy": min(harness.seconds(lambda: single.detect(one.picture)) for _ in range(2)),
        "seconds_decode": min(harness.seconds(lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) for _ in range(2)),
    }


def _hits(faces: list[Face], one: Scene) -> int:
    return sum(any(_is_it(face, centre, one.side) for face in faces) for centre in one.centres)


def _false(faces: list[Face], one: Scene) -> int:
    """Detections that are no face of the scene and that the face gate lets through."""
    others = [face for face in faces if not any(_is_it(face, centre, one.side) for centre in one.centres)]
    gate = bundled_gate()
    if gate is None or not others:
        return len(others)
    from mien.core.preprocess import crop_face

    return int(gate.accepts(np.stack([crop_face(one.picture, face, gate.input) for face in others])).sum())


def _is_it(face: Face, centre: np.ndarray, side: float) -> bool:
    near = np.hypot(*(np.array(face.box.center) - centre)) < 0.4 * side
    return bool(near and 0.5 < face.box.width / side < 2)


if __name__ == "__main__":
    main()
