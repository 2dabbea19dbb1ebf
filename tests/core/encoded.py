"""Picture files of every kind that people have, and the pixels that each should give."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageOps

SIDE = 64


def scene() -> np.ndarray:
    """RGB ``(64, 64, 3)``: smooth, so that lossy formats keep it, and like itself from no other side."""
    y, x = np.mgrid[:SIDE, :SIDE] * 255 / (SIDE - 1)
    picture = np.stack([x, y, 255 - (x + y) / 2], axis=-1)
    picture[8:24, 8:20] = (250, 240, 40)
    return picture.round().astype(np.uint8)


def alpha() -> np.ndarray:
    """``(64, 64)``: a third hidden, a third half seen."""
    values = np.full((SIDE, SIDE), 255, dtype=np.uint8)
    values[:, :20], values[:, 20:40] = 0, 128
    return values


def save(picture: Pil.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(kind: str, way: int, *, height: int = SIDE) -> bytes:
    """The scene with an orientation: EXIF, which Pillow writes into AVIF as rotation boxes."""
    exif = Pil.Exif()
    exif[0x0112] = way
    return save(rgb().crop((0, 0, SIDE, height)), kind, exif=exif)


def turned_heic(way: int) -> bytes:
    """The scene with rotation boxes."""
    import pillow_heif

    exif = Pil.Exif()
    exif[0x0112] = way
    file = pillow_heif.from_pillow(Pil.fromarray(scene()))
    file.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    file.save(buffer, format="HEIF", quality=95)
    return buffer.getvalue()


def heic(picture: Pil.Image) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, format="HEIF", quality=95)
    return buffer.getvalue()


def with_opencv(ending: str, pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(ending, pixels)
    assert done
    return data.tobytes()


def jpeg_2000(bits: int) -> bytes:
    """Grey rising to white in so many bits, as FFmpeg writes it."""
    import av

    codec = av.codec.CodecContext.create("jpeg2000", "w")
    codec.width = codec.height = SIDE
    codec.pix_fmt = f"gray{bits}le"
    codec.time_base = Fraction(1, 1)
    codec.options = {"format": "jp2", "pred": "dwt53"}
    rising = np.linspace(0, 2**bits - 1, SIDE).round().astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(np.tile(rising, (SIDE, 1)), format=f"gray{bits}le")
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))


def rgb() -> Pil.Image:
    return Pil.fromarray(scene())


def rgba() -> Pil.Image:
    return Pil.fromarray(np.dstack([scene(), alpha()]))


def grey_alpha() -> Pil.Image:
    return Pil.merge("LA", (rgb().convert("L"), Pil.fromarray(alpha())))


def animated(kind: str, **options: object) -> bytes:
    return save(rgb(), kind, save_all=True, append_images=[rgb().rotate(90)], **options)


def deep(planes: int) -> np.ndarray:
    """The scene in 16 bits, BGR or BGRA, off the multiples of 257 that any rule would get right."""
    picture = np.dstack([scene()[..., ::-1], alpha()])[..., :planes].astype(np.uint16) * 257
    return np.where((picture > 0) & (picture < 65_000), picture + 100, picture).astype(np.uint16)


def upright(data: bytes) -> np.ndarray:
    """What Pillow makes of a file: upright, over white, 8 bits."""
    picture = ImageOps.exif_transpose(Pil.open(io.BytesIO(data)))
    if picture.mode.startswith("I"):
        levels = (np.asarray(picture).astype(float) * 255 / 65535).round().astype(np.uint8)
        return np.repeat(levels[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Pil.alpha_composite(Pil.new("RGBA", picture.size, (255,) * 4), picture)
    return np.asarray(picture.convert("RGB"))


def _of_scene(planes: int) -> np.ndarray:
    exact = deep(planes)[..., :3][..., ::-1].astype(float) * 255 / 65535
    share = alpha()[..., None] / 255 if planes == 4 else 1.0
    return (exact * share + 255 * (1 - share)).round().astype(np.uint8)


_LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
_MODES: dict[str, Callable[[], Pil.Image]] = {
    "RGB": rgb,
    "RGBA": rgba,
    "grey": lambda: rgb().convert("L"),
    "grey and alpha": grey_alpha,
    "palette": lambda: rgb().quantize(32),
    "bits": lambda: rgb().convert("1"),
}
_CANNOT = {
    ("JPEG2000", "palette"),
    ("JPEG2000", "bits"),
    ("JPEG2000", "grey and alpha"),  # OpenCV does not read it
    ("TIFF", "grey and alpha"),  # neither
    ("BMP", "grey and alpha"),
    ("PPM", "palette"),
    ("PPM", "grey and alpha"),
    *(("JPEG", mode) for mode in ("RGBA", "grey and alpha", "palette")),
}

WHOLE: dict[str, Callable[[], bytes]] = {
    f"{kind}, {mode}": (lambda kind=kind, make=make: save(make(), kind, **_LOSSLESS.get(kind, {})))
    for kind in ("PNG", "WEBP", "TIFF", "GIF", "JPEG2000", "BMP", "JPEG", "PPM", "AVIF")
    for mode, make in _MODES.items()
    if (kind, mode) not in _CANNOT
}
WHOLE |= {
    f"{kind}, turned {way}": (lambda kind=kind, way=way: turned(kind, way))
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
    for way in range(1, 9)
}
WHOLE |= {
    f"{kind}, animated": (lambda kind=kind: animated(kind, **_LOSSLESS.get(kind, {})))
    for kind in ("GIF", "WEBP", "PNG", "AVIF")
}
WHOLE |= {
    "PNG, palette with one colour hidden": lambda: save(rgb().quantize(32), "PNG", transparency=3),
    "PNG, palette half seen": lambda: save(rgb().quantize(32), "PNG", transparency=bytes([0, 128] * 16)),
    "PNG, one colour hidden": lambda: save(rgb(), "PNG", transparency=(250, 240, 40)),
    "PNG, one grey hidden": lambda: save(rgb().convert("L"), "PNG", transparency=140),
    "PNG, one bit hidden": lambda: save(rgb().convert("1"), "PNG", transparency=0),
    "GIF, one colour hidden": lambda: save(rgb().quantize(32), "GIF", transparency=3),
    "PNG, grey, 16 bits": lambda: with_opencv(".png", deep(3)[..., 0]),
    "TIFF, grey, 16 bits": lambda: with_opencv(".tiff", deep(3)[..., 0]),
    "TIFF, LZW with alpha": lambda: save(rgba(), "TIFF", compression="tiff_lzw"),
    "TIFF, palette by LZW": lambda: save(rgb().quantize(32), "TIFF", compression="tiff_lzw"),
    "TIFF, CMYK": lambda: save(rgb().convert("CMYK"), "TIFF"),
    "JPEG, CMYK": lambda: save(rgb().convert("CMYK"), "JPEG", quality=95),
    "JPEG, progressive": lambda: save(rgb(), "JPEG", progressive=True),
    "PNM, plain": lambda: (
        b"P2\n# a comment that is longer than the first bytes of a file that are looked at\n"
        b"4 2\n255\n0 10 20 30\n40 50 60 255\n"
    ),
    "PNM, 10 bits": lambda: b"P5 4 2 1023\n" + np.array([0, 9, 99, 300, 1023, 50, 60, 255], ">u2").tobytes(),
    "PNM, 4 bits": lambda: b"P5 4 2 15\n" + bytes([0, 1, 2, 3, 4, 8, 14, 15]),
}
"""Files by what is in them, which Pillow reads too."""

HEIC = {
    "HEIC, RGB": lambda: (heic(rgb()), scene()),
    "HEIC, grey": lambda: (heic(rgb().convert("L")), np.asarray(rgb().convert("L").convert("RGB"))),
    "HEIC, alpha": lambda: (heic(rgba()), upright(save(rgba(), "PNG"))),
} | {f"HEIC, turned {way}": (lambda way=way: (turned_heic(way), upright(turned("PNG", way)))) for way in range(1, 9)}
"""Files with what they were made from."""

DEEP = {
    "PNG, 16 bits": lambda: (with_opencv(".png", deep(3)), _of_scene(3)),
    "PNG, 16 bits and alpha": lambda: (with_opencv(".png", deep(4)), _of_scene(4)),
    "TIFF, 16 bits": lambda: (with_opencv(".tiff", deep(3)), _of_scene(3)),
    "TIFF, 16 bits and alpha": lambda: (with_opencv(".tiff", deep(4)), _of_scene(4)),
    "PNM, 16 bits": lambda: (with_opencv(".ppm", deep(3)), _of_scene(3)),
    "JPEG 2000, 12 bits": lambda: (jpeg_2000(12), _rising()),
    "JPEG 2000, 16 bits": lambda: (jpeg_2000(16), _rising()),
}
"""Files that Pillow cuts to 8 bits in its own way, with what they were made from."""


def _rising() -> np.ndarray:
    return np.repeat(np.tile(np.linspace(0, 255, SIDE).round().astype(np.uint8), (SIDE, 1))[..., None], 3, axis=2)
