"""Where in a picture, and at which scales, a detector has to look so that no face from a given size on is missed.

A detector finds faces from so many pixels on *of the picture that it searches*. One reduced copy is enough for small
pictures. In a large one the reduced copy holds the large faces, and finer copies, searched in overlapping tiles, the
small ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from mien.core.errors import ModelError
from mien.core.face import Box, Face
from mien.core.preprocess import Image

MIN_SIZE = 40
"""Side of the smallest face that is promised to be found, pixels of the picture: about what a network of 48 pixels can
use."""

LONG_SIDE = 640
"""Long side of the reduced copy that is always searched, pixels."""

SMALLEST_LONG_SIDE = 192
"""Smaller pictures are enlarged to it: YuNet finds 84 % of FER2013's 48-pixel faces as they are, 99 % enlarged."""

_TILE = 640
"""Side of a tile, pixels, where faces are small beside it. A larger one takes half as long again for each of its
pixels, as it leaves the processor's cache, and more memory."""

_STEP = 3.0
"""How much finer one copy is than the next coarser one at most: tiles must overlap by a face of that many sizes."""

_FINEST = 2.0
"""A picture is enlarged by this much at most: an enlarged picture shows no more."""

_NOTHING = 12.0
"""Side below which nothing is told from anything else, pixels of the picture."""

_CONTEXT = 0.1
"""Share of a face's side that must be in view around it, for a detector to find it as well as in the whole picture."""

_OVERLAP, _INSIDE, _APART = 0.3, 0.6, 9.0
"""Overlap (intersection over union), and share of the smaller box within the larger, from which two detections are one
face; and how many times as large the larger must be for the smaller, if it has the higher score, to stay: a false
detection may be large, and a face lie within it."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a copy: its left, top, right and bottom, pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def holds(self, box: Box, width: int, height: int) -> bool:
        """Whether a box is not cut by an edge of the tile, where that is no edge of the copy ``width`` x ``height``."""
        rim = _CONTEXT * box.width
        return (
            (self.left == 0 or box.x - rim >= self.left)
            and (self.top == 0 or box.y - rim >= self.top)
            and (self.right == width or box.x + box.width + rim <= self.right)
            and (self.bottom == height or box.y + box.height + rim <= self.bottom)
        )


def tiles(width: int, height: int, overlap: int) -> list[Tile]:
    """Tiles that cover a copy, of equal size; what is no larger than ``overlap`` is whole in at least one of them."""
    across, down = _spans(width, overlap), _spans(height, overlap)
    return [Tile(left, top, right, bottom) for top, bottom in down for left, right in across]


Detect = Callable[[Image, float, float], list[Face]]
"""From a part of a copy, and the sides of the smallest and the largest face that are wanted of it, to the faces; all in
pixels of that part. Larger ones may be given too, where it costs nothing: each is a second chance."""


@dataclass(frozen=True, slots=True)
class Search:
    """How a picture is searched.

    Attributes:
        smallest: side of the smallest face that the detector finds, pixels of what it searches.
        min_size: side of the smallest face, pixels of the picture. Those from it on are found, those below it dropped.
            None promises :data:`MIN_SIZE` and keeps smaller faces that are found along the way.
        search_size: long side of the one copy that is searched, whatever that finds; None for as many as it takes.

    Raises:
        ModelError: a size is out of range, or both are given.
    """

    smallest: float
    min_size: float | None = None
    search_size: int | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.min_size is not None and not (isinstance(self.min_size, float | int) and 1 <= self.min_size < math.inf):
            raise ModelError(f"min_size must be 1 pixel or more, got {self.min_size!r}")
        if self.search_size is not None and not (isinstance(self.search_size, int) and self.search_size >= 32):
            raise ModelError(f"search_size must be a whole number of 32 pixels or more, got {self.search_size!r}")

    def scales(self, width: int, height: int) -> list[float]:
        """Scales of the copies of a picture that are searched, the coarsest first."""
        longest = max(width, height)
        most = (self.search_size or LONG_SIDE) / longest
        coarse = min(max(1.0, SMALLEST_LONG_SIDE / longest), most)
        fine = min(self.smallest / (self.min_size or MIN_SIZE), _FINEST)
        if self.search_size is not None or fine <= coarse:
            return [coarse]
        steps = math.ceil(math.log(fine / coarse, _STEP))
        return [coarse * (fine / coarse) ** (step / steps) for step in range(steps + 1)]

    def detect(self, picture: Image, detect: Detect) -> list[Face]:
        """The faces of an RGB picture uint8 ``(height, width, 3)``, each once, largest first."""
        height, width = picture.shape[:2]
        wanted = self.scales(width, height)
        copy = resized(picture, wanted[0])
        found = [face.mapped(scale=1 / wanted[0]) for face in self.detect_copy(copy, wanted[0], detect)]
        for coarser, scale in itertools.pairwise(wanted):
            copy = resized(picture, scale, fine=True)
            rows, columns = copy.shape[:2]
            shown = self.smallest * scale / coarser  # the coarser copy shows faces from here on
            own = []
            for tile in tiles(columns, rows, math.ceil((1 + 2 * _CONTEXT) * shown)):
                part = copy[tile.top : tile.bottom, tile.left : tile.right]
                for face in detect(part, self._least * scale, shown):
                    moved = face.mapped(shift=(tile.left, tile.top))
                    if tile.holds(moved.box, columns, rows):
                        own.append(moved.mapped(scale=1 / scale))
            found = without_doubles([*found, *sorted(own, key=lambda face: -face.score)])
        return largest_first(found)

    def detect_copy(self, copy: Image, scale: float, detect: Detect) -> list[Face]:
        """The faces that one copy of a picture, ``scale`` times as large, shows; in the copy's pixels."""
        return largest_first(detect(copy, self._least * scale, math.inf))

    @property
    def _least(self) -> float:
        return _NOTHING if self.min_size is None else self.min_size


def without_doubles(faces: Sequence[Face]) -> list[Face]:
    """Of detections of one face the first alone."""
    boxes = np.array([[f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height] for f in faces]).reshape(-1, 4)
    areas, scores = np.array([face.box.area for face in faces]), np.array([face.score for face in faces])
    kept: list[int] = []
    for index, box in enumerate(boxes):
        others = boxes[kept]
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        union = areas[index] + areas[kept] - shared
        inside = shared >= _INSIDE * np.minimum(areas[index], areas[kept])
        inside &= (scores[index] <= scores[kept]) | (_APART * areas[index] > areas[kept])
        if not ((shared >= _OVERLAP * union) | inside).any():
            kept.append(index)
    return [faces[index] for index in kept]


def largest_first(faces: Sequence[Face]) -> list[Face]:
    """Faces by the area of their boxes."""
    return sorted(faces, key=lambda face: -face.box.area)


def resized(picture: Image, scale: float, *, fine: bool = False) -> Image:
    """A copy of a picture, never less than 8 pixels across.

    Halved by averages while that leaves twice what is wanted, as an average over any other factor takes far longer;
    ``fine`` interpolates the rest, which loses next to nothing.
    """
    height, width = picture.shape[:2]
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    while min(picture.shape[1] / size[0], picture.shape[0] / size[1]) >= 2:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        even = picture[: 2 * half[1], : 2 * half[0]]
        picture = cast(Image, cv2.resize(even, half, interpolation=cv2.INTER_AREA))
    if picture.shape[1::-1] == size:
        return picture
    interpolation = cv2.INTER_AREA if scale < 1 and not fine else cv2.INTER_LINEAR
    return cast(Image, cv2.resize(picture, size, interpolation=interpolation))


def _spans(length: int, overlap: int) -> list[tuple[int, int]]:
    """Parts of a length, as long as one another, that overlap by ``overlap`` at least."""
    side = max(_TILE, 3 * overlap)
    count = 1 if length <= side else math.ceil((length - overlap) / (side - overlap))
    side = math.ceil((length + (count - 1) * overlap) / count)
    starts = [min(index * (side - overlap), length - side) for index in range(count)]
    return [(start, start + side) for start in starts]
