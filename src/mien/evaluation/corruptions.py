"""What makes a face harder to read: blur, noise, darkness, JPEG, rotation, few pixels, covered bands. Pure functions.

Each kind comes in three stated severities, as common image corruptions are measured (Hendrycks & Dietterich 2019,
"Benchmarking neural network robustness to common corruptions and perturbations"). Pixels are those of a crop of
:data:`FACE` pixels, whatever a network's own input. The severities were set by what cameras and covers do, once, and
no model was chosen by them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.preprocess import Image
from mien.evaluation.regions import BANDS, cover

FACE = 48
"""Pixels a side of the face that severities are counted on."""

Rng = np.random.Generator
Apply = Callable[[Image, Rng], Image]
"""From one crop ``(h, w)`` or ``(h, w, 3)`` uint8 to a corrupted copy of the same shape."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of harm at one severity.

    Attributes:
        kind: what is done, such as ``"blur"``.
        severity: how much of it, in words.
        apply: does it to one crop.
    """

    kind: str
    severity: str
    apply: Apply

    def to(self, crops: Image, rows: NDArray[np.int64], *, seed: int = 0) -> Image:
        """Corrupted copies of crops ``(n, ...)``; what is drawn follows from the seed and each crop's row alone."""
        number = zlib.crc32(f"{self.kind}, {self.severity}".encode())
        corrupted = np.empty_like(crops)
        for index, row in enumerate(rows):
            corrupted[index] = self.apply(crops[index], np.random.default_rng((seed, number, int(row))))
        return corrupted


def blurred(picture: Image, sigma: float) -> Image:
    """Blurred by a Gaussian of ``sigma`` pixels."""
    return cast(Image, cv2.GaussianBlur(picture, (0, 0), sigma))


def toned(picture: Image, rng: Rng, *, gain: float = 1.0, about: float = 0.0, noise: float = 0.0) -> Image:
    """Levels drawn towards ``about`` by ``gain``, with a camera's noise of that deviation on top.

    Noise is grey: one value for the three channels of a pixel.
    """
    grain = rng.normal(0, noise, picture.shape[:2])
    changed = about + gain * (picture.astype(np.float64) - about) + (grain if picture.ndim == 2 else grain[..., None])
    return cast(Image, changed.clip(0, 255).astype(np.uint8))


def turned(picture: Image, degrees: float, center: tuple[float, float]) -> Image:
    """Turned about a point ``(x, y)``, counter-clockwise for positive degrees; the edge repeats outside."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(center, degrees, 1.0)
    return cast(Image, cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))


def compressed(picture: Image, quality: int) -> Image:
    """What JPEG of that quality (1 to 100) leaves."""
    bgr = picture if picture.ndim == 2 else picture[..., ::-1]
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    flag = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
    back = cast(Image, cv2.imdecode(code, flag))
    return back if picture.ndim == 2 else cast(Image, np.ascontiguousarray(back[..., ::-1]))


def shrunk(picture: Image, pixels: int) -> Image:
    """Averaged down to ``pixels`` a side, and enlarged again by linear interpolation."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (pixels, pixels), interpolation=cv2.INTER_AREA)
    return cast(Image, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _blur(sigma: float) -> Corruption:
    words = f"sigma {sigma:g} pixel{'' if sigma == 1 else 's'}"
    return Corruption("blur", words, lambda crop, _: blurred(crop, sigma * crop.shape[1] / FACE))


def _noise(deviation: float) -> Corruption:
    return Corruption("noise", f"deviation {deviation:g}", lambda crop, rng: toned(crop, rng, noise=deviation))


def _dark(part: int) -> Corruption:
    words = f"1/{part} of the light"
    return Corruption("darkness", words, lambda crop, rng: toned(crop, rng, gain=1 / part, noise=2))


def _jpeg(quality: int) -> Corruption:
    return Corruption("JPEG", f"quality {quality}", lambda crop, _: compressed(crop, quality))


def _rotation(degrees: int) -> Corruption:
    def turn(crop: Image, rng: Rng) -> Image:
        middle = ((crop.shape[1] - 1) / 2, (crop.shape[0] - 1) / 2)
        return turned(crop, float(degrees * rng.choice([-1, 1])), middle)

    return Corruption("rotation", f"{degrees}° to either side", turn)


def _few(pixels: int) -> Corruption:
    return Corruption("small face", f"{pixels} pixels", lambda crop, _: shrunk(crop, pixels))


def _covered(band: str) -> Corruption:
    def hide(crop: Image, rng: Rng) -> Image:
        return cast(Image, cover(crop[None], BANDS[band], seed=int(rng.integers(2**31)))[0])

    return Corruption("occlusion", f"noise over the {band}", hide)


CORRUPTIONS: tuple[Corruption, ...] = (
    *map(_blur, (1.0, 1.5, 2.0)),
    *map(_noise, (8.0, 16.0, 32.0)),
    *map(_dark, (2, 4, 8)),
    *map(_jpeg, (30, 15, 8)),
    *map(_rotation, (10, 20, 30)),
    *map(_few, (32, 24, 16)),
    *map(_covered, ("eyes", "nose", "mouth")),
)
"""Seven kinds at three severities each; the bands of occlusion are paper 004's, of white noise."""
