"""Crops that show no face, or none that a detector should have cut out: what a face-or-not gate learns to refuse.

Each function draws n crops, grey uint8 ``(n, 48, 48)``, from a generator, and takes no part in what the others draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.preprocess import Image

SIDE = 48
Rng = np.random.Generator

_SMALLEST = 20
"""Pixels of the smallest part of a picture that is taken for a crop: no detector here finds smaller faces."""


def patches(pictures: Sequence[Image], n: int, rng: Rng) -> Image:
    """Square parts of grey pictures ``(h, w)`` at random places and sizes, turned by quarters and mirrored."""
    crops = np.empty((n, SIDE, SIDE), dtype=np.uint8)
    for index in range(n):
        picture = pictures[int(rng.integers(len(pictures)))]
        height, width = picture.shape
        side = round(np.exp(rng.uniform(np.log(_SMALLEST), np.log(min(height, width)))))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        part = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
        crops[index] = _to_side(part[:, ::-1] if rng.random() < 0.5 else part)
    return crops


def synthesised(n: int, rng: Rng) -> Image:
    """Pictures of nothing: clouds of 1/f noise, slopes, spots and polygons, as cascades mistake them for faces."""
    return np.stack([_canvas(SIDE, rng) for _ in range(n)]) if n else np.empty((0, SIDE, SIDE), dtype=np.uint8)


def off_centre(faces: Image, grounds: Image, n: int, rng: Rng) -> Image:
    """Faces ``(m, 48, 48)`` on grounds ``(k, 48, 48)`` where no detector should frame them.

    A third lies half outside, a third fills half of the crop or less, and of a third only a part is seen, as large as
    the crop.
    """
    crops = np.empty((n, SIDE, SIDE), dtype=np.uint8)
    for index in range(n):
        face, ground = faces[rng.integers(len(faces))], grounds[rng.integers(len(grounds))]
        way = index % 3
        if way == 2:
            side = int(rng.integers(14, 25))
            top, left = rng.integers(0, SIDE - side + 1, 2)
            crops[index] = _to_side(face[top : top + side, left : left + side])
            continue
        angle = rng.uniform(0, 2 * np.pi)
        scale = rng.uniform(0.8, 1.25) if way == 0 else rng.uniform(0.2, 0.5)
        away = rng.uniform(0.42, 0.7) if way == 0 else rng.uniform(0, 0.25)
        shift = away * SIDE * np.array([np.cos(angle), np.sin(angle)])
        matrix = np.array([[scale, 0, 0.0], [0, scale, 0.0]])
        matrix[:, 2] = (1 - scale) * (SIDE - 1) / 2 + shift
        canvas = ground.copy()
        cv2.warpAffine(face, matrix, (SIDE, SIDE), dst=canvas, borderMode=cv2.BORDER_TRANSPARENT)
        crops[index] = canvas
    return crops


def shuffled(faces: Image, n: int, rng: Rng) -> Image:
    """Faces ``(m, 48, 48)`` whose blocks, 2 x 2 to 4 x 4 of them, have changed places: a face's texture without one."""
    crops = np.empty((n, SIDE, SIDE), dtype=np.uint8)
    for index in range(n):
        parts = int(rng.integers(2, 5))
        step = SIDE // parts
        face = faces[rng.integers(len(faces))]
        order = rng.permutation(parts * parts)
        while (order == np.arange(parts * parts)).mean() > 0.25:
            order = rng.permutation(parts * parts)
        for place, source in enumerate(order):
            (y, x), (v, u) = divmod(place, parts), divmod(int(source), parts)
            block = face[v * step : (v + 1) * step, u * step : (u + 1) * step]
            crops[index, y * step : (y + 1) * step, x * step : (x + 1) * step] = block
    return crops


def scenery(height: int, width: int, pictures: Sequence[Image], rng: Rng) -> Image:
    """A grey picture ``(height, width)`` of pictures' parts and synthesised ones: something to search in vain."""
    canvas = _canvas(max(height, width), rng)[:height, :width].copy()
    for _ in range(int(rng.integers(3, 9))):
        side = int(rng.integers(60, max(61, min(height, width))))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        part = patches(pictures, 1, rng)[0] if rng.random() < 0.5 else _canvas(SIDE, rng)
        canvas[top : top + side, left : left + side] = cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC)
    return canvas


def _canvas(side: int, rng: Rng) -> Image:
    steep = rng.uniform(0.5, 2.5)
    away = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    away[0, 0] = 1.0
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / away**steep, s=(side, side))
    noise = (noise - noise.mean()) / max(float(noise.std()), 1e-9)
    grey: NDArray[np.float64] = rng.uniform(60, 190) + rng.uniform(8, 60) * noise
    y, x = np.mgrid[:side, :side] / side
    grey += rng.uniform(-80, 80) * x + rng.uniform(-80, 80) * y
    canvas = grey.clip(0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        level, middle = int(rng.integers(256)), tuple(int(v) for v in rng.integers(0, side, 2))
        if rng.random() < 0.5:
            axes = tuple(int(v) for v in rng.integers(2, max(side // 3, 3), 2))
            cv2.ellipse(canvas, middle, axes, float(rng.uniform(0, 180)), 0, 360, level, int(rng.choice([-1, 1, 2])))
        else:
            corners = rng.integers(0, side, (int(rng.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [corners], level)
    return cast(Image, cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 2.0)))


def _to_side(part: Image) -> Image:
    way = cv2.INTER_AREA if part.shape[0] > SIDE else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(np.ascontiguousarray(part), (SIDE, SIDE), interpolation=way))
