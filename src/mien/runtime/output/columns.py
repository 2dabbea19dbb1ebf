"""The columns of every table that mien writes, and a frame as rows of them.

One quantity has one column name: an expression's probability for a face is the expression's name (``happy``), what is
smoothed over a track begins with ``smoothed_``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mien.core.errors import MienError
from mien.core.expression import Expression
from mien.core.face import (
    PIXEL_DIGITS,
    PROBABILITY_DIGITS,
    SCORE_DIGITS,
    TIME_DIGITS,
    Event,
    Face,
    Frame,
    Reading,
)
from mien.core.safe_text import printable

PICTURE_COLUMNS = (
    *("source", "status", "reason", "annotated", "width", "height", "detector"),
    *("face", "box_x", "box_y", "box_width", "box_height", "score", "turned"),
    *("model", "expression", "confidence", "polarity", "candidates", "coverage", "energy"),
    *(str(e) for e in Expression),
)
"""Of pictures: one row for each face and model, and one for each input without; an expression that the model does not
know is empty."""

PICTURE_STATES = ("read", "no face", "unreadable")
"""What became of an input: the status of its rows."""

RECORDING_SCHEMA = 3
"""Version of the columns of a recording; it grows when a column changes its meaning, its name or goes.

Schema 1 called a face's probabilities ``raw_happy`` and so on, schema 2 knew no cuts; both are read as well.
"""

ROW_KINDS = ("face", "empty", "event")
"""A face of a frame; a frame without a face; an expression that began or ended, or a cut."""

RECORDING_COLUMNS: dict[str, str] = {
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
    **{str(e): "float64" for e in Expression},
    **{f"smoothed_{e}": "float64" for e in Expression},
    "event": "string",
    "event_time": "float64",
    "event_expression": "string",
    "event_strength": "float64",
}
"""Of streams: name and type of each column, in order; every one but the first four can be empty."""


def picture_rows(frame: Frame, annotated: Path | None = None) -> Iterator[list[str]]:
    """The rows of one picture as text, in the order of :data:`PICTURE_COLUMNS`: one where it has no face.

    ``annotated`` is where the annotated picture was written.
    """
    about = {"source": printable(frame.source or ""), "width": str(frame.width), "height": str(frame.height)}
    about |= {"detector": frame.detector, "annotated": printable(annotated or "")}
    read, no_face, _ = PICTURE_STATES
    if not frame.faces:
        yield _row({**about, "status": no_face, "reason": why_no_face(frame)})
    for number, face in enumerate(frame.faces, start=1):
        for reading in face.readings:
            cells = {**about, "face": str(number), **_place(face), **_said(reading), **_probabilities(reading)}
            cells["status"], cells["turned"] = read, str(face.turned)
            cells["expression"], cells["polarity"] = reading.expression, reading.polarity
            cells["confidence"] = f"{reading.confidence:.{PROBABILITY_DIGITS}f}"
            cells["energy"] = f"{reading.energy:.{SCORE_DIGITS}f}"
            yield _row(cells)


def unreadable_row(source: str, error: MienError) -> list[str]:
    """The row of an input that could not be read."""
    return _row({"source": printable(source), "status": PICTURE_STATES[-1], "reason": printable(error)})


def why_no_face(frame: Frame) -> str:
    """Why a picture without a face has none, in words."""
    rejected = frame.rejected
    return f"{rejected} rejected as no face" if rejected else "no face was found"


def recording_rows(index: int, frame: Frame) -> Iterator[list[str]]:
    """The rows of a stream's frame as text, in the order of :data:`RECORDING_COLUMNS`.

    Raises:
        ValueError: the frame has no time, or one of its faces no track.
    """
    time = f"{check_stream(frame):.{TIME_DIGITS}f}"
    rows: list[dict[str, str]] = [{"row": "face", **_tracked(face)} for face in frame.faces] or [{"row": "empty"}]
    rows += [{"row": "event", **_event(event)} for event in frame.events]
    for row in rows:
        cells = {"schema": str(RECORDING_SCHEMA), "frame": str(index), "time": time, **row}
        yield [cells.get(column, "") for column in RECORDING_COLUMNS]


def check_stream(frame: Frame) -> float:
    """The time of a stream's frame.

    Raises:
        ValueError: the frame is a single picture's: it has no time, or one of its faces no track.
    """
    if frame.time is None or any(face.track is None for face in frame.faces):
        raise ValueError("a stream's frame needs a time, and each of its faces a track")
    return frame.time


def _row(cells: Mapping[str, str]) -> list[str]:
    return [cells.get(column, "") for column in PICTURE_COLUMNS]


def _place(face: Face) -> dict[str, str]:
    box = face.box
    sides = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    cells = {f"box_{name}": f"{value:.{PIXEL_DIGITS}f}" for name, value in sides.items()}
    return {**cells, "score": f"{face.score:.{SCORE_DIGITS}f}"}


def _said(reading: Reading) -> dict[str, str]:
    coverage = "" if reading.coverage is None else f"{reading.coverage:g}"
    return {"model": reading.model, "candidates": " ".join(reading.candidates), "coverage": coverage}


def _probabilities(reading: Reading, prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}{e}": f"{p:.{PROBABILITY_DIGITS}f}"
        for e, p in zip(reading.labels, reading.probabilities, strict=True)
    }


def _tracked(face: Face) -> dict[str, str]:
    track = face.track
    assert track is not None  # noqa: S101  # check_stream refused it
    cells = {
        "track": str(track.id),
        "detected": "true" if track.detected else "false",
        **_place(face),
        "unmeasurable": face.unmeasurable or "",
        "held": track.held or "",
        "polarity": track.held.polarity if track.held else "",
    }
    if face.readings:
        cells |= {"model": face.reading.model, **_probabilities(face.reading)}
    if track.smoothed:
        cells |= {**_said(track.smoothed), **_probabilities(track.smoothed, "smoothed_")}
    return cells


def _event(event: Event) -> dict[str, str]:
    return {
        "track": "" if event.track is None else str(event.track),
        "event": event.kind,
        "event_time": f"{event.time:.{TIME_DIGITS}f}",
        "event_expression": event.expression or "",
        "event_strength": "" if event.strength is None else f"{event.strength:.{PROBABILITY_DIGITS}f}",
    }
