"""Augmentation of a whole batch in a few tensor operations, each picture with its own draw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.training.recipe import Augmentation

GREY = 128.0

DARKEST = 1 / 6
"""Share of the light that the darkest pictures keep."""
WIDEST = 2.0
"""Sigma of the strongest blur, in pixels of a picture of :data:`SIDE`."""
LOUDEST = 24.0
"""Deviation of the strongest noise, in levels of 0 to 255."""
SIDE = 48


def augment(planes: Tensor, settings: Augmentation, generator: torch.Generator, *, size: int | None = None) -> Tensor:
    """Changed copies of planes ``(n, channels, h, w)`` float on the 0 to 255 scale, ``size`` pixels a side if given.

    Mirroring, rotation, zoom and shift are one affine sampling (bilinear; the edge repeats outside); erasing greys
    out a rectangle. ``generator`` lives on the CPU, so that draws are the same on every device.
    """
    shape = [*planes.shape[:2], size or planes.shape[2], size or planes.shape[3]]
    if settings.flip or settings.rotation or settings.zoom or settings.shift or shape != list(planes.shape):
        matrices = _matrices(len(planes), settings, generator).to(planes.device)
        grid = functional.affine_grid(matrices, shape, align_corners=False)
        planes = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    if settings.erase:
        planes = _erase(planes, settings.erase, generator)
    return planes


@dataclass(frozen=True, slots=True)
class Mixture:
    """How a batch was mixed: ``share`` of each picture ``i`` is its own, the rest is picture ``partner[i]``."""

    partner: Tensor
    share: float

    def of(self, values: Tensor) -> Tensor:
        """Values ``(n, ...)`` of the batch, mixed."""
        return torch.lerp(values[self.partner], values, self.share)


def draw_mixture(rows: int, alpha: float, generator: torch.Generator, device: torch.device) -> Mixture:
    """Partners within a batch of ``rows``, and a share from Beta(alpha, alpha), as Zhang et al. 2018 draw them."""
    seed = int(torch.randint(2**62, (1,), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    return Mixture(torch.randperm(rows, generator=generator).to(device), share)


def degrade(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """A copy of planes ``(n, channels, h, w)`` on the 0 to 255 scale where each is, by chance, made a poor picture.

    One in three of those is darker (the light multiplied by up to :data:`DARKEST`, evenly in its logarithm), one
    blurred by a Gaussian (up to :data:`WIDEST`), one gets grey noise (up to :data:`LOUDEST`); how much is uniform.
    """
    if not probability:
        return planes
    n, _, height, width = planes.shape
    draw = torch.rand(2, n, generator=generator)
    kind = torch.where(draw[0] < probability, (draw[0] / probability * 3).long().clamp(max=2), 3)
    dark, blurred, noisy = ((kind == which).nonzero()[:, 0] for which in range(3))
    grain = (
        torch.randn(len(noisy), 1, height, width, generator=generator) * (LOUDEST * draw[1, noisy])[:, None, None, None]
    )
    light = torch.exp(math.log(DARKEST) * draw[1, dark])[:, None, None, None]

    poor = planes.clone()
    poor[dark] *= light.to(planes)
    if len(blurred):
        poor[blurred] = blur(planes[blurred], (WIDEST * width / SIDE * draw[1, blurred]).to(planes))
    poor[noisy] = (planes[noisy] + grain.to(planes)).clamp(0, 255)
    return poor


def blur(planes: Tensor, sigma: Tensor) -> Tensor:
    """Planes ``(n, channels, h, w)`` blurred by a Gaussian each, of ``sigma`` ``(n,)`` pixels; the edge repeats."""
    n, channels, height, width = planes.shape
    radius = math.ceil(3 * WIDEST * width / SIDE)
    offsets = torch.arange(-radius, radius + 1, device=planes.device, dtype=planes.dtype)
    taps = torch.exp(-(offsets**2) / (2 * sigma.clamp(min=1e-3)[:, None] ** 2))
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    rows = n * channels  # one group for each plane, so that each has a kernel of its own
    padded = functional.pad(planes.reshape(1, rows, height, width), (radius,) * 4, mode="replicate")
    with torch.autocast(planes.device.type, enabled=False):  # bf16 would leave no more than 256 levels
        across = functional.conv2d(padded, taps[:, None, None, :], groups=rows)
        return functional.conv2d(across, taps[:, None, :, None], groups=rows).reshape(planes.shape)


def _matrices(n: int, settings: Augmentation, generator: torch.Generator) -> Tensor:
    def within(limit: float, *shape: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * 2 - 1) * limit

    angle = within(math.radians(settings.rotation), n)
    scale = 1 + within(settings.zoom, n)
    shift = within(2 * settings.shift, n, 2)  # the side is 2 in grid_sample's coordinates
    mirrored = torch.rand(n, generator=generator) < (0.5 if settings.flip else 0.0)
    sign = 1.0 - 2.0 * mirrored.float()
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    return torch.stack(
        [torch.stack([cos * sign, -sin, shift[:, 0]], 1), torch.stack([sin * sign, cos, shift[:, 1]], 1)], 1
    )


def _erase(planes: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    n, _, height, width = planes.shape
    draw = torch.rand(5, n, generator=generator)
    area = 0.02 + 0.18 * draw[0]
    aspect = torch.exp((draw[1] * 2 - 1) * math.log(3.0))
    tall = torch.sqrt(area * aspect).clamp(max=1.0)
    wide = torch.sqrt(area / aspect).clamp(max=1.0)
    top, left = draw[2] * (1 - tall), draw[3] * (1 - wide)
    y = (torch.arange(height) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    rows = (y >= top[:, None]) & (y < (top + tall)[:, None])
    columns = (x >= left[:, None]) & (x < (left + wide)[:, None])
    inside = rows[:, :, None] & columns[:, None, :] & (draw[4] < probability)[:, None, None]
    return planes.masked_fill(inside[:, None].to(planes.device), GREY)
