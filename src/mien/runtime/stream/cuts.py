"""Hard cuts of edited films: from one picture to the next the scene is another, so nobody's track may go on.

Each picture is compared with the one before, as a small grey copy: how much of its structure is found again after any
small shift, as a camera's pan or shake makes it, and how much of its brightness. A cut loses much of both at once, and
much more than the pictures just before did. Fades change neither fast; a flash passes, and the scene that was there
comes back.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from mien.core.preprocess import Image
from mien.runtime.stream.stream_picture import StreamPicture

_SIDE = 64
"""Long side of the thumbnail, pixels."""

_MARGIN = 1 / 9
"""Share of the thumbnail's sides by which the scene may have shifted."""

_BINS = 16

_CHANGE = 0.26
"""Least geometric mean of lost structure and lost brightness, each 0 to 1."""

_STRUCTURE = 0.25
"""Least lost structure: where the light changes, structure stays."""

_BLOCK, _NEAR, _SAME_BLOCK, _STAYING = 8, 2, 0.8, 0.25
"""Side of a block and how far it may have moved, pixels of the thumbnail; correlation from which it is the same; and
share of such blocks from which the scene goes on behind whatever came before it."""

_PEAK = 2.0
"""A cut changes this many times as much as the pictures of the last half second but the one that changed most."""

_STILL = 3.0
"""Mean difference of the luma below which nothing has changed."""

_QUIET = 0.02
"""Change that still cameras show; less counts as this much."""

_LONGEST_STEP = 0.5
"""Seconds between two pictures beyond which a change says nothing."""

_FLAT = 8.0
"""Standard deviation of the luma below which a picture shows nothing: black, white, the middle of a flash."""

_FLASH_RISE, _FLASH_SHARE, _FLASH = 25.0, 0.85, 0.2
"""A flash makes the mean luma rise by this much, most pixels brighter, and is over after these seconds."""


class CutDetector:
    """Says of each picture of a stream, in their order, whether it is the first of another scene."""

    def __init__(self) -> None:
        """No picture was seen yet."""
        self._last: Image | None = None
        self._time = -math.inf
        self._changes: deque[tuple[float, float]] = deque()
        self._flash: float | None = None

    def step(self, picture: StreamPicture) -> bool:
        """Whether a cut lies between the last picture and this one.

        After what may be a flash the answer comes up to 0.2 s late, with the picture that shows that it was none.
        """
        now, last, time = picture.luma(_SIDE), self._last, picture.time
        if last is None or not 0 <= time - self._time <= _LONGEST_STEP or now.shape != last.shape:
            self._begin(now, time)
            return False
        if float(now.std()) < _FLAT:  # what comes after it is compared with what came before it
            return False
        lost, change = _change(last, now)
        cut = lost >= _STRUCTURE and change >= _CHANGE and change >= _PEAK * self._usual(time)
        cut = cut and _stays(last, now) < _STAYING
        if cut and _is_brighter(last, now):
            self._flash = time if self._flash is None else self._flash
            if time - self._flash < _FLASH:
                return False
        if cut:
            self._begin(now, time)
            return True
        self._flash = None
        self._changes.append((time, change))
        self._last, self._time = now, time
        return False

    def _begin(self, first: Image, time: float) -> None:
        self._last, self._time, self._flash = first, time, None
        self._changes.clear()

    def _usual(self, time: float) -> float:
        while self._changes and time - self._changes[0][0] > _LONGEST_STEP:
            self._changes.popleft()
        changes = sorted(change for _, change in self._changes)
        return max(changes[-2] if len(changes) > 1 else 0.0, _QUIET)


def _change(before: Image, after: Image) -> tuple[float, float]:
    """The structure that is lost, and the change of structure and brightness together, each 0 to 1."""
    if float(cv2.norm(before, after, cv2.NORM_L1)) < _STILL * before.size:
        return 0.0, 0.0
    height, width = before.shape
    down, across = math.ceil(height * _MARGIN), math.ceil(width * _MARGIN)
    middle = before[down : height - down, across : width - across]
    if not middle.size or float(middle.std()) < 1.0:
        return 0.0, 0.0
    lost = 1 - float(cv2.matchTemplate(after, middle, cv2.TM_CCOEFF_NORMED).max())
    lost = min(max(lost, 0.0), 1.0)
    shared = float(np.minimum(_histogram(before), _histogram(after)).sum()) / before.size
    return lost, math.sqrt(lost * (1 - min(shared, 1.0)))


def _histogram(luma: Image) -> np.ndarray:
    return cv2.calcHist([luma], [0], None, [_BINS], [0, 256])


def _stays(before: Image, after: Image) -> float:
    """Share of the blocks with structure that lie where they lay, or next to it: a hand before the lens leaves some."""
    height, width = before.shape
    kept, asked = 0, 0
    for top in range(_NEAR, height - _BLOCK - _NEAR + 1, _BLOCK):
        for left in range(_NEAR, width - _BLOCK - _NEAR + 1, _BLOCK):
            block = before[top : top + _BLOCK, left : left + _BLOCK]
            if float(block.std()) < _FLAT:
                continue
            around = after[top - _NEAR : top + _BLOCK + _NEAR, left - _NEAR : left + _BLOCK + _NEAR]
            asked += 1
            kept += float(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED).max()) > _SAME_BLOCK
    return kept / asked if asked else 0.0


def _is_brighter(before: Image, after: Image) -> bool:
    rise = after.astype(np.float32) - before
    return float(rise.mean()) > _FLASH_RISE and float((rise > 0).mean()) > _FLASH_SHARE
