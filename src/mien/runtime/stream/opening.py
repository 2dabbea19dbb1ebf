"""The one door to all streams: files, folders, cameras and URLs."""

from __future__ import annotations

import re
from pathlib import Path

from mien.core.picture_format import Format
from mien.core.pictures import animation_format
from mien.runtime.stream.animated import Animation
from mien.runtime.stream.camera import Camera, NetworkStream
from mien.runtime.stream.decode import has_an_end, open_container, open_file, public_address
from mien.runtime.stream.recorded import FPS, PictureFolder, VideoFile
from mien.runtime.stream.source import Say, Source, say_in_log

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def open_source(
    source: str | Path | int, *, say: Say = say_in_log, fps: float = FPS, retry: float = 60.0, threads: int = 1
) -> Source:
    """Open a stream.

    Args:
        source: a video file or an animated picture; a folder of pictures; a camera's number; or a URL that FFmpeg can
            open (``rtsp://``, ``http://`` …).
        say: told what was skipped, lost or found again.
        fps: pictures per second of a folder.
        retry: seconds for which a camera or stream that was lost is tried again.
        threads: threads that decode a file.

    Raises:
        VideoError: it cannot be opened; the message says why.
    """
    text = str(source)
    if isinstance(source, int) or text.isdecimal():
        return Camera(int(source if isinstance(source, int) else text), say=say, retry=retry)
    if _URL.match(text):
        name = public_address(text)
        container = open_container(name, text)
        if not has_an_end(container):
            return NetworkStream(text, container, say=say, retry=retry)
        return VideoFile(name, container, say=say, threads=threads)
    if Path(text).is_dir():
        return PictureFolder(Path(text), say=say, fps=fps)
    if animation_format(Path(text)) is Format.WEBP:
        return Animation(Path(text), say=say)
    return VideoFile(text, open_file(Path(text)), say=say, threads=threads)
