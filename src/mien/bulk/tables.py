"""The tables of an output and their columns: those of ``mien read`` and ``mien watch``, with what they belong to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mien.bulk.inputs import Item
from mien.core.expression import Expression
from mien.core.face import Frame
from mien.core.safe_text import utf8_text
from mien.runtime.output.columns import PICTURE_COLUMNS, RECORDING_COLUMNS, picture_rows, recording_rows

if TYPE_CHECKING:
    import pyarrow as pa

_EVENT = tuple(name for name in RECORDING_COLUMNS if name.startswith("event"))
_OF_FILES = ("status", "reason", "annotated")
"""Columns of pictures that the rows of items have."""

_BELONGS = {"batch": "int64", "item": "string", "id": "string"}

FACES: dict[str, str] = {
    **_BELONGS,
    **{name: kind for name, kind in PICTURE_COLUMNS.items() if name not in _OF_FILES},
    **{name: kind for name, kind in RECORDING_COLUMNS.items() if name not in (*_EVENT, "schema", "row")},
}
"""A row for each face of a picture and model, or for each face of a sampled frame."""

EVENTS: dict[str, str] = {
    **_BELONGS,
    "source": "string",
    **{name: RECORDING_COLUMNS[name] for name in ("frame", "time", "track", *_EVENT)},
}
"""Expressions that began or ended in a video."""

_MEANS = ("box_x", "box_y", "box_width", "box_height", "score", *Expression, *(f"smoothed_{e}" for e in Expression))
_COMMONEST = ("unmeasurable", "model", "held")
RECORDINGS: dict[str, str] = {
    **_BELONGS,
    "source": "string",
    **{name: FACES[name] for name in ("width", "height", "detector", "time", "track")},
    "frames": "int64",
    **{str(name): RECORDING_COLUMNS[name] for name in (*_MEANS, *_COMMONEST, "polarity")},
}
"""A row for each second and track of a video: means of numbers, the commonest of words, over ``frames`` pictures."""

ITEMS: dict[str, str] = {
    **_BELONGS,
    **dict.fromkeys(("uri", "status", "reason"), "string"),
    **dict.fromkeys(("bytes", "frames", "faces"), "int64"),
    **dict.fromkeys(("start", "end", "seconds"), "float64"),
    "worker": "string",
}
"""Exactly one row for each input; a manifest's own columns follow."""

TABLES = {"faces": FACES, "events": EVENTS, "recordings": RECORDINGS, "items": ITEMS}
"""The columns of all tables; the one that commits a batch is last."""


def picture_cells(frame: Frame) -> Iterator[dict[str, Any]]:
    """The rows of a picture in :data:`FACES`, as text."""
    for cells in picture_rows(frame) if frame.faces else ():
        row = dict(zip(PICTURE_COLUMNS, cells, strict=True)) | {"source": frame.source or ""}  # as its item has it
        yield {name: cell for name, cell in row.items() if name not in _OF_FILES}


def stream_cells(index: int, frame: Frame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a stream's frame in :data:`FACES`, and in :data:`EVENTS`, as text."""
    faces: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    about = {"width": str(frame.width), "height": str(frame.height), "detector": frame.detector}
    for cells in recording_rows(index, frame):
        row = dict(zip(RECORDING_COLUMNS, cells, strict=True)) | {"source": frame.source or ""}
        if row["row"] == "face":
            faces.append(row | about | {"face": str(len(faces) + 1)})
        elif row["row"] == "event":
            events.append(row)
    return faces, events


def second_cells(faces: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows in :data:`RECORDINGS` of one second's rows in :data:`FACES`, as text: one for each track.

    An expression is averaged over the frames in which it could be read, and is empty where there is none.
    """
    tracks: dict[str, list[dict[str, Any]]] = {}
    for row in faces:
        tracks.setdefault(row["track"], []).append(row)
    for track, rows in sorted(tracks.items(), key=lambda one: int(one[0])):
        cells = {name: rows[0][name] for name in ("source", "width", "height", "detector")}
        cells |= {"time": str(second_of(rows[0])), "track": track, "frames": str(len(rows))}
        for name in _MEANS:
            values = [float(row[name]) for row in rows if row.get(name)]
            cells[str(name)] = f"{math.fsum(values) / len(values):.6f}" if values else ""
        for name in _COMMONEST:
            cells[name] = Counter(row.get(name, "") for row in rows).most_common(1)[0][0]
        cells["polarity"] = next(row.get("polarity", "") for row in rows if row.get("held", "") == cells["held"])
        yield cells


def second_of(row: dict[str, Any]) -> int:
    """The second in which a row of :data:`FACES` lies."""
    return int(float(row["time"]))


def item_row(item: Item, identity: bytes) -> dict[str, Any]:
    """What is known of an item before it is read."""
    about = {"item": identity.hex(), "id": item.id, "uri": item.uri, "start": item.start, "end": item.end}
    return dict(item.extra) | about | {"bytes": None if item.size < 0 else item.size}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return utf8_text(value) or None
    return value


def table_of(columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table with these columns, and with a manifest's own; what is empty is null."""
    import pyarrow as pa

    own = dict.fromkeys(name for row in rows for name in row if columns is ITEMS and name not in columns)
    made = {}
    for name, kind in (columns | dict.fromkeys(own, "string")).items():
        values = [_value(row.get(name)) for row in rows]
        wanted = pa.type_for_alias(kind)
        text = any(isinstance(value, str) for value in values)
        made[name] = pa.array(values, pa.string()).cast(wanted) if text else pa.array(values, wanted)
    return pa.table(made)
