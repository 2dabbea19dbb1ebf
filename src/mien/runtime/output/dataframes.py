"""Results as the tables and objects of other packages, which are imported only here and only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.core.errors import MienError
from mien.core.expression import Expression
from mien.core.face import Frame
from mien.runtime.output.columns import PICTURE_COLUMNS, RECORDING_COLUMNS, picture_rows, recording_rows

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_Cells = dict[str, list[Any]]

_PARSERS: dict[str, Callable[[str], Any]] = {
    "int64": int,
    "float64": float,
    "string": str,
    "bool": lambda cell: cell == "true",
}


def to_pandas(frames: Frame | Iterable[Frame]) -> pd.DataFrame:
    """Frames as one table: of pictures the columns of ``mien read --csv``, of a stream those of ``mien watch --csv``.

    Args:
        frames: one frame or many, all of pictures or all of one stream.

    Raises:
        MienError: pandas is not installed, or frames of both kinds are given.
    """
    made: pd.DataFrame = _imported("pandas").DataFrame(_columns(frames))
    return made


def to_polars(frames: Frame | Iterable[Frame]) -> pl.DataFrame:
    """Frames as one table of Polars; see :func:`to_pandas`.

    Raises:
        MienError: polars is not installed, or frames of both kinds are given.
    """
    made: pl.DataFrame = _imported("polars").DataFrame(_columns(frames), infer_schema_length=None)
    return made


def to_supervision(frame: Frame) -> Any:
    """A frame's faces as ``supervision.Detections``; see :meth:`PictureFrame.to_supervision`."""
    supervision = _imported("supervision")
    if not frame.faces:
        return supervision.Detections.empty()
    boxes = [(f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height) for f in frame.faces]
    known = list(Expression)
    named = [f.reading.expression if f.readings else None for f in frame.faces]
    tracks = [f.track.id for f in frame.faces if f.track]
    return supervision.Detections(
        xyxy=np.array(boxes, dtype=np.float32),
        confidence=np.array([f.score for f in frame.faces], dtype=np.float32),
        class_id=np.array([-1 if e is None else known.index(e) for e in named]),
        tracker_id=np.array(tracks) if len(tracks) == len(frame.faces) else None,
        data={
            "class_name": np.array(["" if e is None else str(e) for e in named]),
            "confidence_of_class": np.array([f.reading.confidence if f.readings else np.nan for f in frame.faces]),
        },
    )


def _imported(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MienError(f"{name} is not installed: pip install {name}") from None


def _columns(frames: Frame | Iterable[Frame]) -> _Cells:
    given = [frames] if isinstance(frames, Frame) else list(frames)
    streams = [frame.time is not None for frame in given]
    if any(streams) and not all(streams):
        raise MienError("frames of pictures and frames of a stream have different columns: make two tables")
    if any(streams):
        rows = [row for index, frame in enumerate(given) for row in recording_rows(index, frame)]
        return _typed(RECORDING_COLUMNS, rows)
    return _typed(PICTURE_COLUMNS, [row for frame in given for row in picture_rows(frame)])


def _typed(types: Mapping[str, str], rows: Sequence[Sequence[str]]) -> _Cells:
    """Columns of text as numbers, truth values or text; an empty cell is None."""
    parsers = [_PARSERS[kind] for kind in types.values()]
    return {
        name: [parse(row[at]) if row[at] else None for row in rows]
        for at, (name, parse) in enumerate(zip(types, parsers, strict=True))
    }
