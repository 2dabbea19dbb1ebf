"""Augmentation changes pictures as it says, each with its own draw."""

import cv2
import numpy as np
import pytest
import torch

from mien.core.errors import ConfigError
from mien.core.schema import from_mapping
from mien.training.augment import augment, blur, degrade, draw_mixture
from mien.training.recipe import Augmentation


def batch(n=64, size=48):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0)) * 255


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_settings_nothing_changes():
    planes = batch()
    assert torch.equal(augment(planes, Augmentation(flip=False), draws()), planes)


def test_flip_mirrors_about_half():
    planes = batch(400)
    changed = augment(planes, Augmentation(), draws())
    same = torch.isclose(changed, planes, atol=1e-2).all(dim=(1, 2, 3))
    mirrored = torch.isclose(changed, planes.flip(3), atol=1e-2).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_shift_moves_by_at_most_its_share():
    planes = torch.zeros(200, 1, 48, 48)
    planes[:, :, 24, 24] = 255
    changed = augment(planes, Augmentation(flip=False, shift=0.1), draws())
    weights = changed.sum(1) / changed.sum((1, 2, 3))[:, None, None]
    y = (weights.sum(2) * torch.arange(48)).sum(1)
    x = (weights.sum(1) * torch.arange(48)).sum(1)
    for moved in (y - 24, x - 24):
        assert moved.abs().max() <= 4.8 + 0.6
        assert moved.std() > 2


def test_rotation_turns_about_the_middle():
    planes = torch.zeros(1, 1, 49, 49)
    planes[0, 0, 24, 40:] = 255
    turned = augment(planes.repeat(100, 1, 1, 1), Augmentation(flip=False, rotation=30), draws())
    y, x = np.nonzero(turned.numpy().max(axis=(0, 1)) > 128)
    angles = np.degrees(np.arctan2(y - 24, x - 24))
    assert angles.min() == pytest.approx(-30, abs=5)
    assert angles.max() == pytest.approx(30, abs=5)


def test_zoom_scales_either_way():
    planes = torch.zeros(200, 1, 48, 48)
    planes[:, :, 14:34, 14:34] = 1
    area = augment(planes, Augmentation(flip=False, zoom=0.2), draws()).sum((1, 2, 3)) / 400
    assert area.min() == pytest.approx(1 / 1.2**2, abs=0.05)
    assert area.max() == pytest.approx(1 / 0.8**2, abs=0.1)


def test_erase_greys_one_rectangle_in_the_stated_share():
    planes = torch.full((500, 1, 48, 48), 7.0)
    changed = augment(planes, Augmentation(flip=False, erase=0.5), draws())
    share = (changed != 7).float().mean((1, 2, 3))
    assert set(changed.unique().tolist()) == {7.0, 128.0}
    assert 0.42 < (share > 0).float().mean() < 0.58
    assert share.max() <= 0.25


def test_size_gives_a_smaller_picture_of_the_whole():
    planes = torch.arange(48.0).expand(2, 1, 48, 48)
    small = augment(planes, Augmentation(flip=False), draws(), size=24)
    assert small.shape == (2, 1, 24, 24)
    torch.testing.assert_close(small[0, 0, 0], torch.arange(24) * 2 + 0.5)


def test_equal_draws_give_equal_pictures():
    settings = Augmentation(rotation=20, zoom=0.1, shift=0.1, erase=0.5)
    assert torch.equal(augment(batch(), settings, draws(3)), augment(batch(), settings, draws(3)))
    assert not torch.equal(augment(batch(), settings, draws(3)), augment(batch(), settings, draws(4)))


@pytest.mark.parametrize("wrong", [{"rotation": 200}, {"zoom": -0.1}, {"shift": 1.0}, {"erase": 1.5}, {"mixup": -1}])
def test_an_impossible_setting_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        from_mapping(Augmentation, wrong, "recipe")


def kinds(planes, changed):
    """Which of the flat or textured planes got darker, blurred and noisy, told by what each leaves as it was."""
    same = (planes == changed).all(dim=3).all(dim=2)[:, 0]
    ratio = changed / planes
    dark = ~same & ((ratio.amax((1, 2, 3)) - ratio.amin((1, 2, 3))) < 1e-4)
    mean_kept = (changed.mean((1, 2, 3)) - planes.mean((1, 2, 3))).abs() < 1
    rough = (changed.diff(dim=3).abs().mean((1, 2, 3))) / planes.diff(dim=3).abs().mean((1, 2, 3))
    blurred = ~same & ~dark & mean_kept & (rough < 1)
    return same, dark, blurred, ~same & ~dark & ~blurred


def test_degrade_makes_the_stated_share_poor_in_three_ways():
    planes = batch(1200) * 0.5 + 60
    changed = degrade(planes, 0.6, draws())
    same, *poor = kinds(planes, changed)
    assert 0.35 < same.float().mean() < 0.45
    for kind in poor:
        assert 0.15 < kind.float().mean() < 0.25
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(changed, degrade(planes, 0.6, draws()))


def test_degrade_darkens_to_a_sixth_at_most():
    planes = torch.full((600, 1, 8, 8), 120.0)
    changed = degrade(planes, 1.0, draws())
    flat = changed.amax((1, 2, 3)) - changed.amin((1, 2, 3)) < 1e-3  # a blurred even plane stays as it was
    levels = changed[flat].mean((1, 2, 3))
    assert levels.min() == pytest.approx(20, abs=1)
    assert levels.max() == pytest.approx(120, abs=1)


def test_degrade_blurs_as_opencv_does():
    planes = batch(3, 48).expand(-1, 3, -1, -1).contiguous()
    sigma = torch.tensor([0.5, 1.0, 2.0])
    with torch.autocast("cpu", torch.bfloat16):  # as in training, where convolutions otherwise lose precision
        blurred = blur(planes, sigma)
    for plane, result, s in zip(planes, blurred, sigma.tolist(), strict=True):
        reference = cv2.GaussianBlur(plane.permute(1, 2, 0).numpy(), (13, 13), s, borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(result.permute(1, 2, 0).numpy(), reference, atol=0.01)


def test_degrade_off_draws_nothing():
    generator = draws()
    planes = batch(4)
    assert degrade(planes, 0.0, generator) is planes
    assert torch.equal(generator.get_state(), draws().get_state())


def test_a_mixture_lays_each_picture_over_another_one_of_the_batch():
    planes = batch(8)
    mixture = draw_mixture(8, 1.0, draws(), planes.device)
    assert sorted(mixture.partner.tolist()) == list(range(8))
    expected = mixture.share * planes + (1 - mixture.share) * planes[mixture.partner]
    torch.testing.assert_close(mixture.of(planes), expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_of_mixtures_follow_the_beta_distribution(alpha):
    generator = draws()
    shares = np.array([draw_mixture(2, alpha, generator, torch.device("cpu")).share for _ in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
