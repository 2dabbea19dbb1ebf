"""Tables and documents of results: CSV, JSON and Parquet, valid whenever the program is killed.

A *recording* is what the sinks of a stream write and :mod:`mien.runtime.recordings.read` reads; its schema is in
``docs/recordings.md``. The annotated video is :class:`mien.runtime.output.mp4.VideoSink`.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

from mien.core.errors import MienError, MissingExtraError
from mien.core.face import Frame
from mien.core.safe_text import json_text
from mien.runtime.output.columns import (
    PICTURE_COLUMNS,
    RECORDING_COLUMNS,
    RECORDING_SCHEMA,
    check_stream,
    picture_rows,
    recording_rows,
    unreadable_row,
)
from mien.runtime.output.sinks import OpenText, OutputFile, Picture, Sink, is_device, refuse_existing

DOCUMENT_SCHEMA = 1
"""Version of the JSON document of pictures, and of their JSON lines."""

Annotated = Callable[[], Path | None]
"""Gives the path of the annotated picture that was written last, if the frame at hand has one."""


def nowhere() -> None:
    """No annotated pictures are written."""


class CsvSink(Sink):
    """Pictures as a CSV file with the columns :data:`PICTURE_COLUMNS`: a row for each face and each other input."""

    def __init__(self, target: Path | TextIO, *, overwrite: bool = False, annotated: Annotated = nowhere) -> None:
        """Create a file, with its folders, or write into an open text file; and write the header.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = OutputFile(target, overwrite=overwrite) if isinstance(target, Path) else OpenText(target)
        self._annotated = annotated
        self._file.append(_csv_text([PICTURE_COLUMNS]))

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Append a row for each face and model, or one that says that there is no face."""
        self._file.append(_csv_text(picture_rows(frame, self._annotated())))

    def fail(self, source: str, error: MienError) -> None:
        """Append a row that says why there is nothing else."""
        self._file.append(_csv_text([unreadable_row(source, error)]))

    def close(self) -> None:
        """Close the file, unless it came open."""
        self._file.close()


class JsonSink(Sink):
    """Pictures as one document: ``{"schema": 1, "frames": [...], "errors": [{"source": ..., "error": ...}]}``."""

    def __init__(self, file: TextIO, *, annotated: Annotated = nowhere) -> None:
        """Write into an open text file, which stays open at the end."""
        self._file = OpenText(file)
        self._annotated = annotated
        self._errors: list[dict[str, str]] = []
        self._separator = "\n"
        self._file.append(f'{{"schema": {DOCUMENT_SCHEMA}, "frames": [')

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Append a frame on a line of its own."""
        self._file.append(f"{self._separator}{json_text(_document(frame, self._annotated()))}")
        self._separator = ",\n"

    def fail(self, source: str, error: MienError) -> None:
        """Keep the error for the end of the document."""
        self._errors.append({"source": source, "error": str(error)})

    def close(self) -> None:
        """Write the errors and end the document."""
        self._file.append(f'\n], "errors": {json_text(self._errors)}}}\n')


class PictureLinesSink(Sink):
    """One JSON object a line and picture, as it is read: a frame of :class:`JsonSink`, or a source and its error."""

    def __init__(self, target: Path | TextIO, *, overwrite: bool = False, annotated: Annotated = nowhere) -> None:
        """Create a file, with its folders, or write into an open text file, which stays open at the end.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = OutputFile(target, overwrite=overwrite) if isinstance(target, Path) else OpenText(target)
        self._annotated = annotated

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Append a frame."""
        self._append(_document(frame, self._annotated()))

    def fail(self, source: str, error: MienError) -> None:
        """Append an error."""
        self._append({"source": source, "error": str(error)})

    def close(self) -> None:
        """Close the file, unless it came open."""
        self._file.close()

    def _append(self, content: dict[str, Any]) -> None:
        self._file.append(json_text({"schema": DOCUMENT_SCHEMA, **content}) + "\n")


class CsvStreamSink(Sink):
    """A stream as a CSV file with the columns :data:`RECORDING_COLUMNS`.

    There is a row for each face of a frame, for each frame without a face, and for each event.
    Of several models the first one's probabilities are written; :class:`JsonLinesSink` keeps all.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        """Create the file, with its folders, and write the header.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = OutputFile(path, overwrite=overwrite)
        self._frames = 0
        self._file.append(_csv_text([RECORDING_COLUMNS]))

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Append the rows of one frame."""
        self._file.append(_csv_text(recording_rows(self._frames, frame)))
        self._frames += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JsonLinesSink(Sink):
    """One JSON object a line and frame: ``{"schema": 1, "frame": 0, ...}``, then :meth:`Frame.to_dict`'s keys."""

    def __init__(self, target: Path | TextIO, *, overwrite: bool = False) -> None:
        """Create a file, with its folders, or write into an open text file, which stays open at the end.

        Raises:
            MienError: it exists and ``overwrite`` is off, or it cannot be written.
        """
        self._file = OutputFile(target, overwrite=overwrite) if isinstance(target, Path) else OpenText(target)
        self._frames = 0

    def write(self, frame: Frame, picture: Picture) -> None:  # noqa: ARG002
        """Append one frame."""
        check_stream(frame)
        line = {"schema": RECORDING_SCHEMA, "frame": self._frames, **frame.to_dict()}
        self._file.append(json_text(line) + "\n")
        self._frames += 1

    def close(self) -> None:
        """Close the file, unless it came open."""
        self._file.close()


class ParquetSink(Sink):
    """A Parquet file with the columns :data:`RECORDING_COLUMNS`, made when the sink is closed.

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
        if is_device(path):
            raise MienError(f"{path}: Parquet ends with what it holds, so that it needs a file: name one")
        self._path = path
        self._journal = journal_of(path)
        if not overwrite:
            refuse_existing(path)
        self._rows = CsvStreamSink(self._journal, overwrite=overwrite)

    def write(self, frame: Frame, picture: Picture) -> None:
        """Append the rows of one frame."""
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


def _document(frame: Frame, annotated: Path | None) -> dict[str, Any]:
    return frame.to_dict() | ({} if annotated is None else {"annotated": str(annotated)})


def _csv_text(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _csv_to_parquet(source: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    types = {name: pa.type_for_alias(kind) for name, kind in RECORDING_COLUMNS.items()}
    schema = pa.schema(list(types.items()), metadata={"mien_recording": str(RECORDING_SCHEMA)})
    convert = pa_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
    read = pa_csv.ReadOptions(block_size=8 << 20, use_threads=False)
    with (
        pa_csv.open_csv(source, read_options=read, convert_options=convert) as batches,
        pq.ParquetWriter(target, schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch.cast(schema))
