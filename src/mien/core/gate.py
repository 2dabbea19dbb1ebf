"""What a face-or-not gate is: the JSON file beside its ONNX file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from mien.core.manifest import SCHEMA, OnnxManifest
from mien.core.preprocess import InputSpec


@dataclass(frozen=True, slots=True)
class GateManifest(OnnxManifest):
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

    _OF: ClassVar[str] = "a gate"
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
