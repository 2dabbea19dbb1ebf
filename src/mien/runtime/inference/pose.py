"""Which way a head is turned, from the five landmarks of a detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.preprocess import TEMPLATE

_PUPILS = 63.0
"""Distance between the pupils of an average adult, millimetres (Dodgson 2004: mean 63.4)."""

_DISTANCE = 600.0
"""Millimetres from camera to head that are assumed; from 400 to unlimited, angles change by a few degrees at most."""


def _face_model() -> NDArray[np.float64]:
    across_and_down = (TEMPLATE.astype(np.float64) - TEMPLATE[2]) * (_PUPILS / (TEMPLATE[1, 0] - TEMPLATE[0, 0]))
    depth = np.array([28.0, 28.0, 0.0, 26.0, 26.0])
    model = np.column_stack([across_and_down, depth])
    model.setflags(write=False)
    return model


FACE_MODEL = _face_model()
"""A generic face ``(5, 3)`` in millimetres: x to the picture's right, y down, z away from the camera, nose tip at 0.

Across and down it is the mean face of FER2013 (:data:`~mien.core.preprocess.TEMPLATE`) at an adult's pupil distance, so
that 0 degrees are how that mean face looks into the camera. Its depths, which a frontal mean cannot tell, are those of
the generic head that is in common use for this (S. Mallick 2016, "Head pose estimation using OpenCV and Dlib": eyes and
mouth 125 to 135 units behind the nose tip at 450 units between the outer corners of the eyes, some 90 mm).
"""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is turned, degrees; all 0 where it looks into the camera, wherever in the picture it is.

    Attributes:
        yaw: towards the right edge of the picture (the person's own left).
        pitch: up.
        roll: tilted clockwise, as the picture shows it.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: NDArray[np.float32]) -> Pose | None:
    """Head angles from landmarks ``(5, 2)`` in pixels, in the order of :data:`~mien.core.face.LANDMARK_NAMES`.

    :data:`FACE_MODEL` is fitted to them in perspective by ``cv2.solvePnP``. As nobody's face is the generic one, a face
    that looks into the camera gives angles of some degrees. None where the landmarks lie in one point.
    """
    points = landmarks.astype(np.float64)
    points -= points.mean(axis=0)
    flat = FACE_MODEL[:, :2] - FACE_MODEL[:, :2].mean(axis=0)
    spread = math.sqrt(float((points**2).sum() / (flat**2).sum()))
    if spread < 1e-6:
        return None
    camera = np.array([[_DISTANCE, 0.0, 0.0], [0.0, _DISTANCE, 0.0], [0.0, 0.0, 1.0]])
    found, turn, _ = cv2.solvePnP(FACE_MODEL, points / spread, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    return _angles(cv2.Rodrigues(turn)[0].astype(np.float64)) if found else None


def _angles(rotation: NDArray[np.float64]) -> Pose:
    """Angles of a rotation made of pitch about x first, then yaw about y, then roll about z; y is down, z away."""
    yaw = math.asin(min(max(-float(rotation[2, 0]), -1.0), 1.0))
    pitch = -math.atan2(float(rotation[2, 1]), float(rotation[2, 2]))
    roll = math.atan2(float(rotation[1, 0]), float(rotation[0, 0]))
    return Pose(-math.degrees(yaw), math.degrees(pitch), math.degrees(roll))
