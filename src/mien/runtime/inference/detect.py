"""Where the faces are. Every detector frames a face in one way: as FER2013 frames its faces.

A network sees in use what it saw in training only if the crop is the same. How far each detector's own box is from
FER2013's crop was measured on FER2013 itself by ``benchmarks/framing.py``; the constants below are its medians.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast, runtime_checkable

import cv2
import numpy as np

from mien.core.errors import ModelError, nearest
from mien.core.face import Box, Face
from mien.core.manifest import FaceDetectorManifest
from mien.core.preprocess import Image, whole_box
from mien.runtime.inference.anchor_network import AnchorNetwork
from mien.runtime.inference.library import FACE_DETECTOR, FACE_DETECTOR_NAME, detector_path, is_pulled
from mien.runtime.inference.own_detector_network import OwnDetectorNetwork
from mien.runtime.inference.search import Search, largest_first
from mien.runtime.inference.yunet import YuNetNetwork

ENTRY_POINTS = "mien.detectors"
"""Group of entry points by which other packages bring detectors: a name, and a callable that takes the keywords
``min_score``, ``min_size`` and ``search_size`` where they are given and returns a :class:`Detector`."""

REGION_SIDE = 128
"""Regions around an expected face are searched at this size. At 96, YuNet misses three times as many partly covered
faces; at more, it finds no more."""

_FAMILIAR = 0.7
"""What is expected is believed sooner: near a known face this share of the least score is enough."""

_HAAR_SCALE = 1 / 0.972
_YUNET_AREA = 0.807 * 1.077
_YUNET_SHIFT = (0.005, -0.018)

Native = TypeVar("Native")


class Detector(Protocol):
    """Finds faces. Safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def detect(self, picture: Image) -> list[Face]:
        """Faces of an RGB uint8 picture ``(height, width, 3)``, largest first; boxes in its pixels."""
        ...


@runtime_checkable
class RegionDetector(Detector, Protocol):
    """A detector for streams: it can also search a small copy, and look for one face where it is expected."""

    def detect_near(self, region: Image, side: float) -> list[Face]:
        """Faces of about ``side`` pixels in an RGB uint8 region that was cut out around one, largest first.

        Boxes and landmarks are in the region's pixels. The region should be about twice as wide as the face.
        """
        ...

    def detect_copy(self, copy: Image, scale: float) -> list[Face]:
        """Faces that an RGB uint8 copy of a picture, ``scale`` times as large, shows in one search, largest first.

        Boxes and landmarks are in the copy's pixels.
        """
        ...


@runtime_checkable
class SureDetector(Detector, Protocol):
    """A detector that knows its scores, so that pictures that lie on their side are read too."""

    @property
    def sure(self) -> float:
        """Score that most upright faces reach, and hardly anything else: neither what is no face, nor one that lies."""
        ...


class HaarDetector:
    """OpenCV's embedded frontal-face cascade (Viola & Jones 2001): needs no download, finds no landmarks.

    It gives no probability. ``score`` squashes the weight w of the cascade's last stage with 1 / (1 + exp(3 - w)):
    half of FER2013's faces reach 0.97, 98 % reach 0.2, and false finds in textures mostly stay below 0.6.

    Args:
        min_score: detections below it are dropped.
        min_size: see :func:`make_detector`.
        search_size: likewise.
    """

    name = "haar"

    sure = 0.94
    """See :class:`SureDetector`."""

    smallest = 24
    """Side of the smallest face that it finds reliably, pixels of what is searched."""

    def __init__(  # noqa: D107
        self, *, min_score: float = 0.2, min_size: float | None = None, search_size: int | None = None
    ) -> None:
        self._min_score = min_score
        self._search = Search(self.smallest, min_size, search_size)
        self._cascade = _PerThread(_load_cascade)

    def detect(self, picture: Image) -> list[Face]:
        """Faces of an RGB uint8 picture ``(height, width, 3)``, largest first."""
        return self._search.detect(picture, self._part)

    def detect_copy(self, copy: Image, scale: float) -> list[Face]:
        """Faces of an RGB uint8 copy of a picture; see :class:`RegionDetector`."""
        return self._search.detect_copy(copy, scale, self._part)

    def _part(self, part: Image, least: float, largest: float) -> list[Face]:
        most = 0 if math.isinf(largest) else math.ceil(largest / _HAAR_SCALE)
        return self._find(part, 1.0, least=max(round(least), 20), most=most, min_score=self._min_score)

    def detect_near(self, region: Image, side: float) -> list[Face]:
        """Faces of about ``side`` pixels in an RGB uint8 region around one; see :class:`RegionDetector`."""
        reduced, scale = shrunk(region, REGION_SIDE)
        expected = side * scale / _HAAR_SCALE
        least, most = max(round(expected / 1.35), 20), max(round(expected * 1.35), 28)
        return largest_first(self._find(reduced, scale, least=least, most=most, min_score=_FAMILIAR * self._min_score))

    def _find(self, reduced: Image, scale: float, *, least: int, most: int, min_score: float) -> list[Face]:
        """Faces ``least`` to ``most`` (0: any) pixels wide in a picture reduced by ``scale``."""
        grey = cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)
        boxes, _, weights = self._cascade.get().detectMultiScale3(
            grey,
            scaleFactor=1.1,
            minNeighbors=5,
            minSize=(least, least),
            maxSize=(most, most),
            outputRejectLevels=True,
        )
        faces = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(weights), strict=True):
            score = 1 / (1 + math.exp(min(3 - float(weight), 50.0)))
            side = math.sqrt(float(w) * float(h)) * _HAAR_SCALE / scale
            if score >= min_score:
                faces.append(Face(_square((x + w / 2) / scale, (y + h / 2) / scale, side), score))
        return faces


class _AnchorDetector:
    """What YuNet and mien's own detector, which learnt from it, share: the search, and how faces are framed."""

    smallest: ClassVar[float]

    def __init__(
        self, network: AnchorNetwork, min_score: float, min_size: float | None, search_size: int | None
    ) -> None:
        self._network = network
        self._min_score = min_score
        self._search = Search(self.smallest, min_size, search_size)

    def detect(self, picture: Image) -> list[Face]:
        """Faces of an RGB uint8 picture ``(height, width, 3)``, largest first, with landmarks."""
        return self._search.detect(picture, self._part)

    def detect_copy(self, copy: Image, scale: float) -> list[Face]:
        """Faces of an RGB uint8 copy of a picture; see :class:`RegionDetector`."""
        return self._search.detect_copy(copy, scale, self._part)

    def detect_near(self, region: Image, side: float) -> list[Face]:  # noqa: ARG002
        """Faces in an RGB uint8 region around one, whatever their size; see :class:`RegionDetector`."""
        return largest_first(self._find(*shrunk(region, REGION_SIDE), _FAMILIAR * self._min_score))

    def _part(self, part: Image, least: float, largest: float) -> list[Face]:  # noqa: ARG002  # it sees all sizes at once
        return [face for face in self._find(part, 1.0, self._min_score) if face.box.width >= least]

    def _find(self, reduced: Image, scale: float, min_score: float) -> list[Face]:
        rows = self._network.detect(reduced, min_score).astype(np.float64)
        limit = 4 * max(reduced.shape)  # on a few pixels a network can answer with boundless boxes
        rows = rows[(np.abs(rows[:, :14]) < limit).all(axis=1) & (rows[:, 2:4] > 0).all(axis=1)]
        faces = []
        for row in rows:
            x, y, w, h = row[:4] / scale
            side = math.sqrt(w * h / _YUNET_AREA)
            box = _square(x + w / 2 + _YUNET_SHIFT[0] * side, y + h / 2 + _YUNET_SHIFT[1] * side, side)
            landmarks = (row[4:14].reshape(5, 2) / scale).astype(np.float32)
            faces.append(Face(box, min(float(row[14]), 1.0), landmarks))
        return faces


class YuNetDetector(_AnchorDetector):
    """YuNet (Wu, Peng & Yu 2023) with five landmarks, run by ONNX Runtime as ``cv2.FaceDetectorYN`` would.

    Args:
        path: the ONNX file; ``mien models pull yunet`` fetches it.
        min_score: detections below it are dropped.
        min_size: see :func:`make_detector`.
        search_size: likewise.

    Raises:
        ModelError: the file is no YuNet.
    """

    name = "yunet"

    sure = 0.9
    """See :class:`SureDetector`."""

    smallest = 28
    """Side of the smallest face that it finds reliably, pixels of what is searched."""

    def __init__(  # noqa: D107
        self,
        path: str | Path,
        *,
        min_score: float = 0.6,
        min_size: float | None = None,
        search_size: int | None = None,
    ) -> None:
        super().__init__(YuNetNetwork(Path(path)), min_score, min_size, search_size)


class OwnDetector(_AnchorDetector):
    """mien's own detector with five landmarks, which comes with it; it learnt from YuNet, and frames faces alike.

    Args:
        manifest: of another detector that ``mien train`` and ``mien export`` made; None for the one that comes with
            mien.
        min_score: detections below it are dropped; None for what the manifest says.
        min_size: see :func:`make_detector`.
        search_size: likewise.

    Raises:
        ModelError: the manifest or the ONNX file is missing, or it is no detector.
        ChecksumError: the ONNX file is not the one that the manifest names.
        ConfigError: the manifest is damaged.
    """

    smallest = 20
    """Side of the smallest face that it finds reliably, pixels of what is searched."""

    def __init__(  # noqa: D107
        self,
        manifest: str | Path | None = None,
        *,
        min_score: float | None = None,
        min_size: float | None = None,
        search_size: int | None = None,
    ) -> None:
        path = FACE_DETECTOR if manifest is None else Path(manifest)
        about = FaceDetectorManifest.read(path)
        self.name = about.name
        self.sure = about.sure
        network = OwnDetectorNetwork(about.verify(path.parent))
        super().__init__(network, about.min_score if min_score is None else min_score, min_size, search_size)


class WholePicture:
    """Takes each picture for one face that was cut out already, as the datasets hold them; nothing is searched."""

    name = "whole"

    def detect(self, picture: Image) -> list[Face]:
        """One face: the whole of an RGB uint8 picture ``(height, width, 3)``, with score 1."""
        return [Face(whole_box(picture), 1.0)]


def make_detector(
    name: str = "auto",
    *,
    min_score: float | None = None,
    min_size: float | None = None,
    search_size: int | None = None,
) -> Detector:
    """The detector of that name; ``"auto"`` is YuNet once it has been pulled, and the embedded Haar cascade until then.

    Args:
        name: ``"auto"``, ``"haar"``, ``"yunet"``, ``"whole"`` (the picture is the face), or one that another package
            brings (:data:`ENTRY_POINTS`).
        min_score: detections below it are dropped; each detector has its own default, as their scores differ.
        min_size: side of the smallest face, pixels of the picture. Faces from it on are found in a picture of any size,
            smaller ones are dropped. None promises :data:`~mien.runtime.inference.search.MIN_SIZE` pixels and keeps
            smaller faces that are found along the way.
        search_size: search one copy of this long side, pixels, whatever that finds; None for as many copies and tiles
            as ``min_size`` takes.

    Raises:
        ModelError: YuNet is asked for and has not been pulled, or its file is damaged, or the name is unknown; or
            ``min_score`` is not from 0 to 1, ``min_size`` not 1 or more, ``search_size`` not 32 or more, or one of them
            is given to ``"whole"``, which searches nothing.
    """
    if min_score is not None and not (isinstance(min_score, float | int | np.floating) and 0 <= min_score <= 1):
        raise ModelError(f"min_score must be a number from 0 to 1, got {min_score!r}")
    Search(1, min_size, search_size)  # refused before another package's code sees them

    given = {"min_score": min_score, "min_size": min_size, "search_size": search_size}
    options = cast(dict[str, Any], {key: value for key, value in given.items() if value is not None})
    if name == WholePicture.name:
        if options:
            raise ModelError(f"{' and '.join(options)}: the detector 'whole' searches nothing; leave it out")
        return WholePicture()
    if name == "haar" or (name == "auto" and not is_pulled("yunet")):
        return HaarDetector(**options)
    if name == FACE_DETECTOR_NAME and FACE_DETECTOR.is_file():  # no weights of it come with mien yet
        return OwnDetector(**options)
    if name in ("auto", "yunet"):
        return YuNetDetector(detector_path("yunet"), **options)
    brought = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in brought:
        raise ModelError(f"unknown detector '{name}': {nearest(name, ['auto', 'haar', 'yunet', 'whole', *brought])}")
    try:
        return cast(Detector, brought[name].load()(**options))
    except Exception as error:  # it is another package's code, and fails in its own ways
        raise ModelError(f"the detector '{name}' of {brought[name].value} cannot be made: {error}") from error


class _PerThread(Generic[Native]):
    """One native object for each thread that asks: OpenCV's detectors keep the picture at hand in themselves."""

    def __init__(self, make: Callable[[], Native]) -> None:
        self._make = make
        self._local = threading.local()

    def get(self) -> Native:
        if not hasattr(self._local, "native"):
            self._local.native = self._make()
        return cast(Native, self._local.native)


def _load_cascade() -> Any:
    folder = Path(cv2.data.haarcascades)  # type: ignore[attr-defined]
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))


def shrunk(picture: Image, long_side: int) -> tuple[Image, float]:
    """The picture with a long side of ``long_side`` pixels or less, and its scale.

    Halved while that leaves enough, which averages and is several times as fast as an average over any other factor;
    the rest by interpolation.
    """
    scale = 1.0
    while max(picture.shape[:2]) >= 2 * long_side and min(picture.shape[:2]) >= 16:
        scale /= 2
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        even = picture[: 2 * half[1], : 2 * half[0]]
        picture = cast(Image, cv2.resize(even, half, interpolation=cv2.INTER_AREA))
    if max(picture.shape[:2]) > long_side:
        rest = long_side / max(picture.shape[:2])
        size = (max(round(picture.shape[1] * rest), 8), max(round(picture.shape[0] * rest), 8))
        scale *= rest
        picture = cast(Image, cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
    return picture, scale


def _square(x: float, y: float, side: float) -> Box:
    return Box(float(x - side / 2), float(y - side / 2), side, side)
