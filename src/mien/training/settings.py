"""The parts of a recipe that say where weights come from, what is trained of them, and who teaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Crop:
    """What differs from the network's own input spec; None keeps it. See :class:`mien.core.preprocess.InputSpec`.

    Attributes:
        size: side of the crop, pixels.
        channels: 1 for grey, 3 for RGB.
        align: by landmarks or by the box.
        margin: share of the side added around the face.
        illumination: how light is evened out.
    """

    size: int | None = None
    channels: Literal[1, 3] | None = None
    align: Literal["landmarks", "box"] | None = None
    margin: float | None = None
    illumination: Literal["none", "equalise", "clahe", "gamma"] | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """Where a run's first weights come from.

    Attributes:
        source: ``none`` (fresh), ``imagenet`` (torchvision's, fetched and checked by it), the folder of an earlier
            run, an exported model (the name of a bundled or pulled one, or its ONNX file), a file (safetensors, or a
            torch state dict) or an https URL of one. ``pretraining`` is the run that an occlusion study trains first
            (:data:`mien.studies.pooled_rows.PRETRAINING`).
        preprocessing: how a file's pictures were prepared: ``own`` (as the network's own input), ``torch``, ``tf`` or
            ``caffe`` (:data:`mien.models.weights.PREPROCESSING`); ImageNet weights and runs know theirs.
        sha256: of the file, an exported model's ONNX file; needed for a URL.
    """

    source: str = "none"
    preprocessing: Literal["own", "torch", "tf", "caffe"] | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.source:
            raise ValueError("source must be 'none', 'imagenet', a file, an https URL or a run's folder")
        if self.source == "none" and (self.preprocessing, self.sha256) != (None, None):
            raise ValueError("preprocessing and sha256 belong to weights that are loaded: name their source")


Mode = Literal["all", "head", "last", "freeze-last", "bottleneck", "svm"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is trained of loaded weights. A layer is a convolution or dense layer with the norm that follows it.

    Attributes:
        mode: ``all`` layers; the ``head`` alone, the rest frozen (paper 004); the ``last`` n layers beside the head
            (paper 003's text); all but the n layers before the head, ``freeze-last`` (paper 003's table);
            ``bottleneck``, the head on features that are computed once (paper 003); ``svm``, a linear SVM on the
            principal components of features taken at several layers (reference [11] of paper 000).
        layers: n of ``last`` and ``freeze-last``, the head not counted.
        hidden: width of a dense layer with ReLU and dropout 0.5 before a new head; None for none.
        taps: names of the modules whose outputs ``svm`` joins; empty for every max-pool and, where the network has
            dense layers before its head, the first of them.
        components: principal components that ``svm`` keeps; None for all that the rows give.
        penalty: C of the SVM.
    """

    mode: Mode = "all"
    layers: int | None = None
    hidden: int | None = None
    taps: tuple[str, ...] = ()
    components: int | None = None
    penalty: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        counted = self.mode in ("last", "freeze-last")
        if counted != (self.layers is not None):
            raise ValueError(
                f"layers goes with mode 'last' or 'freeze-last' and only with them, the mode is '{self.mode}'"
            )
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be 1 or more, got {self.layers}: mode 'head' trains the head alone")
        if self.hidden is not None and (self.hidden < 1 or self.mode == "svm"):
            raise ValueError(f"hidden must be 1 or more and has no place in an SVM, got {self.hidden}")
        if self.mode != "svm" and (self.taps or self.components is not None or self.penalty != 1.0):
            raise ValueError(f"taps, components and penalty are of mode 'svm', the mode is '{self.mode}'")
        if (self.components is not None and self.components < 1) or self.penalty <= 0:
            raise ValueError("components must be 1 or more, penalty above 0")

    @property
    def computes_once(self) -> bool:
        """Whether features are computed once instead of at every step."""
        return self.mode in ("bottleneck", "svm")


@dataclass(frozen=True, slots=True)
class Distil:
    """Learning from other models' answers beside the labels (Hinton, Vinyals & Dean 2015, arXiv 1503.02531).

    The loss is ``(1 - weight) * label loss + weight * T^2 * KL(teachers || student)``, both softened by T; several
    teachers are averaged as probabilities.

    Attributes:
        teachers: folders of finished runs, or exported models (the name of a bundled or pulled one, or its ONNX
            file), that give the same expressions from the same crops.
        temperature: T, softens teachers and student.
        weight: share of the teachers in the loss.
        answers: ``batch`` asks the teachers for every augmented batch; ``cached`` asks once, on each face and its
            mirror image, and keeps the mean.
    """

    teachers: tuple[str, ...]
    temperature: float = 4.0
    weight: float = 0.7
    answers: Literal["batch", "cached"] = "batch"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.teachers or len(set(self.teachers)) < len(self.teachers):
            raise ValueError("teachers must name one run or exported model at least, each once")
        if self.temperature <= 0 or not 0 < self.weight <= 1:
            raise ValueError(f"temperature must be above 0, weight above 0 to 1: {self.temperature}, {self.weight}")
