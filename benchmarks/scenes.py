"""Scenes with faces of a known place and size: a real portrait, turned, lit and blurred, laid over real photographs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

import harness

Picture = NDArray[np.uint8]

CENTRE, SIDE = (223.0, 125.0), 108.0
"""The portrait's face, as the detectors frame it: its middle and its side, pixels."""

_REACH = 0.95
"""Face sides from its middle to the edge of what is laid over the background."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture, RGB uint8, and its faces: middles ``(n, 2)`` in pixels, all of one side."""

    picture: Picture
    centres: NDArray[np.float64]
    side: float


def background(width: int, height: int, rng: np.random.Generator) -> Picture:
    """Parts of photographs without a face (scikit-image's), each enlarged or reduced, side by side."""
    from skimage import data

    names = ("coffee", "chelsea", "rocket", "brick", "grass", "gravel")
    sources: list[Picture] = [getattr(data, name)() for name in names]
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    patch = max(min(width, height) // 2, 160)
    for top in range(0, height, patch):
        for left in range(0, width, patch):
            source = sources[rng.integers(len(sources))]
            rows, columns = source.shape[:2]
            side = int(rng.integers(min(rows, columns) // 3, min(rows, columns)))
            y, x = rng.integers(rows - side + 1), rng.integers(columns - side + 1)
            part = source[y : y + side, x : x + side]
            part = np.repeat(part[..., None], 3, axis=2) if part.ndim == 2 else part
            target = picture[top : top + patch, left : left + patch]
            enlarged = cv2.resize(
                part, (patch, patch), interpolation=cv2.INTER_AREA if side > patch else cv2.INTER_LINEAR
            )
            target[:] = enlarged[: target.shape[0], : target.shape[1]]
    return picture


def scene(width: int, height: int, side: float, faces: int, rng: np.random.Generator) -> Scene:
    """A picture with up to so many faces of ``side`` pixels that do not touch, turned by up to 15 degrees."""
    picture = background(width, height, rng)
    cell = 2.2 * side
    columns, rows = max(int(width // cell), 1), max(int(height // cell), 1)
    places = rng.permutation(columns * rows)[:faces]
    centres = []
    for place in places:
        row, column = divmod(int(place), columns)
        room = np.maximum([width / columns - 2 * _REACH * side, height / rows - 2 * _REACH * side], 0)
        middle = np.array([(column + 0.5) * width / columns, (row + 0.5) * height / rows])
        centre = middle + (rng.random(2) - 0.5) * room
        _lay(picture, centre, side, rng)
        centres.append(centre)
    noise = rng.normal(0, 3, (min(height, 512), min(width, 512), 1)).astype(np.float32)  # as a camera's sensor has it
    repeated = np.tile(noise, (-(-height // noise.shape[0]), -(-width // noise.shape[1]), 1))[:height, :width]
    picture = np.clip(picture + repeated, 0, 255).astype(np.uint8)
    return Scene(picture, np.array(centres), side)


def _lay(picture: Picture, centre: NDArray[np.float64], side: float, rng: np.random.Generator) -> None:
    """Lay the portrait's head into a picture, its edge fading into what is there."""
    size = int(2 * _REACH * side)
    angle, mirrored = rng.uniform(-15, 15), rng.random() < 0.5
    portrait = harness.portrait()
    factor = side / SIDE
    sharp = cv2.GaussianBlur(portrait, (0, 0), 0.5 / factor) if factor < 1 else portrait
    matrix = cv2.getRotationMatrix2D(CENTRE, angle, factor)
    matrix[0, 2] += size / 2 - CENTRE[0]
    matrix[1, 2] += size / 2 - CENTRE[1]
    head = cv2.warpAffine(sharp, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    head = head[:, ::-1] if mirrored else head
    light = np.clip(head.astype(np.float32) * rng.uniform(0.6, 1.15), 0, 255)
    y, x = (np.mgrid[:size, :size] - size / 2 + 0.5) / (_REACH * side)
    share = np.clip((1 - np.hypot(x, y * 0.9)) / 0.15, 0, 1)[..., None].astype(np.float32)
    left, top = np.round(centre - size / 2).astype(int)
    area = (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
    under = picture[area]
    cut = (slice(max(-top, 0), max(-top, 0) + under.shape[0]), slice(max(-left, 0), max(-left, 0) + under.shape[1]))
    under[:] = np.round(share[cut] * light[cut] + (1 - share[cut]) * under)
