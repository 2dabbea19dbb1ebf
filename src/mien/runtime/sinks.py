"""Where results go: a table, JSON, CSV, annotated pictures. Each writes as it goes and keeps nothing but counts.

The HTML report is a sink too: :class:`mien.runtime.report.ReportSink`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

import cv2

from mien.core.errors import MienError
from mien.core.expression import Expression
from mien.core.face import Face, Frame, Reading
from mien.core.pictures import MAX_PIXELS, read_picture
from mien.core.preprocess import Image
from mien.runtime.draw import annotate

if TYPE_CHECKING:
    from rich.console import Console

    from mien.runtime.cam import ActivationMapper

SCHEMA = 1
"""Version of the JSON document."""

CSV_COLUMNS = (
    *("source", "width", "height", "detector", "face", "box_x", "box_y", "box_width", "box_height", "score"),
    *("model", "expression", "confidence", "polarity", "candidates", "coverage", "energy"),
    *(str(e) for e in Expression),
)
"""One row for each face and model; an expression that the model does not know is empty."""


class Sink(Protocol):
    """Takes frames and errors one by one; :meth:`close` ends the output."""

    def write(self, frame: Frame) -> None:
        """Take one picture's results."""
        ...

    def fail(self, source: str, error: MienError) -> None:
        """Take note of a picture that could not be read."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class JsonSink:
    """One JSON document: ``{"schema": 1, "frames": [...], "errors": [{"source": ..., "error": ...}]}``."""

    def __init__(self, file: TextIO) -> None:
        """Write into an open text file."""
        self._file = file
        self._errors: list[dict[str, str]] = []
        self._separator = "\n"
        file.write(f'{{"schema": {SCHEMA}, "frames": [')

    def write(self, frame: Frame) -> None:
        """Append a frame on a line of its own."""
        self._file.write(f"{self._separator}{json.dumps(frame.to_dict(), ensure_ascii=False)}")
        self._separator = ",\n"

    def fail(self, source: str, error: MienError) -> None:
        """Keep the error for the end of the document."""
        self._errors.append({"source": source, "error": str(error)})

    def close(self) -> None:
        """Write the errors and end the document."""
        self._file.write(f'\n], "errors": {json.dumps(self._errors, ensure_ascii=False)}}}\n')
        self._file.flush()


class CsvSink:
    """A CSV file with the columns :data:`CSV_COLUMNS`; a picture without a face has no row.

    Raises:
        MienError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        """Create the file and write its header."""
        self._file = open_for_writing(path)
        self._rows = csv.writer(self._file)
        self._rows.writerow(CSV_COLUMNS)

    def write(self, frame: Frame) -> None:
        """Append a row for each face and model."""
        for number, face in enumerate(frame.faces, start=1):
            self._rows.writerows(_csv_row(frame, number, face, reading) for reading in face.readings)

    def fail(self, source: str, error: MienError) -> None:
        """Errors have no row."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Drawings:
    """Annotated pictures of frames, read again from their files so that no picture waits in memory.

    The last one is kept, for the next sink that wants it.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS, mapper: ActivationMapper | None = None) -> None:
        """Read pictures of up to ``max_pixels``; with a ``mapper`` class activation maps lie over their faces."""
        self._max_pixels = max_pixels
        self._mapper = mapper
        self._last: tuple[str, Image] | None = None

    @property
    def explained(self) -> str | None:
        """Name of the model whose maps lie over the faces; None where there are no maps."""
        return self._mapper.classifier.name if self._mapper else None

    def picture(self, frame: Frame) -> Image:
        """The frame's picture without frames and words, with its maps where there is a mapper.

        Raises:
            PictureError: its file is gone, or the frame came from no file.
        """
        source = frame.source or ""
        if self._last is None or self._last[0] != source:
            picture = read_picture(source, max_pixels=self._max_pixels)
            self._last = (source, self._mapper.draw(picture, frame) if self._mapper else picture)
        return self._last[1]


class AnnotateSink:
    """Annotated pictures in a folder, as ``NAME-mien.jpg``; a name that is taken in this run gets a number.

    Raises:
        MienError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, drawings: Drawings) -> None:
        """Make the folder."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MienError(f"{folder}: the folder cannot be made ({error.strerror})") from None
        self._folder = folder
        self._drawings = drawings
        self._used: dict[str, int] = {}

    def write(self, frame: Frame) -> None:
        """Write the annotated picture."""
        stem = Path(frame.source or "picture").stem
        count = self._used[stem] = self._used.get(stem, 0) + 1
        path = self._folder / f"{stem}{'' if count == 1 else f'-{count}'}-mien.jpg"
        try:
            path.write_bytes(encode_jpeg(annotate(self._drawings.picture(frame), frame), quality=92))
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None

    def fail(self, source: str, error: MienError) -> None:
        """Errors have no picture."""

    def close(self) -> None:
        """Everything has been written."""


class TableSink:
    """A table on the terminal, row by row, and a line of counts below it."""

    def __init__(self, console: Console, *, detector: str, models: Sequence[str]) -> None:
        """Print to ``console``; detector and models are named below the table."""
        self._console = console
        self._named = f"detector {detector} · {'models' if len(models) > 1 else 'model'} {', '.join(models)}"
        self._several = len(models) > 1
        widths = {"face": 4, "expression": 10, "": 5, "polarity": 8}
        if self._several:
            widths["model"] = min(max(5, *map(len, models)), 18)
        rest = max(console.width - sum(widths.values()) - 2 * (len(widths) + 1), 36)
        self._widths = {"picture": rest // 2, **widths, "could be": rest - rest // 2}
        self._pictures = self._faces = self._without = self._rejected = self._failed = 0
        self._coverage = 0.0

    def write(self, frame: Frame) -> None:
        """Print a row for each face and model, or one that says there is none."""
        if self._pictures == 0:
            self._print(list(self._widths), style="bold")
        self._pictures += 1
        self._faces += len(frame)
        self._rejected += frame.rejected
        self._without += len(frame) == 0
        name = _tail(frame.source or "picture", self._widths["picture"])
        if not frame.faces:
            self._print([name, "–", "no face"], style="dim")
        for number, face in enumerate(frame.faces, start=1):
            for reading in face.readings:
                self._coverage = reading.coverage
                percent = f"{reading.confidence * 100:.0f} %"
                model = [reading.model] if self._several else []
                row = [str(number), reading.expression, percent, reading.polarity, *model, reading.describe()]
                self._print([name, *row])

    def fail(self, source: str, error: MienError) -> None:  # noqa: ARG002
        """Count the failure; the command prints it."""
        self._failed += 1

    def close(self) -> None:
        """Print the counts, and what read."""
        counts = [_counted(self._pictures, "picture"), _counted(self._faces, "face")]
        counts += [f"{self._without} without a face"] if self._without else []
        counts += [_counted(self._rejected, "find") + " rejected as no face"] if self._rejected else []
        counts += [f"{self._failed} could not be read"] if self._failed else []
        self._console.print(f"\n{' · '.join(counts)}", highlight=False, markup=False)
        meaning = f" · 'could be' holds the truth for {self._coverage * 100:.0f} % of faces" if self._coverage else ""
        self._console.print(self._named + meaning, style="dim", highlight=False, markup=False)

    def _print(self, cells: Sequence[str], style: str = "") -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0))
        for width in self._widths.values():
            table.add_column(width=width)
        table.add_row(*(Text(cell) for cell in cells), style=style)
        self._console.print(table)


def encode_jpeg(picture: Image, *, quality: int) -> bytes:
    """An RGB picture as the bytes of a JPEG file.

    Raises:
        MienError: a side is longer than a JPEG's may be (65,500 pixels).
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    try:
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        ok = False
    if not ok:
        raise MienError(f"a picture of {picture.shape[1]} x {picture.shape[0]} cannot be encoded as JPEG: reduce it")
    return data.tobytes()


def open_for_writing(path: Path) -> TextIO:
    """A text file, opened for writing in a folder that is made where it is missing.

    Raises:
        MienError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise MienError(f"{path}: cannot be written ({error.strerror})") from None


def _csv_row(frame: Frame, number: int, face: Face, reading: Reading) -> list[object]:
    box = face.box
    place = [f"{value:.2f}" for value in (box.x, box.y, box.width, box.height)]
    return [
        *(frame.source, frame.width, frame.height, frame.detector, number, *place, f"{face.score:.4f}"),
        *(reading.model, reading.expression, f"{reading.confidence:.6f}", reading.polarity),
        *(" ".join(reading.candidates), reading.coverage, f"{reading.energy:.4f}"),
        *(f"{reading.probability(e):.6f}" if e in reading.labels else "" for e in Expression),
    ]


def _tail(path: str, width: int) -> str:
    return path if len(path) <= width else "…" + path[-(width - 1) :]


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
