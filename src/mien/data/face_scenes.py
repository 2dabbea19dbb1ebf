"""Scenes that a face detector learns from: faces of known places, laid over pictures without any.

What tells a face must be the face. So patches without one are laid in the same way, with the same edges, faces whose
parts have changed places among them; and no picture is mirrored at its border, which would show faces that no label
names. Coordinates are continuous: the first pixel reaches from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.anchors import STRIDES, anchors
from mien.core.preprocess import Image
from mien.data.portraits import Portrait

Rng = np.random.Generator
Floats = NDArray[np.floating[Any]]
Array = NDArray[Any]
"""What OpenCV gives back: its stubs do not say of which numbers."""

SMALLEST = 8.0
"""Faces of fewer pixels are neither faces nor anything else to the loss."""

LEVELS = ((0.0, 48.0), (32.0, 96.0), (64.0, np.inf))
"""Sides of the faces that each scale learns, pixels: they overlap, so that none falls between two."""

_CENTRE, _RIM = 0.2, 0.4
"""Shares of a face's side around its centre: within the first an anchor learns the face, beyond the second it learns
that there is none; between them it learns nothing."""

_NEAR = 0.6
"""The first of them in strides, so that a small face has an anchor too."""

_VISIBLE = 0.6
"""Least share of a face within the scene and uncovered by other faces for it to be one that must be found."""

_SWAPPED = [1, 0, 2, 4, 3]
"""Landmarks of a mirrored face: right and left change places."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and the faces in it.

    Attributes:
        picture: RGB uint8 ``(side, side, 3)``.
        boxes: x, y, width and height of each face, ``(n, 4)``, as the teacher would frame it.
        points: five landmarks of each, ``(n, 5, 2)``.
        counted: whether each is large and visible enough that it must be found, ``(n,)``.
    """

    picture: Image
    boxes: Floats
    points: Floats
    counted: NDArray[np.bool_]


@dataclass(slots=True)
class Composer:
    """Composes scenes.

    Attributes:
        portraits: pictures with one face each, and their surroundings.
        crops: pictures that a face fills; may be empty.
        backgrounds: pictures without a face.
        turn: faces are turned by up to so many degrees either way.
        hard: places in backgrounds where a detector found a face: index of the picture, then x, y, width, height.
    """

    portraits: Sequence[Portrait]
    crops: Sequence[Portrait]
    backgrounds: Sequence[Image]
    turn: float = 45.0
    hard: list[tuple[int, float, float, float, float]] = field(default_factory=list)

    def compose(self, side: int, rng: Rng) -> Scene:
        """One square scene of ``side`` pixels."""
        canvas = self._ground(side, rng)
        on_top = np.full((side, side), -1, dtype=np.int16)  # index of the face that each pixel shows
        boxes: list[Floats] = []
        points: list[Floats] = []
        for _ in range(int(rng.integers(0, 4))):
            self._lay_nothing(canvas, _log_uniform(12, 0.6 * side, rng), rng)
        largest = _log_uniform(0.04, 0.95, rng) * side
        most = int(np.clip((side / largest) ** 2 / 4, 1, 5))  # or nearly all faces would be small
        for _ in range(0 if rng.random() < 0.12 else int(rng.integers(1, most + 1))):
            size = max(largest * _log_uniform(0.5, 1.0, rng), 6.0)
            centre = _place(size, side, boxes, rng)
            if centre is None:
                continue
            kind = self.portraits if not self.crops or rng.random() < 0.75 else self.crops
            one = kind[int(rng.integers(len(kind)))]
            angle = float(np.clip(rng.normal(0, 0.4), -1, 1)) * self.turn
            whole = kind is self.crops or rng.random() < 0.45
            mask = _whole(one.picture) if whole and rng.random() < 0.7 else _ellipse(one.picture, one.box, rng)
            box, landmarks, covered = _lay(canvas, one, mask, rng, size=size, angle=angle, centre=centre)
            on_top[covered] = -1
            on_top[_rows(box, side)] = len(boxes)
            boxes.append(box)
            points.append(landmarks)
        if boxes and rng.random() < 0.35:
            self._cover(canvas, boxes[int(rng.integers(len(boxes)))], rng)
        counted = [
            _size(box) >= SMALLEST and (on_top == index).sum() >= _VISIBLE * box[2] * box[3]
            for index, box in enumerate(boxes)
        ]
        picture = photographed(canvas, rng)
        faces = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        marks = np.array(points, dtype=np.float32).reshape(-1, 5, 2)
        if rng.random() < 0.5:
            picture = np.ascontiguousarray(picture[:, ::-1])
            faces[:, 0] = side - faces[:, 0] - faces[:, 2]
            marks[..., 0] = side - marks[..., 0]
            marks = marks[:, _SWAPPED]
        return Scene(picture, faces, marks, np.array(counted, dtype=np.bool_))

    def _ground(self, side: int, rng: Rng) -> Image:
        kind = rng.random()
        if self.hard and kind < 0.4:
            index, x, y, w, h = self.hard[int(rng.integers(len(self.hard)))]
            span = max(w, h) * _log_uniform(1.2, 8.0, rng)
            corner = np.array([x + w / 2, y + h / 2]) - span * rng.uniform(0.3, 0.7, 2)
            return _part(self.backgrounds[index], corner, span, side)
        if kind < 0.8:
            part = self._any_part(side, rng)
            return np.ascontiguousarray(np.rot90(part, int(rng.integers(4)))) if rng.random() < 0.3 else part
        if kind < 0.9:
            one = self.portraits[int(rng.integers(len(self.portraits)))]
            picture = one.picture.copy()
            self._hide(picture, one.box, rng)
            return cast(Image, cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR))
        return drawn(side, rng)

    def _any_part(self, side: int, rng: Rng) -> Image:
        picture = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        height, width = picture.shape[:2]
        span = _log_uniform(min(96, height, width), min(height, width), rng)
        return _part(picture, rng.uniform(0, 1, 2) * (width - span, height - span), span, side)

    def _lay_nothing(self, canvas: Image, size: float, rng: Rng) -> None:
        """Lay a patch without a face, as faces are laid."""
        one = self.portraits[int(rng.integers(len(self.portraits)))]
        height, width = one.picture.shape[:2]
        if rng.random() < 0.35:
            picture = _shuffled(one, rng)
        elif rng.random() < 0.4:
            picture = one.picture.copy()
            self._hide(picture, one.box, rng)
        else:
            picture = cast(Image, cv2.resize(self._any_part(128, rng), (width, height)))
        mask = _whole(picture) if rng.random() < 0.4 else _ellipse(picture, one.box, rng)
        centre = rng.uniform(0, canvas.shape[0], 2)
        angle = float(rng.uniform(-1, 1)) * self.turn
        _lay(canvas, Portrait(picture, one.box, one.points), mask, rng, size=size, angle=angle, centre=centre)

    def _hide(self, picture: Image, box: Floats, rng: Rng) -> None:
        """Put something without a face over all of a portrait's face."""
        grown = np.concatenate([box[:2] - 0.1 * box[2:], 1.2 * box[2:]])
        rows = _rectangle(grown, picture.shape[1], picture.shape[0])
        height, width = picture[rows].shape[:2]
        if rng.random() < 0.6:
            picture[rows] = cv2.resize(self._any_part(64, rng), (width, height))
        else:
            picture[rows] = rng.integers(0, 256, 3)

    def _cover(self, canvas: Image, box: Floats, rng: Rng) -> None:
        """Cover less than half of a face, by a bar or a patch."""
        share = np.array([rng.uniform(0.3, 1.1), rng.uniform(0.15, 0.4)])
        share = share if rng.random() < 0.7 else share[::-1]
        corner = box[:2] + (rng.uniform(0, 1, 2) * (1 - np.minimum(share, 1)) - 0.05) * box[2:]
        rows = _rectangle(np.concatenate([corner, share * box[2:]]), canvas.shape[1], canvas.shape[0])
        height, width = canvas[rows].shape[:2]
        if height and width and rng.random() < 0.5:
            canvas[rows] = cv2.resize(self._any_part(64, rng), (width, height))
        else:
            canvas[rows] = rng.integers(0, 256, 3)


def assign(boxes: Floats, counted: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """What each anchor of a scene learns: the index of a face, -1 for none, -2 for nothing.

    Args:
        boxes: of the faces, ``(n, 4)``.
        counted: whether each must be found; anchors at one that need not be learn nothing.
        side: of the scene, a multiple of 32.
    """
    cells = anchors(side // STRIDES[-1], side // STRIDES[-1])
    learns = np.full(len(cells), -1, dtype=np.int64)
    if len(boxes) == 0:
        return learns
    at, stride = cells[:, :2] * cells[:, 2:], cells[:, 2]
    size = np.sqrt(boxes[:, 2] * boxes[:, 3])
    away = np.abs(at[:, None] - (boxes[:, :2] + boxes[:, 2:] / 2)[None]).max(axis=2)
    bounds = np.array(LEVELS)[np.searchsorted(STRIDES, stride)]
    level = (size >= bounds[:, :1]) & (size < bounds[:, 1:])
    about = (size >= bounds[:, :1] / 1.5) & (size < bounds[:, 1:] * 1.5)
    near = away <= np.maximum(_CENTRE * size, _NEAR * stride[:, None])
    rim = away <= np.maximum(_RIM * size, stride[:, None])
    learns[(about & rim).any(axis=1) | (rim & ~counted).any(axis=1)] = -2
    takes = level & near & counted
    nearest = np.where(takes, away / size, np.inf).argmin(axis=1)
    taken = takes.any(axis=1)
    learns[taken] = nearest[taken]
    return learns


def drawn(side: int, rng: Rng) -> Image:
    """A picture of nothing: clouds, slopes, spots, stripes and polygons, in colours."""
    coarse = int(rng.choice([2, 4, 8, 16, 32]))
    spread = rng.uniform(0, 70)
    clouds = rng.normal(rng.uniform(40, 215, 3), spread, (coarse, coarse, 3)).clip(0, 255).astype(np.uint8)
    way = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    canvas: Array = np.array(cv2.resize(clouds, (side, side), interpolation=way))
    for _ in range(int(rng.integers(0, 14))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        middle = tuple(int(v) for v in rng.integers(0, side, 2))
        kind, thick = rng.random(), int(rng.choice([-1, 1, 2, 4]))
        if kind < 0.45:
            axes = tuple(int(v) for v in rng.integers(2, max(side // 4, 4), 2))
            cv2.ellipse(canvas, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, thick)
        elif kind < 0.7:
            other = tuple(int(v) for v in rng.integers(0, side, 2))
            cv2.rectangle(canvas, middle, other, colour, thick)
        elif kind < 0.85:
            corners = rng.integers(0, side, (int(rng.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [corners], colour)
        else:
            text = "".join(chr(int(c)) for c in rng.integers(33, 127, 6))
            cv2.putText(canvas, text, middle, cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.4, 3), colour, abs(thick))
    return canvas


def photographed(scene: Image, rng: Rng) -> Image:
    """The scene as a poor camera might have taken it: light, colour, blur, noise, compression."""
    picture: Array = scene
    side = picture.shape[0]
    if rng.random() < 0.2:
        small = max(int(side * rng.uniform(0.4, 0.9)), 8)
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.08:
        length = int(rng.integers(3, 9))
        kernel = np.full((1, length), 1 / length) if rng.random() < 0.7 else np.full((length, 1), 1 / length)
        picture = cv2.filter2D(picture, -1, kernel)
    levels = np.arange(256)
    if rng.random() < 0.75:
        gain = np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.08, 3) * (rng.random() < 0.5))
        middle = rng.uniform(60, 190)
        contrast = rng.uniform(0.5, 1.3)
        table = ((levels[:, None] - middle) * contrast + middle).clip(0, 255) / 255
        table = 255 * (table ** np.exp(rng.normal(0, 0.25))) * gain
        picture = cv2.LUT(picture, table.clip(0, 255).astype(np.uint8)[None])
    if rng.random() < 0.3:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.merge([grey, grey, grey])
    if rng.random() < 0.3:
        noise = np.empty((side, side, 1 if rng.random() < 0.5 else 3), dtype=np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))  # OpenCV's own is four times as fast as numpy's
        cv2.randn(noise, np.zeros(1), np.array([rng.uniform(1, 14)]))
        picture = (picture + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        picture = cast(Array, cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR))
    return picture


def _lay(
    canvas: Image, one: Portrait, mask: Floats, rng: Rng, *, size: float, angle: float, centre: Floats
) -> tuple[Floats, Floats, tuple[NDArray[np.int64], ...]]:
    """Lay a portrait into a picture; its box and landmarks there, and the pixels that it covers."""
    picture: Array = _lit(one.picture, rng)
    scale = size / _size(one.box)
    ratio = np.exp(rng.normal(0, 0.05))
    stretch = np.array([scale * ratio, scale / ratio])
    middle = one.box[:2] + one.box[2:] / 2
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    linear = turn * stretch  # columns are scaled: first the stretch, then the turn
    shift = centre - linear @ middle
    half = one.box[2:] * stretch / 2
    reach = np.sqrt((turn**2) @ (half**2))  # of the ellipse that the box holds
    box = np.concatenate([centre - reach, 2 * reach]).astype(np.float32)
    points = (one.points @ linear.T + shift).astype(np.float32)

    share: Array = mask
    height, width = picture.shape[:2]
    if scale < 0.8:  # by averages, as interpolation would leave pixels out
        small = (max(round(width * stretch[0]), 2), max(round(height * stretch[1]), 2))
        linear = linear / np.array([small[0] / width, small[1] / height])
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        share = cv2.resize(share, small, interpolation=cv2.INTER_AREA)
        width, height = small
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T + shift
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), canvas.shape[1::-1])
    if right <= left or bottom <= top:
        return box, points, (np.empty(0, dtype=np.int64),) * 2
    offset = shift - (left, top) + linear.sum(axis=1) / 2 - 0.5  # OpenCV counts from the middle of the first pixel
    matrix = np.column_stack([linear, offset])
    span = (int(right - left), int(bottom - top))
    laid = cv2.warpAffine(picture, matrix, span, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(share, matrix, span, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[..., None]
    under = canvas[top:bottom, left:right]
    under[:] = (under + share * (laid.astype(np.float32) - under)).round()
    rows, columns = np.nonzero(share[..., 0] > 0.5)
    return box, points, (rows + top, columns + left)


def _lit(portrait: Image, rng: Rng) -> Image:
    """The portrait in another light than its scene, now and then from one side, or grey."""
    picture: Array = portrait
    if rng.random() < 0.15:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.merge([grey, grey, grey])
    if rng.random() < 0.4:
        return picture
    light: Array = np.full((1, 1, 1), np.exp(rng.normal(0, 0.3)), dtype=np.float32)
    if rng.random() < 0.3:
        slope = np.linspace(rng.uniform(0.3, 1), rng.uniform(0.6, 1.2), picture.shape[1], dtype=np.float32)
        light = light * (slope if rng.random() < 0.5 else slope[::-1])[None, :, None]
    return (picture * light).clip(0, 255).astype(np.uint8)


def _whole(picture: Image) -> Floats:
    return np.ones(picture.shape[:2], dtype=np.float32)


def _ellipse(picture: Image, box: Floats, rng: Rng) -> Floats:
    """A mask that holds the box and ends in an ellipse around it, sharp or soft."""
    grow = rng.uniform(1.25, 2.0, 2) * rng.uniform(0.9, 1.1)
    middle, half = box[:2] + box[2:] / 2, box[2:] / 2 * grow
    y, x = np.ogrid[: picture.shape[0], : picture.shape[1]]
    away = np.sqrt(((x + 0.5 - middle[0]) / half[0]) ** 2 + ((y + 0.5 - middle[1]) / half[1]) ** 2)
    mask: Floats = ((1 - away) / rng.uniform(0.02, 0.25)).clip(0, 1).astype(np.float32)
    return mask


def _shuffled(one: Portrait, rng: Rng) -> Image:
    """The portrait with the parts of its face in other places."""
    picture = one.picture.copy()
    parts = int(rng.integers(3, 6))
    rows = _rectangle(one.box, picture.shape[1], picture.shape[0])
    face = picture[rows]
    height, width = face.shape[0] // parts, face.shape[1] // parts
    order = rng.permutation(parts * parts)
    while (order == np.arange(parts * parts)).mean() > 0.25:
        order = rng.permutation(parts * parts)
    old = face.copy()
    for place, source in enumerate(order):
        (y, x), (v, u) = divmod(place, parts), divmod(int(source), parts)
        block = old[v * height : (v + 1) * height, u * width : (u + 1) * width]
        face[y * height : (y + 1) * height, x * width : (x + 1) * width] = block
    return picture


def _place(size: float, side: int, boxes: Sequence[Floats], rng: Rng) -> Floats | None:
    """A centre where a face of that size hides no other; None where none was found."""
    for _ in range(6):
        rim = 0.0 if rng.random() < 0.2 else min(0.5 * size, 0.5 * side)
        centre = rng.uniform(rim, side - rim, 2)
        if all(np.abs(centre - box[:2] - box[2:] / 2).max() > 0.55 * (size + _size(box)) for box in boxes):
            return centre
    return None


def _part(picture: Image, corner: Floats, span: float, side: int) -> Image:
    """The square part of a picture from a corner on, moved inside it where it stands out, at ``side`` pixels."""
    height, width = picture.shape[:2]
    whole = int(min(max(span, 8), height, width))
    left, top = (int(v) for v in np.clip(corner, 0, (width - whole, height - whole)))
    part = picture[top : top + whole, left : left + whole]
    way = cv2.INTER_AREA if whole > side else cv2.INTER_LINEAR
    return np.array(cv2.resize(part, (side, side), interpolation=way))


def _rectangle(box: Floats, width: int, height: int) -> tuple[slice, slice]:
    left, top = (max(int(v), 0) for v in box[:2])
    right, bottom = int(box[0] + box[2]), int(box[1] + box[3])
    return slice(top, max(min(bottom, height), top)), slice(left, max(min(right, width), left))


def _rows(box: Floats, side: int) -> tuple[slice, slice]:
    return _rectangle(box, side, side)


def _size(box: Floats) -> float:
    return float(np.sqrt(box[2] * box[3]))


def _log_uniform(low: float, high: float, rng: Rng) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
