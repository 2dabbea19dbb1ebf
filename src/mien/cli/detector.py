"""The face detector that commands hand to datasets of whole pictures."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from mien.core.face import Face
    from mien.core.preprocess import Image, InputSpec
    from mien.runtime.inference.detect import Detector

_TOLD = 500


def say_if_haar(wanted: str, *, offer: bool = False) -> None:
    """Say that a fresh install finds fewer faces than it could, and how that is mended; before a detector is made.

    Args:
        wanted: the name of the detector that the user asked for.
        offer: pull YuNet at once where somebody at a terminal says yes. A no is remembered: it is not asked again.
    """
    from mien.runtime.inference.library import PULLABLE, is_pulled

    if wanted != "auto" or is_pulled("yunet"):
        return
    print(
        "mien: OpenCV's Haar cascade finds the faces. YuNet finds more of them, and their landmarks: "
        "mien models pull yunet",
        file=sys.stderr,
    )
    refused = PULLABLE["yunet"].path.with_suffix(".refused")
    if not offer or refused.exists() or not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return
    if typer.confirm(f"Pull it now ({PULLABLE['yunet'].bytes / 1e3:.0f} kB)?", default=True, err=True):
        _pull_yunet()
    else:
        refused.parent.mkdir(parents=True, exist_ok=True)
        refused.touch()


def _pull_yunet() -> None:
    """Pull it, and go on with the Haar cascade where that fails."""
    from mien.core.errors import MienError
    from mien.runtime.inference.pull import pull

    try:
        pull("yunet")
    except (MienError, OSError) as error:
        print(f"mien: {error}. The Haar cascade is used", file=sys.stderr)


def face_crops(path: Path, spec: InputSpec, *, detector: str, crop: bool) -> Image:
    """Crops ``(n, *spec.shape)`` of a picture's faces, largest first; with ``crop`` the picture is one already.

    Raises:
        PictureError: no face was found.
    """
    import numpy as np

    from mien.core.errors import PictureError
    from mien.core.pictures import read_picture
    from mien.core.preprocess import crop_face, crop_picture
    from mien.runtime.inference.detect import make_detector

    picture = read_picture(path)
    if crop:
        return crop_picture(picture, spec)[None]
    faces = make_detector(detector).detect(picture)
    if not faces:
        raise PictureError(f"{path}: no face was found; if the picture is a face's crop already, add --crop")
    return np.stack([crop_face(picture, face, spec) for face in faces])


class LazyDetector:
    """A detector of the runtime, made when the first whole picture asks for it: most datasets hold crops."""

    def __init__(self, name: str = "auto") -> None:
        """The detector of that name, see :func:`mien.runtime.inference.detect.make_detector`."""
        self._wanted = name
        self._seen = 0

    @cached_property
    def _detector(self) -> Detector:
        from mien.runtime.inference.detect import make_detector

        return make_detector(self._wanted)

    @property
    def name(self) -> str:
        """The name of the detector itself, never ``auto``."""
        return self._detector.name

    def detect(self, picture: Image) -> list[Face]:
        """Faces of an RGB uint8 picture ``(height, width, 3)``, largest first."""
        self._seen += 1
        if self._seen % _TOLD == 0:  # thousands of pictures take minutes, once
            print(f"looked for faces in {self._seen:,} pictures", file=sys.stderr, flush=True)
        return self._detector.detect(picture)
