"""Whether a map depends on what the network has learnt: the cascading randomisation of Adebayo et al. 2018.

Layers are given fresh weights one after another, from the logits downwards, and the map is made anew after each. A map
that stays as it was does not show the network but the picture: an edge detector would do as well.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError
from mien.core.heatmap import enlarge
from mien.core.preprocess import Image, InputSpec
from mien.evaluation.metrics import mean_interval
from mien.explain.method import Method, graph_of, watch
from mien.models.network import Normalised, TorchPredictor

Floats = NDArray[np.float32]
Values = NDArray[np.float64]
Interval = tuple[float, float]

_WINDOW, _SIGMA = 11, 1.5


@dataclass(frozen=True, slots=True)
class CascadeStep:
    """How alike the maps still are once a layer, and all above it, have fresh weights.

    Attributes:
        layer: name of the layer.
        rank_correlation: mean over the crops of Spearman's rank correlation with the map of the trained network.
        rank_interval: 95 % bootstrap interval of it.
        similarity: mean over the crops of the structural similarity (SSIM) with that map.
        similarity_interval: 95 % bootstrap interval of it.
    """

    layer: str
    rank_correlation: float
    rank_interval: Interval
    similarity: float
    similarity_interval: Interval


@dataclass(frozen=True, slots=True)
class Sanity:
    """One method's cascade.

    Attributes:
        method: its title.
        n: crops.
        seed: of the fresh weights.
        steps: from the layer nearest to the logits downwards.
    """

    method: str
    n: int
    seed: int
    steps: tuple[CascadeStep, ...]


def cascade(
    method: Method,
    network: TorchPredictor,
    crops: Image,
    expressions: str | Sequence[str],
    *,
    seed: int = 0,
    points: int | None = None,
) -> Sanity:
    """Randomise a copy of the network from the top and compare the maps after each layer with the first ones.

    A layer draws its weights anew as it did before training (its ``reset_parameters``); a batch norm forgets its
    running statistics too. A map without any contrast is alike to no other: its correlation counts as 0.

    Args:
        method: makes the maps.
        network: a torch network; it is left as it is.
        crops: ``(n, *input.shape)`` uint8.
        expressions: one for all crops, or one for each.
        seed: of the fresh weights; torch's own random state is left as it is.
        points: compare after so many of the layers, evenly spread; None compares after each.

    Raises:
        ModelError: the model has no gradients, or the method's layer does not exist.
        DatasetError: there are no crops.
    """
    graph_of(network)
    first = method(network, crops, expressions)
    changed = copy.deepcopy(network)
    names = trained_layers(changed.graph, changed.input)[::-1]
    count = len(names) if points is None else min(points, len(names))
    compared = {round(value) for value in np.linspace(0, len(names) - 1, count)} if count > 1 else {len(names) - 1}
    modules = dict(changed.graph.body.named_modules())
    steps = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for position, name in enumerate(names):
            modules[name].reset_parameters()
            if position in compared:
                steps.append(_compare(name, first, method(changed, crops, expressions), network.input.size, seed))
    return Sanity(method.title, len(crops), seed, tuple(steps))


def trained_layers(graph: Normalised, spec: InputSpec) -> list[str]:
    """Names of the layers that hold weights of their own, in the order in which a crop passes them."""
    passed: dict[str, None] = {}

    def note(name: str, _: object) -> None:
        passed.pop(name, None)
        passed[name] = None

    own = [
        name
        for name, module in graph.body.named_modules()
        if name and any(True for _ in module.parameters(recurse=False)) and hasattr(module, "reset_parameters")
    ]
    watch(graph, own, np.zeros((1, *spec.shape), np.uint8), note)
    return list(passed)


def rank_correlation(first: Floats, second: Floats) -> Values:
    """Spearman's rank correlation of each pair of maps ``(n, h, w)``: ``(n,)``; 0 where one has no contrast.

    Raises:
        MissingExtraError: SciPy, which comes with scikit-learn, is not installed.
    """
    try:
        from scipy.stats import rankdata
    except ModuleNotFoundError:
        raise MissingExtraError("scipy", "explain", "rank correlation") from None
    a, b = (rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where(scale > 0, (a * b).sum(axis=1) / np.where(scale > 0, scale, 1), 0.0)


def similarity(first: Floats, second: Floats) -> Values:
    """Structural similarity of each pair of maps ``(n, side, side)``: ``(n,)`` (Wang et al. 2004).

    Each map is divided by its largest amount, as it would be for drawing; Gaussian window of 11 pixels, deviation 1.5.
    """
    signed = min(float(first.min()), float(second.min())) < 0
    c1, c2 = (0.01 * (1 + signed)) ** 2, (0.03 * (1 + signed)) ** 2
    return np.array([_similarity(_scaled(x), _scaled(y), c1, c2) for x, y in zip(first, second, strict=True)])


def _compare(layer: str, first: Floats, now: Floats, side: int, seed: int) -> CascadeStep:
    ranks = rank_correlation(first, now)
    alike = similarity(enlarge(first, side), enlarge(now, side))
    return CascadeStep(
        layer=layer,
        rank_correlation=float(ranks.mean()),
        rank_interval=mean_interval(ranks, seed=seed),
        similarity=float(alike.mean()),
        similarity_interval=mean_interval(alike, seed=seed),
    )


def _scaled(heat: Floats) -> Values:
    values = heat.astype(np.float64)
    top = np.abs(values).max()
    return values / top if top > 0 else values


def _similarity(x: Values, y: Values, c1: float, c2: float) -> float:
    def smooth(values: Values) -> Values:
        return np.asarray(cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA))

    mx, my = smooth(x), smooth(y)
    vx, vy, both = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    values = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    edge = _WINDOW // 2
    return float(values[edge:-edge, edge:-edge].mean())
