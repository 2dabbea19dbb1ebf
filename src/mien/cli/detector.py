"""The face detector that commands hand to datasets of whole pictures."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.core.face import Face
    from mien.core.preprocess import Image
    from mien.runtime.inference.detect import Detector

_TOLD = 500

DetectorName = Annotated[
    str,
    typer.Option("--detector", help="Finds the faces of whole pictures: auto, haar, yunet, or another package's."),
]


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
