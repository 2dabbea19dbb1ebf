"""Recordings read back from the CSV, JSON lines and Parquet files that a stream's sinks write."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import LabelError, MienError, MissingExtraError
from mien.core.expression import Expression
from mien.core.face import Event
from mien.runtime.output.columns import RECORDING_COLUMNS, RECORDING_SCHEMA, ROW_KINDS
from mien.runtime.output.tables import journal_of

UNCERTAIN, UNMEASURABLE = "uncertain", "not measurable"

STATES: tuple[str, ...] = (*(str(e) for e in Expression), UNCERTAIN, UNMEASURABLE)
"""What a face can be in at a moment: the expression that is held, uncertain while none is, or not measurable."""

_NEEDED = (
    *("schema", "row", "frame", "time", "track", "unmeasurable", "model", "held"),
    *("event", "event_time", "event_expression", "event_strength"),
    *(f"smoothed_{e}" for e in Expression),
)
_SINGLE = tuple(str(e) for e in Expression)
"""Single frames' probabilities; schema 1 wrote ``raw_`` before them."""
_PARSERS = {"int64": int, "float64": float, "string": str}
_TYPES: dict[str, type | tuple[type, ...]] = {"int64": int, "float64": (int, float), "string": str}
_EXPECTED = "expected a recording that 'mien watch' wrote with --csv, --jsonl or --parquet"


@dataclass(frozen=True, eq=False)
class Recording:
    """One stream's faces over time, F frames and n faces in them.

    Attributes:
        name: of its file, without folder.
        models: names of the models that read the faces.
        times: ``(F,)`` float64, seconds of each frame from the start, never falling.
        frames: ``(n,)`` int64, index into ``times`` of each face.
        tracks: ``(n,)`` int64, track of each face.
        states: ``(n,)`` int64, index into :data:`STATES` of each face.
        smoothed: ``(n, 8)`` float32, smoothed probabilities in the order of :class:`Expression`, 0 for one that the
            model does not know; NaN where the face was not measurable.
        probabilities: ``(n, 8)`` float32, those of each single frame, before smoothing, likewise.
        reasons: ``(n,)`` str, why each face was not measurable; empty where it was.
        events: what began and ended, and cuts.
        notes: what the reader must know: that the last line was cut, that the program was killed.
    """

    name: str
    models: tuple[str, ...]
    times: NDArray[np.float64]
    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    states: NDArray[np.int64]
    smoothed: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    reasons: NDArray[np.str_]
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()


def read_recording(path: str | Path) -> Recording:
    """Read a recording of any format; the content tells which, not the name.

    A last line that is cut, as a kill or a full disk leaves it, is left out and noted. For a Parquet file that was
    never finished the rows are taken from the CSV recording beside it.

    Raises:
        MienError: no such file, not a recording, a damaged line, or no frame in it.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    path = Path(path)
    notes: list[str] = []
    source = path
    if not path.exists() and journal_of(path).exists():
        source = journal_of(path)
        notes.append(f"the program ended before {path.name} was finished; its rows were read from {source.name}")
    try:
        with source.open("rb") as file:  # closed where a row is refused too, in the middle of its reader
            head = file.read(4)
            file.seek(0)
            if head == b"PAR1":
                return _collect(path.name, map(_typed, _parquet_rows(file)), notes)
            if head.startswith(b"{"):
                return _collect(path.name, map(_typed, _json_rows(file, notes)), notes)
            return _collect(path.name, _csv_rows(file, notes), notes)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise MienError(f"{path}: {reason}; {_EXPECTED}") from None
    except UnicodeDecodeError:
        raise MienError(f"{path}: is no text; {_EXPECTED}") from None
    except (csv.Error, OverflowError) as error:
        raise MienError(f"{path}: is damaged: {error}; {_EXPECTED}") from None
    except _RefusedError as error:
        raise MienError(f"{path}: {error}") from None


class _RefusedError(Exception):
    """What is wrong with a file, without its name."""


Row = Mapping[str, Any]
"""The cells of :data:`_NEEDED`, typed; None where empty."""


def _whole_lines(file: BinaryIO, notes: list[str]) -> Iterator[str]:
    for line in file:
        if not line.endswith(b"\n"):
            notes.append("its last line is cut and was left out")
            return
        yield line.decode("utf-8")


def _csv_rows(file: BinaryIO, notes: list[str]) -> Iterator[Row]:
    reader = csv.reader(_whole_lines(file, notes))
    header = next(reader, None)
    if header is None:
        raise _RefusedError(f"is empty; {_EXPECTED}")
    if not set(_NEEDED) <= set(header):
        found = ", ".join(header)[:120]
        raise _RefusedError(f"{_EXPECTED}, but its columns are: {found}")
    read = {name: name for name in _NEEDED} | _single_columns(header)
    parsers = {name: (header.index(found), _PARSERS[RECORDING_COLUMNS[name]]) for name, found in read.items()}
    for cells in reader:
        if len(cells) != len(header):
            raise _RefusedError(f"line {reader.line_num} is damaged: {len(cells)} cells instead of {len(header)}")
        try:
            yield {name: parse(cells[at]) if cells[at] else None for name, (at, parse) in parsers.items()}
        except ValueError as error:
            raise _RefusedError(f"line {reader.line_num} is damaged: {error}") from None


def _single_columns(header: Sequence[str]) -> dict[str, str]:
    """The columns of single frames' probabilities that a table has, by the expression that they are of."""
    named = {name: f"raw_{name}" if f"raw_{name}" in header else name for name in _SINGLE}
    return {name: found for name, found in named.items() if found in header}


def _json_rows(file: BinaryIO, notes: list[str]) -> Iterator[Row]:
    for number, line in enumerate(_whole_lines(file, notes), start=1):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _RefusedError(f"line {number} is damaged or no JSON object; {_EXPECTED}")
        if not {"schema", "frame", "time", "faces", "events"} <= set(document):
            raise _RefusedError(f"{_EXPECTED}, but line {number} has the keys: {', '.join(document)[:120]}")
        try:
            yield from _frame_rows(document)
        except (TypeError, KeyError, AttributeError) as error:
            raise _RefusedError(f"line {number} is damaged: {type(error).__name__} {error}") from None


def _frame_rows(document: Any) -> Iterator[Row]:
    common = dict.fromkeys(_NEEDED) | {name: document[name] for name in ("schema", "frame", "time")}
    if not document["faces"]:
        yield common | {"row": "empty"}
    for face in document["faces"]:
        track = face["track"]
        smoothed = track["smoothed"] or {"model": None, "probabilities": {}}
        cells = {f"smoothed_{name}": value for name, value in smoothed["probabilities"].items()}
        cells |= face["readings"][0]["probabilities"] if face.get("readings") else {}
        cells |= {"track": track["id"], "held": track["held"], "model": smoothed["model"]}
        yield common | {"row": "face", "unmeasurable": face["unmeasurable"], **cells}
    for event in document["events"]:
        cells = {f"event_{name}": event[name] for name in ("time", "expression", "strength")}
        yield common | {"row": "event", "track": event["track"], "event": event["kind"], **cells}


def _parquet_rows(file: BinaryIO) -> Iterator[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "reading Parquet") from None
    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            if not set(_NEEDED) <= set(names):
                raise _RefusedError(f"{_EXPECTED}, but its columns are: {', '.join(names)[:120]}")
            single = _single_columns(names)
            for batch in table.iter_batches(batch_size=4096, columns=[*_NEEDED, *single.values()]):
                renamed = batch.rename_columns([*_NEEDED, *single])
                yield from cast(list[Row], renamed.to_pylist())
    except pa.ArrowException as error:
        raise _RefusedError(f"is damaged, or was not written to its end: {error}") from None


def _typed(row: Row) -> Row:
    """A row of a format that lets any cell be anything, refused where one is not of its column's type."""
    for name in (*_NEEDED, *_SINGLE):
        if row.get(name) is not None and not isinstance(row[name], _TYPES[RECORDING_COLUMNS[name]]):
            raise _RefusedError(f"the {name} of a row at {row['time']} s is {row[name]!r:.40}")
    return row


def _collect(name: str, rows: Iterable[Row], notes: list[str]) -> Recording:
    """A recording of its rows, each checked."""
    times: dict[int, float] = {}
    faces: list[tuple[int, int, int, str]] = []
    smoothed: list[list[float]] = []
    single: list[list[float]] = []
    events: list[Event] = []
    models: dict[str, None] = {}
    columns = [f"smoothed_{e}" for e in Expression]
    last = -math.inf
    for row in rows:
        frame, time = _checked_place(row, last)
        times[frame] = last = time
        if row["model"]:
            models[row["model"]] = None
        if row["row"] == "face":
            faces.append((frame, _number(row, "track"), _state(row), row["unmeasurable"] or ""))
            smoothed.append(_values(row, columns))
            single.append(_values(row, _SINGLE))
        elif row["row"] == "event":
            events.append(_event(row))
    if not times:
        raise _RefusedError("holds no frame")
    order = {frame: index for index, frame in enumerate(times)}
    return Recording(
        name=name,
        models=tuple(models),
        times=np.array(list(times.values())),
        frames=np.array([order[face[0]] for face in faces], dtype=np.int64),
        tracks=np.array([face[1] for face in faces], dtype=np.int64),
        states=np.array([face[2] for face in faces], dtype=np.int64),
        smoothed=np.array(smoothed, dtype=np.float32).reshape(-1, len(columns)),
        probabilities=np.array(single, dtype=np.float32).reshape(-1, len(_SINGLE)),
        reasons=np.array([face[3] for face in faces], dtype=np.str_),
        events=tuple(events),
        notes=tuple(notes),
    )


def _values(row: Row, columns: Sequence[str]) -> list[float]:
    values = [row.get(column) for column in columns]
    measured = not row["unmeasurable"] and any(value is not None for value in values)
    return [value or 0.0 for value in values] if measured else [math.nan] * len(columns)


def _checked_place(row: Row, last: float) -> tuple[int, float]:
    if not isinstance(row["schema"], int) or not 1 <= row["schema"] <= RECORDING_SCHEMA:
        raise _RefusedError(
            f"is of schema {row['schema']}, and this version of mien reads 1 to {RECORDING_SCHEMA}; update mien"
        )
    if row["row"] not in ROW_KINDS:
        raise _RefusedError(f"has a row '{row['row']}', expected one of {', '.join(ROW_KINDS)}")
    frame, time = _number(row, "frame"), row["time"]
    if not isinstance(time, (int, float)) or not math.isfinite(time):
        raise _RefusedError(f"frame {frame} has no time")
    if time < last:
        raise _RefusedError(f"time falls back at frame {frame}, from {last:.3f} s to {time:.3f} s: not one recording")
    return frame, float(time)


def _number(row: Row, column: str) -> int:
    if not isinstance(row[column], int):
        raise _RefusedError(f"the {column} of a row at {row['time']} s is missing")
    return cast(int, row[column])


def _state(row: Row) -> int:
    if row["unmeasurable"]:
        return STATES.index(UNMEASURABLE)
    return STATES.index(_expression(row["held"])) if row["held"] else STATES.index(UNCERTAIN)


def _event(row: Row) -> Event:
    if row["event"] == "cut" and row["event_time"] is not None:
        return Event.cut(float(row["event_time"]))
    if row["event"] not in ("began", "ended") or row["event_time"] is None or row["event_strength"] is None:
        raise _RefusedError(f"an event at {row['time']} s is not complete")
    return Event(
        kind=row["event"],
        track=_number(row, "track"),
        expression=_expression(row["event_expression"]),
        time=float(row["event_time"]),
        strength=float(row["event_strength"]),
    )


def _expression(word: Any) -> Expression:
    try:
        return Expression.parse(str(word))
    except LabelError as error:
        raise _RefusedError(str(error)) from None
