"""Results drawn into pictures: a frame around each face, its expression, and bars of all probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import cv2
import numpy as np

from mien.core.expression import Expression
from mien.core.face import Box, Face, Frame, Reading
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


def annotate(picture: Image, frame: Frame, *, show: Literal["bars", "words"] = "bars") -> Image:
    """The picture with its results drawn in, RGB uint8.

    Each face gets a frame, its number where there are several, and, for each model, the expression in words; what is
    ambiguous says so ("neutral, sad or angry"). A panel with the bars of all expressions, side by side for several
    models, stands where it covers no other face; where there is no such place it is left out, and the words remain.

    Sizes follow the picture's. One with a longer side below 480 pixels is enlarged by a whole factor, as text could not
    be read in it.

    Args:
        picture: RGB uint8 ``(height, width, 3)``.
        frame: its results.
        show: ``"words"`` leaves the panels out.

    Raises:
        ValueError: the frame is that of a picture of another size.
    """
    if picture.shape[:2] != (frame.height, frame.width):
        raise ValueError(f"the frame is of a {frame.width} x {frame.height} picture, not {picture.shape[1::-1]}")
    factor = max(-(-_LEAST_SIDE // max(frame.width, frame.height)), 1)
    size = (frame.width * factor, frame.height * factor)
    canvas = cast(Image, cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)) if factor > 1 else picture.copy()
    areas = [_area(face.box, factor) for face in frame.faces]
    taken: list[_Area] = []
    for number, (face, area) in enumerate(zip(frame.faces, areas, strict=True), start=1):
        unit = _unit(canvas, area)
        _draw_corners(canvas, area, COLOURS[face.reading.expression], unit)
        chip = _render_chip(face, unit, f"{number}  " if len(areas) > 1 else "")
        place = _Area(area.left, area.top, chip.shape[1], chip.shape[0])
        above, below = area.top - chip.shape[0] - unit // 4, area.bottom + unit // 4
        place = place.at(area.left, above if above >= 0 or below + chip.shape[0] > canvas.shape[0] else below)
        taken.append(_paste(canvas, chip, place.inside(canvas)))
    for face, area in zip(frame.faces, areas, strict=True) if show == "bars" else ():
        panel = _render_panel(face, _unit(canvas, area), len(frame.models) > 1)
        spot = _find_place(canvas, panel, area, [*areas, *taken], _unit(canvas, area))
        if spot:
            taken.append(_paste(canvas, panel, spot))
    return canvas


@dataclass(frozen=True, slots=True)
class _Area:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def at(self, left: int, top: int) -> _Area:
        return _Area(left, top, self.width, self.height)

    def inside(self, canvas: Image) -> _Area:
        """The same moved into the canvas, as far as it fits."""
        left = max(min(self.left, canvas.shape[1] - self.width), 0)
        return self.at(left, max(min(self.top, canvas.shape[0] - self.height), 0))

    def overlaps(self, other: _Area) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


def _area(box: Box, factor: int) -> _Area:
    return _Area(*(round(value * factor) for value in (box.x, box.y, box.width, box.height)))


def _unit(canvas: Image, face: _Area) -> int:
    """Height of a line of text: it follows the picture, and gives way a little to small faces in crowds."""
    by_picture = float(np.sqrt(canvas.shape[0] * canvas.shape[1])) / 40
    return max(round(min(by_picture, max(face.width / 7, by_picture / 2))), 13)


def _find_place(canvas: Image, panel: Image, face: _Area, taken: Sequence[_Area], unit: int) -> _Area | None:
    """The first free place beside the face, then in the picture's corners; at last a corner of the face itself."""
    height, width = panel.shape[:2]
    gap = max(unit // 2, 4)
    panel_area = _Area(0, 0, width, height)
    middle = face.top + (face.height - height) // 2
    beside = [
        panel_area.at(face.right + gap, middle),
        panel_area.at(face.left - gap - width, middle),
        panel_area.at(face.left, face.bottom + gap),
        panel_area.at(face.left, face.top - gap - height),
    ]
    corners = [
        panel_area.at(x, y)
        for y in (canvas.shape[0] - height - gap, gap)
        for x in (canvas.shape[1] - width - gap, gap)
        if abs(x - face.left) < 3 * max(face.width, width) and abs(y - face.top) < 3 * max(face.height, height)
    ]
    features = _Area(
        face.left + face.width // 6, face.top + face.height // 6, face.width * 2 // 3, face.height * 2 // 3
    )
    without_frame = [area for area in taken if area != face] + [features]
    for places, occupied in ((beside + corners, taken), (corners, without_frame)):
        for place in (p.inside(canvas) for p in places):
            fits = place.right <= canvas.shape[1] and place.bottom <= canvas.shape[0]
            if fits and not any(place.overlaps(other) for other in occupied):
                return place
    return None


def _draw_corners(canvas: Image, face: _Area, colour: Colour, unit: int) -> None:
    """A thin frame with strong corners, over a dark edge that keeps it visible on any ground."""
    thin = max(unit // 9, 2)
    length = max(min(face.width, face.height) // 5, 4)
    for ink, extra in (((0, 0, 0), 2), (colour, 0)):
        cv2.rectangle(canvas, (face.left, face.top), (face.right, face.bottom), ink, thin + extra, cv2.LINE_AA)
        for x, dx in ((face.left, length), (face.right, -length)):
            for y, dy in ((face.top, length), (face.bottom, -length)):
                for end in ((x + dx, y), (x, y + dy)):
                    cv2.line(canvas, (x, y), end, ink, 2 * thin + 1 + extra, cv2.LINE_AA)


def _render_chip(face: Face, unit: int, number: str) -> Image:
    """The words above a face, one line for each model."""
    s = unit * _SUPERSAMPLING
    several = len(face.readings) > 1
    lines = [number + (f"{r.model}: " if several else "") + headline(r) for r in face.readings]
    bar, pad = s // 4, s // 2
    width = max(_text_width(line, s) for line in lines) + bar + 2 * pad
    chip = _blank(width, round(1.5 * s * len(lines)))
    for index, (line, reading) in enumerate(zip(lines, face.readings, strict=True)):
        top = round(1.5 * s * index)
        cv2.rectangle(chip, (0, top), (bar, top + round(1.5 * s)), COLOURS[reading.expression], cv2.FILLED)
        _write(chip, line, (bar + pad, top + round(1.06 * s)), s, _BRIGHT)
    return _smooth(chip)


def headline(reading: Reading) -> str:
    """One line on a reading: ``"happy 93 %"``, or the candidates where there are several."""
    if reading.is_ambiguous:
        return reading.describe()
    return f"{reading.expression} {reading.confidence:.0%}".replace("%", " %")


def _render_panel(face: Face, unit: int, with_titles: bool) -> Image:
    """Bars of all expressions: one row for each, one column for each model; candidates are bright, the rest dim."""
    s = unit * _SUPERSAMPLING * 4 // 5
    pad, row, number_width = s * 3 // 4, s * 3 // 2, _text_width(" 100 %", s)
    longest = max(_text_width(r.model, s) for r in face.readings) if with_titles else 0
    bar_width = min(max(s * 5, longest - number_width), s * 9)
    labels = [e for e in Expression if any(e in r.labels for r in face.readings)]
    name_width = max(_text_width(label, s) for label in labels)
    column_width = bar_width + number_width + s // 2
    titles = [_shortened(r.model, s, column_width) for r in face.readings]
    height = row * (len(labels) + with_titles) + pad
    panel = _blank(2 * pad + name_width + (column_width + s // 2) * len(face.readings), height)
    for index, label in enumerate(labels):
        baseline = pad // 2 + row * (index + with_titles) + round(1.1 * s)
        wanted = any(label in r.candidates for r in face.readings)
        _write(panel, label, (pad, baseline), s, _BRIGHT if wanted else _DIM)
    for column, reading in enumerate(face.readings):
        left = pad + name_width + s // 2 + column * (column_width + s // 2)
        if with_titles:
            _write(panel, titles[column], (left, pad // 2 + round(1.1 * s)), s, _BRIGHT)
        for index, label in enumerate(labels):
            top = pad // 2 + row * (index + with_titles)
            if label in reading.labels:
                _draw_bar(panel, reading, label, _Area(left, top, bar_width, row), s)
    return _smooth(panel)


def _draw_bar(panel: Image, reading: Reading, label: Expression, area: _Area, s: int) -> None:
    value = reading.probability(label)
    top, bottom = area.top + round(0.4 * s), area.top + round(1.1 * s)
    cv2.rectangle(panel, (area.left, top), (area.right, bottom), _TRACK, cv2.FILLED)
    if value >= 0.005:
        end = area.left + max(round(area.width * value), 1)
        cv2.rectangle(panel, (area.left, top), (end, bottom), COLOURS[label], cv2.FILLED)
    ink = _BRIGHT if label in reading.candidates else _DIM
    number = f"{value * 100:.0f} %"
    left = area.right + _text_width(" 100 %", s) - _text_width(number, s)
    _write(panel, number, (left, area.top + round(1.1 * s)), s, ink)


def _text_scale(s: int) -> float:
    return s / 30.0


def _text_width(text: str, s: int) -> int:
    return int(cv2.getTextSize(text, _FONT, _text_scale(s), max(s // 10, 1))[0][0])


def _write(image: Image, text: str, at: tuple[int, int], s: int, colour: Colour) -> None:
    cv2.putText(image, text, at, _FONT, _text_scale(s), colour, max(s // 10, 1), cv2.LINE_AA)


def _shortened(text: str, s: int, width: int) -> str:
    while len(text) > 4 and _text_width(text, s) > width:
        text = text.removesuffix("..")[:-1] + ".."
    return text


def _blank(width: int, height: int) -> Image:
    """A panel whose sides are whole numbers of final pixels."""
    k = _SUPERSAMPLING
    return np.full((-(-height // k) * k, -(-width // k) * k, 3), _PANEL, dtype=np.uint8)


def _smooth(large: Image) -> Image:
    size = (large.shape[1] // _SUPERSAMPLING, large.shape[0] // _SUPERSAMPLING)
    return cast(Image, cv2.resize(large, size, interpolation=cv2.INTER_AREA))


def _paste(canvas: Image, panel: Image, area: _Area) -> _Area:
    """Lay a panel over the canvas, nearly opaque, cut where it is larger than the canvas."""
    view = canvas[area.top : area.bottom, area.left : area.right]
    part = panel[: view.shape[0], : view.shape[1]]
    view[:] = cv2.addWeighted(part, 0.88, view, 0.12, 0)
    return area
