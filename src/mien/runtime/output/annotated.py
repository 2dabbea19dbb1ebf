"""Annotated pictures in files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.core.files import write_whole
from mien.core.pictures import MAX_PIXELS, read_picture
from mien.core.preprocess import Image
from mien.core.safe_text import printable
from mien.runtime.output.draw import annotate
from mien.runtime.output.sinks import Picture, Sink

if TYPE_CHECKING:
    from mien.runtime.inference.activation import ActivationMapper


_LONGEST = 110
"""Bytes of a picture's name that are kept: some encrypted file systems allow 143 in all."""


class SourcePictures:
    """The pictures of frames, read again from their files so that no picture waits in memory.

    The last one is kept, for the next sink that wants it.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS, mapper: ActivationMapper | None = None) -> None:
        """Read pictures of up to ``max_pixels``; with a ``mapper`` class activation maps lie over their faces."""
        self._max_pixels = max_pixels
        self._mapper = mapper
        self._kept: dict[str, Image] = {}
        self._last: tuple[str, Image] | None = None

    def keep(self, source: str, picture: Image) -> None:
        """Keep a picture that cannot be read again, as it came through a pipe."""
        self._kept[source] = picture

    def of(self, frame: Frame) -> Image:
        """The frame's picture without frames and words, with its maps where there is a mapper.

        Raises:
            PictureError: its file is gone, or the frame came from no file.
        """
        source = frame.source or ""
        if self._last is None or self._last[0] != source:
            kept = self._kept.get(source)
            picture = read_picture(source, max_pixels=self._max_pixels) if kept is None else kept
            self._last = (source, self._mapper.draw(picture, frame) if self._mapper else picture)
        return self._last[1]


class AnnotateSink(Sink):
    """Annotated pictures in a folder, as ``NAME-mien.jpg`` where their source lies in the folder that was read.

    A name that is taken gets a number, so that nothing is ever overwritten.

    Raises:
        MienError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, inputs: Iterable[str | Path] = (), overwrite: bool = False) -> None:
        """Make the folder.

        Args:
            folder: where the pictures go.
            inputs: the folders that are read, whose folders are made anew in it; of several, each in one of its name.
            overwrite: whether pictures of an earlier run are replaced; never those of this one.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MienError(f"{folder}: the folder cannot be made ({error.strerror})") from None
        self._folder = folder
        self._inputs = [path for path in map(Path, inputs) if path.is_dir()]
        self._overwrite = overwrite
        self._used: set[str] = set()
        self._last: Path | None = None

    def last(self) -> Path | None:
        """Where the picture of the last frame was written; None where it could not be."""
        return self._last

    def write(self, frame: Frame, picture: Picture) -> None:
        """Write the annotated picture.

        Raises:
            MienError: it cannot be drawn or written; the others can.
        """
        self._last = None
        path = self._free(self._folder / self._below(Path(frame.source or "picture")))
        data = encode_jpeg(annotate(picture(), frame), quality=92)
        try:
            write_whole(path, data)
        except OSError as error:
            raise MienError(f"{printable(path)}: cannot be written ({error.strerror})") from None
        self._last = path

    def _below(self, source: Path) -> Path:
        """Where a source lies in the folder that is read, without its ending."""
        for folder in self._inputs:
            if source.is_relative_to(folder):
                below = source.relative_to(folder)
                return (Path(folder.resolve().name) if len(self._inputs) > 1 else Path()) / below.with_suffix("")
        return Path(source.stem)

    def _free(self, stem: Path) -> Path:
        name, number = _shortened(stem.name), 1
        while True:
            path = stem.with_name(f"{name}{'' if number == 1 else f'-{number}'}-mien.jpg")
            if os.path.normcase(path) not in self._used and (self._overwrite or not os.path.lexists(path)):
                break
            number += 1
        self._used.add(os.path.normcase(path))
        return path


def _shortened(name: str) -> str:
    """A name that leaves room for what is added to it: file systems allow 255 bytes, some of them fewer."""
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    while len(os.fsencode(name)) > _LONGEST - 9:
        name = name[:-1]
    return f"{name}-{mark}"


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
