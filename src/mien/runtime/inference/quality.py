"""Whether a face can be measured at all: a reason instead of a guess where it cannot.

The limits were set on FER2013's PublicTest, clean and degraded, by ``benchmarks/conditions.py``. How often each reason
is given, and how accurate the faces are that it takes away, stands in ``docs/conditions.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.face import Face
from mien.core.preprocess import Image, InputSpec, crop_face
from mien.runtime.inference.pose import head_pose

CROP = InputSpec(size=48, channels=1, align="landmarks")
"""The crop that is looked at: what a network of the usual input sees."""

_EYES, _MOUTH = slice(13, 23), slice(31, 43)
"""Rows of the crop in which FER2013's faces have their eyes and their mouth."""

_REST = np.r_[4:13, 23:31, 43:47]
"""The other rows of the face; one band of them covered must not hide the other."""

_ACROSS = slice(6, 42)
"""Columns of the crop that are face in nearly all of them."""

_NOISE_FLOOR = 4.0
"""Variance of a camera's own noise, in grey levels²: less texture than that says nothing."""


COVERED = "partly covered"
"""Why a face cannot be read whose eyes or mouth lie under something; also what many a find seems that is no face."""


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What a face must at least be to be read. A least value of 0 or a greatest of infinity never fires.

    Attributes:
        min_size: side of the face's box, pixels of the picture: ``"too small"``.
        min_brightness: mean of the crop, 0 to 255: ``"dark"``.
        min_contrast: standard deviation of the crop, 0 to 255: ``"low contrast"``.
        min_sharpness: variance of the crop's Laplacian over its own variance, which no light changes: ``"blurred"``.
        max_yaw: degrees to either side: ``"turned away"``. Needs landmarks, as does the next.
        max_pitch: degrees up or down: ``"turned away"``.
        max_grain: sharpness of the eyes' or the mouth's rows alone, beyond which they are noise: ``"partly covered"``.
        min_texture: texture of the eyes' or the mouth's rows as a share of the rest of the face's, below which
            something smooth lies over them: ``"partly covered"``. It finds about half of what covers a
            mouth smoothly and fewer covered eyes; what has the texture of a face, such as a hand, it never finds.

    Raises:
        ValueError: a limit that is negative or no number.
    """

    min_size: float = 20.0
    min_brightness: float = 18.0
    min_contrast: float = 10.0
    min_sharpness: float = 0.03
    max_yaw: float = 55.0
    max_pitch: float = 45.0
    max_grain: float = 3.5
    min_texture: float = 0.2

    def __post_init__(self) -> None:
        """Check the limits."""
        for one in fields(self):
            value = getattr(self, one.name)
            if math.isnan(value) or value < 0:
                raise ValueError(f"{one.name} must be 0 or more, got {value}")


UNALIGNED = QualityLimits(max_grain=math.inf, min_texture=0.0)
"""For faces that were cut out by somebody else: where their eyes and mouths lie is not known, so nothing can be said of
what covers them. Of FER2013's faces that seem covered more are read right than of the others (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Cues:
    """What is measured on a crop; the limits say what it means.

    Attributes:
        brightness: mean, 0 to 255.
        contrast: standard deviation, 0 to 255.
        sharpness: variance of the Laplacian over the variance; 20 for white noise, 0.2 to 2 for most faces.
        grain: the greater sharpness of the eyes' and the mouth's rows alone.
        texture: the lesser mean squared gradient of those rows, as a share of the rest of the face's.
    """

    brightness: float
    contrast: float
    sharpness: float
    grain: float
    texture: float


def assess(picture: Image, face: Face, *, limits: QualityLimits | None = None, crop: Image | None = None) -> str | None:
    """Why a face cannot be measured, or None if it can.

    Args:
        picture: RGB uint8 ``(height, width, 3)``.
        face: as a detector found it; without landmarks its head angles are not judged.
        limits: what a face must be; None for the defaults.
        crop: the face's :data:`CROP` where it has been cut out already.

    Returns:
        ``"too small"``, ``"dark"``, ``"low contrast"``, ``"blurred"``, ``"turned away"`` or ``"partly covered"``: the
        first that applies, in this order, as a later cue means nothing where an earlier one failed.
    """
    limits = limits or QualityLimits()
    if math.sqrt(face.box.area) < limits.min_size:
        return "too small"
    cues = measure(crop_face(picture, face, CROP) if crop is None else crop)
    if cues.brightness < limits.min_brightness:
        return "dark"
    if cues.contrast < limits.min_contrast:
        return "low contrast"
    if cues.sharpness < limits.min_sharpness:
        return "blurred"
    pose = None if face.landmarks is None else head_pose(face.landmarks)
    if pose is not None and (abs(pose.yaw) > limits.max_yaw or abs(pose.pitch) > limits.max_pitch):
        return "turned away"
    if cues.grain > limits.max_grain or cues.texture < limits.min_texture:
        return COVERED
    return None


def measure(crop: Image) -> Cues:
    """The cues of one grey crop, uint8 of :data:`CROP`'s shape.

    Raises:
        ValueError: another shape.
    """
    if crop.shape != CROP.shape:
        raise ValueError(f"quality is measured on a crop of {CROP.shape}, got {crop.shape}")
    brightness, contrast = _moments(crop)
    edges = cv2.Laplacian(crop, cv2.CV_32F)
    grain = max(_sharpness(edges[band, _ACROSS], crop[band, _ACROSS]) for band in (_EYES, _MOUTH))
    grey = crop[:, _ACROSS].astype(np.float32)
    texture = np.square(np.diff(grey, axis=1)).mean(axis=1)[:-1] + np.square(np.diff(grey, axis=0)).mean(axis=1)
    least = min(float(texture[band].mean()) for band in (_EYES, _MOUTH))
    rest = float(texture[_REST].mean())
    return Cues(
        brightness=brightness,
        contrast=contrast,
        sharpness=_sharpness(edges, crop),
        grain=grain,
        texture=(least + _NOISE_FLOOR) / (rest + _NOISE_FLOOR),
    )


def _sharpness(edges: NDArray[np.generic], crop: Image) -> float:
    return _moments(edges)[1] ** 2 / (_moments(crop)[1] ** 2 + _NOISE_FLOOR)


def _moments(values: NDArray[np.generic]) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(cast(Image, values))
    return float(mean[0, 0]), float(deviation[0, 0])
