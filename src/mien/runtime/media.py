"""Pictures from files: found in folders, checked before they are decoded, and always RGB uint8 afterwards."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import imagesize
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from mien.core.preprocess import Image
from mien.runtime.containers import damage, orientation, without_profile

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".pgm", ".ppm", ".pbm", ".pnm"}
)
"""Endings by which pictures are found in a folder; a file that is named itself may have any."""

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless the user allows more: 300 MB of memory."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")

_FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF, JPEG 2000 or PNM"


_REMEDIES = {
    "float": "; if its values are 0 to 1: (255 * array).round().astype('uint8')",
    "bool": "; make it 255 * array.astype('uint8')",
    "uint1": "; if its values are 0 to 65535: (array // 257).astype('uint8')",
}
"""How an array of another type becomes a picture, by the first letters of the type."""


def iter_pictures(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The picture files among ``paths``: files as they are, folders searched recursively in sorted order.

    A path that does not exist is passed on, so that it fails when it is read, as every other broken picture does.

    Raises:
        PictureError: a folder holds no picture, or a name is empty or an address.
    """
    for path in map(_named, paths):
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        if not found:
            raise PictureError(f"{path}: no picture in this folder or below it; looked for {', '.join(_endings())}")
        yield from found


def read_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a picture file as RGB uint8 ``(height, width, 3)``.

    It stands upright (EXIF orientation applied); transparent parts are white; grey becomes RGB; 16 bits are scaled to
    8; of an animation the first picture is read.

    Args:
        path: any file in one of the usual formats.
        max_pixels: refuse larger ones from their header alone, before any memory is taken.

    Raises:
        UnreadablePictureError: missing, empty, cut short, damaged, or not a picture.
        PictureTooLargeError: more than ``max_pixels``.
    """
    path = _named(path)
    try:
        _check_file(path)
        _check_header(path, str(path), max_pixels)
        data = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise UnreadablePictureError(f"{path}: {reason}") from None
    return _decode_whole(data, str(path))


def decode_picture(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The bytes of a picture file, by whatever way they came, as RGB uint8 ``(height, width, 3)``.

    As :func:`read_picture` does it, and with the same errors; ``name`` stands for the path in them.

    Raises:
        UnreadablePictureError: empty, cut short, damaged, or not a picture.
        PictureTooLargeError: more than ``max_pixels``.
    """
    if not data:
        raise UnreadablePictureError(f"{name}: the file is empty (0 bytes)")
    _check_header(io.BytesIO(data), name, max_pixels)
    return _decode_whole(data, name)


def as_picture(array: NDArray[Any]) -> Image:
    """An array as a picture: RGB uint8 ``(height, width, 3)``; grey ``(height, width)`` is repeated.

    Raises:
        PictureError: any other shape or type.
    """
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise PictureError(
            f"a picture must be a uint8 array with values 0 to 255, got {found}{_REMEDIES.get(str(found)[:5], '')}"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or 0 in array.shape:
        alpha = "; leave the alpha out: array[..., :3]" if array.ndim == 3 and array.shape[2:] == (4,) else ""
        raise PictureError(
            f"a picture must be RGB (height, width, 3) or grey (height, width), got shape {array.shape}{alpha}"
        )
    if array.ndim == 2:
        return cast(Image, cv2.cvtColor(array, cv2.COLOR_GRAY2RGB))
    return np.ascontiguousarray(array)


def _endings() -> list[str]:
    return sorted(EXTENSIONS)


def _named(path: str | Path) -> Path:
    """The file of that name; an empty name would be the folder at hand, and an address loses a slash as a path."""
    if isinstance(path, str) and not path:
        raise UnreadablePictureError("'': an empty name: name a picture file")
    if isinstance(path, str) and _ADDRESS.match(path):
        raise UnreadablePictureError(f"{path}: is an address, and mien reads files alone: download the picture first")
    return Path(path)


def _check_file(path: Path) -> None:
    """Refuse what is no file with something in it."""
    if path.is_dir():
        raise UnreadablePictureError(
            f"{path}: is a folder: name a picture in it (mien.runtime.media.iter_pictures finds them)"
        )
    if path.stat().st_size == 0:
        raise UnreadablePictureError(f"{path}: the file is empty (0 bytes)")


def _check_header(file: Path | io.BytesIO, name: str, max_pixels: int) -> None:
    """Refuse what its header shows to be no picture, or too large."""
    try:
        width, height = imagesize.get(file)
    except OSError:
        raise
    except Exception as error:  # a damaged header fails in many ways, one for each format
        raise UnreadablePictureError(f"{name}: its header is damaged ({error}); copy it again") from None
    if width <= 0 or height <= 0:
        raise UnreadablePictureError(f"{name}: not a picture that mien knows; it reads {_FORMATS}")
    pixels = width * height
    if pixels > max_pixels:
        raise PictureTooLargeError(
            f"{name}: {width} x {height} is {pixels / 1e6:,.1f} megapixels and the limit is "
            f"{max_pixels / 1e6:,.1f}; raise it with max_pixels={pixels} (--max-pixels {pixels})"
        )


def _decode_whole(data: bytes, name: str) -> Image:
    """The picture of a file whose header was checked, upright."""
    problem = damage(data)
    if problem:
        raise UnreadablePictureError(f"{name}: the file is damaged or cut short, {problem}; copy it again")
    return _upright(_to_rgb(_decode(without_profile(data), name), name), orientation(data))


def _decode(data: bytes, name: str) -> NDArray[Any]:
    try:
        with quiet:
            decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadablePictureError(f"{name}: cannot be decoded ({error.err})") from None
    if decoded is None:
        raise UnreadablePictureError(f"{name}: cannot be decoded; save it again as JPEG or PNG")
    return cast(NDArray[Any], decoded)


def _to_rgb(decoded: NDArray[Any], name: str) -> Image:
    """RGB uint8 of what OpenCV decodes: grey, BGR or BGRA of 8 or 16 bits."""
    if decoded.dtype == np.uint16:
        decoded = cv2.convertScaleAbs(decoded, alpha=255 / 65535)
    if decoded.dtype != np.uint8:
        raise UnreadablePictureError(f"{name}: {decoded.dtype} pixels are not read; save it with 8 or 16 bits")
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if channels == 4:
        decoded = _over_white(cast(Image, decoded))
    return cast(Image, cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB))


def _over_white(bgra: Image) -> Image:
    alpha = cv2.cvtColor(bgra[..., 3], cv2.COLOR_GRAY2BGR)
    white = cv2.bitwise_not(alpha)
    return cast(Image, cv2.add(cv2.multiply(bgra[..., :3], alpha, scale=1 / 255), white))


def _upright(picture: Image, way: int) -> Image:
    """Undo an EXIF orientation: 2 to 4 mirror or turn by half, 5 to 8 also swap the axes."""
    if way >= 5:
        picture = cast(Image, cv2.transpose(picture))
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(way)
    return picture if flip is None else cast(Image, cv2.flip(picture, flip))


class _Quiet:
    """OpenCV's log switched off while any thread is inside: a broken file is reported once, by us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                cv2.utils.logging.setLogLevel(self._level)


quiet = _Quiet()
