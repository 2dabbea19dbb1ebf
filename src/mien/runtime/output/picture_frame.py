"""The frame of one picture, which can draw itself: what :meth:`mien.Recognizer.read` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2

from mien.core.errors import MienError, PictureError
from mien.core.face import Frame
from mien.core.files import write_whole
from mien.core.picture_input import Picture, to_picture
from mien.core.pictures import read_picture
from mien.core.preprocess import Image
from mien.runtime.inference.detect import shrunk
from mien.runtime.output.dataframes import to_pandas, to_polars
from mien.runtime.output.draw import annotate

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_SHOWN = 1024
"""Long side of what a notebook shows, pixels."""

_WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True, eq=False)
class PictureFrame(Frame):
    """A :class:`~mien.Frame` that knows its picture.

    A frame of a file reads it again where the picture is wanted; one of :meth:`Recognizer.read` keeps an array.

    Attributes:
        picture: RGB uint8, where it is kept.
        max_pixels: of a file that is read again.
    """

    picture: Image | None = field(default=None, repr=False, kw_only=True)
    max_pixels: int | None = field(default=None, repr=False, kw_only=True)

    def annotate(self, picture: Picture | None = None, *, show: Literal["bars", "words"] = "bars") -> Image:
        """The picture with its results drawn in, RGB uint8; see :func:`mien.annotate`.

        Args:
            picture: the picture, where the frame does not know it any more.
            show: ``"words"`` leaves the panels with bars out.

        Raises:
            PictureError: the picture is not known and was not given, or its file is gone.
            ValueError: the picture given has another size.
        """
        return annotate(self._own_picture() if picture is None else to_picture(picture), self, show=show)

    def save(self, path: str | Path, *, show: Literal["bars", "words"] = "bars") -> Path:
        """Write the annotated picture as PNG, JPEG, WebP, TIFF or BMP, by the ending; the path.

        Raises:
            MienError: another ending, the frame's own picture, or a file that cannot be written.
            PictureError: as for :meth:`annotate`.
        """
        path = Path(path)
        if path.suffix.lower() not in _WRITTEN:
            raise MienError(f"{path}: a picture is saved with one of the endings {', '.join(_WRITTEN)}")
        if self.source and path.exists() and Path(self.source).exists() and path.samefile(self.source):
            raise MienError(f"{path}: is the picture itself; save its results under another name")
        bgr = cv2.cvtColor(self.annotate(show=show), cv2.COLOR_RGB2BGR)
        done, data = cv2.imencode(path.suffix.lower(), bgr)
        if not done:
            raise MienError(f"{path}: a picture of {bgr.shape[1]} x {bgr.shape[0]} cannot be written in this format")
        try:
            write_whole(path, data.tobytes())
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None
        return path

    def to_pandas(self) -> pd.DataFrame:
        """A row for each face and model; see :func:`mien.to_pandas`."""
        return to_pandas(self)

    def to_polars(self) -> pl.DataFrame:
        """A row for each face and model; see :func:`mien.to_polars`."""
        return to_polars(self)

    def to_supervision(self) -> Any:
        """The faces as ``supervision.Detections``: boxes, scores, and the first model's expression of each face.

        ``class_id`` is the place of the expression among :class:`mien.Expression`, -1 where the face was not read;
        ``data`` holds ``class_name`` and ``confidence_of_class``.

        Raises:
            ImportError: supervision is not installed.
        """
        from mien.runtime.output.dataframes import to_supervision

        return to_supervision(self)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the annotated picture, reduced; None where it is not known."""
        try:
            drawn, _ = shrunk(self.annotate(), _SHOWN)
        except (PictureError, ValueError):
            return None
        done, data = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        return data.tobytes() if done else None

    def _own_picture(self) -> Image:
        if self.picture is not None:
            return self.picture
        if self.source is None:
            raise PictureError("this frame does not keep its picture: give it, as in frame.annotate(picture)")
        return (
            read_picture(self.source)
            if self.max_pixels is None
            else read_picture(self.source, max_pixels=self.max_pixels)
        )
