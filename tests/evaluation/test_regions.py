"""Regions lie where they should, follow a face's landmarks, and covers change nothing else."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import ConfigError
from mien.core.face import Box, Face
from mien.core.preprocess import TEMPLATE, InputSpec, crop_face
from mien.evaluation.regions import BANDS, REGIONS, Region, band, cover, region


def crops(n=3, shape=(48, 48), seed=0):
    return np.random.default_rng(seed).integers(1, 128, size=(n, *shape), dtype=np.uint8)


@pytest.mark.parametrize(("name", "first"), [("eyes", 10), ("nose", 20), ("mouth", 30)])
def test_the_bands_are_those_of_paper_004(name, first):
    expected = np.zeros((48, 48), dtype=bool)
    expected[first : first + 10] = True
    assert np.array_equal(BANDS[name].mask(48, 48), expected)
    assert np.array_equal(region(f"rows {first}:{first + 10}").mask(48, 48), expected)


def test_a_band_keeps_its_share_on_crops_of_another_size():
    assert np.flatnonzero(band(10).mask(96, 60).all(axis=1)).tolist() == list(range(20, 40))


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_bands_lie_inside_or_are_refused(top, rows):
    if rows < 1 or top < 0 or top + rows > 48:
        with pytest.raises(ConfigError, match=f"{rows} rows from row {top} does not lie inside a crop of 48"):
            band(top, rows)
    else:
        assert np.flatnonzero(band(top, rows).mask(48, 48)[:, 7]).tolist() == list(range(top, top + rows))


def test_polygons_are_filled_as_opencv_fills_them():
    for name, hidden in REGIONS.items():
        side, scale = 48, 64
        points = [np.round(np.array(p) * side * scale).astype(np.int32) for p in hidden.polygons]
        fine = np.zeros((side * scale, side * scale), dtype=np.uint8)
        for polygon in points:
            cv2.fillPoly(fine, [polygon], 1)
        share = fine.reshape(side, scale, side, scale).mean(axis=(1, 3))
        mask = hidden.mask(side, side)
        # a pixel wholly inside is covered, one wholly outside is not; the border goes by the pixel's centre
        assert mask[share == 1].all(), name
        assert not mask[share == 0].any(), name


def test_halves_meet_without_gap_or_overlap():
    for one, other in (("upper half", "lower half"), ("left half", "right half")):
        for side in (48, 49):
            assert np.array_equal(region(one).mask(side, side), ~region(other).mask(side, side))
    assert region("right half").mask(48, 48)[:, :24].all()  # the person's own right lies left in the picture
    assert region("upper-half") is REGIONS["upper half"]


def test_parts_cover_their_own_landmarks_and_no_others():
    parts = {"eyes": [0, 1], "nose": [2], "mouth": [3, 4], "mask": [2, 3, 4], "sunglasses": [0, 1]}
    for name, inside in parts.items():
        mask = region(name).mask(100, 100)
        hit = [bool(mask[int(y * 100), int(x * 100)]) for x, y in TEMPLATE]
        assert hit == [i in inside for i in range(5)], name


@given(st.floats(-60, 60), st.floats(20, 60), st.floats(80, 120), st.floats(80, 120))
def test_regions_follow_the_landmarks(degrees, side, x, y):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = ((TEMPLATE - 0.5) * side) @ turn.T + (x, y)
    mask = region("mask").mask(200, 200, landmarks=landmarks)
    hit = [bool(mask[int(py), int(px)]) for px, py in landmarks]
    assert hit == [False, False, True, True, True]
    # covering the picture and then aligning it is covering the aligned crop
    face = Face(box=Box(0, 0, 10, 10), score=1.0, landmarks=landmarks.astype(np.float32))
    aligned = crop_face(mask.astype(np.uint8) * 255, face, InputSpec(size=48)) > 127
    assert (aligned != region("mask").mask(48, 48)).mean() < 0.08


def test_a_band_stays_where_it_is_and_crops_without_landmarks_get_the_usual_place():
    shifted = TEMPLATE * 48 + 5
    assert np.array_equal(BANDS["eyes"].mask(48, 48, landmarks=shifted), BANDS["eyes"].mask(48, 48))
    landmarks = np.stack([np.full((5, 2), np.nan), shifted])
    grey = cover(crops(2), region("nose"), fill="grey", landmarks=landmarks)
    assert np.array_equal(grey[0] == 128, region("nose").mask(48, 48))
    assert np.array_equal(grey[1] == 128, region("nose").mask(48, 48, landmarks=shifted))


@pytest.mark.parametrize("shape", [(48, 48), (48, 48, 3)])
@pytest.mark.parametrize("fill", ["noise", "grey"])
def test_a_cover_changes_its_region_alone(shape, fill):
    before = crops(shape=shape)
    kept = before.copy()
    after = cover(before, BANDS["nose"], fill=fill)
    assert np.array_equal(before, kept)
    outside = ~BANDS["nose"].mask(48, 48)
    assert np.array_equal(after[:, outside], before[:, outside])
    inside = after[:, ~outside]
    if fill == "grey":
        assert (inside == 128).all()
    if len(shape) == 3:
        assert (inside == inside[..., :1]).all()


def test_noise_is_uniform_and_fresh_for_each_sample():
    noise = cover(crops(200), band(0, 48))
    counts = np.bincount(noise.ravel(), minlength=256)
    expected = noise.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 330  # chi squared, 255 degrees: 0.1 % lie above 330
    assert len({sample.tobytes() for sample in noise}) == 200
    flat = noise.reshape(200, -1).astype(float)
    assert abs(np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]) < 0.01


def test_noise_follows_from_the_seed_and_the_samples_number_alone():
    some = crops(6)
    whole = cover(some, BANDS["eyes"], seed=3)
    part = cover(some[[4, 1]], BANDS["eyes"], seed=3, rows=np.array([4, 1]))
    assert np.array_equal(part, whole[[4, 1]])
    assert not np.array_equal(whole, cover(some, BANDS["eyes"], seed=4))


def test_covering_nothing_copies():
    before = crops()
    after = cover(before, None)
    assert np.array_equal(before, after)
    assert after is not before
    assert len(cover(before[:0], BANDS["eyes"])) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mouht", "unknown region 'mouht': did you mean 'mouth'"),
        ("rows 40:50", "10 rows from row 40 does not lie inside"),
        ("rows 20:20", "0 rows from row 20"),
        ("rows a:b", "unknown region"),
    ],
)
def test_wrong_regions_are_named(name, message):
    with pytest.raises(ConfigError, match=message):
        region(name)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        cover(np.zeros((2, 48, 48)), None)
    with pytest.raises(ValueError, match="noise or grey"):
        cover(crops(), None, fill="black")
    with pytest.raises(ValueError, match="row numbers"):
        cover(crops(), None, rows=np.arange(2))
    with pytest.raises(ValueError, match="three corners"):
        Region("line", (((0, 0), (1, 1)),))
