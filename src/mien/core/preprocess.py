"""The one place where a face becomes a network's input: align, crop, grey, illumination, resize.

Training, evaluation and the runtime all call :func:`crop_face` or :func:`crop_picture`, so a network sees in use what
it saw in training. Which steps run is said by the :class:`InputSpec` in a model's manifest. Normalisation by mean and
deviation is not done here: it lives inside the exported graph, which takes the uint8 crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.face import Box, Face

Image = NDArray[np.uint8]
"""RGB ``(height, width, 3)`` or grey ``(height, width)``, uint8."""

FER2013_MEAN, FER2013_STD = 129.47, 65.03
"""Mean and deviation of the pixels of FER2013's Training rows, on the 0 to 255 scale (129.474 and 65.027).

Every model that ships was trained with these. A manifest carries its own, so that they can change for new models.
"""

TEMPLATE = np.array([[0.308, 0.373], [0.692, 0.373], [0.5, 0.578], [0.346, 0.760], [0.654, 0.760]], dtype=np.float32)
"""Where FER2013's own faces have their five landmarks, as fractions of the crop's side.

The mean over the Training rows in which YuNet finds a face, made symmetric; ``benchmarks/framing.py`` measures it.
"""

_MAX_OVERSAMPLING = 16

_SAMPLING_LIMIT = 32_767
"""``cv2.warpAffine`` refuses pictures with a side of so many pixels or more."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network takes in, and every step on the way from a picture to it.

    Attributes:
        size: side of the square crop, pixels.
        channels: 1 for grey, 3 for RGB.
        align: ``"landmarks"`` turns, scales and shifts the face so that its landmarks fall on :data:`TEMPLATE` (a
            face without landmarks is cropped by its box); ``"box"`` always crops by the box.
        margin: share of the side that is added around the face on each side.
        illumination: ``"equalise"`` (histogram), ``"clahe"`` (contrast-limited, 4 x 4 tiles), ``"gamma"`` (the gamma
            that brings the mean to mid-grey), or ``"none"``. On RGB it works on the luma.
        mean: per plane, subtracted inside the graph; on the 0 to 255 scale. Three values on a grey crop show it to
            the network as RGB: a plane each, so that networks pretrained on colour take grey crops.
        std: per plane, divided by inside the graph; on the 0 to 255 scale.

    Raises:
        ValueError: a size, margin or statistic out of range.
    """

    size: int = 48
    channels: Literal[1, 3] = 1
    align: Literal["landmarks", "box"] = "landmarks"
    margin: float = 0.0
    illumination: Literal["none", "equalise", "clahe", "gamma"] = "none"
    mean: tuple[float, ...] = (FER2013_MEAN,)
    std: tuple[float, ...] = (FER2013_STD,)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 8 <= self.size <= 1024:
            raise ValueError(f"size must be 8 to 1024 pixels, got {self.size}")
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin must be 0 to 1, got {self.margin}")
        if len(self.mean) not in (self.channels, 3) or len(self.std) != len(self.mean) or min(self.std) <= 0:
            wanted = "3" if self.channels == 3 else "1 or 3"
            raise ValueError(f"mean and std need {wanted} values each, std above 0: got {self.mean}, {self.std}")

    @property
    def planes(self) -> int:
        """Planes that the network itself takes, after normalisation: 1, or 3 for RGB and for grey shown as RGB."""
        return len(self.mean)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one crop: ``(size, size)`` for grey, ``(size, size, 3)`` for RGB."""
        return (self.size, self.size) if self.channels == 1 else (self.size, self.size, 3)


def same_crops(one: InputSpec, other: InputSpec) -> bool:
    """Whether two networks take the same crops; they may normalise them differently."""
    return one.channels == other.channels and replace(one, mean=other.mean, std=other.std) == other


def crop_face(picture: Image, face: Face, spec: InputSpec) -> Image:
    """The network's input for one face of a picture: uint8, of shape ``spec.shape``.

    Parts of the crop that lie outside the picture repeat its edge. A face whose box is the whole picture is a crop
    already, and goes the way of :func:`crop_picture`.
    """
    if face.landmarks is None and not face.turned and face.box == whole_box(picture):
        return crop_picture(picture, spec)
    to_unit = to_unit_square(face, spec)
    if max(picture.shape[:2]) >= _SAMPLING_LIMIT:
        picture, to_unit = _surroundings(picture, to_unit, spec)
    return _finish(_warp(picture, to_unit, spec), spec)


def whole_box(picture: Image) -> Box:
    """The box that is the whole picture."""
    return Box(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))


def to_unit_square(face: Face, spec: InputSpec) -> NDArray[np.float64]:
    """The 2 x 3 matrix from a picture's pixels to the square of side 1 that :func:`crop_face` cuts, without margin."""
    if spec.align == "landmarks" and face.landmarks is not None:
        return similarity(face.landmarks, TEMPLATE)
    return _from_box(face.box, face.turned)


def crop_picture(picture: Image, spec: InputSpec) -> Image:
    """The network's input for a picture that is a face crop already, as the datasets hold them.

    The whole picture is used, stretched to a square where it is none. Shape ``spec.shape``, uint8.
    """
    return _finish(_resize(_channels(picture, spec), spec.size), spec)


def crop_pictures(pictures: list[Image] | Image, spec: InputSpec) -> Image:
    """:func:`crop_picture` for n pictures: uint8 ``(n, *spec.shape)``."""
    if isinstance(pictures, np.ndarray) and pictures.shape[1:] == spec.shape and spec.illumination == "none":
        return pictures
    crops = np.empty((len(pictures), *spec.shape), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        crops[index] = crop_picture(picture, spec)
    return crops


def similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least-squares rotation, scale and shift (no mirroring) from points to points, as a 2 x 3 matrix.

    Umeyama (1991) in two dimensions: with points as complex numbers it is one linear regression.
    """
    z = source[:, 0].astype(np.float64) + 1j * source[:, 1]
    w = target[:, 0].astype(np.float64) + 1j * target[:, 1]
    dz, dw = z - z.mean(), w - w.mean()
    a = np.vdot(dz, dw) / max(np.vdot(dz, dz).real, 1e-12)
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _from_box(box: Box, turned: int) -> NDArray[np.float64]:
    matrix = np.array([[1 / box.width, 0, -box.x / box.width], [0, 1 / box.height, -box.y / box.height]])
    for _ in range(turned // 90):  # a quarter clockwise: (x, y) of the unit square goes to (1 - y, x)
        matrix = np.array([-matrix[1], matrix[0]])
        matrix[0, 2] += 1
    return matrix


def _surroundings(picture: Image, to_unit: NDArray[np.float64], spec: InputSpec) -> tuple[Image, NDArray[np.float64]]:
    """The part of a picture that a crop shows, and the matrix that maps it; the rest of a panorama is cut away."""
    low, high = -spec.margin, 1 + spec.margin
    square = np.array([[low, high, low, high], [low, low, high, high]])
    corners = np.linalg.solve(to_unit[:, :2], square - to_unit[:, 2:])
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=1)) - 2, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=1)) + 2, (left + 1, top + 1), (width, height)).astype(int)
    moved = to_unit.copy()
    moved[:, 2] += to_unit[:, :2] @ (left, top)
    return picture[top:bottom, left:right], moved


def _warp(picture: Image, to_unit: NDArray[np.float64], spec: InputSpec) -> Image:
    """Sample the unit square of ``to_unit``, widened by the margin; large faces are averaged down, not skipped."""
    pixels_per_unit = 1 / math.sqrt(max(abs(float(np.linalg.det(to_unit[:, :2]))), 1e-18)) * (1 + 2 * spec.margin)
    oversampling = min(max(round(pixels_per_unit / spec.size), 1), _MAX_OVERSAMPLING)
    side = spec.size * oversampling
    matrix = to_unit.copy()
    matrix[:, 2] += spec.margin
    matrix *= side / (1 + 2 * spec.margin)
    matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1]) - 0.5  # pixel centres, not corners, are mapped
    warped = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _resize(_channels(cast(Image, warped), spec), spec.size)


def _resize(image: Image, size: int) -> Image:
    if image.shape[:2] == (size, size):
        return image
    shrinking = max(image.shape[:2]) > size
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return cast(Image, resized)


def _channels(image: Image, spec: InputSpec) -> Image:
    if image.ndim == 3 and spec.channels == 1:
        return cast(Image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    if image.ndim == 2 and spec.channels == 3:
        return cast(Image, cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
    return image


def _finish(crop: Image, spec: InputSpec) -> Image:
    if spec.illumination == "none":
        return crop
    if crop.ndim == 3:
        luma = cv2.cvtColor(crop, cv2.COLOR_RGB2YCrCb)
        luma[..., 0] = _illuminate(cast(Image, luma[..., 0]), spec.illumination)
        return cast(Image, cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB))
    return _illuminate(crop, spec.illumination)


def _illuminate(grey: Image, method: str) -> Image:
    if method == "equalise":
        return cast(Image, cv2.equalizeHist(grey))
    if method == "clahe":
        return cast(Image, cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4)).apply(np.ascontiguousarray(grey)))
    mean = float(np.clip(grey.mean() / 255, 0.02, 0.98))
    table = np.round(255 * (np.arange(256) / 255) ** (math.log(0.5) / math.log(mean))).astype(np.uint8)
    return table[grey]
