"""Class activation maps of ONNX models: where in a face the evidence for an expression lies. Numpy, no torch.

A model whose network ends in a global pool and affine layers keeps its last feature map F as the graph's output
``features`` and its folded head W in the manifest. The map of expression k is then ``sum_c W[k, c] F[c] / (h w)``
(Zhou et al. 2016, CAM), which for these networks is what Grad-CAM gives (Selvaraju et al. 2017): the gradient of
logit k by channel c, averaged over the h x w positions, is ``W[k, c] / (h w)``, whether an average spreads it over all
positions or a maximum leaves it at one.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.core.expression import label_indices
from mien.core.face import Face, Frame
from mien.core.heatmap import Floats, enlarge, paint, share_of_maximum
from mien.core.preprocess import Image, InputSpec, crop_face, to_unit_square
from mien.runtime.inference.classify import OnnxClassifier


class ActivationMapper:
    """Class activation maps of one model. Safe to call from several threads at once.

    Args:
        classifier: an open model that gives its last feature map.

    Raises:
        ModelError: the model gives none.
    """

    def __init__(self, classifier: OnnxClassifier) -> None:  # noqa: D107
        _ = classifier.features(np.empty((0, *classifier.input.shape), dtype=np.uint8))
        head = classifier.manifest.head
        if head is None:
            raise ModelError(f"'{classifier.name}' has no head in its manifest")
        self.classifier = classifier
        self._weights = head.matrix

    def maps(self, crops: Image, expressions: str | Sequence[str], *, relu: bool = True) -> Floats:
        """Maps ``(n, h, w)`` float32 of uint8 crops ``(n, *input.shape)``; n may be 0, and gives ``(0, 1, 1)``.

        Their unit is that of the logit; they are not normalised.

        Args:
            crops: what the model reads.
            expressions: one for all crops, or one for each.
            relu: keep only what speaks for the expression, as Grad-CAM does; False keeps what speaks against it too.

        Raises:
            LabelError: the model does not know an expression.
            ValueError: the crops have another shape or type.
        """
        indices = label_indices(self.classifier.labels, expressions, len(crops), self.classifier.name)
        parts, start = [], 0
        for features in self.classifier.features(crops):
            parts.append(activation_maps(features, self._weights[indices[start : start + len(features)]]))
            start += len(features)
        maps = np.concatenate(parts) if parts else np.empty((0, 1, 1), dtype=np.float32)
        return np.maximum(maps, 0) if relu else maps

    def draw(self, picture: Image, frame: Frame) -> Image:
        """The picture with a map over each face that this model read, for the expression that it read.

        Args:
            picture: RGB uint8 ``(height, width, 3)``.
            frame: its results.
        """
        mine = [(f, r) for f in frame.faces for r in f.readings if r.model == self.classifier.name]
        if not mine:
            return picture
        spec = self.classifier.input
        crops = np.stack([crop_face(picture, face, spec) for face, _ in mine])
        maps = self.maps(crops, [reading.expression for _, reading in mine])
        for (face, _), heat in zip(mine, maps, strict=True):
            picture = overlay(picture, heat, face, spec)
        return picture


def activation_maps(features: Floats, weights: Floats) -> Floats:
    """Maps ``(n, h, w)`` of features ``(n, C, h, w)`` and each crop's row of the head ``(n, C)``."""
    n, channels, height, width = features.shape
    maps: Floats = weights[:, None, :] @ features.reshape(n, channels, height * width)
    return (maps / np.float32(height * width)).reshape(n, height, width)


def overlay(picture: Image, heat: Floats, face: Face, spec: InputSpec) -> Image:
    """A copy of an RGB picture with one map laid over one face.

    The map is turned, scaled and shifted as the face's crop was, and scaled to its own maximum; a map without anything
    positive leaves the picture as it is.

    Args:
        picture: RGB uint8 ``(height, width, 3)``.
        heat: ``(h, w)`` float32, as :meth:`ActivationMapper.maps` gives it.
        face: whose crop it is of.
        spec: how the model crops.
    """
    shares = share_of_maximum(heat)
    if not shares.any():
        return picture.copy()
    side = spec.size
    larger = enlarge(shares[None], side)[0]
    to_crop = to_unit_square(face, spec)
    to_crop[:, 2] += spec.margin
    to_crop *= side / (1 + 2 * spec.margin)
    left, top, right, bottom = _bounds(to_crop, side, picture.shape[1], picture.shape[0])
    if left >= right or top >= bottom:
        return picture.copy()
    # pixel centres, not corners, are mapped, and the part of the picture starts at (left, top)
    to_crop[:, 2] += to_crop[:, :2] @ (left + 0.5, top + 0.5) - 0.5
    size = (right - left, bottom - top)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = cv2.warpAffine(larger, to_crop, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    painted = picture.copy()
    painted[top:bottom, left:right] = paint(picture[top:bottom, left:right], np.asarray(placed, dtype=np.float32))
    return painted


def _bounds(to_crop: NDArray[np.float64], side: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a picture that a crop shows."""
    corners = np.array([[0, side, 0, side], [0, 0, side, side]])
    in_picture = np.linalg.solve(to_crop[:, :2], corners - to_crop[:, 2:])
    left, top = np.floor(in_picture.min(axis=1)).clip(0, (width, height)).astype(int)
    right, bottom = np.ceil(in_picture.max(axis=1)).clip(0, (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)
