"""Whatever a program has a picture in, as RGB uint8: a path, bytes, an open file, a PIL image or an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Literal, cast, runtime_checkable
from typing import Protocol as _Protocol

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import PictureError, UnreadablePictureError
from mien.core.pictures import MAX_PIXELS, as_picture, check_size, decode_picture, over_white, read_picture
from mien.core.preprocess import Image

Order = Literal["rgb", "bgr"]
"""Order of an array's colours; OpenCV's pictures are BGR."""


@runtime_checkable
class PilImage(_Protocol):
    """A picture of Pillow, which is not imported for it."""

    mode: str

    def convert(self, mode: str) -> PilImage: ...  # noqa: D102
    def getexif(self) -> Any: ...  # noqa: D102


Picture = str | Path | bytes | bytearray | memoryview | BinaryIO | PilImage | NDArray[Any]
"""What can be read: see :func:`to_picture`."""


def to_picture(picture: Picture, *, order: Order = "rgb", max_pixels: int = MAX_PIXELS) -> Image:
    """A picture as RGB uint8 ``(height, width, 3)``.

    Args:
        picture: a file by its path; the bytes of one; a file opened in binary mode; a PIL image, which is brought
            upright as its file would be; or a uint8 array: grey ``(h, w)`` or ``(h, w, 1)``, colours ``(h, w, 3)``, or
            with an alpha channel ``(h, w, 4)``, which is laid over white.
        order: of an array's colours.
        max_pixels: refuse larger files.

    Raises:
        PictureError: it cannot be read, or is none of these; the message says how to make it one.
        ValueError: another order.
    """
    if order not in ("rgb", "bgr"):
        raise ValueError(f"order is 'rgb' or 'bgr', got {order!r}")
    if isinstance(picture, str | Path):
        return read_picture(picture, max_pixels=max_pixels)
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode_picture(bytes(picture), "the bytes given", max_pixels=max_pixels)
    if isinstance(picture, np.ndarray):
        return _from_array(picture, order)
    if isinstance(picture, PilImage):
        return _from_pil(picture, max_pixels)
    if callable(getattr(picture, "read", None)):
        return _from_file(picture, max_pixels)
    raise PictureError(f"a picture is {_KINDS}; got {_described(picture)}{_remedy(picture)}")


def source_of(picture: Picture) -> str | None:
    """The name of the file that a picture is of, where it is one."""
    if isinstance(picture, str | Path):
        return str(picture)
    name = getattr(picture, "filename", None) or getattr(picture, "name", None)
    return name if isinstance(name, str) and name else None


def is_single(value: object) -> bool:
    """Whether a value is one picture and no collection of them, whatever its length."""
    known = (str, Path, bytes, bytearray, memoryview, PilImage)
    return isinstance(value, known) or callable(getattr(value, "read", None))


_KINDS = "a path, the bytes of a file, a file opened with 'rb', a PIL image, or a uint8 array (h, w), (h, w, 3) or 4"


def _from_array(array: NDArray[Any], order: Order) -> Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[2] == 4 and 0 not in array.shape:
        array = over_white(array)
    picture = as_picture(array)
    return np.ascontiguousarray(picture[..., ::-1]) if order == "bgr" else picture


def _from_pil(image: PilImage, max_pixels: int) -> Image:
    from PIL import ImageOps

    whole = cast(Any, image)
    check_size(*whole.size, name=source_of(image) or "the PIL image", max_pixels=max_pixels)
    try:
        upright = ImageOps.exif_transpose(whole)
        if upright.mode.startswith("I;16"):
            return as_picture((np.asarray(upright) // 257).astype(np.uint8))
        if upright.mode in ("I", "F"):
            raise PictureError(
                f"a PIL image of mode {upright.mode} has no known white: scale it to 0 to 255 and use .convert('L')"
            )
        transparent = upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info
        if transparent:
            return over_white(np.asarray(upright.convert("RGBA")))
        return as_picture(np.asarray(upright.convert("RGB")))
    except OSError as error:
        raise UnreadablePictureError(f"{source_of(image) or 'the PIL image'}: {error}") from None


def _from_file(file: Any, max_pixels: int) -> Image:
    name = source_of(file) or "the file given"
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # a closed file is a ValueError, as is text that is none
        raise UnreadablePictureError(f"{name}: cannot be read ({error})") from None
    if isinstance(data, str):
        raise PictureError(f"{name}: is open as text; open it with open(path, 'rb')")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise PictureError(f"{name}: its read() gave {_described(data)} instead of bytes")
    return decode_picture(bytes(data), name, max_pixels=max_pixels)


def _described(value: object) -> str:
    kind = type(value)
    module = kind.__module__.split(".", 1)[0]
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{'' if module == 'builtins' else module + '.'}{kind.__qualname__}{of_shape}"


def _remedy(value: object) -> str:
    """How to turn it into an array."""
    module = type(value).__module__.split(".", 1)[0]
    if module == "torch":
        shape = tuple(getattr(value, "shape", ()))
        turn = ".permute(1, 2, 0)" if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[2] not in (3, 4) else ""
        byte = "" if str(getattr(value, "dtype", "")) == "torch.uint8" else ".mul(255).round().byte()"
        return f"; make it an array: tensor{turn}{byte}.cpu().numpy()"
    if module in ("tensorflow", "jaxlib", "jax", "cupy"):
        return "; make it a uint8 array with numpy.asarray"
    if isinstance(value, list | tuple):
        return "; read several with read_many, or make an array with numpy.array(..., dtype='uint8')"
    return ""
