"""What a face-or-not gate is: the JSON file beside its ONNX file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.core.errors import ConfigError, ModelError
from mien.core.manifest import SCHEMA, verify_file
from mien.core.preprocess import InputSpec
from mien.core.schema import from_mapping, write_json


@dataclass(frozen=True, slots=True)
class GateManifest:
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
        if self.schema != SCHEMA:
            raise ValueError(f"manifest schema {self.schema} is not {SCHEMA}: upgrade mien to read it")
        if Path(self.file).name != self.file:
            raise ValueError(f"file must be a bare name in the manifest's own folder, got '{self.file}'")
        if not math.isfinite(self.threshold) or not 0 < self.faces_kept <= 1:
            raise ValueError("threshold must be a finite number, faces_kept a share above 0")

    @classmethod
    def read(cls, path: Path) -> GateManifest:
        """Read a manifest file.

        Raises:
            ModelError: there is no such file.
            ConfigError: it is not JSON, or a key or value is wrong.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(f"no manifest at {path}: a gate is NAME.onnx with NAME.json beside it") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not JSON ({error}): install mien again") from None
        return from_mapping(cls, content, str(path))

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_json(self, path)

    def verify(self, folder: Path) -> Path:
        """Path of the ONNX file in ``folder``, once its sha256 has been checked.

        Raises:
            ModelError: the file is missing.
            ChecksumError: its size or sha256 is another.
        """
        return verify_file(folder / self.file, size=self.bytes, digest=self.sha256)
