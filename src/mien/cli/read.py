"""``mien read``: expressions in pictures and folders of pictures."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.detector import say_if_haar
from mien.cli.options import FaceDetector, MinScore, MinSize, Models, Quiet, SearchSize
from mien.cli.progress import say
from mien.core.errors import MienError, PictureError

if TYPE_CHECKING:
    from mien.core.face import Frame
    from mien.core.preprocess import Image
    from mien.runtime.output.annotated import SourcePictures
    from mien.runtime.output.sinks import Sink
    from mien.runtime.recognizer import Recognizer

_DASH = Path("-")
_STANDARD_INPUT = "standard input"
_CUT_OUT = 150
"""Side below which a picture without a face may well be a face that was cut out, pixels."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(read)


def read(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders that are searched, or - for standard input."),
    ],
    model: Models = None,
    detector: FaceDetector = "auto",
    min_size: MinSize = None,
    search_size: SearchSize = None,
    min_score: MinScore = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    jsonl: Annotated[
        Path | None,
        typer.Option(help="Write a JSON line for each picture; - prints them as they come.", metavar="FILE"),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write a row for each face and model, and each other input; - prints them.", metavar="FILE"),
    ] = None,
    annotate: Annotated[Path | None, typer.Option(help="Write annotated pictures here.", metavar="DIR")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.", metavar="FILE")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Lay over each face in --annotate and --report what speaks for its expression."),
    ] = False,
    provider: Annotated[str, typer.Option(help="ONNX Runtime execution provider.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads for decoding, searching and reading.")] = 1,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger pictures before they are decoded.")
    ] = 100_000_000,
    quiet: Quiet = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first picture that cannot be read.")] = False,
) -> None:
    """Read the expressions of all faces in pictures.

    Ends with 1 if a picture could not be read or annotated; the others are read all the same, unless --strict.
    """
    import cv2

    from mien.runtime.inference.activation import ActivationMapper
    from mien.runtime.inference.library import DEFAULT_MODEL
    from mien.runtime.output.annotated import AnnotateSink, SourcePictures
    from mien.runtime.recognizer import Recognizer

    if explain and not (annotate or report):
        raise typer.BadParameter("it draws into pictures: add --annotate DIR or --report FILE", param_hint="--explain")
    outputs = _Outputs(
        json_=json_, jsonl=jsonl, csv=csv, annotate=annotate, report=report, overwrite=overwrite, quiet=quiet
    )
    outputs.refuse(paths)
    cv2.setNumThreads(threads)
    if not quiet:
        say_if_haar(detector, offer=not json_ and "-" not in [*paths, str(csv), str(jsonl)])
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
    annotator = AnnotateSink(annotate, inputs=paths, overwrite=overwrite) if annotate else None
    sinks = outputs.open(recognizer, explain=explain, annotated=annotator.last if annotator else None)
    failed, hints = False, _Hints()

    def fail(source: str, error: PictureError) -> None:
        nonlocal failed
        failed = True
        for sink in sinks:
            sink.fail(source, error)
        if strict:
            raise error
        say(f"mien: {error}")

    given = _Inputs(paths, fail, pictures, without=outputs.paths, max_pixels=max_pixels)
    try:
        for frame in map(given.named, recognizer.read_many(given, on_error=fail)):
            picture = partial(pictures.of, frame)
            if annotator:
                try:
                    annotator.write(frame, picture)
                except MienError as error:
                    failed = True
                    say(f"mien: {error}")
            for sink in sinks:
                sink.write(frame, picture)
            hints.take(frame)
    finally:
        for sink in sinks:
            sink.close()
    if not quiet:
        hints.tell(given.left_out)
    if failed:
        raise typer.Exit(1)


class _Hints:
    """What the user may have meant otherwise, told after the last picture."""

    def __init__(self) -> None:
        self._small = 0
        self._animated: list[str] = []

    def take(self, frame: Frame) -> None:
        from mien.core.pictures import animation_format

        self._small += not frame.faces and max(frame.width, frame.height) < _CUT_OUT
        path = Path(frame.source or "")
        if frame.source and path.is_file() and animation_format(path):
            self._animated.append(frame.source)

    def tell(self, left_out: Counter[str]) -> None:
        from mien.core.picture_files import say_left_out
        from mien.runtime.output.terminal import counted

        if left_out:
            say(f"mien: {say_left_out(left_out)}")
        if self._animated:
            first, *others = self._animated
            more = f", as are {len(others)} others" if others else ""
            say(f"mien: {first} is animated{more}: the first picture was read. For all of them: mien watch {first}")
        if self._small:
            say(
                f"mien: no face was found in {counted(self._small, 'picture')} of less than {_CUT_OUT} pixels. Where a "
                "picture is a face that was cut out already, read it with --detector whole"
            )


class _Inputs:
    """The pictures of all paths; a folder without one, or a pipe that holds none, fails in its turn.

    A picture that comes through a pipe is decoded here, as it can be read only once.
    """

    def __init__(
        self,
        paths: list[str],
        fail: Callable[[str, PictureError], None],
        pictures: SourcePictures,
        *,
        without: list[Path],
        max_pixels: int,
    ) -> None:
        self.left_out = Counter[str]()
        self._paths = paths
        self._fail = fail
        self._pictures = pictures
        self._without = without
        self._max_pixels = max_pixels
        self._piped: deque[str] = deque()

    def __iter__(self) -> Iterator[Path | Image]:
        from mien.core.picture_files import iter_pictures

        for path in self._paths:
            try:
                if path == "-" or _is_pipe(path):
                    yield self._through_pipe(path)
                else:
                    yield from iter_pictures([path], left_out=self.left_out, without=self._without)
            except PictureError as error:
                self._fail(_STANDARD_INPUT if path == "-" else path, error)

    def named(self, frame: Frame) -> Frame:
        """The frame with the name of the pipe that its picture came through; those come in their order."""
        return replace(frame, source=self._piped.popleft()) if frame.source is None else frame

    def _through_pipe(self, path: str) -> Image:
        from mien.core.pictures import read_picture, read_stream

        name = path
        if path == "-":
            name = _STANDARD_INPUT
            if sys.stdin is None or sys.stdin.isatty():
                raise PictureError(f"{name} holds no picture: pipe one into it, as in mien read - < photo.jpg")
            picture = read_stream(sys.stdin.buffer, name, max_pixels=self._max_pixels)
        else:
            picture = read_picture(path, max_pixels=self._max_pixels)
        self._pictures.keep(name, picture)
        self._piped.append(name)
        return picture


def _is_pipe(path: str) -> bool:
    place = Path(path)
    return place.exists() and not (place.is_file() or place.is_dir())


@dataclass(frozen=True, kw_only=True)
class _Outputs:
    """What to write, and where."""

    json_: bool
    jsonl: Path | None
    csv: Path | None
    annotate: Path | None
    report: Path | None
    overwrite: bool
    quiet: bool

    def refuse(self, inputs: list[str]) -> None:
        """Refuse what contradicts itself, before a model is loaded or anything is read."""
        from mien.runtime.output.sinks import refuse_outputs

        printed = ["--json"] if self.json_ else []
        printed += [f"{option} -" for option, path in self._lines().items() if path == _DASH]
        if len(printed) > 1:
            raise typer.BadParameter(f"{' and '.join(printed)} would both print: give one of them a file")
        files = {option: path for option, path in self._lines().items() if path != _DASH}
        refuse_outputs({**files, "--report": self.report}, overwrite=self.overwrite, inputs=inputs)
        if self.annotate and self.annotate.resolve() in [Path(path).resolve() for path in inputs]:
            raise MienError(
                f"--annotate {self.annotate}: that folder is read, and what is written there would be too: name another"
            )

    def open(self, recognizer: Recognizer, *, explain: bool, annotated: Callable[[], Path | None] | None) -> list[Sink]:
        """Create the files, and what prints."""
        from mien.runtime.output.tables import CsvSink, JsonSink, PictureLinesSink, nowhere
        from mien.runtime.output.terminal import TableSink

        detector, models = recognizer.detector.name, [model.manifest for model in recognizer.models]
        last = annotated or nowhere
        sinks: list[Sink] = []
        for path, sink in ((self.csv, CsvSink), (self.jsonl, PictureLinesSink)):
            if path:
                target = sys.stdout if path == _DASH else path
                sinks.append(sink(target, overwrite=self.overwrite, annotated=last))
        if self.report:
            from mien.runtime.output.report import ReportSink

            explained = models[0].name if explain else None
            sinks.append(
                ReportSink(self.report, detector=detector, models=models, explained=explained, overwrite=self.overwrite)
            )
        if self.json_:
            sinks.append(JsonSink(sys.stdout, annotated=last))
        elif not self.quiet and _DASH not in self._lines().values():
            from rich.console import Console

            sinks.append(TableSink(Console(), detector=detector, models=[model.name for model in models]))
        return sinks

    @property
    def paths(self) -> list[Path]:
        """All files and folders that are written."""
        return [path for path in (self.jsonl, self.csv, self.annotate, self.report) if path and path != _DASH]

    def _lines(self) -> dict[str, Path | None]:
        return {"--csv": self.csv, "--jsonl": self.jsonl}
