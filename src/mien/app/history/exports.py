"""Recordings as files for other programs: CSV, JSON and Parquet, as they were measured, with what was corrected beside.

::

    made = export(store, recording_id, "csv")
    made.name, made.kind, made.body                 # file name, media type, bytes
    store.log(Action.EXPORTED, recording=recording_id, format="csv")

CSV and Parquet hold one row for each second. JSON holds names, notes and corrections too. The columns stand in
``docs/app-data.md``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mien.app.store.facade import Store
from mien.app.store.values import Correction, RecordingId, RecordingInfo, local_time
from mien.core.errors import ConfigError, MissingExtraError, StoreError, nearest
from mien.core.expression import Expression, Polarity

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}

SCHEMA = 2
"""Version of the columns and keys; it grows when one changes its meaning or goes."""

COLUMNS: dict[str, str] = {
    "schema": "int64",
    "recording": "int64",
    "second": "int64",
    "time": "string",
    "model": "string",
    "frames": "int64",
    "faces": "int64",
    **{f"smoothed_{e}": "float64" for e in Expression},
    **{str(p): "float64" for p in Polarity},
    **{f"held_{e}": "float64" for e in Expression},
    "uncertain": "float64",
    "not_measurable": "float64",
    "reason": "string",
    "absent": "float64",
    "corrected_from": "string",
    "corrected_to": "string",
}
"""Name and type of each column of CSV and Parquet. Shares and probabilities are empty where there are none."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file.

    Attributes:
        name: what to call it; it holds nothing that a person typed.
        kind: media type.
        body: its bytes.
    """

    name: str
    kind: str
    body: bytes


def export(store: Store, recordings: RecordingId | Sequence[RecordingId], ending: str) -> Exported:
    """One recording, or several, as one file.

    Raises:
        StoreError: there is no recording of one of the numbers, or none was named.
        ConfigError: another format than ``csv``, ``json`` or ``parquet``.
        MissingExtraError: Parquet is asked for, and pyarrow is not installed.
    """
    if ending not in MEDIA_TYPES:
        raise ConfigError(f"recordings cannot be exported as '{ending}': {nearest(ending, MEDIA_TYPES)}")
    numbers = [recordings] if isinstance(recordings, int) else list(recordings)
    if not numbers:
        raise StoreError("nothing to export: name a recording or more")
    infos = [store.recording(number) for number in numbers]
    if ending == "json":
        document = {"schema": SCHEMA, "recordings": [_document(store, info) for info in infos]}
        body = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8")
    else:
        rows = [row for info in infos for row in _rows(store, info)]
        body = _csv(rows) if ending == "csv" else _parquet(rows)
    stamps = sorted(local_time(info.started, info.utc_offset).strftime("%Y-%m-%d-%H%M") for info in infos)
    span = stamps[0] if len(stamps) == 1 else f"{stamps[0]}-to-{stamps[-1]}"
    return Exported(name=f"mien-{span}.{ending}", kind=MEDIA_TYPES[ending], body=body)


def _rows(store: Store, info: RecordingInfo) -> Iterator[dict[str, Any]]:
    corrections = store.corrections(info.id)
    for second in store.seconds(info.id):
        known = second.probabilities
        correction = _correction(second.index, corrections)
        yield {
            "schema": SCHEMA,
            "recording": info.id,
            "second": second.index,
            "time": local_time(info.started + second.index, info.utc_offset).isoformat(timespec="seconds"),
            "model": info.model,
            "frames": second.frames,
            "faces": second.faces,
            **{f"smoothed_{e}": None if known is None else known[at] for at, e in enumerate(Expression)},
            **{str(p): None if known is None else value for p, value in second.polarity.items()},
            **{f"held_{e}": share for e, share in zip(Expression, second.held, strict=True)},
            "uncertain": second.uncertain,
            "not_measurable": sum(second.unmeasurable.values()),
            "reason": max(second.unmeasurable, key=second.unmeasurable.__getitem__) if second.unmeasurable else None,
            "absent": second.absent,
            "corrected_from": None if correction is None else str(correction.was),
            "corrected_to": None if correction is None or correction.instead is None else str(correction.instead),
        }


def _correction(index: int, corrections: Sequence[Correction]) -> Correction | None:
    """The last correction that is about a second."""
    return next((one for one in reversed(corrections) if one.start <= index < one.end), None)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row[name] for name in COLUMNS)
        writer.writerow([f"{cell:.6f}" if isinstance(cell, float) else "" if cell is None else cell for cell in cells])
    return text.getvalue().encode("utf-8")


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "writing Parquet") from None
    schema = pa.schema(
        [(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()], metadata={"mien_app_export": str(SCHEMA)}
    )
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _document(store: Store, info: RecordingInfo) -> dict[str, Any]:
    return {
        "recording": info.id,
        "name": info.name,
        "kind": info.kind,
        "model": info.model,
        "consent": info.consent,
        "started": local_time(info.started, info.utc_offset).isoformat(timespec="milliseconds"),
        "length": info.length,
        "closed": info.closed,
        "seconds": [second.to_dict() for second in store.seconds(info.id)],
        "notes": [{"at": note.at, "text": note.text} for note in store.notes(info.id)],
        "corrections": [
            {
                "start": one.start,
                "end": one.end,
                "was": str(one.was),
                "instead": None if one.instead is None else str(one.instead),
            }
            for one in store.corrections(info.id)
        ],
    }
