"""Results drawn into pictures and into the frames of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mien.core.face import Face, Frame, Reading
from mien.core.preprocess import Image
from mien.runtime.output.canvas import (
    COLOURS,
    Area,
    Colour,
    bars,
    draw_corners,
    enlarged,
    label,
    lay_labels,
    nearest_free,
    paste,
    places,
    text_height,
)

_NO_EXPRESSION: Colour = (205, 209, 214)
_REMEMBERED = 64
_CROWD = 7
"""From so many faces on, panels stand beside their faces only: elsewhere they would hide the picture."""

Lines = list[tuple[str, Colour]]


def annotate(picture: Image, frame: Frame, *, show: Literal["bars", "words"] = "bars") -> Image:
    """The picture with its results drawn in, RGB uint8.

    Each face gets corners, its number where there are several, and, for each model, the expression in words; what is
    ambiguous says so ("neutral, sad or angry"). No label covers another label or another face, as long as the faces
    themselves lie apart: where there is too little room the words become shorter ("neutral?"), and at last the number
    stands alone. A panel with the bars of all expressions, side by side for several models, carries the same number and
    stands where it covers no other face; where there is no such place it is left out, and the words remain.

    Sizes follow the picture's. One with a longer side below 480 pixels is enlarged by a whole factor, as text could not
    be read in it.

    Args:
        picture: RGB uint8 ``(height, width, 3)``.
        frame: its results.
        show: ``"words"`` leaves the panels out.

    Raises:
        ValueError: the frame is that of a picture of another size.
    """
    canvas, factor = enlarged(picture, frame)
    areas = [Area.of(face.box, factor) for face in frame.faces]
    units = [_fitting(text_height(canvas), area) for area in areas]
    numbers = _numbers(frame)
    for face, area, unit in zip(frame.faces, areas, units, strict=True):
        draw_corners(canvas, area, COLOURS[face.reading.expression], unit)
    words = [
        _label_forms([_headlines(face.readings), _expressions(face.readings)], number, unit)
        for face, number, unit in zip(frame.faces, numbers, units, strict=True)
    ]
    taken = [
        paste(canvas, patch, at.left, at.top) for patch, at in lay_labels(words, areas, canvas, text_height(canvas))
    ]
    for index, (face, area, unit) in enumerate(zip(frame.faces, areas, units, strict=True)) if show == "bars" else ():
        occupied = [*areas[:index], area.features(), *areas[index + 1 :], *taken]
        for size in (unit, max(unit * 2 // 3, 13)):
            panel = bars(face.readings, size, titles=len(frame.models) > 1, number=numbers[index])
            spots = [spot for spot in places(panel, area, canvas, unit, alone=len(areas) == 1) if spot]
            place = next((spot for spot in spots if not any(spot.overlaps(other) for other in occupied)), None)
            if place is None and len(areas) < _CROWD:
                place = nearest_free(panel, area, canvas, unit, [*areas, *taken])
            if place:
                taken.append(paste(canvas, panel, place.left, place.top))
                break
    return canvas


class StreamDrawer:
    """Draws corners around each face, the expression that is held in words, and bars of the smoothed probabilities.

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
        if self._last is None or self._last[0] is not frame:
            self._last = frame, self._drawn(picture, frame)
        return self._last[1]

    def _drawn(self, picture: Image, frame: Frame) -> Image:
        canvas, factor = enlarged(picture, frame)
        unit = text_height(canvas)
        areas = [Area.of(face.box, factor) for face in frame.faces]
        units = [unit if area.width >= 5 * unit else max(unit // 2, 13) for area in areas]
        several = len(areas) > 1
        numbers = [face.track.id if several and face.track else None for face in frame.faces]
        for face, area in zip(frame.faces, areas, strict=True):
            draw_corners(canvas, area, _colour(face), unit)
        words = [
            _label_forms(
                [[(state_in_words(face), _colour(face))], [(_state_in_short(face), _colour(face))]], number, size
            )
            for face, number, size in zip(frame.faces, numbers, units, strict=True)
        ]
        taken = [paste(canvas, patch, at.left, at.top) for patch, at in lay_labels(words, areas, canvas, unit)]
        for index, (face, area) in enumerate(zip(frame.faces, areas, strict=True)):
            if face.track is None or face.track.smoothed is None or face.unmeasurable:
                continue
            panel = bars([face.track.smoothed], unit, held=face.track.held, number=numbers[index])
            occupied = [*areas[:index], area.features(), *areas[index + 1 :], *taken]
            place = self._choose(face.track.id, places(panel, area, canvas, unit, alone=not several), occupied)
            if place:
                taken.append(paste(canvas, panel, place.left, place.top))
        return canvas

    def _choose(self, track: int, spots: list[Area | None], occupied: list[Area]) -> Area | None:
        """The side on which this track's panel was last, or the first other one that is free."""
        last = min(self._sides.pop(track, 0), len(spots) - 1)
        for side in [last, *range(len(spots))]:
            spot: Area | None = spots[side]
            if spot and not any(spot.overlaps(other) for other in occupied):
                self._sides[track] = side
                if len(self._sides) > _REMEMBERED:
                    del self._sides[next(iter(self._sides))]
                return spot
        return None


def headline(reading: Reading) -> str:
    """One line on a reading: ``"happy 93 %"``, or the candidates where there are several."""
    if reading.is_ambiguous:
        return reading.describe()
    return f"{reading.expression} {reading.confidence:.0%}".replace("%", " %")


def state_in_words(face: Face) -> str:
    """What a frame says of a face: ``"happy"``, ``"uncertain"`` or ``"not measurable: dark"``."""
    if face.unmeasurable:
        return f"not measurable: {face.unmeasurable}"
    held = face.track.held if face.track else None
    return str(held) if held else "uncertain"


def _state_in_short(face: Face) -> str:
    return "not measurable" if face.unmeasurable else state_in_words(face)


def _headlines(readings: Sequence[Reading]) -> Lines:
    several = len(readings) > 1
    return [((f"{r.model}: " if several else "") + headline(r), COLOURS[r.expression]) for r in readings]


def _expressions(readings: Sequence[Reading]) -> Lines:
    """What each model read, without its name: the order of models is the panel's."""
    return [(f"{r.expression}{'?' if r.is_ambiguous else ''}", COLOURS[r.expression]) for r in readings]


def _label_forms(forms: Sequence[Lines], number: int | None, unit: int) -> list[Image]:
    """A label in each form, the face's number before it, and last the number alone where there is one."""
    if number is None:
        return [label(form, unit) for form in forms]
    numbered = [[(f"{number}  {words}", colour) for words, colour in form] for form in forms]
    return [label(form, unit) for form in [*numbered, [(str(number), forms[-1][0][1])]]]


def _numbers(frame: Frame) -> list[int | None]:
    """What each face is called in drawings: its place among several, nothing alone."""
    return [number if len(frame.faces) > 1 else None for number in range(1, len(frame.faces) + 1)]


def _colour(face: Face) -> Colour:
    held = face.track.held if face.track and not face.unmeasurable else None
    return COLOURS[held] if held else _NO_EXPRESSION


def _fitting(unit: int, face: Area) -> int:
    """A height of text that gives way a little to small faces in crowds."""
    return max(round(min(unit, max(face.width / 7, unit / 2))), 13)
