"""The annotated video: H.264 in fragmented MP4, with the time stamps and the sound of its source."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.core.preprocess import Image
from mien.runtime.output.draw import StreamDrawer
from mien.runtime.output.sinks import Picture, Sink, refuse_existing

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    AnyPacket = Packet[Any]

_TIME_BASE = Fraction(1, 90_000)
_KEYFRAME_SECONDS = 2.0
_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that players expect in an MP4; other sound is encoded as AAC."""

_AAC_SAMPLES = 1024


class VideoSink(Sink):
    """Annotated frames as H.264 in MP4, each at its own time; the source's sound beside them.

    The file is fragmented: it is written in pieces of two seconds, each whole in itself, so that a video whose program
    was killed plays up to the last piece. The picture size is that of the first frame; one of another size is scaled.
    """

    def __init__(
        self,
        path: Path,
        *,
        audio: Path | None = None,
        overwrite: bool = False,
        drawer: StreamDrawer | None = None,
        threads: int = 1,
    ) -> None:
        """Create the file, with its folders.

        Args:
            path: ends with ``.mp4``.
            audio: the file that the frames come from, for its first audio stream; one without sound is no error.
            overwrite: replace a file that exists.
            drawer: share one where frames are shown too, so that each is drawn once.
            threads: of the encoder.

        Raises:
            MienError: it exists and ``overwrite`` is off, its name ends otherwise, or it cannot be written.
        """
        if path.suffix.lower() != ".mp4":
            raise MienError(f"{path}: the annotated video is an MP4; let its name end with .mp4")
        if not overwrite:
            refuse_existing(path)
        if audio and path.exists() and path.samefile(audio):
            raise MienError(f"{path}: is the video that is read; choose another name")
        self._path = path
        self._drawer = drawer or StreamDrawer()
        self._threads = threads
        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # PyAV creates the file with the first frame, too late to say that it cannot be
            path.open("wb").close()
            self._container: OutputContainer = av.open(str(path), "w", format="mp4", options=options)
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None
        try:
            self._audio = _Audio.of(audio, self._container) if audio else None
        except MienError:
            path.unlink()
            raise
        self._broke = False
        self._video: VideoStream | None = None
        self._last = -1
        self._next_keyframe = 0.0

    def write(self, frame: Frame, picture: Picture) -> None:
        """Append the annotated frame, and the sound up to it.

        Raises:
            MienError: it cannot be written (a full disk); what was written before plays.
            ValueError: the frame has no time.
        """
        if frame.time is None:
            raise ValueError("a video's frame needs a time")
        canvas = self._drawer.draw(picture(), frame)
        video = self._video or self._begin(canvas)
        image = av.VideoFrame.from_ndarray(_fitted(canvas, video.width, video.height), format="rgb24")
        image = image.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        image.time_base = _TIME_BASE
        image.pts = self._last = max(round(frame.time / _TIME_BASE), self._last + 1)
        if frame.time >= self._next_keyframe:
            image.pict_type = PictureType.I
            self._next_keyframe = frame.time + _KEYFRAME_SECONDS
        self._mux([*video.encode(image)], until=frame.time)

    def close(self) -> None:
        """Write what the encoder still holds, and end the file; without any frame there is none.

        Raises:
            MienError: it cannot be written, which :meth:`write` has not said before; what was written plays.
        """
        said = self._broke
        try:
            with ExitStack() as stack:
                stack.callback(self._container.close)
                if self._audio:
                    stack.callback(self._audio.close)
                if self._video and not said:
                    self._mux(self._video.encode(None), until=self._last * float(_TIME_BASE))
                    self._container.mux(self._audio.rest() if self._audio else [])
        except (av.FFmpegError, OSError, MienError) as error:
            _cut_to_whole_pieces(self._path)
            if not said:
                raise error if isinstance(error, MienError) else self._broken(error) from None
        if said:
            _cut_to_whole_pieces(self._path)
        if not self._video:
            self._path.unlink()

    def _begin(self, canvas: Image) -> VideoStream:
        options = {"preset": "veryfast", "tune": "zerolatency", "crf": "21", "forced-idr": "1"}
        video = self._container.add_stream("libx264", rate=30, options=options)
        # yuv420p halves the colours' sides, so both must be even
        video.width, video.height = canvas.shape[1] // 2 * 2, canvas.shape[0] // 2 * 2
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = _TIME_BASE
        video.codec_context.thread_count = self._threads
        video.codec_context.colorspace = Colorspace.ITU709
        video.codec_context.color_range = ColorRange.MPEG
        self._video = video
        return video

    def _mux(self, packets: list[AnyPacket], *, until: float) -> None:
        try:
            if self._audio:
                self._container.mux(self._audio.until(until))
            self._container.mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise self._broken(error) from None

    def _broken(self, error: av.FFmpegError | OSError) -> MienError:
        self._broke = True
        return MienError(
            f"{self._path}: cannot be written any further ({error.strerror}); what was written before plays"
        )


class _Audio:
    """The first audio stream of a file, packet by packet, timed from the file's first video frame."""

    def __init__(self, source: InputContainer, output: OutputContainer) -> None:
        self._source = source
        stream = source.streams.audio[0]
        # AAC of a broadcast stream carries its set-up in every packet, not where an MP4 needs it
        is_bare = stream.codec.canonical_name == "aac" and not stream.codec_context.extradata
        self._copied = stream.codec.canonical_name in _COPIED and not is_bare
        layout = "mono" if stream.channels == 1 else "stereo"
        self._stream = (
            output.add_stream_from_template(stream)
            if self._copied
            else output.add_stream("aac", rate=stream.rate, layout=layout)
        )
        video = source.streams.video[0] if source.streams.video else None
        start = video.start_time * video.time_base if video and video.start_time and video.time_base else Fraction(0)
        self._start = start
        self._resampler = av.AudioResampler("fltp", layout, stream.rate, frame_size=_AAC_SAMPLES)
        self._packets = self._all(source, stream)
        self._waiting: AnyPacket | None = None

    @classmethod
    def of(cls, path: Path, output: OutputContainer) -> _Audio | None:
        """The sound of a file; None where it has none."""
        try:
            source = av.open(str(path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise MienError(f"{path}: its sound cannot be read ({error.strerror})") from None
        if source.streams.audio:
            return cls(source, output)
        source.close()
        return None

    def until(self, time: float) -> list[AnyPacket]:
        """The packets that begin up to ``time`` seconds and were not given yet."""
        found: list[AnyPacket] = []
        while True:
            packet, self._waiting = self._waiting or next(self._packets, None), None
            if packet is None:
                return found
            if packet.pts is not None and packet.pts * packet.time_base > time:
                self._waiting = packet
                return found
            found.append(packet)

    def rest(self) -> list[AnyPacket]:
        """What the encoder still holds, where sound is encoded."""
        if self._copied:
            return []
        return [p for sound in self._resampler.resample(None) for p in self._stream.encode(sound)] + [
            *self._stream.encode(None)
        ]

    def close(self) -> None:
        self._source.close()

    def _all(self, source: InputContainer, stream: AudioStream) -> Iterator[AnyPacket]:
        """Every packet for the output; those before the first video frame are left out.

        Sound that breaks off within a damaged file ends there, as its picture does.
        """
        try:
            for packet in source.demux(stream):
                start = round(self._start / packet.time_base)
                if not self._copied:
                    yield from self._encoded(packet, start)
                elif packet.pts is not None and packet.dts is not None and packet.pts >= start:
                    packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, self._stream
                    yield packet
        except av.FFmpegError:
            return

    def _encoded(self, packet: AnyPacket, start: int) -> Iterator[AnyPacket]:
        for sound in cast(list[av.AudioFrame], packet.decode()):
            if sound.pts is not None and sound.pts >= start:
                sound.pts -= start
                for even in self._resampler.resample(sound):
                    yield from (p for p in self._stream.encode(even) if p.pts is not None and p.pts >= 0)


def _fitted(canvas: Image, width: int, height: int) -> Image:
    """A frame in the video's size: one line or column cut where a side is odd, else scaled."""
    if (canvas.shape[1] // 2 * 2, canvas.shape[0] // 2 * 2) != (width, height):
        return cast(Image, cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(canvas[:height, :width])


def _cut_to_whole_pieces(path: Path) -> None:
    """Cut an MP4 after its last part that is whole, so that players meet no piece without its data.

    Parts begin with their length in four bytes and their kind in four; a piece is a ``moof`` and the ``mdat`` after it.
    """
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        at = whole = 0
        while at + 8 <= end:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            at += length
            if length < 8 or at > end:
                break
            if kind != b"moof":
                whole = at
        file.truncate(whole)
