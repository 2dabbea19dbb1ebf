"""The columns of every table that mien writes, and a frame as rows of them.

One quantity has one column name: an expression's probability for a face is the expression's name (``happy``), what is
smoothed over a track begins with ``smoothed_``.
"""

from __future__ import annotations

from collections.abc import Iterator

from mien.core.expression import Expression
from mien.core.face import Event, Face, Frame, Reading

PICTURE_COLUMNS = (
    *("source", "width", "height", "detector", "face", "box_x", "box_y", "box_width", "box_height", "score", "turned"),
    *("model", "expression", "confidence", "polarity", "candidates", "coverage", "energy"),
    *(str(e) for e in Expression),
)
"""Of pictures: one row for each face and model; an expression that the model does not know is empty."""

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


def picture_rows(frame: Frame) -> Iterator[list[str]]:
    """The rows of one picture as text, in the order of :data:`PICTURE_COLUMNS`; none where it has no face."""
    about = {"source": frame.source or "", "width": str(frame.width), "height": str(frame.height)}
    about["detector"] = frame.detector
    for number, face in enumerate(frame.faces, start=1):
        for reading in face.readings:
            cells = {**about, "face": str(number), **_place(face), **_said(reading), **_probabilities(reading)}
            cells["turned"] = str(face.turned)
            cells["expression"], cells["polarity"] = reading.expression, reading.polarity
            cells["confidence"], cells["energy"] = f"{reading.confidence:.6f}", f"{reading.energy:.4f}"
            yield [cells.get(column, "") for column in PICTURE_COLUMNS]


def recording_rows(index: int, frame: Frame) -> Iterator[list[str]]:
    """The rows of a stream's frame as text, in the order of :data:`RECORDING_COLUMNS`.

    Raises:
        ValueError: the frame has no time, or one of its faces no track.
    """
    time = f"{check_stream(frame):.6f}"
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


def _place(face: Face) -> dict[str, str]:
    box = face.box
    sides = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    return {**{f"box_{name}": f"{value:.2f}" for name, value in sides.items()}, "score": f"{face.score:.4f}"}


def _said(reading: Reading) -> dict[str, str]:
    coverage = "" if reading.coverage is None else f"{reading.coverage:g}"
    return {"model": reading.model, "candidates": " ".join(reading.candidates), "coverage": coverage}


def _probabilities(reading: Reading, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}{e}": f"{p:.6f}" for e, p in zip(reading.labels, reading.probabilities, strict=True)}


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
        "event_time": f"{event.time:.6f}",
        "event_expression": event.expression or "",
        "event_strength": "" if event.strength is None else f"{event.strength:.6f}",
    }
