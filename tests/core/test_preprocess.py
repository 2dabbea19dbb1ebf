"""The one way from a face to a network's input."""

import cv2
import numpy as np
import pytest

from mien.core.face import Box, Face
from mien.core.preprocess import TEMPLATE, InputSpec, crop_face, crop_picture, crop_pictures

SPEC = InputSpec()


def scene(size=480):
    """A smooth RGB picture in which position can be told from colour."""
    ramp = np.linspace(0, 255, size)
    x, y = np.meshgrid(ramp, ramp)
    return np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8)


def face(points=None, box=None):
    return Face(box or Box(120, 120, 240, 240), 0.9, points)


def test_a_box_is_cut_out_whole():
    crop = crop_face(scene(), face(), InputSpec(channels=3, mean=(0.0,) * 3, std=(1.0,) * 3))
    assert crop.shape == (48, 48, 3)
    expected = scene()[120:360, 120:360].reshape(48, 5, 48, 5, 3).mean((1, 3))
    assert np.abs(crop - expected).max() <= 1.5


def test_landmarks_on_the_template_give_the_box():
    points = np.array([120, 120]) + TEMPLATE * 240
    by_points = crop_face(scene(), face(points), SPEC).astype(int)
    by_box = crop_face(scene(), face(), SPEC).astype(int)
    assert np.abs(by_points - by_box).max() <= 1


@pytest.mark.parametrize("angle", [-40, 15, 90])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_a_turned_and_scaled_face_gives_the_upright_crop(angle, scale):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (480, 480), dtype=np.uint8), (0, 0), 8)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    points = np.array([180, 180]) + TEMPLATE * 120
    upright = crop_face(picture, face(points, Box(180, 180, 120, 120)), SPEC).astype(int)
    matrix = cv2.getRotationMatrix2D((240, 240), angle, scale)
    turned = cv2.warpAffine(picture, matrix, (480, 480), flags=cv2.INTER_CUBIC)
    moved = np.hstack([points - 0.5, np.ones((5, 1))]) @ matrix.T + 0.5  # OpenCV turns pixel centres
    again = crop_face(turned, face(moved), SPEC).astype(int)
    assert np.abs(again - upright).mean() < 3


def test_align_box_ignores_landmarks():
    points = np.array([100, 50]) + TEMPLATE * 300
    spec = InputSpec(align="box")
    assert np.array_equal(crop_face(scene(), face(points), spec), crop_face(scene(), face(), spec))


def test_margin_shows_more_of_the_picture():
    wide = crop_face(scene(), face(), InputSpec(margin=0.25)).astype(int)
    wider_box = crop_face(scene(), face(box=Box(60, 60, 360, 360)), SPEC).astype(int)
    assert np.abs(wide - wider_box).max() <= 1


def test_outside_the_picture_the_edge_repeats():
    crop = crop_face(np.full((50, 50, 3), 77, np.uint8), face(box=Box(-100, -100, 300, 300)), SPEC)
    assert (crop == 77).all()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("x", [20_000, 39_950, -60])
def test_a_face_in_a_panorama_is_cut_out_as_in_a_small_picture(x, turned):
    panorama = np.zeros((200, 40_000, 3), np.uint8)
    panorama[:] = np.abs(np.arange(40_000) % 400 - 200)[None, :, None]
    start = min(max(x - 300, 0), 39_200)
    quarter = np.array([[0, -1], [1, 0]]) if turned else np.eye(2)
    points = np.array([x + 60, 100]) + (TEMPLATE - 0.5) @ quarter * 120
    shift = np.array([start, 0])
    whole = crop_face(panorama, face(points, Box(x, 40, 120, 120)), SPEC)
    part = crop_face(
        np.ascontiguousarray(panorama[:, start : start + 800]), face(points - shift, Box(x - start, 40, 120, 120)), SPEC
    )
    assert np.abs(whole.astype(int) - part).max() <= 2


def test_a_large_face_is_averaged_not_skipped():
    stripes = np.zeros((970, 970), np.uint8)
    stripes[::2] = 200
    crop = crop_face(stripes, face(box=Box(0, 0, 960, 960)), SPEC)
    assert np.abs(crop.astype(int) - 100).max() <= 2


def test_a_crop_of_the_right_size_passes_through():
    picture = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert np.array_equal(crop_picture(picture, SPEC), picture)
    stack = picture[None]
    assert crop_pictures(stack, SPEC) is stack


@pytest.mark.parametrize("spec", [SPEC, InputSpec(size=96, margin=0.2), InputSpec(illumination="clahe")])
def test_a_face_that_is_the_whole_picture_is_cut_as_the_datasets_are(spec):
    picture = np.random.default_rng(0).integers(0, 256, (70, 60, 3), dtype=np.uint8)
    assert np.array_equal(crop_face(picture, face(box=Box(0, 0, 60, 70)), spec), crop_picture(picture, spec))


def test_colour_and_grey_meet_the_spec():
    rgb = np.zeros((60, 40, 3), np.uint8)
    rgb[..., 0] = 255  # red: luma 76 by ITU-R BT.601
    assert np.unique(crop_picture(rgb, SPEC)).tolist() == [76]
    colour = InputSpec(channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert crop_picture(rgb[..., 1], colour).shape == (48, 48, 3)


@pytest.mark.parametrize("method", ["equalise", "clahe", "gamma"])
def test_illumination_lifts_a_dark_picture(method):
    dark = (scene(48) // 8).astype(np.uint8)
    plain = crop_picture(dark, SPEC)
    lifted = crop_picture(dark, InputSpec(illumination=method))
    assert lifted.std() > plain.std() * 1.2
    assert crop_pictures(dark[None], InputSpec(illumination=method)).shape == (1, 48, 48)
    colour = InputSpec(channels=3, mean=(0.0,) * 3, std=(1.0,) * 3, illumination=method)
    assert crop_picture(dark, colour).mean() > dark.mean()


def test_gamma_brings_the_mean_near_the_middle():
    dark = (scene(48) // 4).astype(np.uint8)
    assert crop_picture(dark, InputSpec(illumination="gamma")).mean() == pytest.approx(127, abs=12)


@pytest.mark.parametrize(
    "wrong", [{"size": 4}, {"margin": -0.1}, {"mean": (1.0, 2.0)}, {"std": (0.0,)}, {"channels": 3}]
)
def test_an_impossible_spec_is_refused(wrong):
    with pytest.raises(ValueError, match=r"size|margin|mean"):
        InputSpec(**wrong)
