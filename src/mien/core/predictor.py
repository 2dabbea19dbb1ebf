"""What every model is to the rest of mien, and what follows from its logits, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Labels
from mien.core.fitted import Fitted
from mien.core.preprocess import Image, InputSpec

Floats = NDArray[np.float32]

Views = Literal["one", "mirror", "ten"]
"""What an answer is averaged over: one crop of a face, the crop and its mirror image, or ten crops."""

VIEW_WORDS: dict[Views, str] = {
    "one": "single crop",
    "mirror": "averaged with the mirrored face",
    "ten": "averaged over ten crops",
}
"""What results and tables call them."""


@runtime_checkable
class Predictor(Protocol):
    """Anything that turns crops into logits: a torch network, an ONNX file, an ensemble.

    Attributes:
        name: what results call it.
        identity: sha256 of its weights, so that a result can be tied to them.
        labels: its K outputs in order.
        input: what its crops must be.
        temperature: the logits are divided by it before the softmax.
        parameters: trained and running values, counted as Keras counts.
        seen: the rows that it was fitted on, as far as it is known; a wrapper has those of what it wraps.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> str: ...  # noqa: D102
    @property
    def labels(self) -> Labels: ...  # noqa: D102
    @property
    def input(self) -> InputSpec: ...  # noqa: D102
    @property
    def temperature(self) -> float: ...  # noqa: D102
    @property
    def parameters(self) -> int: ...  # noqa: D102
    @property
    def seen(self) -> tuple[Fitted, ...]: ...  # noqa: D102

    def logits(self, crops: Image) -> Floats:
        """Uncalibrated logits ``(n, K)`` of uint8 crops ``(n, *input.shape)``; n may be 0."""
        ...


@runtime_checkable
class FromRecipe(Protocol):
    """What a recipe trained: a run, or the manifest of an exported one.

    Attributes:
        recipe: its name, where known.
        seed: that it was trained with, where known.
    """

    @property
    def recipe(self) -> str | None: ...  # noqa: D102
    @property
    def seed(self) -> int | None: ...  # noqa: D102


@runtime_checkable
class Shown(Protocol):
    """A predictor whose answers come from more than one crop or one network.

    Attributes:
        views: what of a face they are averaged over.
        members: how many networks they come from.
        shown: what they come from, in words for a result's protocol.
    """

    @property
    def views(self) -> Views: ...  # noqa: D102
    @property
    def members(self) -> int: ...  # noqa: D102
    @property
    def shown(self) -> str: ...  # noqa: D102


class Mirrored:
    """A predictor that averages the probabilities of each crop and its mirror image (test-time augmentation)."""

    def __init__(self, predictor: Predictor) -> None:
        """Wrap ``predictor``; its temperature is applied before averaging."""
        self._predictor = predictor
        self.name = f"{predictor.name}+mirror"
        self.identity = predictor.identity
        self.labels = predictor.labels
        self.input = predictor.input
        self.temperature = 1.0
        self.parameters = predictor.parameters
        self.seen = predictor.seen
        self.views: Views = "mirror"
        self.members = members_of(predictor)
        self.shown = VIEW_WORDS[self.views]

    def logits(self, crops: Image) -> Floats:
        """Logarithms ``(n, K)`` of the averaged probabilities."""
        temperature = self._predictor.temperature
        plain = softmax(self._predictor.logits(crops), temperature)
        mirrored = softmax(self._predictor.logits(np.ascontiguousarray(crops[:, :, ::-1])), temperature)
        return log_of((plain + mirrored) / 2)


class TenCropped:
    """A predictor that averages ten views of each crop: four corners, the middle, and their mirror images.

    Each view is :data:`CROP_SHARE` of the side, enlarged to the whole.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Wrap ``predictor``; its temperature is applied before averaging."""
        self._predictor = predictor
        self._both = Mirrored(predictor)
        self.name = f"{predictor.name}+ten"
        self.identity = predictor.identity
        self.labels = predictor.labels
        self.input = predictor.input
        self.temperature = 1.0
        self.parameters = predictor.parameters
        self.seen = predictor.seen
        self.views: Views = "ten"
        self.members = members_of(predictor)
        self.shown = VIEW_WORDS[self.views]

    def logits(self, crops: Image) -> Floats:
        """Logarithms ``(n, K)`` of the averaged probabilities."""
        side = self.input.size
        part, _, places = five_crops(side, side)
        total = np.zeros((len(crops), len(self.labels)), dtype=np.float32)
        for y, x in places:
            views = np.empty_like(crops)
            for index, crop in enumerate(crops):
                cv2.resize(crop[y : y + part, x : x + part], (side, side), dst=views[index])
            total += softmax(self._both.logits(views))
        return log_of(total / len(places))


CROP_SHARE = 7 / 8
"""Side of each of ten crops as a share of the picture's: 42 of 48 pixels; Krizhevsky et al. 2012 cut 224 of 256."""


def five_crops(height: int, width: int) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """Height and width of four corners and the middle of a picture, and top and left of each."""
    tall, wide = round(height * CROP_SHARE), round(width * CROP_SHARE)
    top, left = height - tall, width - wide
    return tall, wide, ((0, 0), (0, left), (top, 0), (top, left), (top // 2, left // 2))


def members_of(predictor: Predictor) -> int:
    """How many networks a predictor's answers come from."""
    return predictor.members if isinstance(predictor, Shown) else 1


def log_of(probabilities: NDArray[np.floating]) -> Floats:
    """Natural logarithms of probabilities, float32, finite where they are 0."""
    logs: Floats = np.log(np.maximum(probabilities.astype(np.float32), np.finfo(np.float32).tiny))
    return logs


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Probabilities ``(n, K)`` float32 of logits ``(n, K)`` divided by ``temperature``."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    probabilities: Floats = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def energy(logits: Floats, temperature: float = 1.0) -> Floats:
    """Log-sum-exp ``(n,)`` of calibrated logits: high on what looks like the training faces (Liu et al. 2020)."""
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(axis=1, initial=-np.inf)
    values: Floats = (top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))).astype(np.float32)
    return values


def candidate_set(probabilities: Floats, labels: Labels, thresholds: Sequence[float]) -> tuple[Expression, ...]:
    """The expressions whose probability ``(K,)`` reaches their own of K thresholds, most probable first.

    The most probable one is always in. With thresholds from split conformal prediction the sets hold each expression
    in the wanted share of the faces that show it, and are the smallest on average that do (Sadinle, Lei & Wasserman
    2019, least ambiguous set-valued classifiers with class-specific coverage).

    Raises:
        ValueError: not one threshold for each label.
    """
    if len(thresholds) != len(labels):
        raise ValueError(f"candidate sets need one threshold for each of {len(labels)} labels, got {len(thresholds)}")
    order = np.argsort(-probabilities, kind="stable")
    return tuple(labels[i] for rank, i in enumerate(order) if rank == 0 or probabilities[i] >= thresholds[i])
