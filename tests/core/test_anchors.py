"""What an anchor-free detector's outputs mean, against boxes worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.anchors import STRIDES, anchors, detections

GRID = (2, 3)
COUNT = sum((2 * 32 // stride) * (3 * 32 // stride) for stride in STRIDES)


def outputs():
    return np.zeros(COUNT, np.float32), np.zeros((COUNT, 4), np.float32), np.zeros((COUNT, 10), np.float32)


def test_each_scale_has_a_cell_for_each_of_its_strides():
    cells = anchors(*GRID)
    assert len(cells) == COUNT == 8 * 12 + 4 * 6 + 2 * 3
    assert cells[0].tolist() == [0, 0, 8]
    assert cells[8 * 12 - 1].tolist() == [11, 7, 8]
    assert cells[-1].tolist() == [2, 1, 32]


def test_offsets_are_in_strides_from_the_cell_and_sides_are_logarithms():
    scores, boxes, points = outputs()
    cell = 8 * 12 + 2 * 6 + 3  # row 2, column 3 of the map with stride 16
    scores[cell], boxes[cell] = 0.9, [0.5, -0.25, np.log(2), np.log(3)]
    points[cell, :2] = [1, -1]
    (row,) = detections(scores, boxes, points, GRID, 0.5)
    # centre (3.5, 1.75) x 16 = (56, 28), sides 32 and 48
    assert row[:4] == pytest.approx([56 - 16, 28 - 24, 32, 48])
    assert row[4:8] == pytest.approx([64, 16, 48, 32])
    assert row[14] == pytest.approx(0.9)


def test_of_overlapping_boxes_the_most_certain_stays():
    scores, boxes, points = outputs()
    boxes[:, 2:] = np.log(3)  # 24 pixels on the finest map, one cell apart: they share half
    scores[0], scores[1], scores[8 * 12 - 1] = 0.7, 0.8, 0.6
    found = detections(scores, boxes, points, GRID, 0.5)
    assert found[:, 14] == pytest.approx([0.8, 0.6])


def test_boundless_boxes_are_dropped():
    scores, boxes, points = outputs()
    scores[:3], boxes[0, 2], boxes[1, 0] = 0.9, 1000, np.nan
    assert len(detections(scores, boxes, points, GRID, 0.5)) == 1
    assert detections(scores * 0, boxes, points, GRID, 0.5).shape == (0, 15)
