"""Face detectors that answer for the cells of three maps in one pass, on ONNX Runtime: what YuNet and mien's share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mien.core.anchors import STRIDES, Floats, detections
from mien.core.errors import ModelError
from mien.core.preprocess import Image


class AnchorNetwork(ABC):
    """The network and what turns its outputs into boxes and landmarks. Safe to call from several threads at once.

    A network of this kind says what its file is called and how it is mended, names its outputs, prepares a picture, and
    splits the outputs into scores, boxes and landmarks.

    Args:
        path: the ONNX file.

    Raises:
        ModelError: ONNX Runtime cannot load the file, or it is another network.
    """

    CALLED: ClassVar[str]
    REMEDY: ClassVar[str]
    OUTPUTS: ClassVar[Sequence[str]]

    def __init__(self, path: Path) -> None:  # noqa: D107
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"{path}: ONNX Runtime cannot load this face detector ({reason}); {self.REMEDY}") from None
        missing = set(self.OUTPUTS) - {output.name for output in self._session.get_outputs()}
        if missing:
            raise ModelError(f"{path}: this is no {self.CALLED}, it lacks {', '.join(sorted(missing))}; {self.REMEDY}")
        self._input = self._session.get_inputs()[0].name

    def detect(self, picture: Image, min_score: float) -> Floats:
        """Faces of an RGB uint8 picture ``(height, width, 3)``: see :func:`mien.core.anchors.detections`."""
        grid = (-(-picture.shape[0] // STRIDES[-1]), -(-picture.shape[1] // STRIDES[-1]))
        prepared = self._prepared(picture, (grid[0] * STRIDES[-1], grid[1] * STRIDES[-1]))
        outputs = self._session.run(list(self.OUTPUTS), {self._input: prepared})
        return detections(*self._split(outputs), grid, min_score)

    @abstractmethod
    def _prepared(self, picture: Image, size: tuple[int, int]) -> NDArray[Any]:
        """The network's input: the picture, with black on the right and below up to ``size`` (rows, columns)."""

    @abstractmethod
    def _split(self, outputs: list[Floats]) -> tuple[Floats, Floats, Floats]:
        """Scores ``(n,)``, boxes ``(n, 4)`` and landmarks ``(n, 10)`` of all anchors."""


def padded(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An array ``(rows, columns, …)`` with zeros after it up to ``size``; itself where nothing is to be added."""
    if picture.shape[:2] == size:
        return picture
    larger = np.zeros((*size, *picture.shape[2:]), dtype=picture.dtype)
    larger[: picture.shape[0], : picture.shape[1]] = picture
    return larger
