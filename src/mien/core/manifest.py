"""What a model or a face gate is: the JSON file beside every ONNX file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ChecksumError, LabelError, ModelError
from mien.core.expression import Expression, check_labels
from mien.core.files import read_record, write_json
from mien.core.fitted import Fitted
from mien.core.predictor import Views
from mien.core.preprocess import InputSpec

SCHEMA = 1


class OnnxManifest:
    """What all manifests share: how one is read and written, and how the ONNX file beside it is checked.

    A manifest is a frozen dataclass that has the four annotated below among its fields, checks them when made
    (:meth:`_check_file`), and says what it is a manifest of and what to do about a damaged one.
    """

    __slots__ = ()
    _OF: ClassVar[str]
    _REMEDY: ClassVar[str]
    file: str
    sha256: str
    bytes: int
    schema: int

    def _check_file(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"manifest schema {self.schema} is not {SCHEMA}: upgrade mien to read it")
        if Path(self.file).name != self.file:
            raise ValueError(f"file must be a bare name in the manifest's own folder, got '{self.file}'")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a manifest file.

        Raises:
            ModelError: there is no such file.
            ConfigError: it is not JSON, or a key or value is wrong.
        """
        missing = ModelError(f"no manifest at {path}: {cls._OF} is NAME.onnx with NAME.json beside it")
        return read_record(cls, path, missing=missing, remedy=cls._REMEDY)

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path)

    def verify(self, folder: Path) -> Path:
        """Path of the ONNX file in ``folder``, once its size and sha256 have been checked.

        Raises:
            ModelError: the file is missing.
            ChecksumError: its size or sha256 is another.
        """
        path = folder / self.file
        if not path.is_file():
            raise ModelError(f"{path} is missing, its manifest is there: {self._REMEDY}")
        length = path.stat().st_size
        if length != self.bytes:
            raise ChecksumError(f"{path} has {length} bytes, its manifest says {self.bytes}: {self._REMEDY}")
        found = sha256(path)
        if found != self.sha256:
            raise ChecksumError(f"{path} has sha256 {found}, its manifest says {self.sha256}: {self._REMEDY}")
        return path


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurement of a model, with the protocol that makes it comparable.

    Attributes:
        dataset: what it was measured on, such as ``"fer2013"``.
        split: which part, such as ``"private"``.
        protocol: in words: what was fitted, chosen and averaged.
        n: rows measured.
        accuracy: share correct, 0 to 1.
        accuracy_interval: 95 % bootstrap interval of it.
        accuracy_without_leaks: the same without rows that stand in the training or selection data.
        macro_f1: mean F1 over the classes.
        log_loss: mean negative log probability of the truth, nats.
        expected_calibration_error: 15 equal-mass bins.
        views: what of each face it was averaged over.
    """

    dataset: str
    split: str
    protocol: str
    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    accuracy_without_leaks: float | None = None
    macro_f1: float | None = None
    log_loss: float | None = None
    expected_calibration_error: float | None = None
    views: Views = "one"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands between a model's last feature map and its logits: a global pool, then one affine map.

    ``logits = weights @ pool(features) + bias``. Dense layers and batch norms without activation between them are
    folded into one matrix. With it a class activation map needs nothing but the features.

    Attributes:
        pooling: over height and width of the graph's output ``features``, float32 ``(n, channels, h, w)``.
        channels: C, of that feature map.
        bias: K numbers, one for each label.
        weights: base64 of the ``(K, C)`` matrix, row by row, as little-endian float32: see :attr:`matrix`.

    Raises:
        ValueError: the weights are not base64, not K x C numbers, or not finite.
    """

    pooling: Literal["max", "average"]
    channels: int
    bias: tuple[float, ...]
    weights: str

    def __post_init__(self) -> None:
        """Check that the weights are K x C finite numbers."""
        if not np.isfinite(self.matrix).all() or not np.isfinite(self.bias).all():
            raise ValueError("head: weights and bias must be finite")

    @classmethod
    def of(cls, pooling: Literal["max", "average"], matrix: NDArray[np.floating], bias: NDArray[np.floating]) -> Head:
        """The head of a ``(K, C)`` matrix and a ``(K,)`` bias."""
        weights = base64.b64encode(matrix.astype("<f4").tobytes()).decode("ascii")
        return cls(pooling, matrix.shape[1], tuple(float(value) for value in bias.astype(np.float32)), weights)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The weights, ``(K, C)`` float32.

        Raises:
            ValueError: they are damaged.
        """
        try:
            values = np.frombuffer(base64.b64decode(self.weights, validate=True), dtype="<f4")
            return values.reshape(len(self.bias), self.channels).astype(np.float32)
        except (binascii.Error, ValueError):
            raise ValueError(
                f"head: weights must be base64 of {len(self.bias)} x {self.channels} float32: export the model again"
            ) from None


@dataclass(frozen=True, slots=True)
class Manifest(OnnxManifest):
    """What a model is, where it came from and how far it can be trusted.

    Attributes:
        name: what users call it.
        summary: one sentence.
        network: its name in the registry.
        file: the ONNX file's name, in the manifest's own folder.
        sha256: of that file.
        bytes: size of that file.
        input: what its crops are.
        labels: its outputs, in FER2013's order.
        parameters: trained plus running values.
        trained_on: datasets and splits that fitted it and chose it.
        data_licence: what the training data allows.
        weights_licence: what may be done with the weights.
        temperature: divides the logits.
        conformal_thresholds: for each label, the probability that puts it into the candidate set.
        coverage: of the faces that show an expression, whichever it is, the share whose candidate set holds it.
        energy_threshold: a crop below it does not look like a face.
        metrics: measurements.
        recipe: name of the recipe that trained it.
        seed: of the training run.
        paper: source of the architecture.
        commit: of mien when it was exported.
        views: what of a crop an answer is averaged over.
        head: from the graph's output ``features`` to the logits, where the network has such a head; class activation
            maps need it.
        neutral_profile: how it reads neutral faces of people at large: one probability for each label, from which a
            person's own neutral face is told; None where that was not measured.
        precision: what its weights are stored as and most of it is computed in.
        fitted: the rows of ``trained_on``, for the checks of what it is measured on; None where an older mien exported
            it.
        fitted_before: the rows that fitted what it started from and its teachers; None for none.
        schema: version of this format.
    """

    _OF: ClassVar[str] = "a model"
    _REMEDY: ClassVar[str] = "export or pull the model again"

    name: str
    summary: str
    network: str
    file: str
    sha256: str
    bytes: int
    input: InputSpec
    labels: tuple[Expression, ...]
    parameters: int
    trained_on: str
    data_licence: str
    weights_licence: str
    temperature: float
    conformal_thresholds: tuple[float, ...]
    coverage: float
    energy_threshold: float
    metrics: tuple[Metric, ...] = ()
    recipe: str | None = None
    seed: int | None = None
    paper: str | None = None
    commit: str | None = None
    views: Views = "one"
    head: Head | None = None
    neutral_profile: tuple[float, ...] | None = None
    precision: Literal["fp32", "int8"] = "fp32"
    fitted: Fitted | None = None
    fitted_before: tuple[Fitted, ...] | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check what a hand could have got wrong."""
        self._check_file()
        if not self.temperature > 0 or not 0 < self.coverage < 1:
            raise ValueError("temperature must be above 0, coverage within 0 to 1")
        try:
            check_labels(self.labels, "labels")
        except LabelError as error:
            raise ValueError(str(error)) from None
        thresholds = self.conformal_thresholds
        if len(thresholds) != len(self.labels) or not all(0 <= t <= 1 for t in thresholds):
            raise ValueError(
                f"conformal_thresholds: one for each of the {len(self.labels)} labels, each 0 to 1, got {thresholds}"
            )
        if self.head and len(self.head.bias) != len(self.labels):
            raise ValueError(f"head: {len(self.head.bias)} outputs for {len(self.labels)} labels")
        profile = self.neutral_profile
        if profile is not None and (len(profile) != len(self.labels) or not all(0 < p < 1 for p in profile)):
            raise ValueError("neutral_profile: one probability for each label, each above 0 and below 1")

    @property
    def tested(self) -> Metric | None:
        """The last measurement on rows that neither fitted it nor chose its epoch; None where there is none."""
        used = {(rows.dataset, split) for rows in self.seen for split in rows.splits}
        unknown = {rows.dataset for rows in self.seen if not rows.splits}
        tests = [m for m in self.metrics if (m.dataset, m.split) not in used and m.dataset not in unknown]
        return tests[-1] if tests else None

    @property
    def seen(self) -> tuple[Fitted, ...]:
        """The rows that fitted it and what it learnt from; an older manifest says the dataset alone."""
        own = self.fitted or Fitted(self.trained_on.partition(": fitted on ")[0])
        return tuple(dict.fromkeys((own, *(self.fitted_before or ()))))


@dataclass(frozen=True, slots=True)
class FaceGateManifest(OnnxManifest):
    """A network that tells crops with a face from crops without, and from where on it is believed.

    Attributes:
        kind: sets it apart from the manifest of an expression model.
        name: what users call it.
        summary: one sentence.
        network: its name in the registry.
        file: the ONNX file's name, in the manifest's own folder.
        sha256: of that file.
        bytes: size of that file.
        input: what its crops are.
        parameters: trained plus running values.
        trained_on: what fitted it.
        data_licence: what the training data allows.
        weights_licence: what may be done with the weights.
        threshold: a crop whose logit lies below it is taken for no face.
        faces_kept: share of the faces that chose the threshold which lie at it or above.
        paper: source of the architecture.
        seed: of the training.
        commit: of mien when it was exported.
        schema: version of this format.

    Raises:
        ValueError: another schema, a file outside the manifest's folder, or a number out of range.
    """

    _OF: ClassVar[str] = "a face gate"
    _REMEDY: ClassVar[str] = "install mien again"

    kind: Literal["gate"]
    name: str
    summary: str
    network: str
    file: str
    sha256: str
    bytes: int
    input: InputSpec
    parameters: int
    trained_on: str
    data_licence: str
    weights_licence: str
    threshold: float
    faces_kept: float
    paper: str | None = None
    seed: int | None = None
    commit: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check what a hand could have got wrong."""
        self._check_file()
        if not math.isfinite(self.threshold) or not 0 < self.faces_kept <= 1:
            raise ValueError("threshold must be a finite number, faces_kept a share above 0")


@dataclass(frozen=True, slots=True)
class FaceDetectorManifest(OnnxManifest):
    """A network that finds faces and five landmarks, and from which scores on it is believed.

    Attributes:
        kind: sets it apart from the manifest of an expression model.
        name: what users call it.
        summary: one sentence.
        network: what its architecture is called.
        file: the ONNX file's name, in the manifest's own folder.
        sha256: of that file.
        bytes: size of that file.
        parameters: trained values of the network as it is exported.
        trained_on: what fitted it.
        data_licence: what the training data allows.
        weights_licence: what may be done with the weights.
        min_score: detections below it are dropped.
        sure: score that most upright faces reach, and hardly anything else.
        paper: source of the architecture.
        recipe: name of the recipe that trained it.
        seed: of the training.
        commit: of mien when it was exported.
        schema: version of this format.

    Raises:
        ValueError: another schema, a file outside the manifest's folder, or a number out of range.
    """

    _OF: ClassVar[str] = "a face detector"
    _REMEDY: ClassVar[str] = "install mien again"

    kind: Literal["detector"]
    name: str
    summary: str
    network: str
    file: str
    sha256: str
    bytes: int
    parameters: int
    trained_on: str
    data_licence: str
    weights_licence: str
    min_score: float
    sure: float
    paper: str | None = None
    recipe: str | None = None
    seed: int | None = None
    commit: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Check what a hand could have got wrong."""
        self._check_file()
        if not 0 < self.min_score <= self.sure <= 1:
            raise ValueError("min_score must be above 0, sure from it to 1")


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
