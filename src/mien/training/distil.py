"""Soft targets: what teachers answer, what the crowd voted, and the losses that learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional

from mien.core.errors import TrainingError
from mien.core.expression import Labels
from mien.core.fitted import Fitted
from mien.core.manifest import Manifest
from mien.core.model_reference import ModelReference
from mien.core.preprocess import Image, InputSpec
from mien.models.network import TorchPredictor, as_crops, as_planes
from mien.models.rebuild import rebuild
from mien.training.recipe import Distil
from mien.training.run import Run
from mien.training.run_as_model import open_run
from mien.training.tensor_cache import cached_tensor

_CHUNK = 256


class Teacher:
    """A finished model that answers; where it is an exported one, on a processor by its own file, which is faster."""

    def __init__(self, predictor: TorchPredictor, file: Path | None = None) -> None:
        """Wrap ``predictor``, and the ONNX ``file`` that it was rebuilt from."""
        self.predictor = predictor
        self._file = file

    def logits(self, planes: Tensor) -> Tensor:
        """Logits ``(n, K)`` of planes ``(n, channels, h, w)`` on the 0 to 255 scale, resized to the side it takes."""
        side = self.predictor.input.size
        if planes.shape[-1] != side:
            planes = functional.interpolate(planes, (side, side), mode="bilinear", align_corners=False)
        if self._file is not None and planes.device.type == "cpu":
            return torch.from_numpy(self._session.run(["logits"], {"crops": as_crops(planes)})[0])
        graph = self.predictor.graph.to(planes.device)
        return graph.body(graph.normalise(planes)).float()  # type: ignore[no-any-return]

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the student has the cores next
        return onnxruntime.InferenceSession(self._file, options, providers=["CPUExecutionProvider"])


class Teachers:
    """Teachers that answer together; no part of the student's module, so that no checkpoint holds them."""

    def __init__(self, teachers: tuple[Teacher, ...], temperature: float) -> None:
        """Average ``teachers``, their logits divided by ``temperature``."""
        self._teachers = teachers
        self._temperature = temperature

    @property
    def identities(self) -> tuple[str, ...]:
        """Sha256 of each teacher's weights."""
        return tuple(teacher.predictor.identity for teacher in self._teachers)

    @property
    def seen(self) -> tuple[Fitted, ...]:
        """The rows that fitted them."""
        return tuple(fitted for teacher in self._teachers for fitted in teacher.predictor.seen)

    @torch.no_grad()
    def answers(self, planes: Tensor) -> Tensor:
        """Mean softened probabilities ``(n, K)`` of planes ``(n, channels, h, w)`` on the 0 to 255 scale."""
        softened = [functional.softmax(teacher.logits(planes) / self._temperature, 1) for teacher in self._teachers]
        return torch.stack(softened).mean(0)

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

        return cached_tensor("answers", follows_from(), compute)


def open_teachers(settings: Distil, labels: Labels, spec: InputSpec) -> Teachers:
    """The runs and exported models that a recipe learns from.

    Raises:
        TrainingError: one is missing, unfinished, gives other expressions, or takes other crops.
        ModelError: an exported one cannot be rebuilt in torch.
    """
    teachers = []
    for name in settings.teachers:
        teacher = _open_teacher(name)
        predictor = teacher.predictor
        if predictor.labels != labels:
            raise TrainingError(f"the teacher {name} gives {', '.join(predictor.labels)}, the run {', '.join(labels)}")
        if replace(predictor.input, mean=spec.mean, std=spec.std) != spec:
            raise TrainingError(f"the teacher {name} takes crops of {predictor.input}, the run of {spec}")
        teachers.append(teacher)
    return Teachers(tuple(teachers), settings.temperature)


def _open_teacher(name: str) -> Teacher:
    reference = ModelReference.parse(name)
    if reference.kind in ("exported", "ensemble"):
        path = reference.manifest_path()
        manifest = Manifest.read(path)
        return Teacher(rebuild(manifest, path.parent), path.parent / manifest.file)
    if reference.kind != "run":
        raise TrainingError(
            f"the teacher {name}: there is no run in such a folder and no exported model of that name or path; "
            "'mien train RECIPE' makes runs, 'mien models list' shows the models at hand"
        )
    predictor = open_run(reference.path)
    if Run.read(reference.path).status != "finished":
        raise TrainingError(f"the teacher {name} is still in training: finish it, so that its answers stay")
    return Teacher(predictor)


def distillation_loss(logits: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """``T^2 * KL(answers || softmax(logits / T))``, the mean over rows (Hinton et al. 2015, section 2).

    T^2 keeps its gradient on the scale of the label loss's, whatever T is.
    """
    log_student = functional.log_softmax(logits / temperature, 1)
    return functional.kl_div(log_student, answers, reduction="batchmean") * temperature**2
