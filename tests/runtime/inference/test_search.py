"""A picture is searched so that no face from the promised size on is missed, and none is found twice."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import ModelError
from mien.core.face import Box, Face
from mien.runtime.inference.detect import HaarDetector, YuNetDetector
from mien.runtime.inference.search import MIN_SIZE, Search, tiles, without_doubles

SIZES = [(640, 480), (1600, 1200), (4000, 3000), (400, 6000), (6000, 1500), (30, 20)]


class Drawn:
    """Detects white squares of 10 pixels and more that are whole and not too large for its field of view."""

    smallest, field = 10, 200

    def __init__(self):
        self.pixels = 0

    def __call__(self, part, least, largest):
        self.pixels += part.shape[0] * part.shape[1]
        grey = (part[..., 0] > 128).astype(np.uint8)
        faces = []
        for x, y, w, h, _ in cv2.connectedComponentsWithStats(grey)[2][1:]:
            whole = 0.8 < w / h < 1.25 and self.smallest - 1 <= w <= self.field
            if whole and least <= w <= largest:
                faces.append(Face(Box(float(x), float(y), float(w), float(h)), 0.9))
        return faces


def squares(width, height, sides):
    """A dark picture with white squares in a row along its longer side, and their middles."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    centres, at = [], 20
    for side in sides:
        x, y = (at, 10) if width >= height else (10, at)
        picture[y : y + side, x : x + side] = 255
        centres.append((x + side / 2, y + side / 2))
        at += side + 30
    return picture, centres


@pytest.mark.parametrize("size", SIZES[1:5])
def test_each_face_of_the_promised_size_is_found_once(size):
    picture, centres = squares(*size, [40, 60, 100, 160, 300, 45])
    faces = Search(10).detect(picture, Drawn())
    found = sorted((face.box.center for face in faces), key=max)
    assert len(found) == len(centres)
    np.testing.assert_allclose(found, centres, atol=6)  # a pixel of the coarsest copy is nine
    assert [face.box.area for face in faces] == sorted((face.box.area for face in faces), reverse=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_copies_reach_from_the_smallest_face_to_the_whole_picture(size):
    found = Search(25).scales(*size)
    assert found == sorted(found)
    assert max(size) * found[0] <= 640
    assert MIN_SIZE * found[-1] >= 25 - 1e-9
    assert all(finer / coarser <= 3 + 1e-9 for coarser, finer in pairwise(found))


def test_a_small_picture_is_searched_once_as_it_is():
    assert Search(28).scales(640, 480) == [1.0]
    assert Search(28).scales(854, 480) == [640 / 854]
    assert Search(28).scales(48, 48) == [4.0]


def test_a_given_size_is_searched_for_and_drops_what_is_smaller():
    picture, _ = squares(2000, 1000, [20, 40, 100])
    assert len(Search(10, min_size=20).detect(picture, Drawn())) == 3
    assert len(Search(10, min_size=90).detect(picture, Drawn())) == 1


def test_a_given_search_size_is_the_one_copy_that_is_searched():
    detector = Drawn()
    picture, _ = squares(4000, 3000, [40, 400])
    assert len(Search(10, search_size=1000).detect(picture, detector)) == 2
    assert detector.pixels == 1000 * 750
    assert len(Search(10, search_size=640).detect(picture, Drawn())) == 1


@pytest.mark.parametrize(
    "wrong", [{"min_size": 0}, {"min_size": float("nan")}, {"search_size": 10}, {"search_size": 320.5}]
)
def test_an_impossible_size_is_refused(wrong):
    with pytest.raises(ModelError, match=f"{next(iter(wrong))} must be"):
        Search(25, **wrong)


@given(
    width=st.integers(8, 5000),
    height=st.integers(8, 5000),
    overlap=st.integers(1, 300),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_what_is_no_larger_than_the_overlap_is_whole_in_a_tile(width, height, overlap, place):
    side = min(overlap, width, height) / 1.21  # with its surroundings
    box = Box(place[0] * (width - side), place[1] * (height - side), side, side)
    parts = tiles(width, height, overlap)
    assert any(tile.holds(box, width, height) for tile in parts)
    assert all(0 <= t.left < t.right <= width and 0 <= t.top < t.bottom <= height for t in parts)


def test_of_two_detections_of_one_face_the_first_stays():
    first, same, within, other = (
        Face(Box(*box), 0.9) for box in ((0, 0, 100, 100), (5, 5, 100, 100), (40, 40, 20, 20), (95, 95, 80, 80))
    )
    assert without_doubles([first, same, within, other]) == [first, other]
    surer = replace(within, score=0.95)  # the large one may be none, and the face gate will say so
    assert without_doubles([first, surer]) == [first, surer]


@pytest.mark.parametrize("name", ["yunet", "haar"])
@pytest.mark.parametrize("size", [(4000, 3000), (400, 5000)])
def test_a_small_face_of_a_large_picture_is_found(name, size, portrait, request):
    """80 pixels of 12 megapixels: 13 of the 640 that were searched before, which showed nothing."""
    detector = HaarDetector() if name == "haar" else YuNetDetector(request.getfixturevalue("yunet"))
    width, height = size
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    small = cv2.resize(portrait, (380, 380), interpolation=cv2.INTER_AREA)  # its face has some 80 pixels
    picture[-380:, -380:] = small
    (face,) = detector.detect(picture)
    (alone,) = detector.detect(small)
    assert np.abs(np.subtract(face.box.center, alone.box.center) - [width - 380, height - 380]).max() < 8
    assert face.box.width == pytest.approx(alone.box.width, rel=0.15)
