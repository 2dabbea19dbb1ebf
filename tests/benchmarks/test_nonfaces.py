"""Crops without a face: their shapes, that draws can be repeated, and that they are what they say."""

import numpy as np
import pytest

import nonfaces
from conftest import draw_face

FACES = np.stack([draw_face(kind, seed=kind + 1) for kind in range(7)])
PICTURES = [np.random.default_rng(seed).integers(0, 256, (60 + 40 * seed, 90), dtype=np.uint8) for seed in range(3)]
MAKERS = {
    "patches": lambda n, rng: nonfaces.patches(PICTURES, n, rng),
    "synthesised": nonfaces.synthesised,
    "off centre": lambda n, rng: nonfaces.off_centre(FACES, FACES[:, ::-1].copy(), n, rng),
    "shuffled": lambda n, rng: nonfaces.shuffled(FACES, n, rng),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_draws_can_be_repeated_and_differ(make):
    crops = make(12, np.random.default_rng(5))
    assert crops.shape == (12, 48, 48)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops, make(12, np.random.default_rng(5)))
    assert len({crop.tobytes() for crop in crops}) == 12
    assert make(0, np.random.default_rng(5)).shape == (0, 48, 48)


def test_patches_show_levels_of_their_pictures():
    flat = [np.full((50, 70), level, dtype=np.uint8) for level in (10, 200)]
    crops = nonfaces.patches(flat, 40, np.random.default_rng(0))
    assert {int(crop.min()) for crop in crops} == {10, 200}
    assert all(crop.min() == crop.max() for crop in crops)


def test_shuffling_keeps_the_blocks_and_moves_most_of_them():
    codes = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4) * 15, np.ones((12, 12), dtype=np.uint8))[None]
    for crop in nonfaces.shuffled(codes, 30, np.random.default_rng(1)):
        assert sorted(crop.ravel().tolist()) == sorted(codes.ravel().tolist())
        assert (crop != codes[0]).mean() >= 0.5


def test_a_face_is_moved_shrunk_or_cut_so_that_its_middle_is_elsewhere():
    face = np.zeros((1, 48, 48), dtype=np.uint8)
    face[0, 20:28, 20:28] = 255  # what a face has in its middle
    ground = np.full((1, 48, 48), 40, dtype=np.uint8)
    crops = nonfaces.off_centre(face, ground, 60, np.random.default_rng(2))
    for index, crop in enumerate(crops):
        bright = np.argwhere(crop > 150)
        if index % 3 == 0 and len(bright):  # moved by two fifths of the side or more
            assert np.hypot(*(bright.mean(axis=0) - 23.5)) > 12
        if index % 3 == 1:  # half the size or less
            assert 0 < len(bright) <= 16
        if index % 3 == 2 and len(bright):  # enlarged about twice or more
            assert len(bright) > 64 or bright.min() == 0 or bright.max() == 47


def test_scenery_has_its_size_and_is_not_flat():
    scene = nonfaces.scenery(120, 200, PICTURES, np.random.default_rng(3))
    assert scene.shape == (120, 200)
    assert scene.std() > 1
