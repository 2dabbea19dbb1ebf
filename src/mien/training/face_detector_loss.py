"""What a face detector is fitted to: each anchor's score, and the box and landmarks of those that see a face."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.core.anchors import STRIDES, anchors
from mien.data.face_scenes import Scene, assign

BOX, POINTS = 2.0, 6.0
"""Weights of the boxes and the landmarks beside the scores."""

_SLACK = 0.02
"""Error of a landmark, in sides of the face, up to which it counts by its square."""


def targets(scenes: list[Scene], side: int) -> tuple[Tensor, Tensor]:
    """For each scene and anchor what it learns (:func:`~mien.data.face_scenes.assign`): -2, -1 or a row of the second.

    The second holds box (x, y, width, height) and landmarks of all faces of all scenes, ``(n, 14)``.
    """
    learns, faces, before = [], [], 0
    for scene in scenes:
        own = assign(scene.boxes, scene.counted, side)
        learns.append(np.where(own >= 0, own + before, own))
        faces.append(np.concatenate([scene.boxes, scene.points.reshape(-1, 10)], axis=1))
        before += len(scene.boxes)
    return torch.from_numpy(np.stack(learns)), torch.from_numpy(np.concatenate(faces))


def loss(outputs: Tensor, learns: Tensor, faces: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Losses of scores, boxes and landmarks, each a mean over the anchors that see a face.

    Scores learn how well their own box fits (Li et al. 2020, quality focal loss), boxes by the generalised
    intersection over union (Rezatofighi et al. 2019), landmarks by smooth absolute errors in sides of the face.

    Args:
        outputs: of the network, ``(scenes, anchors, 15)``.
        learns: see :func:`targets`.
        faces: likewise.
        side: of the scenes.
    """
    sees = learns >= 0
    count = sees.sum().clamp(min=1)
    cells = torch.from_numpy(anchors(side // STRIDES[-1], side // STRIDES[-1]))
    at = cells.expand(len(outputs), -1, -1)[sees]
    own, truth = outputs[sees], faces[learns[sees]]
    where, stride = at[:, :2], at[:, 2:]
    size = (own[:, 3:5].clamp(max=8).exp()) * stride
    middle = (where + own[:, 1:3]) * stride
    overlap, general = _overlaps(middle - size / 2, middle + size / 2, truth[:, :2], truth[:, :2] + truth[:, 2:4])
    points = (where[:, None] + own[:, 5:].reshape(-1, 5, 2)) * stride[:, None]
    sides = truth[:, 2:4].prod(dim=1).sqrt()[:, None, None]
    apart = (points - truth[:, 4:].reshape(-1, 5, 2)) / sides
    marks = functional.smooth_l1_loss(apart, torch.zeros_like(apart), beta=_SLACK, reduction="sum") / 10

    wanted = torch.zeros(learns.shape)
    wanted[sees] = overlap.detach().clamp(0, 1)
    logits = outputs[..., 0]
    focus = (wanted - logits.detach().sigmoid()).square()
    scores = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * focus * (learns > -2)
    return scores.sum() / count, BOX * (1 - general).sum() / count, POINTS * marks / count


def _overlaps(low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes, by their corners, and its generalised form."""
    shared = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(dim=1)
    union = (high - low).prod(dim=1) + (other_high - other_low).prod(dim=1) - shared
    around = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).prod(dim=1)
    overlap = shared / union.clamp(min=1e-6)
    return overlap, overlap - (around - union) / around.clamp(min=1e-6)
