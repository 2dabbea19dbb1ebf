"""Pictures from files: checked before they are decoded, and always RGB uint8 afterwards.

The one way from a file to pixels, in training and in use alike, so that a model sees in use what it saw in training.
"""

from __future__ import annotations

import io
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
from mien.core.picture_files import named_file
from mien.core.picture_format import (
    Format,
    damage,
    drops_transparency,
    format_of,
    is_animated,
    is_film,
    orientation,
    transparent_grey,
    white_level,
    without_profile,
)
from mien.core.preprocess import Image
from mien.core.safe_text import printable

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded unless the user allows more: 300 MB of memory."""

_HEAD = 64
_MOST_BYTES = 9
"""More bytes than any format that mien reads takes for one pixel, its header included."""
_CHUNKS = 1 << 16
"""Bytes at the start of a PNG within which it says that it is animated."""

_WHITE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65_535}

_REMEDIES = {
    "float": "; if its values are 0 to 1: (255 * array).round().astype('uint8')",
    "bool": "; make it 255 * array.astype('uint8')",
    "uint1": "; if its values are 0 to 65535: (array // 257).astype('uint8')",
}
"""How an array of another type becomes a picture, by the first letters of the type."""


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
    path = named_file(path)
    try:
        with path.open("rb") as file:
            return _read(file, printable(path), max_pixels)
    except OSError as error:
        if path.is_dir():
            reason = "is a folder: name a picture in it (mien.core.iter_pictures finds them)"
        else:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise UnreadablePictureError(f"{printable(path)}: {reason}") from None


def decode_picture(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The bytes of a picture file, by whatever way they came, as RGB uint8 ``(height, width, 3)``.

    As :func:`read_picture` does it, and with the same errors; ``name`` stands for the path in them.

    Raises:
        UnreadablePictureError: empty, cut short, damaged, not a picture, or in a format whose decoder is not installed.
        PictureTooLargeError: more than ``max_pixels``.
    """
    return _read(io.BytesIO(data), printable(name), max_pixels)


def read_stream(file: BinaryIO, name: str, *, max_pixels: int = MAX_PIXELS) -> Image:
    """The picture that an open binary file holds, a pipe too, as RGB uint8 ``(height, width, 3)``.

    As :func:`read_picture` does it, and with the same errors; ``name`` stands for the path in them.

    Raises:
        UnreadablePictureError: empty, cut short, damaged, not a picture, or in a format whose decoder is not installed.
        PictureTooLargeError: more than ``max_pixels``.
    """
    return _read(file, printable(name), max_pixels)


def animation_format(path: Path) -> Format | None:
    """The format of a file that holds several pictures in time, of which :func:`read_picture` gives the first.

    None for every other file, also for one that cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            kind = format_of(head)
            if kind in (Format.GIF, Format.PNG):
                head += file.read(-1 if kind is Format.GIF else _CHUNKS)
    except OSError:
        return None
    return kind if kind is not None and is_animated(head, kind) else None


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


def _read(file: BinaryIO, name: str, max_pixels: int) -> Image:
    """The picture of an open file, of which no more than the header is read before its size is known."""
    head = file.read(_HEAD)
    if not head:
        raise UnreadablePictureError(f"{name}: the file is empty (0 bytes)")
    kind = format_of(head)
    if kind is None and is_film(head):
        raise UnreadablePictureError(
            f"{name}: is a film and no picture: mien watch {name} (Recognizer.watch in Python)"
        )
    if kind is None:
        known = ", ".join(Format)
        raise UnreadablePictureError(f"{name}: not a picture that mien knows; it reads {known}")
    if file.seekable():
        file.seek(0)
    else:  # a pipe, which may never end
        most = _HEAD + _MOST_BYTES * max_pixels
        file = io.BytesIO(head + file.read(most))
        if file.getbuffer().nbytes > most:
            raise PictureTooLargeError(f"{name}: is still not at its end after {most / 1e6:,.0f} MB")
    check = partial(check_size, name=name, max_pixels=max_pixels)
    if kind not in (Format.AVIF, Format.HEIC):
        check(*_header_size(file, name))
        file.seek(0)
    data = file.read()
    problem = damage(data, kind)
    if problem:
        raise UnreadablePictureError(f"{name}: the file is damaged or cut short, {problem}; copy it again")
    if kind in (Format.AVIF, Format.HEIC):
        picture = decode_heif(data, name, kind, check)
        return np.ascontiguousarray(picture) if picture.shape[2] == 3 else over_white(picture)
    decoded = _decode(data, name, kind)
    multiplied = kind is Format.TIFF and decoded.dtype == np.uint8  # by libtiff, which leaves 16 bits alone
    rgb = rgb_of(_eight_bits(decoded, name, white_level(data, kind)), multiplied=multiplied)
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


def check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    """Refuse a picture of more than ``max_pixels``, which ``name`` calls.

    Raises:
        PictureTooLargeError: it has more.
    """
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


def rgb_of(decoded: Image, *, multiplied: bool = False) -> Image:
    """RGB of the grey, BGR or BGRA that OpenCV gives; ``multiplied`` if its colours are already times their alpha."""
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if channels == 4:
        decoded = over_white(decoded, multiplied=multiplied)
    return cast(Image, cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_BGR2RGB))


def over_white(picture: Image, *, multiplied: bool = False) -> Image:
    """Four planes uint8 ``(h, w, 4)`` of which the last is alpha become three on white."""
    alpha = cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2BGR)
    colours = picture[..., :3] if multiplied else cv2.multiply(picture[..., :3], alpha, scale=1 / 255)
    return cast(Image, cv2.add(colours, cv2.bitwise_not(alpha)))


def _upright(picture: Image, way: int) -> Image:
    """Undo an EXIF orientation: 2 to 4 mirror or turn by half, 5 to 8 also swap the axes."""
    if way >= 5:
        picture = cast(Image, cv2.transpose(picture))
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(way)
    return picture if flip is None else cast(Image, cv2.flip(picture, flip))
