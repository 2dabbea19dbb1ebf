"""How FER2013 frames its faces: the constants that core/preprocess.py and runtime/inference/detect.py hold.

    python benchmarks/framing.py --data FOLDER --yunet FILE

A network sees in use what it saw in training only if a found face is cut out as FER2013's faces are. So both detectors
search FER2013's own crops, and what is printed is where a crop's detection lies in it, as fractions of the crop's side.
Detectors need a margin around a face, so that each crop is enlarged three times and its border repeated. A mean is
printed for the landmarks, which are made symmetric, as half of the faces are mirrored in training; medians for the
boxes. The network's own framing follows: align by the landmarks where there are any, else widen the box.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import harness
from mien.core.preprocess import Image, InputSpec
from mien.data.load import load_dataset
from mien.runtime.inference.library import detector_path

SCALE, BORDER = 3, 24
"""Each 48-pixel crop is enlarged to 144 pixels, and its edge repeated for 24 pixels on each side."""

MIN_SCORE = 0.8
MIRRORED = (1, 0, 2, 4, 3)
"""Which landmark each becomes in a mirror: the eyes and the corners of the mouth change places."""

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds the datasets, if not MIEN_DATA")
    parser.add_argument("--yunet", type=Path, help="YuNet's ONNX file, if not the one in MIEN_MODELS or pulled")
    parser.add_argument("--rows", type=int, default=6000, help="Training rows to search, evenly spread")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for framing.json")
    options = parser.parse_args()
    faces = load_dataset("fer2013", InputSpec(), root=options.data).split("train").images
    chosen = faces[np.linspace(0, len(faces) - 1, min(options.rows, len(faces))).round().astype(int)]
    pictures = [_framed(face) for face in chosen]
    measured = {
        "rows": len(pictures),
        "yunet": _yunet(pictures, options.yunet or _yunet_file()),
        "haar": _haar(pictures),
    }
    harness.write("framing", measured, folder=options.out)


def symmetric(points: Floats) -> Floats:
    """Five landmarks ``(5, 2)`` averaged with their mirror image."""
    mirrored = points[list(MIRRORED)] * (-1, 1) + (1, 0)
    return (points + mirrored) / 2


def _framed(face: Image) -> Image:
    large = cv2.resize(face, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE).astype(np.uint8)


def _to_fractions(positions: Floats, side: int) -> Floats:
    return (positions - BORDER) / side


def _yunet_file() -> Path:
    """From the folder that MIEN_MODELS names, else the pulled one."""
    folder = os.environ.get("MIEN_MODELS")
    found = sorted(Path(folder).glob("face_detection_yunet*.onnx")) if folder else []
    return found[0] if found else detector_path("yunet")


def _yunet(pictures: list[Image], path: Path) -> dict[str, Any]:
    side = pictures[0].shape[0] - 2 * BORDER
    network = cv2.FaceDetectorYN.create(str(path), "", pictures[0].shape[::-1], MIN_SCORE, 0.3, 5000)
    best = []
    for picture in pictures:
        _, found = network.detect(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
        if found is not None:
            best.append(found[np.argmax(found[:, 14])])
    rows = np.array(best, dtype=np.float64)
    template = symmetric(_to_fractions(rows[:, 4:14], side).reshape(-1, 5, 2).mean(axis=0))
    return {"found": len(rows), "box": _box(rows[:, :4], side), "template": template.round(3).tolist()}


def _haar(pictures: list[Image]) -> dict[str, Any]:
    side = pictures[0].shape[0] - 2 * BORDER
    cascades = Path(cv2.__file__).parent / "data"
    cascade = cv2.CascadeClassifier(str(cascades / "haarcascade_frontalface_default.xml"))
    largest = []
    for picture in pictures:
        found = cascade.detectMultiScale(picture, scaleFactor=1.1, minNeighbors=5)
        if len(found):
            largest.append(max(found, key=lambda box: box[2] * box[3]))
    return {"found": len(largest), "box": _box(np.array(largest, dtype=np.float64), side)}


def _box(boxes: Floats, side: int) -> dict[str, float]:
    """Medians over boxes ``(n, 4)``: width, height, and how far the crop's middle is from the box's."""
    middles = _to_fractions(boxes[:, :2] + boxes[:, 2:] / 2, side)
    width, height = np.median(boxes[:, 2:] / side, axis=0)
    shift_x, shift_y = np.median(0.5 - middles, axis=0)
    values = {"width": width, "height": height, "shift_x": shift_x, "shift_y": shift_y}
    return {name: round(float(value), 3) for name, value in values.items()}


if __name__ == "__main__":
    main()
