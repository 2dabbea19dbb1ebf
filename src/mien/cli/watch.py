"""``mien watch``: expressions in a video, a folder of frames, a camera or a stream, over time."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import typer

from mien.core.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from mien.core.face import Frame
    from mien.runtime.output.mjpeg import LivePage
    from mien.runtime.output.stream_sinks import StreamSink
    from mien.runtime.stream.follow import DetectEvery
    from mien.runtime.stream.source import Source

_NO_PICTURE = np.zeros((1, 1, 3), dtype=np.uint8)
"""What sinks of rows get: they look at no picture, and making one would cost more than its rows."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(watch)


def _detect_every(text: str) -> DetectEvery:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"it is 'auto' or a number of frames from 1 on, not '{text}'")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text)
    if not match or float(match[1]) <= 0:
        raise typer.BadParameter(f"a time is a number with s, m or h, such as 30s, 10m or 8h, not '{text}'")
    return float(match[1]) * _UNITS[match[2] or "s"]


def watch(
    source: Annotated[str, typer.Argument(help="Video file, folder of frames, camera number, or URL (rtsp, http).")],
    model: Annotated[
        list[str] | None, typer.Option(help="Name or path of a model; give it again to compare several.")
    ] = None,
    detector: Annotated[
        str, typer.Option(help="Face detector: auto (YuNet once pulled, else Haar), haar, yunet, or an installed one.")
    ] = "auto",
    detect_every: Annotated[
        Any, typer.Option(parser=_detect_every, metavar="N|auto", help="Frames from one full search to the next.")
    ] = "auto",
    csv: Annotated[Path | None, typer.Option(help="Write a row for each face and frame.", metavar="FILE")] = None,
    jsonl: Annotated[Path | None, typer.Option(help="Write a JSON line for each frame.", metavar="FILE")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows as Parquet.", metavar="FILE")] = None,
    video: Annotated[Path | None, typer.Option(help="Write the annotated video (MP4).", metavar="FILE")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    every: Annotated[
        Any, typer.Option(parser=_seconds, metavar="TIME", help="One picture each 30s, 10m, 1h …; rows only.")
    ] = None,
    for_: Annotated[
        Any, typer.Option("--for", parser=_seconds, metavar="TIME", help="With --every: stop after 8h, say.")
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Serve the annotated stream to this machine's browser; a file plays at its own pace."
        ),
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds of the stream.")] = None,
    baseline: Annotated[
        float, typer.Option(min=0, help="Learn each person's neutral face from their first so many seconds.")
    ] = 0.0,
    fps: Annotated[float, typer.Option(min=0.001, help="Frames per second of a folder.")] = 25.0,
    retry: Annotated[float, typer.Option(min=0, help="Try a lost camera or stream again for so many seconds.")] = 60.0,
    provider: Annotated[str, typer.Option(help="ONNX Runtime execution provider.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads for decoding, reading and encoding, each.")] = 1,
) -> None:
    """Follow the expressions of all faces in a stream.

    Ends with the stream, after --seconds, or by q or Ctrl-C; all rows are on disk then, as after a kill.
    """
    import cv2
    from rich.console import Console

    from mien.cli.keys import ended_by_user
    from mien.runtime.inference.library import DEFAULT_MODEL
    from mien.runtime.recognizer import Recognizer
    from mien.runtime.stream.sampling import sample
    from mien.runtime.stream.smooth import Smoothing
    from mien.runtime.stream.source import open_source
    from mien.runtime.stream.watcher import Watcher, watch_shots

    _refuse_contradictions(every=every, for_=for_, video=video, show=show, seconds=seconds)
    outputs = _Outputs(csv=csv, jsonl=jsonl, parquet=parquet, video=video, overwrite=overwrite, threads=threads)
    outputs.refuse_existing()
    cv2.setNumThreads(threads)
    recognizer = Recognizer(model or DEFAULT_MODEL, detector=detector, provider=provider, threads=threads)
    watcher = Watcher(
        recognizer, detect_every=detect_every if every is None else 1, smoothing=Smoothing(baseline=baseline)
    )
    teller = _Teller(Console(highlight=False, markup=False))
    audio = Path(source) if Path(source).is_file() else None

    def open_() -> Source:
        return open_source(source, say=teller.say, fps=fps, retry=retry, threads=threads)

    with ExitStack() as stack:
        stop = stack.enter_context(ended_by_user())
        page = _serve(stack, teller) if show else None
        began, at_its_pace = time.monotonic(), False
        if every is None:
            opened = open_()
            pairs = watch_shots(watcher, opened, stop=stop)
            at_its_pace = show and not opened.live
        else:
            shots = sample(open_, every=every, duration=for_, say=teller.say, stop=stop)
            pairs = ((watcher.step(shot, source), shot) for shot in shots)
        stack.enter_context(closing(pairs))
        stack.enter_context(teller)
        sinks: list[StreamSink] | None = None
        for frame, shot in pairs:
            if seconds is not None and shot.time >= seconds:
                break
            if sinks is None:  # not before there is a frame: a source that fails leaves no empty files
                sinks = outputs.open(stack, audio)
            for sink in sinks:
                sink.write(frame, shot.picture if video else _NO_PICTURE)
            if page and page.is_watched:
                page.write(frame, shot.picture)
            teller.tell(frame)
            if at_its_pace:
                stop.wait(max(began + shot.time - time.monotonic(), 0.0))


def _refuse_contradictions(
    *, every: float | None, for_: float | None, video: Path | None, show: bool, seconds: float | None
) -> None:
    if for_ is not None and every is None:
        raise typer.BadParameter("--for belongs to --every; to stop a stream after a time use --seconds")
    if every is not None and (video or show or seconds is not None):
        raise typer.BadParameter(
            "--every writes rows only, for as long as --for says: leave out --video, --show, --seconds"
        )


def _serve(stack: ExitStack, teller: _Teller) -> LivePage:
    from mien.runtime.output.mjpeg import LivePage

    page = LivePage()
    stack.callback(page.close)
    teller.print(f"open {page.url} in a browser on this machine")
    return page


@dataclass(frozen=True, kw_only=True)
class _Outputs:
    """The files to write."""

    csv: Path | None
    jsonl: Path | None
    parquet: Path | None
    video: Path | None
    overwrite: bool
    threads: int

    def refuse_existing(self) -> None:
        """Say so before a model is loaded or a camera opened."""
        for path in (self.csv, self.jsonl, self.parquet, self.video):
            if path and path.exists() and not self.overwrite:
                raise MienError(
                    f"{path}: exists already; choose another name, or allow it to be replaced (--overwrite)"
                )

    def open(self, stack: ExitStack, audio: Path | None) -> list[StreamSink]:
        """Create the sinks; ``stack`` closes them, each whatever happens to the others."""
        from mien.runtime.output.stream_sinks import CsvStreamSink, JsonLinesSink, ParquetSink

        sinks: list[StreamSink] = []

        def add(sink: StreamSink) -> None:
            stack.callback(sink.close)
            sinks.append(sink)

        if self.csv:
            add(CsvStreamSink(self.csv, overwrite=self.overwrite))
        if self.jsonl:
            add(JsonLinesSink(self.jsonl, overwrite=self.overwrite))
        if self.parquet:
            add(ParquetSink(self.parquet, overwrite=self.overwrite))
        if self.video:
            from mien.runtime.output.mp4 import VideoSink

            add(VideoSink(self.video, audio=audio, overwrite=self.overwrite, threads=self.threads))
        return sinks


class _Teller:
    """Events as they happen, a line that shows how it goes, and counts at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._began = self._told = time.monotonic()
        self._frames = self._events = self._faces = self._unmeasurable = self._rejected = 0
        self._tracks: set[int] = set()
        self._time = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._status = self._console.status("starting; q or Ctrl-C ends", refresh_per_second=2)
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()
        self.print(self._summary())

    def print(self, line: str) -> None:
        """One line on standard output."""
        self._console.print(line, soft_wrap=True)

    def say(self, notice: str) -> None:
        """One line on standard error; may be called from any thread."""
        print(f"mien: {notice}", file=sys.stderr, flush=True)

    def tell(self, frame: Frame) -> None:
        """Count a frame, and print its events."""
        self._frames += 1
        self._faces += len(frame.faces)
        self._unmeasurable += sum(face.unmeasurable is not None for face in frame.faces)
        self._rejected += frame.rejected
        self._tracks.update(face.track.id for face in frame.faces if face.track)
        self._events += len(frame.events)
        self._time = frame.time or 0.0
        for event in frame.events:
            self.print(f"{_clock(event.time)}  face {event.track}: an expression like {event.expression} {event.kind}")
        now = time.monotonic()
        if self._status and now - self._told >= 1:
            self._told = now
            self._status.update(f"{_clock(self._time)} · {self._counts()}; q or Ctrl-C ends")

    def _counts(self) -> str:
        parts = [_counted(self._frames, "frame"), _counted(len(self._tracks), "face"), _counted(self._events, "event")]
        parts += [_counted(self._rejected, "find") + " rejected as no face"] if self._rejected else []
        if self._unmeasurable:
            parts.append(f"{100 * self._unmeasurable / self._faces:.0f} % of faces not measurable")
        return " · ".join(parts)

    def _summary(self) -> str:
        took = max(time.monotonic() - self._began, 1e-3)
        return f"{_clock(self._time)} watched · {self._counts()} · {self._frames / took:.0f} frames/s"


def _clock(seconds: float) -> str:
    """``12.4 s``, and from a minute on ``1:02:05``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
