"""Where a stream's results go, frame by frame: CSV, JSON lines and Parquet, valid whenever the program is killed.

A *recording* is what these sinks write and :mod:`mien.runtime.recording` reads; its schema is in
``docs/recordings.md``. The annotated video is :class:`mien.runtime.stream_video.VideoSink`.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

from mien.core.errors import MienError, MissingExtraError
from mien.core.expression import Expression
from mien.core.face import Event, Face, Frame, Reading
from mien.core.preprocess import Image

SCHEMA = 1
"""Version of the recording's schema; it grows when a column changes its meaning or goes."""

ROW_KINDS = ("face", "empty", "event")
"""A face of a frame; a frame without a face; an expression that began or ended."""

COLUMNS: dict[str, str] = {
    "schema": "int64",
    "row": "string",
    "frame": "int64",
    "time": "float64",
    "track": "int64",
    "detected": "bool",
    "box_x": "float64",
    "box_y": "float64",
    "box_width": "float64",
    "box_height": "float64",
    "score": "float64",
    "unmeasurable": "string",
    "model": "string",
    "held": "string",
    "polarity": "string",
    "candidates": "string",
    "coverage": "float64",
    **{f"raw_{e}": "float64" for e in Expression},
    **{f"smoothed_{e}": "float64" for e in Expression},
    "event": "string",
    "event_time": "float64",
    "event_expression": "string",
    "event_strength": "float64",
}
"""Name and type of each column of CSV and Parquet, in order; every one but the first four can be empty."""


class StreamSink(Protocol):
    """Takes a stream's frames one by one; :meth:`close` ends the output.

    What :meth:`write` took is in the file when it returns (not in this process's memory), and a sink's memory does not
    grow with the stream.
    """

    def write(self, frame: Frame, picture: Image) -> None:
        """Take one frame's results and its picture, RGB uint8 ``(height, width, 3)``.

        Raises:
            MienError: it cannot be written (a full disk); what was written before stays valid.
            ValueError: the frame has no time, or one of its faces no track.
        """
        ...

    def close(self) -> None:
        """Finish the output.

        Raises:
            MienError: it cannot be finished; what was written stays valid.
        """
        ...


class CsvStreamSink:
    """A CSV file with the columns :data:`COLUMNS`: a row for each face and frame, for each empty frame and event.

    Of several models the first one's probabilities are written; :class:`JsonLinesSink` keeps all.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Create the file, with its folders, and write the header.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = _AppendedFile(path, overwrite=overwrite)
        self._frames = 0
        self._file.append(_csv_text([list(COLUMNS)]))

    def write(self, frame: Frame, picture: Image) -> None:  # noqa: ARG002
        """Append the rows of one frame; its picture is not kept."""
        self._file.append(_csv_text(_rows(self._frames, frame)))
        self._frames += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesSink:
    """One JSON object a line and frame: ``{"schema": 1, "frame": 0, ...}``, then :meth:`Frame.to_dict`'s keys."""

    def __init__(self, target: Path | TextIO, *, overwrite: bool = False) -> None:
        """Create a file, with its folders, or write into an open text file, which stays open at the end.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = _AppendedFile(target, overwrite=overwrite) if isinstance(target, Path) else _OpenText(target)
        self._frames = 0

    def write(self, frame: Frame, picture: Image) -> None:  # noqa: ARG002
        """Append one frame; its picture is not kept."""
        _check_stream(frame)
        line = {"schema": SCHEMA, "frame": self._frames, **frame.to_dict()}
        self._file.append(json.dumps(line, ensure_ascii=False) + "\n")
        self._frames += 1

    def close(self) -> None:
        """Close the file, unless it came open."""
        self._file.close()


class ParquetSink:
    """A Parquet file with the columns :data:`COLUMNS`, made when the sink is closed.

    A Parquet file is unreadable without its footer, which can only be written last. Until then the rows stand in a CSV
    recording beside it, ``NAME.parquet.csv``, which is whole at every moment: after a kill nothing is lost, and
    ``mien report NAME.parquet`` reads it from there.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Create the CSV recording beside ``path``.

        Raises:
            MissingExtraError: pyarrow is not installed.
            MienError: one of the two files exists and ``overwrite`` is off, or cannot be written.
        """
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtraError("pyarrow", "parquet", "writing Parquet")
        self._path = path
        self._journal = journal_of(path)
        if not overwrite:
            _refuse_existing(path)
        self._rows = CsvStreamSink(self._journal, overwrite=overwrite)

    def write(self, frame: Frame, picture: Image) -> None:
        """Append the rows of one frame; its picture is not kept."""
        self._rows.write(frame, picture)

    def close(self) -> None:
        """Turn the rows into Parquet, some thousand at a time, and remove the CSV recording."""
        self._rows.close()
        part = self._path.with_name(self._path.name + ".part")
        try:
            _csv_to_parquet(self._journal, part)
            part.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise MienError(
                f"{self._path}: cannot be written ({error.strerror or error}); all its rows are in {self._journal}"
            ) from None
        self._journal.unlink()


def journal_of(parquet: Path) -> Path:
    """Where the rows of a Parquet file stand until it is finished."""
    return parquet.with_name(parquet.name + ".csv")


class _AppendedFile:
    """A file that only ever ends after whole lines: an append that fails halfway is taken back."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(path, "w" if overwrite else "x")
        except FileExistsError:
            _refuse_existing(path)
            raise MienError(f"{path}: its folder cannot be made, as a file has that name") from None
        except OSError as error:
            raise MienError(f"{path}: cannot be written ({error.strerror})") from None
        self._whole = 0

    def append(self, text: str) -> None:
        data = memoryview(text.encode("utf-8"))
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        except OSError as error:
            self._file.truncate(self._whole)
            self._file.seek(self._whole)
            raise MienError(
                f"{self._path}: cannot be written any further ({error.strerror}); "
                f"what was written before, {self._whole:,} bytes, stays valid"
            ) from None
        self._whole += done

    def close(self) -> None:
        self._file.close()


class _OpenText:
    """Somebody else's text file, such as standard output."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def append(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        """It stays open."""


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise MienError(f"{path}: exists already; choose another name, or allow it to be replaced (--overwrite)")


def _check_stream(frame: Frame) -> float:
    """The frame's time, refused where the frame is a single picture's."""
    if frame.time is None or any(face.track is None for face in frame.faces):
        raise ValueError("a stream's frame needs a time, and each of its faces a track")
    return frame.time


def _csv_text(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _rows(index: int, frame: Frame) -> Iterator[list[str]]:
    """The rows of one frame as text, in the order of :data:`COLUMNS`."""
    time = f"{_check_stream(frame):.6f}"
    rows: list[dict[str, str]] = [{"row": "face", **_face_cells(face)} for face in frame.faces] or [{"row": "empty"}]
    rows += [{"row": "event", **_event_cells(event)} for event in frame.events]
    for row in rows:
        cells = {"schema": str(SCHEMA), "frame": str(index), "time": time, **row}
        yield [cells.get(column, "") for column in COLUMNS]


def _face_cells(face: Face) -> dict[str, str]:
    track, box = face.track, face.box
    assert track is not None  # noqa: S101  # _check_stream refused it
    cells = {
        "track": str(track.id),
        "detected": "true" if track.detected else "false",
        "box_x": f"{box.x:.2f}",
        "box_y": f"{box.y:.2f}",
        "box_width": f"{box.width:.2f}",
        "box_height": f"{box.height:.2f}",
        "score": f"{face.score:.4f}",
        "unmeasurable": face.unmeasurable or "",
        "held": track.held or "",
        "polarity": track.held.polarity if track.held else "",
    }
    if track.smoothed:
        smoothed = track.smoothed
        cells["model"] = smoothed.model
        cells["candidates"] = " ".join(smoothed.candidates)
        cells["coverage"] = f"{smoothed.coverage:g}"
        cells.update(_probability_cells("smoothed", smoothed))
    if face.readings:
        cells["model"] = face.reading.model
        cells.update(_probability_cells("raw", face.reading))
    return cells


def _probability_cells(prefix: str, reading: Reading) -> dict[str, str]:
    return {f"{prefix}_{e}": f"{p:.6f}" for e, p in zip(reading.labels, reading.probabilities, strict=True)}


def _event_cells(event: Event) -> dict[str, str]:
    return {
        "track": str(event.track),
        "event": event.kind,
        "event_time": f"{event.time:.6f}",
        "event_expression": event.expression,
        "event_strength": f"{event.strength:.6f}",
    }


def _csv_to_parquet(source: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    types = {name: pa.type_for_alias(kind) for name, kind in COLUMNS.items()}
    schema = pa.schema(list(types.items()), metadata={"mien_recording": str(SCHEMA)})
    convert = pa_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    read = pa_csv.ReadOptions(block_size=8 << 20, use_threads=False)
    with (
        pa_csv.open_csv(source, read_options=read, convert_options=convert) as batches,
        pq.ParquetWriter(target, schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch.cast(schema))
