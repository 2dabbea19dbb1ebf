"""Corruptions: what they do to known pixels, and that nothing but seed and row decides what is drawn."""

import numpy as np
import pytest

from mien.evaluation.corruptions import CORRUPTIONS, Corruption, blurred, compressed, shrunk, toned, turned

GREY = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def _named(kind: str, number: int) -> Corruption:
    return [corruption for corruption in CORRUPTIONS if corruption.kind == kind][number]


def test_seven_kinds_at_three_severities_each():
    kinds = [corruption.kind for corruption in CORRUPTIONS]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(
        ("blur", "noise", "darkness", "JPEG", "rotation", "small face", "occlusion"), 3
    )
    assert len({(c.kind, c.severity) for c in CORRUPTIONS}) == 21


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda c: f"{c.kind}, {c.severity}")
@pytest.mark.parametrize("crops", [GREY, COLOUR], ids=["grey", "colour"])
def test_copies_change_and_depend_on_seed_and_row_alone(corruption, crops):
    before, rows = crops.copy(), np.array([7, 3, 11, 0])
    all_at_once = corruption.to(crops, rows, seed=2)
    np.testing.assert_array_equal(crops, before)
    assert all_at_once.shape == crops.shape
    assert all_at_once.dtype == np.uint8
    assert (all_at_once != crops).any(axis=tuple(range(1, crops.ndim))).all()
    np.testing.assert_array_equal(corruption.to(crops[2:3], rows[2:3], seed=2)[0], all_at_once[2])


@pytest.mark.parametrize("kind", ["blur", "noise", "darkness", "JPEG", "rotation", "small face"])
def test_a_greater_severity_takes_a_smooth_picture_further_away(kind):
    y, x = np.mgrid[:48, :48] / 47
    face = (128 + 60 * np.sin(14 * x) + 50 * np.cos(11 * y)).astype(np.uint8)[None]
    away = [np.abs(_named(kind, i).to(face, np.array([5])).astype(int) - face).mean() for i in range(3)]
    assert 0 < away[0] < away[1] < away[2]


def test_blur_keeps_the_mean_of_a_point_and_spreads_it_by_sigma():
    picture = np.zeros((49, 49), dtype=np.uint8)
    picture[24, 24] = 255
    spread = blurred(picture, 2.0).astype(float)
    assert spread.max() == pytest.approx(255 / (2 * np.pi * 4), abs=1)  # the height of a Gaussian of sigma 2
    assert spread.argmax() == 24 * 49 + 24


def test_light_and_noise():
    flat = np.full((48, 48), 200, dtype=np.uint8)
    rng = np.random.default_rng(0)
    assert set(toned(flat, rng, gain=0.25).ravel().tolist()) == {50}
    assert set(toned(flat, rng, gain=0.5, about=128).ravel().tolist()) == {164}
    noisy = toned(np.full((200, 200), 128, dtype=np.uint8), rng, noise=16).astype(float)
    assert noisy.std() == pytest.approx(16, rel=0.05)
    colour = toned(np.full((48, 48, 3), 128, dtype=np.uint8), rng, noise=16)
    assert (colour[..., 0] == colour[..., 2]).all()


def test_a_turn_by_ninety_degrees_is_a_quarter_turn():
    picture = GREY[0]
    np.testing.assert_array_equal(turned(picture, 90, (23.5, 23.5)), np.rot90(picture))


def test_few_pixels_of_blocks_are_the_blocks():
    blocks = np.kron(np.array([[0, 255], [255, 0]], dtype=np.uint8), np.ones((24, 24), dtype=np.uint8))
    few = shrunk(blocks, 2)
    np.testing.assert_array_equal(few[[0, 0, 47, 47], [0, 47, 0, 47]], [0, 255, 255, 0])
    assert abs(int(few[0, 23]) + int(few[0, 24]) - 255) <= 1  # between them it is linear


def test_jpeg_keeps_the_order_of_colours():
    red = np.zeros((48, 48, 3), dtype=np.uint8)
    red[..., 0] = 220
    left = compressed(red, 15).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(left, [220, 0, 0], atol=6)


def test_bands_are_those_of_paper_004():
    for number, top in enumerate((10, 20, 30)):
        covered = _named("occlusion", number).to(GREY, np.arange(4))
        changed = (covered != GREY).any(axis=(0, 2))
        assert np.flatnonzero(changed).tolist() == list(range(top, top + 10))
