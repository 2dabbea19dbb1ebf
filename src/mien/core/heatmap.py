"""Maps of what a model looks at: their scale and their colours, the same in every figure and every picture."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.preprocess import Image

Floats = NDArray[np.float32]

OPACITY = 0.65
"""Of the colours over a face where the map is highest; where it is 0 the face shows through unchanged."""


def enlarge(maps: Floats, side: int) -> Floats:
    """Maps ``(n, side, side)`` float32, interpolated bilinearly from maps ``(n, h, w)``."""
    larger = np.empty((len(maps), side, side), dtype=np.float32)
    for index, one in enumerate(maps):
        larger[index] = cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR)
    return larger


def share_of_maximum(heat: Floats) -> Floats:
    """A map as shares of its own maximum, 0 to 1; what speaks against the expression is 0. For drawing only."""
    positive = np.maximum(heat, 0)
    top = float(positive.max(initial=0.0))
    shares: Floats = (positive / top).astype(np.float32) if top > 0 else positive
    return shares


def paint(picture: Image, shares: Floats) -> Image:
    """The RGB picture ``(h, w, 3)`` with ``shares`` ``(h, w)``, 0 to 1, laid over it: RGB uint8.

    The colours are matplotlib's "inferno": their lightness rises with the share for every kind of colour vision.
    """
    levels = np.round(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    opacity = (OPACITY * np.clip(shares, 0, 1))[..., None]
    return cast(Image, np.round(picture + opacity * (colours.astype(np.float32) - picture)).astype(np.uint8))
