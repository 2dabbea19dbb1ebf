"""The face-or-not gate that comes with mien: whether what a detector cut out shows a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.manifest import FaceGateManifest
from mien.core.preprocess import Image, InputSpec
from mien.runtime.inference.classify import open_session
from mien.runtime.inference.library import FACE_GATE

_CHUNK = 256


class FaceGate:
    """A gate's manifest and its ONNX file. Safe to call from several threads at once.

    Args:
        manifest: what the gate is.
        folder: where its file is.

    Raises:
        ChecksumError: the file is not the one that the manifest names.
        ModelError: the file is missing, or ONNX Runtime cannot load it.
    """

    def __init__(self, manifest: FaceGateManifest, folder: Path) -> None:  # noqa: D107
        self.manifest = manifest
        self._session = open_session(manifest.verify(folder), "CPUExecutionProvider", 1)

    @property
    def input(self) -> InputSpec:
        """What its crops are: those of mien's own expression models, so that they serve both."""
        return self.manifest.input

    def accepts(self, crops: Image) -> NDArray[np.bool_]:
        """Whether each of n crops, uint8 ``(n, *input.shape)``, is taken for a face, ``(n,)``."""
        accepted = np.empty(len(crops), dtype=np.bool_)
        for start in range(0, len(crops), _CHUNK):
            some = slice(start, start + _CHUNK)
            accepted[some] = self._session.run(["logits"], {"crops": crops[some]})[0][:, 0] >= self.manifest.threshold
        return accepted


def bundled_gate() -> FaceGate | None:
    """The gate that comes with mien; None in a build without it.

    Raises:
        ChecksumError: its file is damaged.
        ConfigError: its manifest is damaged.
    """
    return FaceGate(FaceGateManifest.read(FACE_GATE), FACE_GATE.parent) if FACE_GATE.is_file() else None
