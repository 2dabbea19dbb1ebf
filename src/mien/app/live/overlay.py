"""Where in the person's own face the network looked, for the page to lay over the picture."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mien.app.live.browser_stream import FrameView
from mien.core.errors import ModelError
from mien.core.heatmap import share_of_maximum
from mien.core.preprocess import to_unit_square
from mien.runtime.inference.activation import ActivationMapper
from mien.runtime.inference.classify import OnnxClassifier

EVERY = 0.3
"""Seconds from one map to the next: they are for looking at, and each is a network call of its own."""


class Activation:
    """Class activation maps of one stream, at a leisurely pace.

    Args:
        classifier: the model whose maps are shown.

    Raises:
        ModelError: it gives none; the message says so in words for the person.
    """

    def __init__(self, classifier: OnnxClassifier) -> None:  # noqa: D107
        try:
            self._mapper = ActivationMapper(classifier)
        except ModelError:
            raise ModelError(f"The model '{classifier.name}' cannot show what it looked at.") from None
        self._due = 0.0

    def of(self, view: FrameView) -> dict[str, Any] | None:
        """The map of the own face for the expression it was read as; None where none is due or nothing was read.

        Its ``shares`` are 0 to 1, row by row, and ``corners`` are where the map's top left, top right and bottom left
        corners lie in the frame, in pixels.
        """
        spec = self._mapper.classifier.input
        face, crops = view.own, view.crops.get(spec)
        if face is None or not face.readings or crops is None or time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + EVERY
        smoothed = face.track.smoothed if face.track else None
        expression = (smoothed or face.reading).expression
        shares = share_of_maximum(self._mapper.maps(crops[:1], [str(expression)])[0])
        to_unit = to_unit_square(face, spec)
        low, high = -spec.margin, 1 + spec.margin
        square = np.array([[low, high, low], [low, low, high]])
        corners = np.linalg.solve(to_unit[:, :2], square - to_unit[:, 2:])
        return {
            "expression": str(expression),
            "shares": np.round(shares, 2).tolist(),
            "corners": np.round(corners.T, 1).tolist(),
        }
