"""Whether a picture file is whole, told from its own structure before a decoder sees it.

Decoders are lenient: given half a JPEG some of them return a picture that is grey below the break, and a face that is
half there would be read as if it were whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"


def damage(data: bytes) -> str | None:
    """What is broken in the bytes of a JPEG, PNG, WebP, GIF or BMP file; None where it is whole or another format."""
    if data.startswith(_JPEG):
        return _jpeg_damage(data)
    if data.startswith(_PNG):
        return _png_damage(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _missing(8 + int.from_bytes(data[4:8], "little"), len(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return None if b"\x3b" in data[-16:] else "its end is missing"
    if data.startswith(b"BM"):
        return _missing(int.from_bytes(data[2:6], "little"), len(data))
    return None


def without_profile(data: bytes) -> bytes:
    """The same picture without a PNG's colour profile, which is not applied but about which libpng prints warnings."""
    if not data.startswith(_PNG) or b"iCCP" not in data:
        return data
    kept = (data[start:end] for kind, start, end in _png_chunks(data) if kind != b"iCCP")
    return _PNG + b"".join(kept)


def _missing(announced: int, found: int) -> str | None:
    return f"{announced - found} of its {announced} bytes are missing" if found < announced else None


def _jpeg_damage(data: bytes) -> str | None:
    """Walk the segments to the first scan; the end marker must come after it.

    An end marker before it belongs to a thumbnail. Within a scan every 0xFF byte of the picture is followed by 0x00,
    so that what looks like the end marker there is it.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA:
            return None if data.rfind(b"\xff\xd9") > at else "its end is missing"
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return "its header is cut or damaged"


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk; an end beyond the data where the last one is cut."""
    at = len(_PNG)
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, end
        at = end


def _png_damage(data: bytes) -> str | None:
    view = memoryview(data)
    for kind, start, end in _png_chunks(data):
        if end > len(data):
            break
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            return f"the checksum of its {kind.decode('latin-1')} part is wrong"
        if kind == b"IEND":
            return None
    return "its end is missing"
