"""AVIF and HEIC: decoded by Pillow and by pillow-heif, which the extra ``heif`` brings.

OpenCV knows nothing of HEIC, and reads an AVIF without its rotation.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from mien.core.errors import MissingExtraError, PictureError, UnreadablePictureError
from mien.core.picture_format import Format
from mien.core.preprocess import Image

CheckSize = Callable[[int, int], None]
"""Raises if a picture of that width and height is too large."""


def decode_heif(data: bytes, name: str, kind: Format, check_size: CheckSize) -> Image:
    """The first or main picture of an AVIF or HEIC file, upright, RGB ``(h, w, 3)`` or RGBA ``(h, w, 4)``.

    Args:
        data: the file.
        name: stands for it in errors.
        kind: which of the two it is.
        check_size: asked before anything is decoded.

    Raises:
        UnreadablePictureError: the decoder is not installed, or finds the file damaged.
        PictureError: what ``check_size`` raises.
    """
    try:
        return (_avif if kind is Format.AVIF else _heic)(data, check_size)
    except MissingExtraError as error:
        raise UnreadablePictureError(f"{name}: {error}") from None
    except PictureError:
        raise
    except Exception as error:  # a damaged file fails in many ways
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UnreadablePictureError(f"{name}: cannot be decoded ({reason}); save it again as JPEG or PNG") from None


def _avif(data: bytes, check_size: CheckSize) -> Image:
    try:
        from PIL import AvifImagePlugin, ImageOps
    except ImportError:
        raise _missing("pillow 11.3 or newer", Format.AVIF) from None
    if not AvifImagePlugin.SUPPORTED:
        raise _missing("pillow with AVIF", Format.AVIF)
    picture = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    check_size(*picture.size)
    upright = ImageOps.exif_transpose(picture)  # Pillow tells irot and imir as EXIF
    return np.asarray(upright.convert("RGBA" if "A" in upright.mode else "RGB"))


def _heic(data: bytes, check_size: CheckSize) -> Image:
    try:
        import pillow_heif
    except ImportError:
        raise _missing("pillow-heif", Format.HEIC) from None
    picture = pillow_heif.open_heif(io.BytesIO(data))
    check_size(*picture.size)
    if picture.mode == "I;16":
        return np.repeat((np.asarray(picture)[..., None] / 257).round().astype(np.uint8), 3, axis=2)
    return np.asarray(picture.to_pillow().convert("RGBA" if picture.has_alpha else "RGB"))


def _missing(package: str, kind: Format) -> MissingExtraError:
    return MissingExtraError(package, "heif", f"reading {kind}")
