"""Annotated pictures in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.core.pictures import MAX_PIXELS, read_picture
from mien.core.preprocess import Image
from mien.runtime.output.draw import annotate
from mien.runtime.output.sinks import Picture, Sink

if TYPE_CHECKING:
    from mien.runtime.inference.activation import ActivationMapper


class SourcePictures:
    """The pictures of frames, read again from their files so that no picture waits in memory.

    The last one is kept, for the next sink that wants it.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS, mapper: ActivationMapper | None = None) -> None:
        """Read pictures of up to ``max_pixels``; with a ``mapper`` class activation maps lie over their faces."""
        self._max_pixels = max_pixels
        self._mapper = mapper
        self._last: tuple[str, Image] | None = None

    def of(self, frame: Frame) -> Image:
        """The frame's picture without frames and words, with its maps where there is a mapper.

        Raises:
            PictureError: its file is gone, or the frame came from no file.
        """
        source = frame.source or ""
        if self._last is None or self._last[0] != source:
            picture = read_picture(source, max_pixels=self._max_pixels)
            self._last = (source, self._mapper.draw(picture, frame) if self._mapper else picture)
        return self._last[1]


class AnnotateSink(Sink):
    """Annotated pictures in a folder, as ``NAME-mien.jpg``; a name that is taken in this run gets a number.

    Raises:
        MienError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MienError(f"{folder}: the folder cannot be made ({error.strerror})") from None
        self._folder = folder
        self._used: dict[str, int] = {}

    def write(self, frame: Frame, picture: Picture) -> None:
        """Write the annotated picture."""
        stem = Path(frame.source or "picture").stem
        count = self._used[stem] = self._used.get(stem, 0) + 1
        path = self._folder / f"{stem}{'' if count == 1 else f'-{count}'}-mien.jpg"
        try:
            path.write_bytes(encode_jpeg(annotate(picture(), frame), quality=92))
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None


def encode_jpeg(picture: Image, *, quality: int) -> bytes:
    """An RGB picture as the bytes of a JPEG file.

    Raises:
        MienError: a side is longer than a JPEG's may be (65,500 pixels).
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        ok = False
    if not ok:
        raise MienError(f"a picture of {picture.shape[1]} x {picture.shape[0]} cannot be encoded as JPEG: reduce it")
    return data.tobytes()
