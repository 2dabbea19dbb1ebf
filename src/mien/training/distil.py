"""Soft targets: what teachers answer, what the crowd voted, and the losses that learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mien.core.errors import TrainingError
from mien.core.expression import Labels
from mien.core.fitted import Fitted
from mien.core.preprocess import Image, InputSpec
from mien.models.network import TorchPredictor, as_planes
from mien.models.rebuild import is_exported, open_exported
from mien.training.keep import kept
from mien.training.publish import open_run
from mien.training.run import RECORD, Run
from mien.training.settings import Distil

_CHUNK = 256


class Teachers:
    """Finished models that answer together; no part of the student's module, so that no checkpoint holds them."""

    def __init__(self, predictors: tuple[TorchPredictor, ...], temperature: float) -> None:
        """Average ``predictors``, their logits divided by ``temperature``."""
        self._predictors = predictors
        self._temperature = temperature

    @property
    def identities(self) -> tuple[str, ...]:
        """Sha256 of each teacher's weights."""
        return tuple(predictor.identity for predictor in self._predictors)

    @property
    def seen(self) -> tuple[Fitted, ...]:
        """The rows that fitted them."""
        return tuple(fitted for predictor in self._predictors for fitted in predictor.seen)

    @torch.no_grad()
    def answers(self, planes: Tensor) -> Tensor:
        """Mean softened probabilities ``(n, K)`` of planes ``(n, channels, h, w)`` on the 0 to 255 scale.

        Planes of another side than a teacher's are resized for it, as progressive training shows small ones.
        """
        total = torch.zeros(len(planes), len(self._predictors[0].labels), device=planes.device)
        for predictor in self._predictors:
            graph, side = predictor.graph.to(planes.device), predictor.input.size
            shown = planes
            if planes.shape[-1] != side:
                shown = functional.interpolate(planes, (side, side), mode="bilinear", align_corners=False)
            total += functional.softmax(graph.body(graph.normalise(shown)).float() / self._temperature, 1)
        return total / len(self._predictors)

    def cached(self, crops: Image) -> Tensor:
        """:meth:`answers` for uint8 crops, averaged with those for their mirror images: computed once and kept."""

        def follows_from() -> Iterator[bytes]:
            yield repr((self.identities, self._temperature, crops.shape)).encode()
            yield crops.tobytes()

        def compute() -> Tensor:
            place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            parts = []
            for begin in range(0, len(crops), _CHUNK):
                planes = as_planes(torch.tensor(crops[begin : begin + _CHUNK]).to(place))
                parts.append(((self.answers(planes) + self.answers(planes.flip(3))) / 2).cpu())
            return torch.cat(parts)

        return kept("answers", follows_from(), compute)


def open_teachers(settings: Distil, labels: Labels, spec: InputSpec) -> Teachers:
    """The runs and exported models that a recipe learns from.

    Raises:
        TrainingError: one is missing, unfinished, gives other expressions, or takes other crops.
        ModelError: an exported one cannot be rebuilt in torch.
    """
    predictors = []
    for name in settings.teachers:
        predictor = _open_teacher(name)
        if predictor.labels != labels:
            raise TrainingError(f"the teacher {name} gives {', '.join(predictor.labels)}, the run {', '.join(labels)}")
        if replace(predictor.input, mean=spec.mean, std=spec.std) != spec:
            raise TrainingError(f"the teacher {name} takes crops of {predictor.input}, the run of {spec}")
        predictors.append(predictor)
    return Teachers(tuple(predictors), settings.temperature)


def _open_teacher(name: str) -> TorchPredictor:
    folder = Path(name)
    if not (folder / RECORD).is_file():
        if is_exported(name):
            return open_exported(name)
        raise TrainingError(
            f"the teacher {name}: there is no run in such a folder and no exported model of that name or path; "
            "'mien train RECIPE' makes runs, 'mien models list' shows the models at hand"
        )
    predictor = open_run(folder)
    if Run.read(folder).status != "finished":
        raise TrainingError(f"the teacher {name} is still in training: finish it, so that its answers stay")
    return predictor


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """``T^2 * KL(answers || softmax(logits / T))``, the mean over rows (Hinton et al. 2015, section 2).

    T^2 keeps its gradient on the scale of the label loss's, whatever T is.
    """
    log_student = functional.log_softmax(logits / temperature, 1)
    return functional.kl_div(log_student, answers, reduction="batchmean") * temperature**2
