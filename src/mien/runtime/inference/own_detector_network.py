"""The network of mien's own face detector, which comes with it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mien.core.anchors import Floats
from mien.core.preprocess import Image
from mien.runtime.inference.anchor_network import AnchorNetwork, padded


class OwnDetectorNetwork(AnchorNetwork):
    """From the picture itself, uint8, to a row for each anchor: the score, the box and the landmarks."""

    CALLED = "face detector of mien"
    REMEDY = "install mien again"
    OUTPUTS = ("faces",)

    def _prepared(self, picture: Image, size: tuple[int, int]) -> NDArray[Any]:
        return padded(picture, size)[None]

    def _split(self, outputs: list[Floats]) -> tuple[Floats, Floats, Floats]:
        rows = outputs[0][0]
        return rows[:, 0], rows[:, 1:5], rows[:, 5:]
