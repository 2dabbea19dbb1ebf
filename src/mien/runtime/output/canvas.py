"""What drawings are made of: colours, areas, words, bars, and laying them over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from mien.core.expression import Expression
from mien.core.face import Box, Frame, Reading
from mien.core.preprocess import Image

Colour = tuple[int, int, int]

COLOURS: dict[Expression, Colour] = {
    Expression.ANGRY: (213, 94, 0),
    Expression.DISGUST: (0, 158, 115),
    Expression.FEAR: (204, 121, 167),
    Expression.HAPPY: (230, 159, 0),
    Expression.SAD: (86, 180, 233),
    Expression.SURPRISE: (240, 228, 66),
    Expression.NEUTRAL: (187, 187, 187),
    Expression.CONTEMPT: (0, 114, 178),
}
"""RGB of each expression: Okabe & Ito's palette, told apart by colour-blind people too, and a grey."""

_PANEL: Colour = (24, 26, 30)
_TRACK: Colour = (58, 62, 70)
_BRIGHT: Colour = (245, 245, 245)
_DIM: Colour = (160, 165, 173)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEAST_SIDE = 480
_SUPERSAMPLING = 3
"""OpenCV's stroke fonts are drawn larger and averaged down: they come out smooth at every size."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Box, factor: int) -> Area:
        """Where a box lies in a picture that was enlarged by ``factor``."""
        return cls(*(round(value * factor) for value in (box.x, box.y, box.width, box.height)))

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row beyond it."""
        return self.top + self.height

    def is_inside(self, canvas: Image) -> bool:
        """Whether all of it is in the picture."""
        fits = self.right <= canvas.shape[1] and self.bottom <= canvas.shape[0]
        return self.left >= 0 and self.top >= 0 and fits

    def features(self) -> Area:
        """The part of a face that shows its expression."""
        across, down = self.width // 6, self.height // 6
        return Area(self.left + across, self.top + down, self.width * 2 // 3, self.height * 2 // 3)

    def overlaps(self, other: Area) -> bool:
        """Whether the two share a pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def enlarged(picture: Image, frame: Frame) -> tuple[Image, int]:
    """A copy to draw into, and the whole factor by which it is larger: text needs a long side of 480 pixels.

    Raises:
        ValueError: the frame is that of a picture of another size.
    """
    if picture.shape[:2] != (frame.height, frame.width):
        raise ValueError(f"the frame is of a {frame.width} x {frame.height} picture, not {picture.shape[1::-1]}")
    factor = max(-(-_LEAST_SIDE // max(frame.width, frame.height)), 1)
    if factor == 1:
        return picture.copy(), factor
    size = (frame.width * factor, frame.height * factor)
    return cast(Image, cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)), factor


def text_height(canvas: Image) -> int:
    """Height of a line of text in a picture, pixels."""
    return max(round(float(np.sqrt(canvas.shape[0] * canvas.shape[1])) / 40), 13)


def draw_corners(canvas: Image, face: Area, colour: Colour, unit: int) -> None:
    """Four corners around a face, over a dark edge that keeps them visible on any ground."""
    thick = max(unit // 5, 2)
    length = max(min(face.width, face.height) // 5, 4)
    for ink, extra in (((0, 0, 0), 2), (colour, 0)):
        for x, dx in ((face.left, length), (face.right, -length)):
            for y, dy in ((face.top, length), (face.bottom, -length)):
                corner = np.array([(x + dx, y), (x, y), (x, y + dy)], dtype=np.int32)
                cv2.polylines(canvas, [corner], False, ink, thick + extra, cv2.LINE_AA)


def label(lines: Sequence[tuple[str, Colour]], unit: int) -> Image:
    """Lines of words, each beside a bar of its colour."""
    texts = [_text(words, unit, _BRIGHT) for words, _ in lines]
    bar, pad, height = max(unit // 4, 2), unit // 2, texts[0].shape[0]
    width = bar + max(text.shape[1] for text in texts) + 2 * pad
    patch = np.full((height * len(lines), width, 3), _PANEL, dtype=np.uint8)
    for index, (text, (_, colour)) in enumerate(zip(texts, lines, strict=True)):
        row = patch[index * height : (index + 1) * height]
        row[:, :bar] = colour
        row[:, bar + pad : bar + pad + text.shape[1]] = text
    return patch


def bars(
    readings: Sequence[Reading],
    unit: int,
    *,
    titles: bool = False,
    held: Expression | None = None,
    number: int | None = None,
) -> Image:
    """Bars of all expressions: one row for each, one column for each model; candidates are bright, the rest dim.

    Args:
        readings: of one face, one for each model.
        unit: height of a line of text, pixels.
        titles: name the models above their columns.
        held: an expression to mark.
        number: that of the face, where a picture has several.
    """
    size = unit * 4 // 5
    labels = [e for e in Expression if any(e in reading.labels for reading in readings)]
    bright = {e for reading in readings for e in reading.candidates}
    names = {e: _text(str(e), size, _BRIGHT if e in bright else _DIM) for e in labels}
    row = next(iter(names.values())).shape[0]
    pad, number_width = size // 2, _text("100 %", size, _DIM).shape[1] + size // 2
    longest = max(_width(reading.model, size) for reading in readings) if titles else 0
    bar_width = min(max(5 * size, longest - number_width), 9 * size)
    column_width = bar_width + number_width
    left = 2 * pad + max(name.shape[1] for name in names.values()) + size // 2
    width = left + (column_width + pad) * len(readings)
    headed = titles or number is not None
    panel = np.full((row * (len(labels) + headed) + pad, width, 3), _PANEL, dtype=np.uint8)
    if number is not None:
        whose = _text(str(number), size, _BRIGHT)[:, : left - 2 * pad]
        panel[pad // 2 : pad // 2 + row, 2 * pad : 2 * pad + whose.shape[1]] = whose
    for index, (expression, name) in enumerate(names.items(), start=headed):
        top = pad // 2 + row * index
        panel[top : top + row, 2 * pad : 2 * pad + name.shape[1]] = name
        if expression is held:
            middle, half = top + row // 2, max(row // 4, 2)
            panel[middle - half : middle + half, pad // 2 : pad // 2 + max(pad // 2, 3)] = COLOURS[expression]
        for column, reading in enumerate(readings):
            if expression in reading.labels:
                place = Area(left + column * (column_width + pad), top, bar_width, row)
                _draw_bar(panel, reading, expression, place, size=size, right=place.left + column_width)
    for column, reading in enumerate(readings) if titles else ():
        title = _text(_shortened(reading.model, size, column_width), size, _BRIGHT)
        at = left + column * (column_width + pad)
        panel[pad // 2 : pad // 2 + row, at : at + title.shape[1]] = title
    return panel


def places(patch: Image, face: Area, canvas: Image, unit: int, *, alone: bool) -> list[Area | None]:
    """Where a panel could stand: beside the face, below, above; None where there is no room.

    In a corner of the picture only where the face is alone.
    """
    height, width = patch.shape[:2]
    gap = max(unit // 2, 4)
    middle = min(max(face.top + (face.height - height) // 2, gap), canvas.shape[0] - height - gap)
    across = min(max(face.left, gap), canvas.shape[1] - width - gap)
    bottom, right = canvas.shape[0] - height - gap, canvas.shape[1] - width - gap
    spots = [
        Area(face.right + gap, middle, width, height),
        Area(face.left - gap - width, middle, width, height),
        Area(across, face.bottom + 2 * unit, width, height),
        Area(across, face.top - 2 * unit - height, width, height),
        *(Area(x, y, width, height) for y in (bottom, gap) for x in (gap, right) if alone),
    ]
    return [spot if spot.is_inside(canvas) else None for spot in spots]


def nearest_free(patch: Image, face: Area, canvas: Image, unit: int, occupied: Sequence[Area]) -> Area | None:
    """The place nearest to a face at which a patch covers nothing that is occupied; None where there is none."""
    height, width = patch.shape[:2]
    gap = max(unit // 2, 4)
    tops = np.arange(gap, canvas.shape[0] - height - gap + 1, gap)[:, None]
    lefts = np.arange(gap, canvas.shape[1] - width - gap + 1, gap)[None, :]
    free = np.ones((tops.size, lefts.size), dtype=bool)
    for other in occupied:
        beside = (lefts >= other.right) | (lefts + width <= other.left)
        free &= beside | (tops >= other.bottom) | (tops + height <= other.top)
    if not free.any():
        return None
    down = tops + height / 2 - face.top - face.height / 2
    across = lefts + width / 2 - face.left - face.width / 2
    row, column = divmod(int(np.argmin(np.where(free, np.hypot(down, across), np.inf))), lefts.size)
    return Area(int(lefts[0, column]), int(tops[row, 0]), width, height)


def lay_labels(
    labels: Sequence[Sequence[Image]], faces: Sequence[Area], canvas: Image, unit: int
) -> list[tuple[Image, Area]]:
    """Which form of each label is drawn where, so that none covers another label or another face.

    All begin with their shortest form, and grow in turn while there is room, so that no long label takes its
    neighbours' place. Where faces lie over one another a label may lie over them too.

    Args:
        labels: of each face the label and its shorter forms, the longest first.
        faces: whose labels they are.
        canvas: what will be drawn into.
        unit: height of a line of text, pixels.
    """
    laid = [(forms[-1], Area(face.left, face.top, 0, 0)) for forms, face in zip(labels, faces, strict=True)]
    for length in range(max(map(len, labels), default=0)):
        for index, (forms, face) in enumerate(zip(labels, faces, strict=True)):
            if length >= len(forms):
                continue
            patch = forms[-1 - length]
            others = [*faces[:index], *faces[index + 1 :], *(spot for _, spot in laid[:index] + laid[index + 1 :])]
            for spot in _label_spots(patch, face, canvas, unit):
                if spot.is_inside(canvas) and not any(spot.overlaps(other) for other in others):
                    laid[index] = patch, spot
                    break
            else:
                if length == 0:
                    laid[index] = patch, Area(face.left, face.top, patch.shape[1], patch.shape[0])
    return laid


def _label_spots(patch: Image, face: Area, canvas: Image, unit: int) -> list[Area]:
    """Above the face, below it, and on its forehead where the label is small or has no other room.

    It begins at the face's left edge: one that reached back to the left would seem to be the neighbour's.
    """
    height, width = patch.shape[:2]
    above, below = face.top - height - unit // 4, face.bottom + unit // 4
    left = max(min(face.left, canvas.shape[1] - width), 0)
    tops = [above, below]
    outside = above < 0 and below + height > canvas.shape[0]
    if outside or (width <= face.width and height <= face.height // 3):
        tops.append(max(face.top, 0))
    return [Area(left, top, width, height) for top in tops]


def paste(canvas: Image, patch: Image, left: int, top: int) -> Area:
    """Lay a patch over the canvas, nearly opaque, moved inside and cut where it is larger than the canvas."""
    left = max(min(left, canvas.shape[1] - patch.shape[1]), 0)
    top = max(min(top, canvas.shape[0] - patch.shape[0]), 0)
    view = canvas[top : top + patch.shape[0], left : left + patch.shape[1]]
    view[:] = cv2.addWeighted(patch[: view.shape[0], : view.shape[1]], 0.88, view, 0.12, 0)
    return Area(left, top, patch.shape[1], patch.shape[0])


def _draw_bar(panel: Image, reading: Reading, expression: Expression, place: Area, *, size: int, right: int) -> None:
    middle, half = place.top + place.height // 2, max(place.height // 4, 2)
    value = reading.probability(expression)
    panel[middle - half : middle + half, place.left : place.right] = _TRACK
    if value >= 0.005:
        end = place.left + max(round(place.width * value), 1)
        panel[middle - half : middle + half, place.left : end] = COLOURS[expression]
    number = _text(f"{value * 100:.0f} %", size, _BRIGHT if expression in reading.candidates else _DIM)
    panel[place.top : place.bottom, right - number.shape[1] : right] = number


@lru_cache(maxsize=1024)
def _text(words: str, size: int, colour: Colour) -> Image:
    """Words on the panel's ground, one line high."""
    k, large = _SUPERSAMPLING, _SUPERSAMPLING * size
    line = np.full((k * round(1.5 * size), k * _width(words, size), 3), _PANEL, dtype=np.uint8)
    at = (0, round(1.06 * large))
    cv2.putText(line, words, at, _FONT, large / 30, colour, max(large // 10, 1), cv2.LINE_AA)
    small = cv2.resize(line, (line.shape[1] // k, line.shape[0] // k), interpolation=cv2.INTER_AREA)
    small.setflags(write=False)
    return cast(Image, small)


def _width(words: str, size: int) -> int:
    large = _SUPERSAMPLING * size
    return -(-int(cv2.getTextSize(words, _FONT, large / 30, max(large // 10, 1))[0][0]) // _SUPERSAMPLING)


def _shortened(words: str, size: int, width: int) -> str:
    while len(words) > 4 and _width(words, size) > width:
        words = words.removesuffix("..")[:-1] + ".."
    return words
