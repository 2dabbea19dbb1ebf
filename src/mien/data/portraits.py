"""Pictures with one face each, from which scenes for a face detector are composed.

Where the face is, a teacher says: YuNet, as OpenCV runs it. A picture in which it finds none or several is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, PictureError
from mien.core.picture_files import iter_pictures
from mien.core.pictures import read_picture
from mien.core.preprocess import Image

Split = Literal["train", "validation", "held-out"]

SPLITS: tuple[Split, ...] = ("train", "validation", "held-out")

TEACHER_SCORE = 0.8
"""Least score of a face that the teacher finds for its picture to be used."""

_PERCENT: dict[Split, int] = {"held-out": 10, "validation": 5, "train": 85}
_ALIKE = 6
"""Bits of 64 by which the fingerprints of one picture's copies differ at most."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture with one face.

    Attributes:
        picture: RGB uint8 ``(height, width, 3)``.
        box: x, y, width and height of the face as YuNet frames it, pixels.
        points: its five landmarks, ``(5, 2)``.
    """

    picture: Image
    box: NDArray[np.float32]
    points: NDArray[np.float32]


def read_folder(folder: Path, *, long_side: int | None = None) -> list[Image]:
    """The pictures in a folder and below it in the order of their names.

    Larger ones are reduced to a long side of ``long_side`` pixels. Files that cannot be read as a
    picture, such as drawings, are passed over.

    Raises:
        DatasetError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; docs/face-detector.md says where its pictures are from")
    pictures = []
    try:
        files = list(iter_pictures([folder]))
    except PictureError:
        files = []
    for file in files:
        try:
            picture = read_picture(file)
        except PictureError:
            continue
        shrink = 1.0 if long_side is None else long_side / max(picture.shape[:2])
        if shrink < 1:
            picture = cast(Image, cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))
        pictures.append(picture)
    if not pictures:
        raise DatasetError(f"{folder}: no picture in it; docs/face-detector.md says where its pictures are from")
    return pictures


def splits(pictures: Sequence[Image]) -> list[Split | None]:
    """Which split each picture belongs to, by its looks: copies of one picture never stand in two.

    A tenth is held out, a twentieth validates. None for pictures of the training split that are all but equal to one
    outside it, which belong nowhere.
    """
    prints = [_fingerprint(picture) for picture in pictures]
    found = [_split(one) for one in prints]
    order: list[Split] = ["held-out", "validation", "train"]
    kept: list[Split | None] = list(found)
    for place, split in enumerate(order[1:], 1):
        others = np.array(
            [p for p, where in zip(prints, found, strict=True) if where in order[:place]], dtype=np.uint64
        )
        for index, own in enumerate(prints):
            if found[index] == split and (np.bitwise_count(others ^ own) <= _ALIKE).any():
                kept[index] = None
    return kept


@dataclass(frozen=True, slots=True)
class Answers:
    """What the teacher found in n pictures.

    Attributes:
        counts: faces in each, ``(n,)``.
        rows: float32 ``(n, 15)``: box, landmarks and score of the one face of a picture, NaN where there is not one.
    """

    counts: NDArray[np.int64]
    rows: NDArray[np.float32]


def ask_teacher(pictures: Sequence[Image], teacher: Path, *, long_side: int = 320) -> Answers:
    """What YuNet finds in each picture, enlarged or reduced to a long side of ``long_side`` pixels.

    Raises:
        DatasetError: the file is missing.
    """
    if not teacher.is_file():
        raise DatasetError(f"{teacher}: no such file: the teacher is YuNet, mien models pull yunet fetches it")
    network = cv2.FaceDetectorYN.create(str(teacher), "", (320, 320), TEACHER_SCORE)
    counts = np.zeros(len(pictures), dtype=np.int64)
    rows = np.full((len(pictures), 15), np.nan, dtype=np.float32)
    for index, picture in enumerate(pictures):
        scale = long_side / max(picture.shape[:2])
        copy = cv2.resize(picture[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        network.setInputSize((copy.shape[1], copy.shape[0]))
        faces = network.detect(copy)[1]
        counts[index] = 0 if faces is None else len(faces)
        if counts[index] == 1:
            rows[index] = faces[0]
            rows[index, :14] /= scale
    return Answers(counts, rows)


def portraits(pictures: Sequence[Image], rows: NDArray[np.float32]) -> list[Portrait]:
    """The pictures in which the teacher found one face, with what it said (:attr:`Answers.rows`)."""
    return [
        Portrait(picture, row[:4], row[4:14].reshape(5, 2))
        for picture, row in zip(pictures, rows, strict=True)
        if np.isfinite(row).all()
    ]


def _split(fingerprint: np.uint64) -> Split:
    percent = int.from_bytes(hashlib.blake2b(fingerprint.tobytes(), digest_size=8).digest(), "little") % 100
    for split, share in _PERCENT.items():
        if percent < share:
            return split
        percent -= share
    raise AssertionError


def _fingerprint(picture: Image) -> np.uint64:
    """64 bits that say where a small copy grows lighter from left to right: copies of a picture share nearly all."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return np.uint64(np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)[0])
