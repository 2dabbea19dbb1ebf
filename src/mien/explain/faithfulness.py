"""Whether a map tells the truth about its network: deletion and insertion, by which methods compare by number.

Petsiuk, Das & Saenko 2018 (RISE): pixels are taken away in the order of the map, highest first, and the probability of
the expression is followed. A faithful map makes it fall fast when pixels are deleted (a small area under the curve) and
rise fast when they are inserted into a blurred picture (a large area). Any order of pixels makes it fall in the end, so
every method is compared with maps of random numbers on the same crops.

Nothing here needs torch or gradients: any :class:`mien.core.predictor.Predictor` can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.expression import label_indices
from mien.core.heatmap import enlarge
from mien.core.predictor import Predictor, softmax
from mien.core.preprocess import Image
from mien.evaluation.metrics import mean_interval

Floats = NDArray[np.float32]
Interval = tuple[float, float]

STEPS = 24
"""Steps from no pixel to all of them: 96 pixels each of 48 x 48."""

RANDOM = {"random pixels": 48, "random regions": 6}
"""The baselines and their maps' sides: each pixel alone, and as coarse as a last feature map."""

_BLUR, _SIGMA = 11, 5.0
"""Kernel and deviation, in pixels, of the blurred picture that insertion starts from, as in the paper's code."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """One method's areas under the curves, means over the crops with 95 % bootstrap intervals.

    Attributes:
        method: its name.
        n: crops.
        deletion: area under the deletion curve, 0 to 1; smaller is better.
        deletion_interval: of it.
        insertion: area under the insertion curve, 0 to 1; larger is better.
        insertion_interval: of it.
        gain: insertion less deletion, less the same of the better random baseline on the same crops; 0 for itself.
        gain_interval: of it, paired by crop.
    """

    method: str
    n: int
    deletion: float
    deletion_interval: Interval
    insertion: float
    insertion_interval: Interval
    gain: float
    gain_interval: Interval


def curves(
    predictor: Predictor,
    crops: Image,
    maps: Floats,
    expressions: str | Sequence[str],
    *,
    kind: Literal["deletion", "insertion"],
    steps: int = STEPS,
    seed: int = 0,
) -> Floats:
    """The probability of each crop's expression after each step, ``(n, steps + 1)`` float32.

    Deletion starts from the crop and ends in a grey picture (the level that the network's input is centred on),
    insertion starts from the blurred crop and ends in the crop.

    Args:
        predictor: the model.
        crops: ``(n, *input.shape)`` uint8.
        maps: ``(n, h, w)``; smaller ones are enlarged to the crop's size.
        expressions: one for all crops, or one for each.
        kind: which of the two.
        steps: of equal numbers of pixels.
        seed: orders pixels of equal height at random.

    Raises:
        DatasetError: there are no crops.
        LabelError: the model does not know an expression.
        ValueError: maps and crops differ in number.
    """
    if len(crops) == 0:
        raise DatasetError("there is no crop to delete pixels from: give one or more")
    if len(maps) != len(crops):
        raise ValueError(f"{len(crops)} crops need as many maps, got {len(maps)}")
    indices = label_indices(predictor.labels, expressions, len(crops), predictor.name)
    ranks = _ranks(enlarge(maps, crops.shape[1]) if maps.shape[1:] != crops.shape[1:3] else maps, seed)
    ranks = ranks.reshape(*crops.shape[:3], *(1,) * (crops.ndim - 3))
    pixels = crops.shape[1] * crops.shape[2]
    grey = np.full_like(crops, round(float(np.mean(predictor.input.mean))))
    start, end = (crops, grey) if kind == "deletion" else (_blurred(crops), crops)
    followed = np.empty((len(crops), steps + 1), dtype=np.float32)
    for step in range(steps + 1):
        changed = np.where(ranks < pixels * step / steps, end, start)
        probabilities = softmax(predictor.logits(changed), predictor.temperature)
        followed[:, step] = probabilities[np.arange(len(crops)), indices]
    return followed


def area(followed: Floats) -> Floats:
    """Area under each curve ``(n,)``, 0 to 1, of curves ``(n, steps + 1)``, by trapezia."""
    means: Floats = ((followed[:, 1:] + followed[:, :-1]) / 2).mean(axis=1)
    return means


def random_maps(n: int, side: int, *, seed: int = 0) -> Floats:
    """Maps of uniform random numbers, ``(n, side, side)`` float32."""
    return np.random.default_rng(seed).random((n, side, side), dtype=np.float32)


def compare(
    predictor: Predictor,
    crops: Image,
    maps: Mapping[str, Floats],
    expressions: str | Sequence[str],
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[Faithfulness, ...]:
    """Score the maps of several methods, and of the random baselines after them, on the same crops.

    Args:
        predictor: the model.
        crops: ``(n, *input.shape)`` uint8.
        maps: of each method by its name, ``(n, h, w)``.
        expressions: one for all crops, or one for each.
        steps: of each curve.
        seed: of the random maps, of the order of equal pixels and of the bootstrap.

    Raises:
        DatasetError: there are no crops.
        LabelError: the model does not know an expression.
    """
    baselines = {name: random_maps(len(crops), side, seed=seed) for name, side in RANDOM.items()}
    areas: dict[str, tuple[Floats, Floats]] = {}
    for name, of_method in {**maps, **baselines}.items():
        deletion = curves(predictor, crops, of_method, expressions, kind="deletion", steps=steps, seed=seed)
        insertion = curves(predictor, crops, of_method, expressions, kind="insertion", steps=steps, seed=seed)
        areas[name] = area(deletion), area(insertion)
    differences = {name: insertion - deletion for name, (deletion, insertion) in areas.items()}
    reference = max((differences[name] for name in baselines), key=lambda values: float(values.mean()))
    scores = []
    for name, (deletion, insertion) in areas.items():
        gain = differences[name] - reference
        scores.append(
            Faithfulness(
                method=name,
                n=len(crops),
                deletion=float(deletion.mean()),
                deletion_interval=mean_interval(deletion, seed=seed),
                insertion=float(insertion.mean()),
                insertion_interval=mean_interval(insertion, seed=seed),
                gain=float(gain.mean()),
                gain_interval=mean_interval(gain, seed=seed),
            )
        )
    return tuple(scores)


def _ranks(maps: Floats, seed: int) -> NDArray[np.int64]:
    """Each pixel's place in its map's order, highest first, ``(n, pixels)``; equal pixels in random order."""
    flat = maps.reshape(len(maps), -1)
    chance = np.random.default_rng(seed).random(flat.shape[1])
    ranks = np.empty(flat.shape, dtype=np.int64)
    for row, values in enumerate(flat):
        ranks[row, np.lexsort((chance, -values))] = np.arange(len(values))
    return ranks


def _blurred(crops: Image) -> Image:
    return np.stack([cv2.GaussianBlur(crop, (_BLUR, _BLUR), _SIGMA) for crop in crops]).astype(np.uint8)
