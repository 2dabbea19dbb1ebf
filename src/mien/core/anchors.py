"""What an anchor-free face detector's outputs mean: boxes and five landmarks, given relative to the cells of its maps.

The convention is YuNet's (Wu, Peng & Yu 2023): cell (row, column) of the map with stride s stands for the pixel
(s column, s row); centre and landmarks are offsets from it in strides, width and height logarithms of strides.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STRIDES = (8, 16, 32)
"""Pixels between the anchors of each of the three output scales."""

_OVERLAP = 0.3


@cache
def anchors(rows: int, columns: int) -> Floats:
    """Column, row and stride of each anchor, ``(n, 3)``, for an input of so many of the longest strides."""
    parts = []
    for stride in STRIDES:
        y, x = np.mgrid[: rows * STRIDES[-1] // stride, : columns * STRIDES[-1] // stride]
        parts.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
    return np.concatenate(parts).astype(np.float32)


def detections(scores: Floats, boxes: Floats, points: Floats, grid: tuple[int, int], min_score: float) -> Floats:
    """The detections that a network's outputs hold: float32 ``(n, 15)``, most certain first.

    Each row holds the box's x, y, width and height, five landmarks (x, y), and the score. Where boxes overlap by more
    than 0.3 (intersection over union) only the most certain is kept.

    Args:
        scores: one for each anchor, 0 to 1.
        boxes: offsets of the centre and logarithms of width and height, ``(anchors, 4)``.
        points: offsets of the landmarks, ``(anchors, 10)``.
        grid: rows and columns of the input, in longest strides.
        min_score: detections below it are dropped.
    """
    found = np.flatnonzero(scores >= min_score)
    if len(found) == 0:
        return np.empty((0, 15), dtype=np.float32)
    at = anchors(*grid)[found]
    stride = at[:, 2:]
    rows = np.empty((len(found), 15), dtype=np.float32)
    with np.errstate(over="ignore"):  # on a few pixels a network can answer with boundless boxes
        rows[:, 2:4] = np.exp(boxes[found, 2:]) * stride
    rows[:, :2] = (at[:, :2] + boxes[found, :2]) * stride - rows[:, 2:4] / 2
    rows[:, 4:14].reshape(-1, 5, 2)[:] = (at[:, None, :2] + points[found].reshape(-1, 5, 2)) * stride[:, None]
    rows[:, 14] = scores[found]
    return _without_overlaps(rows, min_score)


def _without_overlaps(rows: Floats, min_score: float) -> Floats:
    """The rows with finite, positive boxes that no more certain one covers."""
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) <= 1:
        return rows
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), min_score, _OVERLAP)
    return rows[np.asarray(kept, dtype=np.int64)]
