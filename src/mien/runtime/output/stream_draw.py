"""A stream's results drawn into its frames: light, and steady from one frame to the next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from mien.core.expression import Expression
from mien.core.face import Box, Face, Frame, Reading
from mien.core.preprocess import Image
from mien.runtime.output.draw import COLOURS, Colour

_PANEL: Colour = (24, 26, 30)
_TRACK: Colour = (58, 62, 70)
_BRIGHT: Colour = (245, 245, 245)
_DIM: Colour = (160, 165, 173)
_NO_EXPRESSION: Colour = (205, 209, 214)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEAST_SIDE = 480
_REMEMBERED = 64

Corner = tuple[int, int]
"""Left and top of something that is laid over a picture."""


class StreamDrawer:
    """Draws a frame around each face, the expression that is held in words, and bars of the smoothed probabilities.

    What is not known is said: *uncertain* while nothing is held, *not measurable* with its reason. All sizes follow the
    picture's size and not the faces', and bars stay on the side of their face on which they began for as long as there
    is room, so that nothing jumps. Bars that would cover another face are left out; the words remain.
    """

    def __init__(self) -> None:
        """Begin a stream."""
        self._sides: dict[int, int] = {}
        self._last: tuple[Frame, Image] | None = None

    def draw(self, picture: Image, frame: Frame) -> Image:
        """The picture with its results drawn in, RGB uint8; a copy, the same one when the same frame comes again.

        One with a longer side below 480 pixels is enlarged by a whole factor, as text could not be read in it.

        Args:
            picture: RGB uint8 ``(height, width, 3)``.
            frame: its results.

        Raises:
            ValueError: the frame is that of a picture of another size.
        """
        if picture.shape[:2] != (frame.height, frame.width):
            raise ValueError(f"the frame is of a {frame.width} x {frame.height} picture, not {picture.shape[1::-1]}")
        if self._last is None or self._last[0] is not frame:
            self._last = frame, self._drawn(picture, frame)
        return self._last[1]

    def _drawn(self, picture: Image, frame: Frame) -> Image:
        factor = max(-(-_LEAST_SIDE // max(frame.width, frame.height)), 1)
        size = (frame.width * factor, frame.height * factor)
        canvas = (
            cast(Image, cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)) if factor > 1 else picture.copy()
        )
        unit = max(round(float(np.sqrt(size[0] * size[1])) / 40), 13)
        areas = [_Area.of(face.box, factor) for face in frame.faces]
        taken: list[_Area] = []
        for face, area in zip(frame.faces, areas, strict=True):
            _draw_corners(canvas, area, _colour(face), unit)
        for face, area in zip(frame.faces, areas, strict=True):
            chip = _chip(face, unit, len(areas) > 1)
            above, below = area.top - chip.shape[0] - unit // 4, area.bottom + unit // 4
            fits = above >= 0 or below + chip.shape[0] > canvas.shape[0]
            taken.append(_paste(canvas, chip, (area.left, above if fits else below)))
        for index, (face, area) in enumerate(zip(frame.faces, areas, strict=True)):
            smoothed = face.track.smoothed if face.track else None
            if smoothed and not face.unmeasurable and face.track:
                panel = _panel(smoothed, face.track.held, unit)
                others = [*areas[:index], *areas[index + 1 :], *taken]
                spots = _spots(panel, area, canvas, unit, alone=len(areas) == 1)
                corner = self._choose(face.track.id, spots, [*others, area.features()])
                if corner:
                    taken.append(_paste(canvas, panel, corner))
        return canvas

    def _choose(self, track: int, spots: list[_Area | None], taken: list[_Area]) -> Corner | None:
        """The side on which this track's panel was last, or the first other one that is free."""
        for side in (self._sides.pop(track, 0), *range(len(spots))):
            spot = spots[side]
            if spot and not any(spot.overlaps(other) for other in taken):
                self._sides[track] = side
                if len(self._sides) > _REMEMBERED:
                    del self._sides[next(iter(self._sides))]
                return spot.left, spot.top
        return None


@dataclass(frozen=True, slots=True)
class _Area:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Box, factor: int) -> _Area:
        return cls(*(round(value * factor) for value in (box.x, box.y, box.width, box.height)))

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def inside(self, canvas: Image) -> bool:
        fits = self.right <= canvas.shape[1] and self.bottom <= canvas.shape[0]
        return self.left >= 0 and self.top >= 0 and fits

    def features(self) -> _Area:
        """The part of a face that shows its expression."""
        margin = self.width // 6, self.height // 6
        return _Area(self.left + margin[0], self.top + margin[1], self.width * 2 // 3, self.height * 2 // 3)

    def overlaps(self, other: _Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def _spots(panel: Image, face: _Area, canvas: Image, unit: int, *, alone: bool) -> list[_Area | None]:
    """Where a panel could stand: beside the face, below, above; None where there is no room.

    In a corner of the picture only where the face is alone: among several nobody could tell whose panel it is.
    """
    height, width = panel.shape[:2]
    gap = max(unit // 2, 4)
    middle = min(max(face.top + (face.height - height) // 2, gap), canvas.shape[0] - height - gap)
    across = min(max(face.left, gap), canvas.shape[1] - width - gap)
    bottom, right = canvas.shape[0] - height - gap, canvas.shape[1] - width - gap
    spots = [
        _Area(face.right + gap, middle, width, height),
        _Area(face.left - gap - width, middle, width, height),
        _Area(across, face.bottom + 2 * unit, width, height),
        _Area(across, face.top - 2 * unit - height, width, height),
        _Area(gap, bottom, width, height),
        _Area(right, bottom, width, height),
    ]
    return [spot if spot.inside(canvas) and (alone or index < 4) else None for index, spot in enumerate(spots)]


def state_in_words(face: Face) -> str:
    """What a frame says of a face: ``"happy"``, ``"uncertain"`` or ``"not measurable: dark"``."""
    if face.unmeasurable:
        return f"not measurable: {face.unmeasurable}"
    held = face.track.held if face.track else None
    return str(held) if held else "uncertain"


def _colour(face: Face) -> Colour:
    held = face.track.held if face.track and not face.unmeasurable else None
    return COLOURS[held] if held else _NO_EXPRESSION


def _draw_corners(canvas: Image, face: _Area, colour: Colour, unit: int) -> None:
    """Four corners, over a dark edge that keeps them visible on any ground."""
    thick = max(unit // 5, 2)
    length = max(min(face.width, face.height) // 5, 4)
    for ink, extra in (((0, 0, 0), 2), (colour, 0)):
        for x, dx in ((face.left, length), (face.right, -length)):
            for y, dy in ((face.top, length), (face.bottom, -length)):
                corner = np.array([(x + dx, y), (x, y), (x, y + dy)], dtype=np.int32)
                cv2.polylines(canvas, [corner], False, ink, thick + extra, cv2.LINE_AA)


def _chip(face: Face, unit: int, numbered: bool) -> Image:
    """The words above a face, with its track's number where there are several faces."""
    number = f"{face.track.id}  " if numbered and face.track else ""
    words = _text(number + state_in_words(face), unit, _BRIGHT)
    bar, pad = max(unit // 4, 2), unit // 2
    chip = np.full((words.shape[0], bar + words.shape[1] + 2 * pad, 3), _PANEL, dtype=np.uint8)
    chip[:, :bar] = _colour(face)
    chip[:, bar + pad : bar + pad + words.shape[1]] = words
    return chip


def _panel(reading: Reading, held: Expression | None, unit: int) -> Image:
    """Bars of the smoothed probabilities; candidates are bright, the rest dim, and what is held is marked."""
    size = unit * 4 // 5
    names = {e: _text(str(e), size, _BRIGHT if e in reading.candidates else _DIM) for e in reading.labels}
    row = next(iter(names.values())).shape[0]
    pad, bar_width = size // 2, 5 * size
    bar_left = pad * 2 + max(name.shape[1] for name in names.values()) + size // 2
    number_right = bar_left + bar_width + _text("100 %", size, _DIM).shape[1] + size // 2
    panel = np.full((row * len(names) + pad, number_right + pad, 3), _PANEL, dtype=np.uint8)
    for index, (expression, name) in enumerate(names.items()):
        top = pad // 2 + row * index
        middle, half = top + row // 2, max(row // 4, 2)
        panel[top : top + row, 2 * pad : 2 * pad + name.shape[1]] = name
        if expression is held:
            panel[middle - half : middle + half, pad // 2 : pad // 2 + max(pad // 2, 3)] = COLOURS[expression]
        value = reading.probability(expression)
        panel[middle - half : middle + half, bar_left : bar_left + bar_width] = _TRACK
        panel[middle - half : middle + half, bar_left : bar_left + round(bar_width * value)] = COLOURS[expression]
        number = _text(f"{value * 100:.0f} %", size, _BRIGHT if expression in reading.candidates else _DIM)
        panel[top : top + row, number_right - number.shape[1] : number_right] = number
    return panel


@lru_cache(maxsize=1024)
def _text(words: str, size: int, colour: Colour) -> Image:
    """Words on the panel's ground, one line high; drawn three times larger and averaged, which smooths the strokes."""
    large = 3 * size
    scale, stroke = large / 30, max(large // 10, 1)
    width = int(cv2.getTextSize(words, _FONT, scale, stroke)[0][0])
    line = np.full((3 * round(1.5 * size), -(-width // 3) * 3, 3), _PANEL, dtype=np.uint8)
    cv2.putText(line, words, (0, round(1.06 * large)), _FONT, scale, colour, stroke, cv2.LINE_AA)
    small = cv2.resize(line, (line.shape[1] // 3, line.shape[0] // 3), interpolation=cv2.INTER_AREA)
    small.setflags(write=False)
    return cast(Image, small)


def _paste(canvas: Image, patch: Image, corner: Corner) -> _Area:
    """Lay a patch over the canvas, nearly opaque, moved inside and cut where it is larger than the canvas."""
    left = max(min(corner[0], canvas.shape[1] - patch.shape[1]), 0)
    top = max(min(corner[1], canvas.shape[0] - patch.shape[0]), 0)
    view = canvas[top : top + patch.shape[0], left : left + patch.shape[1]]
    view[:] = cv2.addWeighted(patch[: view.shape[0], : view.shape[1]], 0.88, view, 0.12, 0)
    return _Area(left, top, patch.shape[1], patch.shape[0])
