"""Parts of a face that can be covered, and covering them. Pure functions over uint8 crops; numpy only.

The bands are those of Dobeš & Sabolová (paper 004): ten rows of white noise across the whole of a 48-row crop, from
row 10 over the eyes, 20 over the nose, 30 over the mouth. The other regions follow the parts of a face: they are drawn
on :data:`mien.core.preprocess.TEMPLATE`, where an aligned crop has its landmarks, and move with a picture's own
landmarks where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ConfigError, nearest
from mien.core.preprocess import TEMPLATE, Image, similarity

ROWS = 48
"""Rows of the crop that a band's rows are counted on; on crops of another size a band keeps its share."""

GREY = 128
"""Level of a grey cover; training greys out random rectangles with the same."""

Fill = Literal["noise", "grey"]
"""What a region is covered with: white noise, uniform from 0 to 255 and drawn for each pixel, or mid-grey."""

FILLS: tuple[Fill, ...] = ("noise", "grey")

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a face, as polygons on the unit square of an aligned crop.

    Attributes:
        name: what results call it.
        polygons: corners ``(x, y)`` as fractions of the crop's sides, from its top left.
        follows: whether a picture's landmarks move it; a band of rows stays where it is.

    Raises:
        ValueError: no polygon, or one with fewer than three corners.
    """

    name: str
    polygons: tuple[Points, ...]
    follows: bool = True

    def __post_init__(self) -> None:
        """Check that there is an area."""
        if not self.polygons or min(map(len, self.polygons)) < 3:
            raise ValueError(f"region '{self.name}' needs polygons of three corners or more")

    def mask(self, height: int, width: int, *, landmarks: NDArray[np.floating] | None = None) -> NDArray[np.bool_]:
        """Pixels ``(height, width)`` whose centres lie inside.

        Args:
            height: rows of the picture.
            width: columns of the picture.
            landmarks: ``(5, 2)`` pixel positions (x, y) in the order of :data:`mien.core.face.LANDMARK_NAMES`. The
                region then lies where they put it; without them the picture counts as an aligned crop.
        """
        to_pixels = np.array([[width, 0.0, 0.0], [0.0, height, 0.0]])
        if landmarks is not None and self.follows:
            to_pixels = similarity(TEMPLATE, np.asarray(landmarks, dtype=np.float32))
        inside = np.zeros((height, width), dtype=np.bool_)
        for polygon in self.polygons:
            inside |= _fill(np.array(polygon) @ to_pixels[:, :2].T + to_pixels[:, 2], height, width)
        return inside


def band(top: int, rows: int = 10, *, name: str = "") -> Region:
    """``rows`` full rows from row ``top`` on, counted on a crop of :data:`ROWS` rows.

    Raises:
        ConfigError: it has no rows, or reaches outside the picture.
    """
    if rows < 1 or top < 0 or top + rows > ROWS:
        raise ConfigError(
            f"a band of {rows} rows from row {top} does not lie inside a crop of {ROWS} rows: "
            f"its first row must be 0 or more, its rows 1 or more, and their sum {ROWS} at most"
        )
    return Region(
        name or f"rows {top} to {top + rows - 1}", (_rectangle(0, top / ROWS, 1, (top + rows) / ROWS),), False
    )


def _rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _ellipse(x: float, y: float, across: float, down: float, corners: int = 32) -> Points:
    angles = 2 * np.pi * np.arange(corners) / corners
    return tuple((float(x + across * np.cos(a)), float(y + down * np.sin(a))) for a in angles)


BANDS: dict[str, Region] = {
    "eyes": band(10, name="eyes band"),
    "nose": band(20, name="nose band"),
    "mouth": band(30, name="mouth band"),
}
"""Paper 004's three conditions beside the open face."""

_LENSES = tuple(_ellipse(x, 0.39, 0.165, 0.125) for x in (0.308, 0.692))
_MASK = ((0.5, 0.46), (0.64, 0.53), (0.94, 0.56), (0.92, 0.80), (0.76, 0.96), (0.5, 1.02))

REGIONS: dict[str, Region] = {
    **{region.name: region for region in BANDS.values()},
    "eyes": Region("eyes", (_rectangle(0.13, 0.26, 0.87, 0.47),)),
    "nose": Region("nose", (((0.45, 0.36), (0.55, 0.36), (0.66, 0.66), (0.34, 0.66)),)),
    "mouth": Region("mouth", (_rectangle(0.27, 0.67, 0.73, 0.87),)),
    "upper half": Region("upper half", (_rectangle(0, 0, 1, 0.5),)),
    "lower half": Region("lower half", (_rectangle(0, 0.5, 1, 1),)),
    "right half": Region("right half", (_rectangle(0, 0, 0.5, 1),)),
    "left half": Region("left half", (_rectangle(0.5, 0, 1, 1),)),
    "mask": Region("mask", ((*_MASK, *((1 - x, y) for x, y in reversed(_MASK[1:-1]))),)),
    "sunglasses": Region("sunglasses", (*_LENSES, _rectangle(0.0, 0.33, 1.0, 0.38))),
}
"""Every region that has a name. Right and left are the person's own, as with landmarks: the right half lies left in
the picture."""


def region(name: str) -> Region:
    """A region by its name, or a band of rows by ``"rows TOP:END"`` (``"rows 10:20"`` are rows 10 to 19).

    Hyphens count as spaces (``"upper-half"``).

    Raises:
        ConfigError: there is none of that name (the nearest is named), or the rows lie outside the crop.
    """
    words = name.strip().lower().replace("-", " ").replace("_", " ")
    if words in REGIONS:
        return REGIONS[words]
    top, colon, end = words.removeprefix("rows").strip().partition(":")
    if colon and top.isdecimal() and end.isdecimal():
        return band(int(top), int(end) - int(top))
    raise ConfigError(f"unknown region '{name}': {nearest(words, REGIONS)}; or rows by 'rows TOP:END'")


def cover(
    crops: Image,
    hidden: Region | None,
    *,
    fill: Fill = "noise",
    seed: int = 0,
    rows: NDArray[np.int64] | None = None,
    landmarks: NDArray[np.floating] | None = None,
) -> Image:
    """Copies of crops ``(n, h, w)`` or ``(n, h, w, 3)`` uint8 with a region covered; the crops stay as they are.

    Noise is fresh for each sample and follows from ``seed`` and the sample's own number alone, so a sample looks the
    same whatever batch it comes in. Colour crops get grey noise, one value for the three channels of a pixel.

    Args:
        crops: what is covered.
        hidden: the region; None covers nothing.
        fill: what with.
        seed: of the noise.
        rows: ``(n,)`` number of each sample, such as its row in the dataset; 0 to n - 1 if None.
        landmarks: ``(n, 5, 2)`` positions in each crop, where they are known; NaN for a crop without.

    Raises:
        ValueError: shapes disagree, or ``fill`` is neither.
    """
    if crops.ndim not in (3, 4) or crops.dtype != np.uint8:
        raise ValueError(f"crops must be uint8 (n, h, w) or (n, h, w, 3), got {crops.dtype} {crops.shape}")
    if fill not in FILLS:
        raise ValueError(f"a region is covered with noise or grey, not with '{fill}'")
    numbers = np.arange(len(crops)) if rows is None else rows
    if len(numbers) != len(crops) or (landmarks is not None and landmarks.shape != (len(crops), 5, 2)):
        raise ValueError(f"{len(crops)} crops need as many row numbers, and landmarks of shape ({len(crops)}, 5, 2)")
    covered = crops.copy()
    if hidden is None:
        return covered
    height, width = crops.shape[1:3]
    usual = hidden.mask(height, width)
    for index, number in enumerate(numbers):
        mask = usual
        if landmarks is not None and hidden.follows and np.isfinite(landmarks[index]).all():
            mask = hidden.mask(height, width, landmarks=landmarks[index])
        level: int | Image = GREY
        if fill == "noise":
            noise = np.random.default_rng((seed, int(number))).integers(0, 256, size=int(mask.sum()), dtype=np.uint8)
            level = noise if crops.ndim == 3 else noise[:, None]
        covered[index][mask] = level
    return covered


def _fill(corners: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside a polygon of corners ``(k, 2)``, by counting the edges to their right."""
    x = np.arange(width) + 0.5
    inside = np.zeros((height, width), dtype=np.bool_)
    for (x0, y0), (x1, y1) in pairwise(np.vstack([corners, corners[:1]])):
        y = np.arange(height) + 0.5
        crosses = (y0 <= y) != (y1 <= y)
        if crosses.any():
            at = x0 + (y[crosses] - y0) * (x1 - x0) / (y1 - y0)
            inside[crosses] ^= x < at[:, None]
    return inside
