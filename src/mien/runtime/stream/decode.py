"""FFmpeg containers: opened with errors that say what is wrong, and decoded past what is damaged."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av

from mien.core.errors import VideoError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CONNECTING, READING = 10.0, 5.0
"""Seconds that a network stream may take to open, and to send something."""

NOTHING = "not one picture in it can be decoded; it was cut short or never finished: copy or record it again"
"""What is said of a video without pictures."""

_USUAL_RATE = 25.0


class Decoding:
    """Iterates over the frames that can be decoded, and remembers how it went.

    Attributes:
        time: seconds of the frame at hand, from the first one on.
        damaged: packets and frames that could not be decoded so far.
        broken: why the container could not be read to its end, where that is so.
        beginning: the first packet's time and content, None before it was read.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        """Start at the container's beginning."""
        self.time = 0.0
        self.damaged = 0
        self.broken: str | None = None
        self.beginning: tuple[int | None, bytes] | None = None
        self._container = container
        self._stream = stream
        self._first: float | None = None
        self._stamped = True
        self._reached: int | None = None
        self._key, self._delay = -1, 0
        self._wanted: float | None = None

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, with :attr:`time` set for each."""
        while True:
            for frame in self._decoded():
                self._stamp(frame)
                if self._wanted is not None and self.time > self._wanted and self._key >= 0:
                    break  # a list may tell when frames are decoded, which says only nearly when they are shown
                self._wanted = None
                yield frame
            else:
                return
            self._go_to(self._key - 1)

    def skip_to(self, time: float) -> None:
        """Go on at the last keyframe before ``time``, where the file lists one that has not been reached yet.

        The frames that come next may still lie before ``time``; none that is shown from then on is left out.
        """
        base = self._stream.time_base
        if self._first is None or not self._stamped or base is None:
            return
        entries = self._stream.index_entries
        if not len(entries):
            return
        self._delay = max(int(self._first / base) - entries[0].timestamp, 0)
        key = entries.search_timestamp(int((self._first + time) / base) - self._delay)
        if key >= 0 and self._reached is not None and entries[key].timestamp > self._reached:
            self._wanted = time
            self._go_to(key)

    def _go_to(self, key: int) -> None:
        """Go on at an entry of the file's list, or at the keyframe before it."""
        entries = self._stream.index_entries
        while key > 0 and not entries[key].is_keyframe:
            key -= 1
        self._key = key
        self._container.seek(entries[max(key, 0)].timestamp + self._delay, stream=self._stream)

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                self.damaged += 1
                continue
            if packet is not None and packet.dts is not None:
                self._reached = packet.dts
            for frame in frames:
                if frame.is_corrupt:
                    self.damaged += 1
                    continue
                yield frame

    def _packets(self) -> Iterator[Packet[Any] | None]:
        """What the container holds; then None where it breaks off, for the frames that the decoder still has."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self.broken = error.strerror
                yield None
                return
            if self.beginning is None:
                self.beginning = packet.pts, bytes(packet)
            yield packet

    def _stamp(self, frame: VideoFrame) -> None:
        """A frame without a time stamp that is a number comes one usual interval after the last one."""
        stamp = cast("float | None", frame.time)
        if stamp is not None and math.isfinite(stamp):
            self._first = stamp if self._first is None else self._first
            self.time = stamp - self._first
            return
        self._stamped = False
        if self._first is None:
            self._first = 0.0
        else:
            self.time += 1 / float(self._stream.average_rate or _USUAL_RATE)


def public_address(url: str) -> str:
    """An address as results and messages may show it: without the user's name and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", url)


def open_container(name: str, address: str) -> InputContainer:
    """Open a file or URL with FFmpeg.

    Raises:
        VideoError: it cannot be opened; the message says why.
    """
    options = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
    try:
        return av.open(address, options=options, timeout=(CONNECTING, READING), metadata_errors="replace")
    except av.error.ExitError:
        raise VideoError(f"{name}: no answer within {CONNECTING:.0f} s; check the address and the network") from None
    except av.error.InvalidDataError:
        raise VideoError(f"{name}: not a video that FFmpeg can read; is it another kind of file?") from None
    except av.error.EOFError:
        raise VideoError(f"{name}: {NOTHING}") from None
    except av.error.ProtocolNotFoundError:
        raise VideoError(f"{name}: FFmpeg does not know this kind of address; use rtsp:// or http://") from None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{name}: cannot be opened ({error.strerror or error})") from None


def video_stream(name: str, container: InputContainer) -> VideoStream:
    """The video of a container; closes it where there is none that can be decoded.

    Raises:
        VideoError: there is none, or its code is unknown.
    """
    if not container.streams.video:
        kinds = sorted({stream.type for stream in container.streams})
        container.close()
        if not kinds:
            raise VideoError(f"{name}: {NOTHING}")
        raise VideoError(f"{name}: there is no video in it, only {' and '.join(kinds)}")
    stream = container.streams.video[0]
    if cast("object | None", stream.codec_context) is None:
        container.close()
        raise VideoError(f"{name}: its video is in a code that this FFmpeg cannot decode; convert it to H.264")
    return stream


def open_file(path: Path) -> InputContainer:
    """Open a local file.

    Raises:
        VideoError: it is missing, empty, cut short before its index, or no video.
    """
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        raise VideoError(f"{path}: {reason}") from None
    if not head:
        raise VideoError(f"{path}: the file is empty (0 bytes)")
    try:
        return open_container(str(path), f"file:{path}")
    except VideoError:
        if head[4:8] != b"ftyp":
            raise
        raise VideoError(
            f"{path}: an MP4 without its index, which is written last: it was cut short or never finished; "
            "copy or record it again"
        ) from None


def announced_end(container: InputContainer, stream: VideoStream) -> float:
    """Seconds from the first picture that the header promises; 0 where it promises nothing."""
    base = stream.time_base
    if stream.duration is not None and base is not None:
        return float(stream.duration * base)
    end = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name and stream.start_time is not None and base is not None:
        end -= float(stream.start_time * base)  # Matroska counts its duration from 0, wherever its pictures begin
    return max(end, 0.0)


def has_an_end(container: InputContainer) -> bool:
    """Whether what is at a URL is a file: its header states a duration, or the server a size.

    A browser's WebM states no duration, as it was written while it was recorded.
    """
    return container.duration is not None or container.size > 0


def turns(frame: VideoFrame) -> int:
    """Quarter turns counter-clockwise that bring a frame upright; angles between are left as they are."""
    quarter, rest = divmod(round(frame.rotation), 90)
    return quarter % 4 if rest == 0 else 0
