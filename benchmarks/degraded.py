"""Faces with known expressions, and the ways in which benchmarks make them harder to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from framing import BORDER, SCALE
from mien.core.expression import FER2013, Expression
from mien.core.face import Box
from mien.core.preprocess import Image, InputSpec
from mien.data.load import load_dataset
from mien.evaluation.corruptions import FACE, blurred, toned, turned
from mien.runtime.inference.detect import Detector

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, where its face is, and what it shows."""

    picture: Image
    box: Box
    truth: int


Degrade = Callable[[Sample, Rng], Image]


def public_test(root: Path | None, rows: int) -> list[Sample]:
    """PublicTest's faces, evenly spread, framed so that a detector finds them."""
    faces = load_dataset("fer2013", InputSpec(), root=root).split("public")
    chosen = faces.take(np.linspace(0, len(faces) - 1, min(rows, len(faces))).round().astype(np.int64))
    side = FACE * SCALE
    samples = []
    for face, truth in zip(chosen.images, chosen.indices, strict=True):
        large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
        samples.append(Sample(_rgb(framed), Box(BORDER, BORDER, side, side), int(truth)))
    return samples


def jaffe(folder: Path, detector: Detector) -> list[Sample]:
    """JAFFE's pictures: ``KA.AN1.39.tiff`` is person KA, angry. Empty where the folder is not there."""
    samples = []
    for file in sorted(folder.glob("*.tiff")):
        picture = _rgb(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE))
        truth = FER2013.index(Expression.parse(file.name.split(".")[1][:2]))
        samples.append(Sample(picture, detector.detect(picture)[0].box, truth))
    return samples


def _rotated(degrees: float) -> Degrade:
    return lambda sample, rng: turned(sample.picture, float(degrees * rng.choice([-1, 1])), sample.box.center)


def _scaled(gain: float, about: float, noise: float) -> Degrade:
    """Grey levels drawn towards ``about``, with the camera's noise on top."""
    return lambda sample, rng: toned(sample.picture, rng, gain=gain, about=about, noise=noise)


def _small(pixels: int) -> Degrade:
    def degrade(sample: Sample, _: Rng) -> Image:
        scale = pixels / sample.box.width
        return cast(Image, cv2.resize(sample.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    return degrade


def _blurred(sigma: float) -> Degrade:
    return lambda sample, _: blurred(sample.picture, sigma * sample.box.width / FACE)


def _covered(rows: tuple[int, int], kind: str) -> Degrade:
    """Lay something over rows of the face: white noise as in paper 004, a smooth cloth, or skin and hair from above."""

    def degrade(sample: Sample, rng: Rng) -> Image:
        face = cv2.resize(_cut(sample), (FACE, FACE), interpolation=cv2.INTER_AREA)
        top, bottom = rows
        shape = (bottom - top, FACE)
        if kind == "noise":
            cover = rng.integers(0, 256, shape).astype(np.float64)
        elif kind == "cloth":
            cover = np.linspace(0.9, 1.1, FACE) * rng.uniform(60, 220) + rng.normal(0, 3, shape)
        else:
            cover = face[: bottom - top][::-1].astype(np.float64)
        return _laid(sample, cover.clip(0, 255).astype(np.uint8), top, cubic=kind != "noise")

    return degrade


def _cut(sample: Sample) -> Image:
    x, y, side = round(sample.box.x), round(sample.box.y), round(sample.box.width)
    return sample.picture[max(y, 0) : y + side, max(x, 0) : x + side, 0]


def _laid(sample: Sample, cover: Image, top: int, *, cubic: bool) -> Image:
    unit = sample.box.width / FACE
    size = (round(FACE * unit), round(len(cover) * unit))
    large = cv2.resize(cover, size, interpolation=cv2.INTER_CUBIC if cubic else cv2.INTER_NEAREST)
    picture = sample.picture.copy()
    x, y = max(round(sample.box.x), 0), max(round(sample.box.y + top * unit), 0)
    space = picture[y : y + size[1], x : x + size[0]]
    space[:] = large[: space.shape[0], : space.shape[1], None]
    return picture


CONDITIONS: dict[str, Degrade] = {
    "clean": lambda sample, _: sample.picture,
    "rotated 10°": _rotated(10),
    "rotated 20°": _rotated(20),
    "rotated 30°": _rotated(30),
    "dark, 1/2": _scaled(0.5, 0, 2),
    "dark, 1/4": _scaled(0.25, 0, 2),
    "dark, 1/8": _scaled(0.125, 0, 2),
    "contrast 1/2": _scaled(0.5, 128, 1),
    "contrast 1/4": _scaled(0.25, 128, 1),
    "contrast 1/8": _scaled(0.125, 128, 1),
    "face of 32 pixels": _small(32),
    "face of 24 pixels": _small(24),
    "face of 16 pixels": _small(16),
    "face of 12 pixels": _small(12),
    "blurred, 1 pixel": _blurred(1),
    "blurred, 2 pixels": _blurred(2),
    "eyes under noise": _covered((10, 20), "noise"),
    "mouth under noise": _covered((30, 40), "noise"),
    "eyes under cloth": _covered((12, 24), "cloth"),
    "mouth under cloth": _covered((28, 46), "cloth"),
    "mouth under hair and skin": _covered((30, 46), "skin"),
}
"""Pixels are those of a face of :data:`FACE` pixels."""


def _rgb(grey: Any) -> Image:
    return cast(Image, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
