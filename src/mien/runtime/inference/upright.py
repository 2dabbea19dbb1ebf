"""Pictures that lie on their side or stand on their head: which way they must be turned, found by a second look.

A camera that noted no rotation leaves such pictures. Landmarks do not tell: YuNet frames most faces that stand on their
head, with eyes where the mouth is. Its scores do, and those of Haar's cascade: the upright way mostly has the highest.
``benchmarks/turned.py`` measures how often the right way is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mien.core.face import Box, Face
from mien.core.preprocess import Image
from mien.runtime.inference.detect import Detector, RegionDetector, SureDetector
from mien.runtime.inference.search import LONG_SIDE, resized

Accepts = Callable[[Image, Sequence[Face]], Sequence[Face]]
"""Those of the detections in a picture that are faces."""


def way_up(picture: Image, faces: Sequence[Face], detector: Detector, accepts: Accepts) -> int:
    """Degrees by which a picture has to be turned clockwise for its faces to be upright: 0, 90, 180 or 270.

    A reduced copy is looked at, and only where no face was found for sure in the picture as it is.

    Args:
        picture: RGB uint8 ``(height, width, 3)``.
        faces: what was found in the picture as it is.
        detector: looks again; one that does not say from which score on it is sure is not asked.
        accepts: asked about what it finds.
    """
    best, degrees = _best(faces), 0
    if not isinstance(detector, SureDetector) or best >= detector.sure:
        return 0
    scale = min(1.0, LONG_SIDE / max(picture.shape[:2]))
    copy = resized(picture, scale)
    for turn in (90, 270, 180):
        look = turned(copy, turn)
        found = detector.detect_copy(look, scale) if scale < 1 and isinstance(detector, RegionDetector) else None
        score = _best(accepts(look, detector.detect(look) if found is None else found))
        if score > best and score >= detector.sure:
            best, degrees = score, turn
    return degrees


def turned(picture: Image, degrees: int) -> Image:
    """A picture turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(picture, -degrees // 90))


def turned_back(face: Face, degrees: int, width: int, height: int) -> Face:
    """A face of :func:`turned`, in the pixels of the picture as it is, ``width`` x ``height``.

    Its landmarks turn with it, so that it is cut out upright.
    """
    matrix, shift = {
        90: (np.array([[0, 1], [-1, 0]]), (0, height)),
        180: (np.array([[-1, 0], [0, -1]]), (width, height)),
        270: (np.array([[0, -1], [1, 0]]), (width, 0)),
    }[degrees]
    (x, y), side = matrix @ face.box.center + shift, np.abs(matrix) @ (face.box.width, face.box.height)
    points = face.landmarks
    if points is not None:
        points = (points @ matrix.T + shift).astype(np.float32)
    box = Box(float(x - side[0] / 2), float(y - side[1] / 2), float(side[0]), float(side[1]))
    return replace(face, box=box, landmarks=points, turned=degrees)


def _best(faces: Sequence[Face]) -> float:
    return max((face.score for face in faces), default=0.0)
