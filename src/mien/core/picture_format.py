"""What the bytes of a picture file tell before a decoder sees them: format, whether it is whole, which way is up.

Decoders are lenient: given half a JPEG some of them return a picture that is grey below the break, and a face that is
half there would be read as if it were whole. And OpenCV either keeps transparency or turns a picture upright, not both.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from enum import StrEnum


class Format(StrEnum):
    """The picture formats that mien reads."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    TIFF = "TIFF"
    GIF = "GIF"
    BMP = "BMP"
    PNM = "PNM"
    JPEG_2000 = "JPEG 2000"
    AVIF = "AVIF"
    HEIC = "HEIC"


_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_JP2 = b"\0\0\0\x0cjP  "
_STARTS = {
    _JPEG: Format.JPEG,
    _PNG: Format.PNG,
    b"II*\0": Format.TIFF,
    b"MM\0*": Format.TIFF,
    b"GIF87a": Format.GIF,
    b"GIF89a": Format.GIF,
    b"BM": Format.BMP,
    _JP2: Format.JPEG_2000,
}
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"OggS")
_AVIF, _HEIC = {b"avif", b"avis"}, {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_PNM_START = re.compile(rb"P[1-6][\s#]")
_PNM = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:(?:\s|#[^\n]*\n)+(\d+))?")

Part = tuple[bytes, int, int]
"""Name of a part of a file, and where its content starts and ends; beyond the file's end where it is cut."""


def format_of(data: bytes) -> Format | None:
    """The format that a file is in by its first bytes, 64 of them at least; None for anything else."""
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[4:8] == b"ftyp":
        end = min(max(int.from_bytes(data[:4], "big"), 16), 64)
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
        if brands[0] in _AVIF or (brands[0] in (b"mif1", b"msf1") and not _AVIF.isdisjoint(brands)):
            return Format.AVIF
        return Format.HEIC if brands[0] in _HEIC else None
    return Format.PNM if _PNM_START.match(data) else None


def is_video(data: bytes) -> bool:
    """Whether a file that is no picture begins like a video: MP4 and its kin, Matroska, AVI, FLV, MPEG."""
    if data.startswith(b"RIFF"):
        return data[8:12] == b"AVI "
    return data[4:8] in (b"ftyp", b"moov", b"mdat") or data.startswith(_VIDEO_STARTS)


def damage(data: bytes, kind: Format) -> str | None:
    """What is broken in the bytes of a file; None where it is whole, or in TIFF or PNM, whose decoders notice."""
    match kind:
        case Format.JPEG:
            return _jpeg_damage(data)
        case Format.PNG:
            return _png_damage(data)
        case Format.WEBP:
            return _missing(8 + int.from_bytes(data[4:8], "little"), len(data))
        case Format.GIF:
            return None if b"\x3b" in data[-16:] else "its end is missing"
        case Format.BMP:
            return _missing(int.from_bytes(data[2:6], "little"), len(data))
        case Format.JPEG_2000 | Format.AVIF | Format.HEIC:
            return _box_damage(data)
    return None


def orientation(data: bytes, kind: Format) -> int:
    """EXIF orientation, 1 to 8, of a JPEG, PNG or WebP file; 1 where none is given.

    That of the other formats is not told, as their decoders apply it: OpenCV's to a TIFF in every mode, those of AVIF
    and HEIC to the boxes ``irot`` and ``imir``, beside which EXIF means nothing there.
    """
    match kind:
        case Format.JPEG:
            parts, name = _jpeg_segments(data), b"\xe1"
        case Format.PNG:
            parts, name = _png_chunks(data), b"eXIf"
        case Format.WEBP:
            parts, name = _webp_chunks(data), b"EXIF"
        case _:
            return 1
    for part, start, end in parts:
        content = data[start:end]
        if part == name and (name != b"\xe1" or content.startswith(_EXIF)):
            way = _tiff_tag(content.removeprefix(_EXIF), 0x0112)
            return way if way is not None and 1 <= way <= 8 else 1
    return 1


def white_level(data: bytes, kind: Format) -> int | None:
    """The value that stands for white where a file says it: PNM and JPEG 2000 may have any number of bits."""
    if kind is Format.PNM:
        header = _PNM.match(data)
        return int(header[4]) if header and header[1] not in b"14" and header[4] else None
    if kind is Format.JPEG_2000:
        start = data.find(b"\xff\x4f\xff\x51")  # start of the codestream, and its first marker segment, SIZ
        return (1 << (data[start + 42] & 0x7F) + 1) - 1 if 0 <= start < len(data) - 42 else None
    return None


def transparent_grey(data: bytes) -> int | None:
    """The value of a grey PNG that is transparent, in the scale that OpenCV decodes to; it does not tell it itself."""
    if data[25:26] != b"\0":  # colour type
        return None
    for name, start, _ in _png_chunks(data):
        if name == b"IDAT":
            break
        if name == b"tRNS":
            value, depth = int.from_bytes(data[start : start + 2], "big"), data[24]
            return value * 255 // (2**depth - 1) if depth < 8 else value
    return None


def drops_transparency(data: bytes) -> bool:
    """Whether a TIFF is grey with transparency, of which OpenCV gives the grey alone."""
    return (_tiff_tag(data, 277) or 1) % 2 == 0 and (_tiff_tag(data, 262) or 0) <= 1


def without_profile(data: bytes) -> bytes:
    """The same PNG without its colour profile, which is not applied but about which libpng prints warnings."""
    if b"iCCP" not in data:
        return data
    kept = (data[start - 8 : end + 4] for kind, start, end in _png_chunks(data) if kind != b"iCCP")
    return _PNG + b"".join(kept)


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


def _box_damage(data: bytes) -> str | None:
    """A box says how long it is, or 0 for all that is left, or 1 for a length of eight bytes after its name."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return None
        if size < 8 or at + size > len(data):
            return _missing(at + size, len(data)) or "its parts do not fit each other"
        at += size
    return None


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


def _tiff_tag(tiff: bytes, wanted: int) -> int | None:
    """The first number of an entry in the first directory of a TIFF file, or of an EXIF block, which is one."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for index in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * index)
            if tag == wanted:
                return int(value)
    except struct.error:  # a damaged EXIF block is no reason to refuse the picture
        pass
    return None
