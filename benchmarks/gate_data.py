"""What the gate learns from and is measured on: faces of FER2013, and crops that show none.

Pictures that are measured on (the astronaut, the cat, the flower, and the videos made of the astronaut) train nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import skimage.data
import sklearn.datasets

import nonfaces
from mien.core.face import Box, Face
from mien.core.preprocess import Image, InputSpec, crop_face
from mien.data.dataset import Dataset
from mien.data.ferplus import faces_and_others
from mien.data.load import load_dataset

TRAINED_ON = (
    "brick.png",
    "cell.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
    "china.jpg",
)
"""Pictures without a human face that come with scikit-image and (the last) scikit-learn."""

HELD_OUT = ("chelsea.png", "flower.jpg")
"""Pictures without a human face that only measure: a cat and a flower."""

SPEC = InputSpec()
_FOLDERS = (Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images")
_CASCADE = "haarcascade_frontalface_default.xml"


@dataclass(frozen=True, slots=True)
class Rows:
    """FER2013's crops of one split by what FER+'s crowd said of them."""

    faces: Image
    others: Image


def fer2013(root: Path | None, split: str) -> Rows:
    """A split's faces, and its rows that show none."""
    if split == "private":
        raise ValueError("the gate is neither chosen nor measured on PrivateTest")
    from mien.core.places import data_folder

    folder = (root or data_folder()) / "fer2013"
    dataset: Dataset = load_dataset(folder / "fer2013.csv", SPEC)  # never Kaggle's pictures, which have another order
    faces, others = faces_and_others(folder / "fer2013new.csv")
    of = dataset.splits == split
    return Rows(dataset.images[of & faces], dataset.images[of & others])


def pictures(names: Sequence[str]) -> list[Image]:
    """Grey pictures by their file names."""
    return [_grey(next(folder / name for folder in _FOLDERS if (folder / name).is_file())) for name in names]


def loose_finds(picture: Image, *, neighbours: int = 1, but: Sequence[Box] = ()) -> Image:
    """Crops of what OpenCV's cascade finds in a grey picture when it is easily content, away from the boxes ``but``."""
    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / _CASCADE))  # type: ignore[attr-defined]
    boxes = cascade.detectMultiScale(picture, scaleFactor=1.1, minNeighbors=neighbours, minSize=(20, 20))
    found = [Box(float(x), float(y), float(w), float(h)) for x, y, w, h in boxes]
    kept = [box for box in found if all(_apart(box, one) for one in but)]
    return cut(picture, kept)


def cut(picture: Image, boxes: Sequence[Box]) -> Image:
    """The crops of boxes, as mien cuts them."""
    crops = [crop_face(picture, Face(box, 1.0), SPEC) for box in boxes]
    return np.stack(crops) if crops else np.empty((0, *SPEC.shape), dtype=np.uint8)


def training_others(rows: Rows, seed: int) -> dict[str, Image]:
    """Crops without a face for training, by where they are from."""
    rng = np.random.default_rng(seed)
    grounds = pictures(TRAINED_ON)
    found = [loose_finds(_scaled(p, scale), neighbours=0) for p in grounds for scale in (0.7, 1.0)]
    found += [loose_finds(nonfaces.scenery(360, 480, grounds, rng), neighbours=0) for _ in range(60)]
    patches, drawn = nonfaces.patches(grounds, 12_000, rng), nonfaces.synthesised(6_000, rng)
    return {
        "patches": patches,
        "synthesised": drawn,
        "cascade": np.repeat(np.concatenate(found), 8, axis=0),  # few and hard: seen often
        "off centre": nonfaces.off_centre(rows.faces, np.concatenate([patches, drawn]), 10_000, rng),
        "shuffled": nonfaces.shuffled(rows.faces, 4_000, rng),
        "ferplus": np.repeat(rows.others, 5, axis=0),
    }


def _apart(box: Box, face: Box) -> bool:
    """Whether a find is no find of a face: it does not share its middle and size."""
    return box.iou(face) < 0.3


def _scaled(picture: Image, scale: float) -> Image:
    return cast(Image, cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _grey(file: Path) -> Image:
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise RuntimeError(f"{file} cannot be read")
    shrink = min(640 / max(picture.shape), 1.0)
    return _scaled(cast(Image, picture), shrink) if shrink < 1 else cast(Image, picture)
