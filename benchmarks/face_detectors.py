"""What each face detector finds, by size, angle, light and cover; what it finds where no face is; and its time.

python benchmarks/face_detectors.py PORTRAITS BACKGROUNDS JAFFE

The portraits and backgrounds are those that a face detector learns from (docs/face-detector.md); measured is on their
held-out split, which trained and chose nothing. Portraits are laid over backgrounds; a face is found where a detection
overlaps by half (intersection over union) what YuNet says of the portrait alone, at 320 pixels. JAFFE trained nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

import harness
from mien.core.face import Box, Face
from mien.core.pictures import read_picture
from mien.core.preprocess import Image, crop_face
from mien.data.load import load_dataset
from mien.data.portraits import Portrait, ask_teacher, portraits, read_folder, splits
from mien.runtime.inference.detect import Detector, OwnDetector, make_detector
from mien.runtime.inference.face_gate import bundled_gate
from mien.runtime.inference.library import detector_path, open_model

WIDTH, HEIGHT = 640, 480
SIZES = (10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 200, 320)
ANGLES = (15, 30, 45)
ANGLED = 64
"""Side of the faces that are turned, darkened, covered and blurred, pixels."""

FOUND = 0.5
CROP_SIDES = (96, 640)


def _same(picture: Image) -> Image:
    return picture


@dataclass(frozen=True, slots=True)
class Kind:
    """What faces are like: how large in pixels, by how many degrees turned, and what was done to the portrait."""

    title: str
    size: float
    angle: float = 0.0
    change: Callable[[Image], Image] = _same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path, help="folder of pictures with one face each")
    parser.add_argument("backgrounds", type=Path, help="folder of pictures without a face")
    parser.add_argument("jaffe", type=Path, help="folder of JAFFE's pictures")
    parser.add_argument("--faces", type=int, default=300, help="faces of each size, angle and condition")
    parser.add_argument("--crops", type=int, default=2000, help="parts of backgrounds that are searched in vain")
    parser.add_argument(
        "--detectors",
        nargs="+",
        default=["mien-face", "yunet", "haar"],
        help="names, or exported manifests",
    )
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for face_detectors.json")
    options = parser.parse_args()
    heads = _held_out(read_folder(options.portraits))
    people = portraits(heads, ask_teacher(heads, detector_path("yunet")).rows)
    grounds = _held_out(read_folder(options.backgrounds, long_side=1280))
    grounds = [picture for picture in grounds if min(picture.shape[:2]) >= 200]
    counts = ask_teacher(grounds, detector_path("yunet"), long_side=1280).counts
    grounds = [picture for picture, count in zip(grounds, counts, strict=True) if count == 0]
    detectors = _made(options.detectors)
    measured = {
        "threads": 1,
        "portraits": len(people),
        "backgrounds": len(grounds),
        "recall": _recall(_made(options.detectors, search_size=WIDTH, min_size=8), people, grounds, options.faces),
        "alone": {name: _alone(one, people) for name, one in detectors.items()},
        "nothing": _nothing(detectors, grounds, options.crops),
        "jaffe": {name: _jaffe(one, options.jaffe) for name, one in detectors.items()},
        "milliseconds": _times(options.detectors, people, grounds),
    }
    harness.write("face_detectors", measured, folder=options.out)


def _made(names: Sequence[str], **options: Any) -> dict[str, Detector]:
    """The detectors of those names, or of manifests, by what they are called."""
    made = [
        OwnDetector(name, **options) if name.endswith(".json") else make_detector(name, **options) for name in names
    ]
    return {one.name: one for one in made}


def _held_out(pictures: list[Image]) -> list[Image]:
    return [picture for picture, split in zip(pictures, splits(pictures), strict=True) if split == "held-out"]


def _recall(
    detectors: dict[str, Detector], people: Sequence[Portrait], grounds: Sequence[Image], faces: int
) -> list[dict[str, Any]]:
    """What one search at 640 pixels finds, by size, then, at one size, by angle, light, cover and blur."""
    kinds = [Kind(f"{size} px", size) for size in SIZES]
    kinds += [Kind(f"turned by {angle}°", ANGLED, angle) for angle in ANGLES]
    kinds += [Kind(title, ANGLED, change=change) for title, change in CHANGES.items()]
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        rng = np.random.default_rng(len(rows))
        scenes = _scenes(people, grounds, kind, faces, rng)
        row: dict[str, Any] = {"faces": kind.title, "n": sum(len(boxes) for _, boxes in scenes)}
        for name, one in detectors.items():
            found = [_hits(one.detect(picture), boxes) for picture, boxes in scenes]
            row[name] = round(float(np.concatenate(found).mean()), 4)
        print(row, flush=True)
        rows.append(row)
    return rows


def _scenes(
    people: Sequence[Portrait],
    grounds: Sequence[Image],
    kind: Kind,
    faces: int,
    rng: np.random.Generator,
) -> list[tuple[Image, list[Box]]]:
    """Pictures of 640 x 480 with faces of one size, each in a cell of its own with its surroundings."""
    cell = min(round(2.6 * kind.size) + 8, HEIGHT)
    across, down = max(WIDTH // cell, 1), max(HEIGHT // cell, 1)
    several = min(across * down, 20)
    scenes, order = [], rng.permutation(len(people))
    for first in range(0, min(faces, len(people)), several):
        canvas = _part(grounds[int(rng.integers(len(grounds)))], rng)
        boxes = []
        for place, person in zip(rng.permutation(across * down), order[first : first + several], strict=False):
            row, column = divmod(int(place), across)
            middle = ((column + 0.5) * WIDTH / across, (row + 0.5) * HEIGHT / down)
            turn = kind.angle if rng.random() < 0.5 else -kind.angle
            boxes.append(_lay(canvas, people[person], replace(kind, angle=turn), middle, cell))
        scenes.append((canvas, boxes))
    return scenes


def _lay(canvas: Image, one: Portrait, kind: Kind, middle: tuple[float, float], cell: int) -> Box:
    """Lay a portrait, turned about its face's middle and cut to its cell; the face's box as mien frames it."""
    scale = kind.size / float(np.sqrt(one.box[2] * one.box[3]))
    width, height = (max(round(side * scale), 2) for side in one.picture.shape[1::-1])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = kind.change(cast(Image, cv2.resize(one.picture, (width, height), interpolation=way)))
    centre = (one.box[:2] + one.box[2:] / 2) * scale
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), kind.angle, 1.0)
    matrix[:, 2] = matrix[:, 2] + cell / 2 - centre
    laid = cv2.warpAffine(picture, matrix, (cell, cell))
    share = cv2.warpAffine(np.ones((height, width), np.float32), matrix, (cell, cell))[..., None]
    left, top = (round(value - cell / 2) for value in middle)
    left, top = min(max(left, 0), WIDTH - cell), min(max(top, 0), HEIGHT - cell)
    under = canvas[top : top + cell, left : left + cell]
    under[:] = np.round(share * laid + (1 - share) * under)
    return _framed(left + cell / 2, top + cell / 2, kind.size)


def _framed(x: float, y: float, size: float) -> Box:
    """The square that mien makes of YuNet's box of that middle and mean side."""
    side = size / np.sqrt(0.807 * 1.077)
    return Box(x + 0.005 * side - side / 2, y - 0.018 * side - side / 2, side, side)


def _part(ground: Image, rng: np.random.Generator) -> Image:
    """A part of a background as a picture of 640 x 480."""
    height, width = ground.shape[:2]
    across = int(rng.uniform(0.5, 1.0) * min(width, height * WIDTH / HEIGHT))
    down = across * HEIGHT // WIDTH
    left, top = rng.integers(width - across + 1), rng.integers(height - down + 1)
    part = ground[top : top + down, left : left + across]
    return np.array(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _hits(faces: Sequence[Face], boxes: Sequence[Box]) -> NDArray[np.bool_]:
    return np.array([any(face.box.iou(box) >= FOUND for face in faces) for box in boxes])


def _covered(picture: Image) -> Image:
    """The lower half of the picture behind a grey cloth, which hides mouth and chin of a portrait's face."""
    changed = picture.copy()
    changed[round(0.58 * len(changed)) :] = 120
    return changed


CHANGES: dict[str, Callable[[Image], Image]] = {
    "a quarter of the light": lambda picture: cast(Image, (picture * 0.25).astype(np.uint8)),
    "a tenth of the light": lambda picture: cast(Image, (picture * 0.1).astype(np.uint8)),
    "blurred by 2 pixels": lambda picture: cast(Image, cv2.GaussianBlur(picture, (0, 0), 2.0)),
    "lower part covered": _covered,
    "grey": lambda picture: cast(Image, cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)),
}


def _alone(detector: Detector, people: Sequence[Portrait]) -> dict[str, float | None]:
    """The portraits as they are: found, overlap with YuNet's box, and the landmarks' distance in eye distances."""
    overlaps, apart = [], []
    for one in people:
        size = float(np.sqrt(one.box[2] * one.box[3]))
        x, y = one.box[:2] + one.box[2:] / 2
        box = _framed(float(x), float(y), size)
        faces = detector.detect(one.picture)
        best = max(faces, key=lambda face: face.box.iou(box), default=None)
        overlaps.append(0.0 if best is None else best.box.iou(box))
        if best is not None and best.landmarks is not None and overlaps[-1] >= FOUND:
            eyes = float(np.linalg.norm(one.points[0] - one.points[1]))
            apart.append(float(np.linalg.norm(best.landmarks - one.points, axis=1).mean()) / eyes)
    found = np.array(overlaps) >= FOUND
    return {
        "found": round(float(found.mean()), 4),
        "iou": round(float(np.array(overlaps)[found].mean()), 4),
        "landmarks": round(float(np.median(apart)), 4) if apart else None,
    }


def _nothing(detectors: dict[str, Detector], grounds: Sequence[Image], crops: int) -> dict[str, Any]:
    """Detections a hundred pictures where no face is, before and after the face gate."""
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(crops):
        ground = grounds[int(rng.integers(len(grounds)))]
        side = int(np.exp(rng.uniform(np.log(CROP_SIDES[0]), np.log(min(CROP_SIDES[1], *ground.shape[:2])))))
        top, left = (int(rng.integers(length - side + 1)) for length in ground.shape[:2])
        parts.append(np.ascontiguousarray(ground[top : top + side, left : left + side]))
    gate = bundled_gate()
    rows: dict[str, dict[str, dict[str, int]]] = {}
    for name, one in detectors.items():
        rows[name] = {}
        for kind, pictures in (("crops", parts), ("pictures", grounds)):
            before = after = 0
            for picture in pictures:
                faces = one.detect(picture)
                before += len(faces)
                if faces and gate is not None:
                    accepted = gate.accepts(np.stack([crop_face(picture, face, gate.input) for face in faces]))
                    after += int(accepted.sum())
            rows[name][kind] = {"n": len(pictures), "before": before, "after": after}
        print(name, rows[name], flush=True)
    return rows


def _jaffe(detector: Detector, folder: Path) -> dict[str, float]:
    """JAFFE through the whole chain: pictures with one face, and the share whose expression ``small`` reads."""
    files = sorted(folder.glob("*.tiff"))
    one = [len(detector.detect(read_picture(file))) == 1 for file in files]
    model = open_model("small")
    rows = load_dataset(folder, model.manifest.input, detector=detector)
    truth = np.array([model.manifest.labels.index(rows.labels[index]) for index in rows.indices])
    right = model.logits(rows.images).argmax(1) == truth
    return {"pictures": len(files), "one_face": int(sum(one)), "read": len(rows), "right": int(right.sum())}


def _times(names: Sequence[str], people: Sequence[Portrait], grounds: Sequence[Image]) -> dict[str, dict[str, float]]:
    """Processor milliseconds of one search at 320 and 640 pixels: medians, the detectors by turns."""
    picture, _ = _scenes(people, grounds, Kind("timed", 64), 8, np.random.default_rng(0))[0]
    found: dict[str, dict[str, float]] = {}
    for side in (320, 640):
        copy = cast(Image, cv2.resize(picture, (side, side * 3 // 4), interpolation=cv2.INTER_AREA))
        searching = _made(names, search_size=side)
        taken: dict[str, list[float]] = {name: [] for name in searching}
        for _ in range(30):
            for name, one in searching.items():
                start = time.thread_time()
                one.detect(copy)
                taken[name].append(1000 * (time.thread_time() - start))
        for name, values in taken.items():
            found.setdefault(name, {})[str(side)] = round(float(np.median(values)), 2)
    return found


if __name__ == "__main__":
    main()
