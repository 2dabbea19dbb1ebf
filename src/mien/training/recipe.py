"""Recipes: typed training configurations, read from YAML, and their parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from mien.core.errors import ConfigError
from mien.core.expression import LabelSet
from mien.core.fitted import Folds
from mien.core.model_reference import ModelReference
from mien.core.predictor import Views
from mien.core.schema import from_mapping, to_mapping
from mien.data.fer2013 import Counts
from mien.data.numbered_classes import Classes

R = TypeVar("R")

Precision = Literal["fp32", "bf16"]
LoggerName = Literal["tensorboard", "mlflow", "wandb", "csv"]
Mode = Literal["all", "head", "last", "freeze-last", "bottleneck", "svm"]


def read_yaml(path: Path) -> Any:
    """The content of a recipe's file.

    Raises:
        ConfigError: it is missing or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no recipe at {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path} is not a YAML file: {error}") from None


def write_yaml(content: Any, path: Path) -> None:
    """Write a recipe's content in the order of its keys."""
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What a run is fitted on and chosen on.

    Attributes:
        dataset: a dataset's name (:data:`mien.data.load.NAMES`), or a path to a folder or CSV.
        train: split that fits the weights.
        validation: split that chooses epochs; never one that is reported.
        labels: a set of :data:`mien.core.expression.LABEL_SETS`, or None for the dataset's own.
        limit: use only this many training rows, evenly spread; for quick tries.
        counts: ``any`` accepts a FER2013 that is not the published one, such as a part of it or a cleaned one.
        classes: whose numbers the classes are, where a folder or manifest has numbers for classes
            (:data:`mien.data.numbered_classes.NUMBERS`).
        folds: makes the splits ``train``, ``validation`` and ``test`` anew, see :class:`mien.core.fitted.Folds`.
    """

    dataset: str = "fer2013"
    train: str = "train"
    validation: str = "public"
    labels: LabelSet | None = None
    limit: int | None = None
    counts: Counts = "published"
    classes: Classes | None = None
    folds: Folds | None = None

    def __post_init__(self) -> None:
        """Keep what is fitted and what is chosen apart."""
        if self.train == self.validation:
            raise ValueError(f"train and validation are both '{self.train}': choose on rows that were not fitted")
        if self.limit is not None and self.limit < 2:
            raise ValueError(f"limit must be 2 or more, got {self.limit}")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes to every training batch, each drawn anew for each picture.

    Attributes:
        flip: mirror half of the pictures.
        rotation: up to this many degrees either way.
        zoom: scale by up to this share either way.
        shift: move by up to this share of the side, each axis.
        erase: probability of greying out one random rectangle of 2 to 20 % of the picture.
        degrade: probability of making a poor picture of it: darker, blurred or noisy, one of the three. Teachers are
            asked before, so that a student learns to read poor pictures as good ones are read.
        mixup: alpha of mixup (Zhang et al. 2018, arXiv 1710.09412): each picture is laid over another one of its
            batch, with one share a batch from Beta(alpha, alpha), and its targets are mixed alike. Teachers are asked
            about the mixed picture. 0 for none.
    """

    flip: bool = True
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    erase: float = 0.0
    degrade: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"rotation must be 0 to 180 degrees, got {self.rotation}")
        for name, most in (("zoom", 0.9), ("shift", 0.9), ("erase", 1.0), ("degrade", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be 0 to {most:g}, got {value}")
        if not 0 <= self.mixup < math.inf:
            raise ValueError(f"mixup must be 0 or more, got {self.mixup}")


@dataclass(frozen=True, slots=True)
class Progressive:
    """Early epochs on smaller pictures, for networks that pool over the whole picture before their dense layers.

    A picture of 32 x 32 takes less than half of the time of one of 48 x 48 (Tan & Le 2021, EfficientNetV2).

    Attributes:
        size: side of the early pictures, pixels.
        until: share of the epochs that see them.
    """

    size: int = 32
    until: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.size < 8 or not 0 < self.until < 1:
            raise ValueError(f"size must be 8 or more, until within 0 to 1: got {self.size}, {self.until}")


@dataclass(frozen=True, slots=True)
class Optimiser:
    """How weights are updated.

    Attributes:
        name: ``adamw`` (without decay it is Adam), ``rmsprop`` or ``sgd`` (Nesterov momentum 0.9).
        rate: peak learning rate.
        schedule: ``onecycle`` (linear up, cosine down to 1/1000 of the peak), ``cosine`` or ``constant``.
        warmup: share of all steps in which the rate rises, for ``onecycle``.
        decay: weight decay of matrices and kernels; biases and norms have none.
        clip: largest norm of the gradient; None for no limit.
    """

    name: Literal["adamw", "rmsprop", "sgd"] = "adamw"
    rate: float = 4e-3
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    warmup: float = 0.2
    decay: float = 0.01
    clip: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rate <= 0 or self.decay < 0 or not 0 < self.warmup < 1 or (self.clip is not None and self.clip <= 0):
            raise ValueError(f"rate and clip must be above 0, decay 0 or more, warmup within 0 to 1: {self}")


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

    @property
    def reference(self) -> ModelReference | None:
        """What the source means; None for fresh weights."""
        return None if self.source == "none" else ModelReference.parse(self.source)


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


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what a run computes.

    Attributes:
        name: of the model that comes out.
        network: its name in the registry.
        options: passed to the network's builder.
        input: how its crops differ from the network's own, see :class:`Crop`.
        weights: what it starts from, see :class:`Weights`.
        transfer: what is trained of it, see :class:`Transfer`.
        data: see :class:`DataConfig`.
        augment: see :class:`Augmentation`.
        progressive: see :class:`Progressive`; None for pictures of full size throughout.
        optimiser: see :class:`Optimiser`.
        epochs: passes over the training split.
        batch: pictures a step.
        smoothing: label smoothing.
        class_weights: ``inverse`` weighs each class by the inverse of its frequency.
        votes: share of FER+'s crowd votes in the targets, the rest is the label; None for labels alone. A row without
            votes keeps its label. These are extra labels, and the manifest says so.
        votes_as: ``given`` takes the votes as they are; ``labels`` takes what FER2013's label is likely to be where a
            picture has such votes (:func:`mien.training.recipe_data.translate_votes`), for the two differ by habit.
        distil: see :class:`Distil`; None for no teachers.
        averaging: decay of the exponential average of the weights, taken every fourth step; None for none.
        patience: stop after this many epochs without a higher validation accuracy; None to run all epochs.
        precision: ``fp32``, or ``bf16`` for mixed precision where the machine computes in it.
        views: what a prediction averages: ``one`` crop, the crop and its ``mirror`` image, or ``ten`` crops (four
            corners and the middle at 7/8 of the side, and their mirror images); part of the model that comes out.
        seed: of weights, order and augmentation.
        summary: one sentence for the manifest.
        licence: of the weights; empty for "as the training data allows".
        logger: who is handed the run's numbers as it goes, see :mod:`mien.training.loggers`; None for nobody. It
            decides nothing that is computed, so that recipes that differ in it alone are equal.
    """

    name: str
    network: str
    options: dict[str, Any] = field(default_factory=dict)
    input: Crop = field(default_factory=Crop)
    weights: Weights = field(default_factory=Weights)
    transfer: Transfer = field(default_factory=Transfer)
    data: DataConfig = field(default_factory=DataConfig)
    augment: Augmentation = field(default_factory=Augmentation)
    progressive: Progressive | None = None
    optimiser: Optimiser = field(default_factory=Optimiser)
    epochs: int = 50
    batch: int = 128
    smoothing: float = 0.0
    class_weights: Literal["none", "inverse"] = "none"
    votes: float | None = None
    votes_as: Literal["given", "labels"] = "given"
    distil: Distil | None = None
    averaging: float | None = None
    patience: int | None = None
    precision: Precision = "fp32"
    views: Views = "one"
    seed: int = 0
    summary: str = ""
    licence: str = ""
    logger: LoggerName | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.epochs < 1 or self.batch < 2 or (self.patience is not None and self.patience < 1):
            raise ValueError("epochs and patience must be 1 or more, batch 2 or more")
        if not 0 <= self.smoothing < 1 or not (self.averaging is None or 0 < self.averaging < 1):
            raise ValueError("smoothing must be 0 to 1, averaging within 0 to 1")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name must be a bare file name, got '{self.name}'")
        if self.votes is not None and not 0 < self.votes <= 1:
            raise ValueError(f"votes must be above 0 to 1, got {self.votes}")
        if self.votes is None and self.votes_as != "given":
            raise ValueError(f"votes_as is '{self.votes_as}' and there are no votes: set votes to their share")
        self._check_transfer()

    def _check_transfer(self) -> None:
        mode = self.transfer.mode
        if mode != "all" and self.weights.source == "none":
            raise ValueError(f"transfer mode '{mode}' keeps weights as they are loaded: name them in weights.source")
        if not self.transfer.computes_once:
            return
        if self.augment != Augmentation(flip=False) or self.progressive is not None or self.distil is not None:
            raise ValueError(
                f"transfer mode '{mode}' computes features once, from unchanged pictures: set augment to "
                "{flip: false}, and leave progressive and distil out"
            )
        if mode == "svm" and (self.epochs, self.averaging, self.votes) != (1, None, None):
            raise ValueError("transfer mode 'svm' has one epoch, and neither averaging nor votes")

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read a recipe file.

        Raises:
            ConfigError: it is missing, not YAML, or has a wrong key or value; a misspelt key names the nearest.
        """
        return from_mapping(cls, read_yaml(path), str(path))

    def write(self, path: Path) -> None:
        """Write it as YAML with every value, defaults too."""
        write_yaml(to_mapping(self), path)

    def override(self, settings: dict[str, Any]) -> Recipe:
        """The recipe with some dotted keys changed, such as ``{"optimiser.rate": 0.01}``.

        Raises:
            ConfigError: a key or value is wrong.
        """
        return overridden(self, settings)


def overridden(recipe: R, settings: dict[str, Any]) -> R:
    """A recipe, a frozen dataclass, with some dotted keys changed; see :meth:`Recipe.override`."""
    content = to_mapping(recipe)
    for dotted, value in settings.items():
        *path, last = dotted.split(".")
        place = content
        for key in path:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {dotted}: '{key}' has no keys below it")
        place[last] = value
    return from_mapping(type(recipe), content, "--set")
