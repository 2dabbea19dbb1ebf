"""``mien watch``: expressions in a video, a folder of frames, a camera or a stream, over time."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.detector import say_if_haar
from mien.cli.options import FaceDetector, MinScore, MinSize, Models, Quiet, SearchSize, parse_seconds
from mien.cli.progress import say

if TYPE_CHECKING:
    from rich.console import Console

    from mien.core.preprocess import Image
    from mien.runtime.output.sinks import Sink
    from mien.runtime.stream.follow import DetectEvery
    from mien.runtime.stream.source import Source
    from mien.runtime.stream.stream_picture import StreamPicture


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(watch)


def _detect_every(text: str) -> DetectEvery:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"it is 'auto' or a number of frames from 1 on, not '{text}'")
    return int(text)


def watch(
    source: Annotated[str, typer.Argument(help="Video file, folder of frames, camera number, or URL (rtsp, http).")],
    model: Models = None,
    detector: FaceDetector = "auto",
    min_size: MinSize = None,
    search_size: SearchSize = None,
    min_score: MinScore = None,
    detect_every: Annotated[
        Any, typer.Option(parser=_detect_every, metavar="N|auto", help="Frames from one full search to the next.")
    ] = "auto",
    csv: Annotated[Path | None, typer.Option(help="Write a row for each face and frame.", metavar="FILE")] = None,
    jsonl: Annotated[Path | None, typer.Option(help="Write a JSON line for each frame.", metavar="FILE")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the rows as Parquet.", metavar="FILE")] = None,
    video: Annotated[Path | None, typer.Option(help="Write the annotated video (MP4).", metavar="FILE")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    every: Annotated[
        Any, typer.Option(parser=parse_seconds, metavar="TIME", help="One picture each 30s, 10m, 1h …; rows only.")
    ] = None,
    for_: Annotated[
        Any, typer.Option("--for", parser=parse_seconds, metavar="TIME", help="With --every: stop after 8h, say.")
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
    quiet: Quiet = False,
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
    from mien.runtime.output.terminal import StreamTerminal
    from mien.runtime.recognizer import Recognizer
    from mien.runtime.stream.opening import open_source
    from mien.runtime.stream.sampling import SampledSource
    from mien.runtime.stream.smooth import Smoothing

    _refuse_contradictions(every=every, for_=for_, video=video, show=show, seconds=seconds)
    outputs = _Outputs(csv=csv, jsonl=jsonl, parquet=parquet, video=video, overwrite=overwrite, threads=threads)
    outputs.refuse(source)
    cv2.setNumThreads(threads)
    if not quiet:
        say_if_haar(detector, offer=True)
    recognizer = Recognizer(
        model or DEFAULT_MODEL,
        detector=detector,
        provider=provider,
        threads=threads,
        min_score=min_score,
        min_size=min_size,
        search_size=search_size,
    )
    console = Console(highlight=False, markup=False)
    audio = Path(source) if Path(source).is_file() else None

    def open_() -> Source:
        return open_source(source, say=_say, fps=fps, retry=retry, threads=threads)

    with ExitStack() as stack:
        stop = stack.enter_context(ended_by_user())
        opened = open_() if every is None else SampledSource(open_, every=every, duration=for_, say=_say)
        pairs = recognizer.watch_pictures(
            opened,
            detect_every=detect_every if every is None else 1,
            smoothing=Smoothing(baseline=baseline),
            stop=stop,
        )
        stack.enter_context(closing(pairs))
        always: list[Sink] = [_serve(stack, console)] if show else []
        if not quiet:
            terminal = StreamTerminal(console)
            stack.callback(terminal.close)
            always.append(terminal)
        began, sinks = time.monotonic(), None
        for frame, picture in pairs:
            if seconds is not None and picture.time >= seconds:
                break
            if sinks is None:  # not before there is a frame: a source that fails leaves no empty files
                sinks = [*outputs.open(stack, audio), *always]
            for sink in sinks:
                sink.write(frame, partial(_rgb, picture))
            if show and not opened.live:  # a file is shown at its own pace
                stop.wait(max(began + picture.time - time.monotonic(), 0.0))


def _say(notice: str) -> None:
    say(f"mien: {notice}")


def _rgb(picture: StreamPicture) -> Image:
    return picture.rgb


def _refuse_contradictions(
    *, every: float | None, for_: float | None, video: Path | None, show: bool, seconds: float | None
) -> None:
    if for_ is not None and every is None:
        raise typer.BadParameter("--for belongs to --every; to stop a stream after a time use --seconds")
    if every is not None and (video or show or seconds is not None):
        raise typer.BadParameter(
            "--every writes rows only, for as long as --for says: leave out --video, --show, --seconds"
        )


def _serve(stack: ExitStack, console: Console) -> Sink:
    from mien.runtime.output.mjpeg import LivePage

    page = LivePage()
    stack.callback(page.close)
    console.print(f"open {page.url} in a browser on this machine", soft_wrap=True)
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

    def refuse(self, source: str) -> None:
        """Say so before a model is loaded or a camera opened."""
        from mien.runtime.output.sinks import refuse_outputs
        from mien.runtime.output.tables import journal_of

        outputs = {"--csv": self.csv, "--jsonl": self.jsonl, "--parquet": self.parquet, "--video": self.video}
        if self.parquet:
            outputs["--parquet, until it is finished,"] = journal_of(self.parquet)
        refuse_outputs(outputs, overwrite=self.overwrite, inputs=[source])

    def open(self, stack: ExitStack, audio: Path | None) -> list[Sink]:
        """Create the sinks; ``stack`` closes them, each whatever happens to the others."""
        from mien.runtime.output.tables import CsvStreamSink, JsonLinesSink, ParquetSink

        sinks: list[Sink] = []

        def add(sink: Sink) -> None:
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
