"""Results drawn into pictures and into the frames of streams."""

from __future__ import annotations

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
    paste,
    paste_label,
    places,
    text_height,
)

_NO_EXPRESSION: Colour = (205, 209, 214)
_REMEMBERED = 64


def annotate(picture: Image, frame: Frame, *, show: Literal["bars", "words"] = "bars") -> Image:
    """The picture with its results drawn in, RGB uint8.

    Each face gets corners, its number where there are several, and, for each model, the expression in words; what is
    ambiguous says so ("neutral, sad or angry"), and of a face that is not measurable only the reason is told. A panel
    with the bars of all expressions, side by side for several models, stands where it covers no other face; where there
    is no such place it is left out, and the words remain.

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
    alone = len(areas) == 1
    taken: list[Area] = []
    for face, area, unit in zip(frame.faces, areas, units, strict=True):
        draw_corners(canvas, area, _NO_EXPRESSION if face.unmeasurable else COLOURS[face.reading.expression], unit)
    for index, (face, area, unit) in enumerate(zip(frame.faces, areas, units, strict=True)):
        versions = [label(lines, unit) for lines in _label_versions(face, "" if alone else str(index + 1))]
        taken.append(paste_label(canvas, versions, area, unit, [*areas[:index], *areas[index + 1 :], *taken]))
    for index, (face, area, unit) in enumerate(zip(frame.faces, areas, units, strict=True)) if show == "bars" else ():
        if face.unmeasurable:
            continue
        panel = bars(face.readings, unit, titles=len(frame.models) > 1, number="" if alone else str(index + 1))
        occupied = [*areas[:index], area.features(), *areas[index + 1 :], *taken]
        for place in places(panel, area, canvas, unit, alone=alone):
            if place and not any(place.overlaps(other) for other in occupied):
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
        alone = len(areas) == 1
        taken: list[Area] = []
        for face, area in zip(frame.faces, areas, strict=True):
            draw_corners(canvas, area, _colour(face), unit)
        for index, (face, area) in enumerate(zip(frame.faces, areas, strict=True)):
            number = str(face.track.id) if not alone and face.track else ""
            words = [f"{number}  {state_in_words(face)}".strip(), number or state_in_words(face)]
            versions = [label([(text, _colour(face))], unit) for text in words]
            taken.append(paste_label(canvas, versions, area, unit, [*areas[:index], *areas[index + 1 :], *taken]))
        for index, (face, area) in enumerate(zip(frame.faces, areas, strict=True)):
            if face.track is None or face.track.smoothed is None or face.unmeasurable:
                continue
            number = "" if alone else str(face.track.id)
            panel = bars([face.track.smoothed], unit, held=face.track.held, number=number)
            occupied = [*areas[:index], area.features(), *areas[index + 1 :], *taken]
            place = self._choose(face.track.id, places(panel, area, canvas, unit, alone=alone), occupied)
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


def _label_versions(face: Face, number: str) -> list[list[tuple[str, Colour]]]:
    """What a label can say of a face, the longest first: the shortest is its number, where there are several."""
    own = f"{number}  " if number else ""
    if face.unmeasurable:
        words = [own + state_in_words(face), f"{own}not measurable", *([number] if number else [])]
        return [[(text, _NO_EXPRESSION)] for text in words]
    colours = [COLOURS[reading.expression] for reading in face.readings]
    several = len(face.readings) > 1
    whole = [own + (f"{r.model}: " if several else "") + headline(r) for r in face.readings]
    short = [own + str(reading.expression) for reading in face.readings]
    versions = [list(zip(lines, colours, strict=True)) for lines in (whole, short)]
    return versions + ([[(number, colours[0])]] if number else [])


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


def _colour(face: Face) -> Colour:
    held = face.track.held if face.track and not face.unmeasurable else None
    return COLOURS[held] if held else _NO_EXPRESSION


def _fitting(unit: int, face: Area) -> int:
    """A height of text that gives way a little to small faces in crowds."""
    return max(round(min(unit, max(face.width / 7, unit / 2))), 13)
