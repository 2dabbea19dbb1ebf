"""What the bytes of a picture file tell before a decoder sees them: whether it is whole, and which way is up.

Decoders are lenient: given half a JPEG some of them return a picture that is grey below the break, and a face that is
half there would be read as if it were whole. And OpenCV either keeps transparency or turns a picture upright, not both.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"

Part = tuple[bytes, int, int]
"""Name of a part of a file, and where its content starts and ends; beyond the file's end where it is cut."""


def damage(data: bytes) -> str | None:
    """What is broken in the bytes of a JPEG, PNG, WebP, GIF or BMP file; None where it is whole or another format."""
    if data.startswith(_JPEG):
        return _jpeg_damage(data)
    if data.startswith(_PNG):
        return _png_damage(data)
    if _is_webp(data):
        return _missing(8 + int.from_bytes(data[4:8], "little"), len(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return None if b"\x3b" in data[-16:] else "its end is missing"
    if data.startswith(b"BM"):
        return _missing(int.from_bytes(data[2:6], "little"), len(data))
    return None


def orientation(data: bytes) -> int:
    """EXIF orientation, 1 to 8, of a JPEG, PNG or WebP file; 1 where none is given.

    A TIFF's is not told, as OpenCV's decoder applies it in every mode.
    """
    if data.startswith(_JPEG):
        parts, name = _jpeg_segments(data), b"\xe1"
    elif data.startswith(_PNG):
        parts, name = _png_chunks(data), b"eXIf"
    elif _is_webp(data):
        parts, name = _webp_chunks(data), b"EXIF"
    else:
        return 1
    for kind, start, end in parts:
        content = data[start:end]
        if kind == name and (name != b"\xe1" or content.startswith(_EXIF)):
            return _exif_orientation(content.removeprefix(_EXIF))
    return 1


def without_profile(data: bytes) -> bytes:
    """The same picture without a PNG's colour profile, which is not applied but about which libpng prints warnings."""
    if not data.startswith(_PNG) or b"iCCP" not in data:
        return data
    kept = (data[start - 8 : end + 4] for kind, start, end in _png_chunks(data) if kind != b"iCCP")
    return _PNG + b"".join(kept)


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"


def _missing(announced: int, found: int) -> str | None:
    return f"{announced - found} of its {announced} bytes are missing" if found < announced else None


def _jpeg_segments(data: bytes) -> Iterator[Part]:
    """The segments of the header, up to and with the start of the first scan, by their marker's second byte."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1 : at + 2], at + 4, end
        if data[at + 1] == 0xDA:
            return
        at = end


def _png_chunks(data: bytes) -> Iterator[Part]:
    at = len(_PNG)
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, end
        at = end + 4


def _webp_chunks(data: bytes) -> Iterator[Part]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, at + 8 + size
        at += 8 + size + size % 2


def _jpeg_damage(data: bytes) -> str | None:
    """The end marker must come after the start of the first scan: one before it belongs to a thumbnail.

    Within a scan every 0xFF byte of the picture is followed by 0x00, so that what looks like the end marker is it.
    """
    for kind, start, _ in _jpeg_segments(data):
        if kind == b"\xda":
            return None if data.rfind(b"\xff\xd9") > start else "its end is missing"
    return "its header is cut or damaged"


def _png_damage(data: bytes) -> str | None:
    view = memoryview(data)
    for kind, start, end in _png_chunks(data):
        if end + 4 > len(data):
            break
        if zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return f"the checksum of its {kind.decode('latin-1')} part is wrong"
        if kind == b"IEND":
            return None
    return "its end is missing"


def _exif_orientation(exif: bytes) -> int:
    """Entry 0x0112 of the first directory of an EXIF block, which is a TIFF file without a picture."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for index in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * index)
            if tag == 0x0112:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # a damaged EXIF block is no reason to refuse the picture
        pass
    return 1
