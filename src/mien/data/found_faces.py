"""Where the faces of whole pictures are: found once by a detector that is handed in, and kept beside the cache.

Many datasets show head and shoulders. What a network takes is a crop, and how a face is cropped is decided by an
:class:`InputSpec` alone; so not crops are kept but the faces, and any crop can be made from them. A detector belongs to
the runtime, which this chain does not import: whoever loads a dataset hands one in, and later loads need none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, PictureError
from mien.core.face import Box, Face
from mien.core.pictures import read_picture
from mien.core.places import cache_folder
from mien.core.preprocess import Image
from mien.data.cache import FORMAT, digest, fingerprint, write_arrays
from mien.data.picture_index import PictureIndex


class Finder(Protocol):
    """Whatever finds faces: every detector of the runtime is one."""

    @property
    def name(self) -> str:
        """What kept faces are known by."""
        ...

    def detect(self, picture: Image) -> list[Face]:
        """Faces of an RGB uint8 picture ``(height, width, 3)``, largest first."""
        ...


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """The largest face of each of n pictures, or none.

    Attributes:
        detector: who found them.
        boxes: ``(n, 4)`` float64 of x, y, width, height in pixels; NaN where there is none.
        landmarks: ``(n, 5, 2)`` float32 in pixels; NaN where there are none.
    """

    detector: str
    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float32]

    @property
    def faces(self) -> list[Face | None]:
        """The n faces; None where there is none."""
        return [self._face(row) for row in range(len(self.boxes))]

    def _face(self, row: int) -> Face | None:
        if np.isnan(self.boxes[row, 0]):
            return None
        points = self.landmarks[row]
        return Face(Box(*map(float, self.boxes[row])), 1.0, None if np.isnan(points).any() else points)

    @property
    def identity(self) -> str:
        """Changes when a face does."""
        return digest(self.detector, self.boxes.tobytes(), self.landmarks.tobytes())


def faces_of(index: PictureIndex, detector: Finder | None, *, folder: Path | None = None) -> FoundFaces:
    """The faces of whole pictures: kept ones, else found by ``detector`` and kept.

    Args:
        index: the pictures.
        detector: finds them; None takes those that were kept last, whoever found them.
        folder: where they are kept; if None, the cache's folder.

    Raises:
        DatasetError: there is no detector and nothing is kept for these very files.
    """
    folder = folder or cache_folder()
    stem = f"faces-{digest(FORMAT, index.origin.resolve())[:16]}"
    current = fingerprint(index.files)
    for path in _kept(folder, stem, detector):
        faces = _read(path, current)
        if faces is not None:
            return faces
    if detector is None:
        raise DatasetError(
            f"{index.origin} holds whole pictures, and nobody has looked for their faces yet: 'mien data show' does, "
            "with its name or path; in Python, hand a detector to load_dataset"
        )
    faces = _find(index, detector)
    write_arrays(
        folder / f"{stem}-{_safe(detector.name)}.npz",
        fingerprint=current,
        detector=faces.detector,
        boxes=faces.boxes,
        landmarks=faces.landmarks,
    )
    return faces


def _find(index: PictureIndex, detector: Finder) -> FoundFaces:
    n = len(index.files)
    boxes, landmarks = np.full((n, 4), np.nan), np.full((n, 5, 2), np.nan, dtype=np.float32)
    for row, file in enumerate(index.files):
        try:
            faces = detector.detect(read_picture(file))
        except PictureError:  # reported with all others when the pictures are cropped
            continue
        if faces:
            box, points = faces[0].box, faces[0].landmarks
            boxes[row] = box.x, box.y, box.width, box.height
            landmarks[row] = np.nan if points is None else points
    return FoundFaces(detector.name, boxes, landmarks)


def _kept(folder: Path, stem: str, detector: Finder | None) -> Iterator[Path]:
    if detector is not None:
        yield folder / f"{stem}-{_safe(detector.name)}.npz"
    elif folder.is_dir():
        yield from sorted(folder.glob(f"{stem}-*.npz"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _read(path: Path, current: str) -> FoundFaces | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["fingerprint"]) != current:
                return None
            return FoundFaces(str(arrays["detector"]), arrays["boxes"], arrays["landmarks"])
    except Exception:  # absent or damaged: they are found again
        return None


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "-", name)
