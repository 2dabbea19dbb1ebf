"""Pictures from files: found in folders, checked before they are decoded, and always RGB uint8 afterwards.

The one way from a file to pixels, in training and in use alike, so that a model sees in use what it saw in training.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import cv2
import imagesize
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from mien.core.heif import decode_heif
from mien.core.opencv_log import quiet
from mien.core.picture_format import (
    Format,
    damage,
    drops_transparency,
    format_of,
    is_video,
    orientation,
    transparent_grey,
    white_level,
    without_profile,
)
from mien.core.preprocess import Image

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".pnm", ".pgm", ".ppm", ".pbm", ".jp2", ".avif", ".heic", ".heif", ".hif"),
)
"""Endings by which pictures are found in a folder, in lower case; a file that is named itself may have any."""

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless the user allows more: 300 MB of memory."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_HEAD = 64
_WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65_535}

_REMEDIES = {
    "float": "; if its values are 0 to 1: (255 * array).round().astype('uint8')",
    "bool": "; make it 255 * array.astype('uint8')",
    "uint1": "; if its values are 0 to 65535: (array // 257).astype('uint8')",
}
"""How an array of another type becomes a picture, by the first letters of the type."""


def is_picture_file(path: Path) -> bool:
    """Whether a folder's entry is a file that is taken for a picture."""
    return path.suffix.lower() in ENDINGS and path.is_file()


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
        found = sorted(filter(is_picture_file, path.rglob("*")))
        if not found:
            raise PictureError(f"{path}: no picture in this folder or below it; looked for {', '.join(ENDINGS)}")
        yield from found


def read_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Read a picture file as RGB uint8 ``(height, width, 3)``.

    It stands upright (EXIF orientation, or the rotation boxes of AVIF and HEIC); transparent parts are white; grey
    becomes RGB; more bits are scaled to 8; of an animation the first picture is read. See ``docs/preprocessing.md``.

    Args:
        path: any file in one of the formats.
        max_pixels: refuse larger ones from their header alone, before any memory is taken.

    Raises:
        UnreadablePictureError: missing, empty, cut short, damaged, not a picture, or in a format whose decoder is not
            installed.
        PictureTooLargeError: more than ``max_pixels``.
    """
    path = _named(path)
    try:
        with path.open("rb") as file:
            return _read(file, str(path), max_pixels)
    except OSError as error:
        if path.is_dir():
            reason = "is a folder: name a picture in it (mien.core.iter_pictures finds them)"
        else:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise UnreadablePictureError(f"{path}: {reason}") from None


def decode_picture(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The bytes of a picture file, by whatever way they came, as RGB uint8 ``(height, width, 3)``.

    As :func:`read_picture` does it, and with the same errors; ``name`` stands for the path in them.

    Raises:
        UnreadablePictureError: empty, cut short, damaged, not a picture, or in a format whose decoder is not installed.
        PictureTooLargeError: more than ``max_pixels``.
    """
    return _read(io.BytesIO(data), name, max_pixels)


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


def _named(path: str | Path) -> Path:
    """The file of that name; an empty name would be the folder at hand, and an address loses a slash as a path."""
    if isinstance(path, str) and not path:
        raise UnreadablePictureError("'': an empty name: name a picture file")
    if isinstance(path, str) and _ADDRESS.match(path):
        raise UnreadablePictureError(f"{path}: is an address, and mien reads files alone: download the picture first")
    return Path(path)


def _read(file: BinaryIO, name: str, max_pixels: int) -> Image:
    """The picture of an open file, of which no more than the header is read before its size is known."""
    head = file.read(_HEAD)
    if not head:
        raise UnreadablePictureError(f"{name}: the file is empty (0 bytes)")
    kind = format_of(head)
    if kind is None:
        if is_video(head):
            raise UnreadablePictureError(
                f"{name}: a video, not a picture: read it with mien watch (mien.runtime.Watcher in Python)"
            )
        known = ", ".join(Format)
        raise UnreadablePictureError(f"{name}: not a picture that mien knows; it reads {known}")
    file.seek(0)
    check_size = partial(_check_size, name=name, max_pixels=max_pixels)
    if kind not in (Format.AVIF, Format.HEIC):
        check_size(*_header_size(file, name))
        file.seek(0)
    data = file.read()
    problem = damage(data, kind)
    if problem:
        raise UnreadablePictureError(f"{name}: the file is damaged or cut short, {problem}; copy it again")
    if kind in (Format.AVIF, Format.HEIC):
        picture = decode_heif(data, name, kind, check_size)
        return np.ascontiguousarray(picture) if picture.shape[2] == 3 else _over_white(picture)
    decoded = _decode(data, name, kind)
    multiplied = kind is Format.TIFF and decoded.dtype == np.uint8  # by libtiff, which leaves 16 bits alone
    rgb = _to_rgb(_eight_bits(decoded, name, white_level(data, kind)), multiplied=multiplied)
    return _upright(rgb, orientation(data, kind))


def _header_size(file: BinaryIO, name: str) -> tuple[int, int]:
    try:
        width, height = imagesize.get(file)
    except OSError:
        raise
    except Exception as error:  # a damaged header fails in many ways, one for each format
        raise UnreadablePictureError(f"{name}: its header is damaged ({error}); copy it again") from None
    if width <= 0 or height <= 0:
        raise UnreadablePictureError(f"{name}: its header is damaged; copy it again")
    return width, height


def _check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    pixels = width * height
    if pixels > max_pixels:
        raise PictureTooLargeError(
            f"{name}: {width} x {height} is {pixels / 1e6:,.1f} megapixels and the limit is {max_pixels / 1e6:,.1f}",
            f"make it smaller, or raise the limit with max_pixels={pixels} (--max-pixels {pixels})",
        )


def _decode(data: bytes, name: str, kind: Format) -> NDArray[Any]:
    """What OpenCV makes of it: grey, BGR or BGRA, in as many bits as it has."""
    if kind is Format.TIFF and drops_transparency(data):
        raise UnreadablePictureError(f"{name}: a grey TIFF with transparency is not read; save it again as PNG")
    content = np.frombuffer(without_profile(data) if kind is Format.PNG else data, dtype=np.uint8)
    try:
        with quiet:
            decoded = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadablePictureError(f"{name}: cannot be decoded ({error.err})") from None
    if decoded is None:
        raise UnreadablePictureError(f"{name}: cannot be decoded; save it again as JPEG or PNG")
    if kind is Format.PNG and decoded.ndim == 2:
        hidden = transparent_grey(data)
        if hidden is not None:
            decoded[decoded == hidden] = _WHITE[decoded.dtype]
    return cast(NDArray[Any], decoded)


def _eight_bits(decoded: NDArray[Any], name: str, white: int | None) -> Image:
    """White becomes 255 and the rest is scaled, rounded to the nearest; nothing is cut off."""
    if decoded.dtype not in _WHITE:
        raise UnreadablePictureError(f"{name}: {decoded.dtype} pixels are not read; save it with 8 or 16 bits")
    white = white or _WHITE[decoded.dtype]
    if decoded.dtype == np.uint8 and white >= 255:
        return cast(Image, decoded)
    return cast(Image, cv2.convertScaleAbs(decoded, alpha=255 / white))


def _to_rgb(decoded: Image, *, multiplied: bool) -> Image:
    """RGB of grey, BGR or BGRA; ``multiplied`` if the colours have been multiplied with their alpha already."""
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if channels == 4:
        decoded = _over_white(decoded, multiplied=multiplied)
    return cast(Image, cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB))


def _over_white(picture: Image, *, multiplied: bool = False) -> Image:
    """Four planes of which the last is alpha become three on white."""
    alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2BGR)
    colours = picture[..., :3] if multiplied else cv2.multiply(picture[..., :3], alpha, scale=1 / 255)
    return cast(Image, cv2.add(colours, cv2.bitwise_not(alpha)))


def _upright(picture: Image, way: int) -> Image:
    """Undo an EXIF orientation: 2 to 4 mirror or turn by half, 5 to 8 also swap the axes."""
    if way >= 5:
        picture = cast(Image, cv2.transpose(picture))
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(way)
    return picture if flip is None else cast(Image, cv2.flip(picture, flip))
