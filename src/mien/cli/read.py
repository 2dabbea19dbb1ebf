"""``mien read``: expressions in pictures and folders of pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.detector import say_if_haar
from mien.cli.options import FaceDetector, MinScore, MinSize, Models, SearchSize
from mien.core.errors import PictureError

if TYPE_CHECKING:
    from mien.runtime.output.sinks import Sink
    from mien.runtime.recognizer import Recognizer

_CUT_OUT = 150
"""Side below which a picture without a face may well be a face that was cut out, pixels."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(read)


def read(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Pictures, or folders that are searched.")],
    model: Models = None,
    detector: FaceDetector = "auto",
    min_size: MinSize = None,
    search_size: SearchSize = None,
    min_score: MinScore = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a row for each face and model.", metavar="FILE")] = None,
    annotate: Annotated[Path | None, typer.Option(help="Write annotated pictures here.", metavar="DIR")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.", metavar="FILE")] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Lay over each face in --annotate and --report what speaks for its expression."),
    ] = False,
    provider: Annotated[str, typer.Option(help="ONNX Runtime execution provider.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads for decoding, searching and reading.")] = 1,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger pictures before they are decoded.")
    ] = 100_000_000,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")] = False,
) -> None:
    """Read the expressions of all faces in pictures.

    Ends with 1 if a picture could not be read; the others are read all the same, unless --strict.
    """
    import cv2

    from mien.core.pictures import animation_format
    from mien.runtime.inference.activation import ActivationMapper
    from mien.runtime.inference.library import DEFAULT_MODEL
    from mien.runtime.output.annotated import SourcePictures
    from mien.runtime.recognizer import Recognizer

    if explain and not (annotate or report):
        raise typer.BadParameter("it draws into pictures: add --annotate DIR or --report FILE", param_hint="--explain")
    cv2.setNumThreads(threads)
    say_if_haar(detector, offer=not json_)
    recognizer = Recognizer(
        model or DEFAULT_MODEL,
        detector=detector,
        provider=provider,
        threads=threads,
        min_score=min_score,
        min_size=min_size,
        search_size=search_size,
        max_pixels=max_pixels,
    )
    mapper = ActivationMapper(recognizer.models[0]) if explain else None
    pictures = SourcePictures(max_pixels=max_pixels, mapper=mapper)
    sinks = _sinks(recognizer, json_=json_, csv=csv, annotate=annotate, report=report, explain=explain)
    failed = False
    small = 0
    moving: list[str] = []

    def fail(source: str, error: PictureError) -> None:
        nonlocal failed
        failed = True
        for sink in sinks:
            sink.fail(source, error)
        if strict:
            raise error
        print(f"mien: {error}", file=sys.stderr)

    try:
        for frame in recognizer.read_many(_pictures(paths, fail), on_error=fail):
            for sink in sinks:
                sink.write(frame, partial(pictures.of, frame))
            if not frame.faces and max(frame.width, frame.height) < _CUT_OUT:
                small += 1
            if frame.source and animation_format(Path(frame.source)):
                moving.append(frame.source)
    finally:
        for sink in sinks:
            sink.close()
    if moving:
        _suggest_watch(moving)
    if small:
        _suggest_whole(small)
    if failed:
        raise typer.Exit(1)


def _suggest_watch(moving: list[str]) -> None:
    others = f", as are {len(moving) - 1} others" if len(moving) > 1 else ""
    print(
        f"mien: {moving[0]} is animated{others}: the first picture was read. For all of them: mien watch {moving[0]}",
        file=sys.stderr,
    )


def _suggest_whole(count: int) -> None:
    from mien.runtime.output.terminal import counted

    print(
        f"mien: no face was found in {counted(count, 'picture')} of less than {_CUT_OUT} pixels. Where a picture is a "
        "face that was cut out already, read it with --detector whole",
        file=sys.stderr,
    )


def _pictures(paths: list[str], fail: Callable[[str, PictureError], None]) -> Iterator[Path]:
    """The pictures of all paths; a folder without one fails in its turn."""
    from mien.core.pictures import iter_pictures

    for path in paths:
        try:
            yield from iter_pictures([path])
        except PictureError as error:
            fail(path, error)


def _sinks(
    recognizer: Recognizer,
    *,
    json_: bool,
    csv: Path | None,
    annotate: Path | None,
    report: Path | None,
    explain: bool,
) -> list[Sink]:
    from mien.runtime.output.annotated import AnnotateSink
    from mien.runtime.output.tables import CsvSink, JsonSink
    from mien.runtime.output.terminal import TableSink

    detector, models = recognizer.detector.name, [model.manifest for model in recognizer.models]
    sinks: list[Sink] = []
    if csv:
        sinks.append(CsvSink(csv))
    if annotate:
        sinks.append(AnnotateSink(annotate))
    if report:
        from mien.runtime.output.report import ReportSink

        sinks.append(
            ReportSink(report, detector=detector, models=models, explained=models[0].name if explain else None)
        )
    if json_:
        sinks.append(JsonSink(sys.stdout))
    else:
        from rich.console import Console

        sinks.append(TableSink(Console(), detector=detector, models=[model.name for model in models]))
    return sinks
