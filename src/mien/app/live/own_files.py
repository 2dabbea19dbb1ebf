"""A person's own pictures and videos, as bytes: read in memory, within limits, and gone when that is done."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import av

from mien.core.errors import PictureError, PictureTooLargeError, VideoError
from mien.core.face import Frame
from mien.core.picture_format import format_of
from mien.core.pictures import decode_picture
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.decode import Decoding, turns, video_stream
from mien.runtime.stream.stream_picture import Converter, DecodedPicture
from mien.runtime.stream.watcher import Watcher

LARGEST_PICTURE, LARGEST_VIDEO = 20_000_000, 100_000_000
"""Bytes."""

MOST_PIXELS, MOST_VIDEO_PIXELS = 40_000_000, 2560 * 1440
"""Of a picture, and of each picture of a video."""

MOST_SECONDS = 120.0
"""Of a video."""

WATCHED = 10.0
"""Pictures of a video that are looked at, a second."""

_NAME = "the upload"

_VIDEOS = {b"\x1aE\xdf\xa3": "matroska", b"OggS": "ogg", b"RIFF": "avi"}
"""How videos of the usual kinds begin, and the one reader that each may go to: left to guess, FFmpeg would also take a
playlist, and open what that names."""


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a picture file does; everything else is taken for a video."""
    return format_of(data) is not None


def read_own_file(
    recognizer: Recognizer, data: bytes, *, every: float = 1.0, check: Callable[[], object] = lambda: None
) -> list[Frame]:
    """The frame of a picture, or of a video one frame each ``every`` seconds, with its faces followed and smoothed.

    Args:
        recognizer: reads it.
        data: the file's bytes.
        every: seconds of a video.
        check: called before each picture is read, and at the end; what it raises ends the reading.

    Raises:
        PictureError: no picture, damaged, or beyond the limits.
        VideoError: no video, damaged, or beyond the limits.
    """
    check()
    frames = [_read(recognizer, data)] if is_picture(data) else list(_watched(recognizer, data, every, check))
    check()
    return frames


def _read(recognizer: Recognizer, data: bytes) -> Frame:
    if len(data) > LARGEST_PICTURE:
        raise PictureError(f"a picture of {len(data) / 1e6:.0f} MB; at most {LARGEST_PICTURE / 1e6:.0f} MB are taken")
    try:
        return recognizer.read(decode_picture(data, _NAME, max_pixels=MOST_PIXELS))
    except PictureTooLargeError as error:
        raise PictureTooLargeError(error.what) from None


def _watched(recognizer: Recognizer, data: bytes, every: float, check: Callable[[], object]) -> Iterator[Frame]:
    if not data:
        raise PictureError(f"{_NAME}: the file is empty (0 bytes)")
    kind = "mp4" if data[4:8] == b"ftyp" else next((k for head, k in _VIDEOS.items() if data.startswith(head)), None)
    if kind is None:
        raise PictureError(f"{_NAME}: neither a picture nor a video that mien knows; it takes MP4, WebM, MKV, AVI, Ogg")
    if len(data) > LARGEST_VIDEO:
        raise VideoError(f"a video of {len(data) / 1e6:.0f} MB; at most {LARGEST_VIDEO / 1e6:.0f} MB are taken")
    try:
        container = av.open(io.BytesIO(data), "r", format=kind, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{_NAME}: cannot be read ({error.strerror}); it may be cut short, copy it again") from None
    stream = video_stream(_NAME, container)
    if stream.width * stream.height > MOST_VIDEO_PIXELS:
        container.close()
        raise VideoError(
            f"{_NAME}: {stream.width} x {stream.height} pixels; at most {MOST_VIDEO_PIXELS / 1e6:.1f} million are taken"
        )
    watcher, converter, frames = Watcher(recognizer.reader), Converter(), Decoding(container, stream)
    look_at, tell_at, index = 0.0, 0.0, -1
    try:
        for frame in frames:
            if frames.time > MOST_SECONDS:
                raise VideoError(f"{_NAME}: it is longer than the {MOST_SECONDS:.0f} s that are taken; cut it")
            if frames.time < look_at - 1e-6:
                continue
            check()
            index += 1
            look_at = max(look_at + 1 / WATCHED, frames.time)
            picture = DecodedPicture(frame, index=index, time=frames.time, turns=turns(frame), converter=converter)
            found = watcher.step(picture)
            if frames.time >= tell_at - 1e-6 or found.events:
                tell_at = max(tell_at + every, frames.time) if frames.time >= tell_at - 1e-6 else tell_at
                yield found
    finally:
        container.close()
    if index < 0:
        raise VideoError(f"{_NAME}: not one picture in it can be decoded; it was cut short or is no video")
