"""Frames of a stream that never was, for the sinks and for what reads them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mien.core.expression import FER2013, Expression, Labels
from mien.core.face import Box, Event, Face, Frame, Reading, Track

SIZE = (64, 48)


def reading(expression: str, confidence: float = 0.7, *, model: str = "toy", labels: Labels = FER2013) -> Reading:
    """A reading that gives one expression its confidence, and the rest in equal parts to the others."""
    values = np.full(len(labels), (1 - confidence) / (len(labels) - 1), dtype=np.float32)
    values[labels.index(Expression(expression))] = confidence
    return Reading(model, labels, values, (Expression(expression),), 0.9, 2.0)


def face(
    track: int = 1,
    *,
    held: str | None = "happy",
    seen: str = "happy",
    unmeasurable: str | None = None,
    box: tuple[float, float, float, float] = (20, 10, 24, 24),
    models: Sequence[str] = ("toy",),
) -> Face:
    """A face of a stream."""
    raw = tuple(reading(seen, 0.6, model=model) for model in models)
    smoothed = reading(seen, 0.7, model=models[0])
    place = Track(track, 0.0, True, smoothed, Expression(held) if held else None)
    return Face(Box(*box), 0.9, None, () if unmeasurable else raw, unmeasurable, place)


def frame(time: float | None, *faces: Face, events: Sequence[Event] = (), models: Sequence[str] = ("toy",)) -> Frame:
    """A frame of a stream."""
    width, height = SIZE
    return Frame(width, height, faces, "haar", tuple(models), source="lesson.mp4", time=time, events=tuple(events))


def picture(shade: int = 90) -> np.ndarray:
    """A grey picture of a frame's size."""
    return np.full((SIZE[1], SIZE[0], 3), shade, dtype=np.uint8)


def lesson() -> Iterator[Frame]:
    """Ten frames in nine seconds: happy, uncertain, dark, nobody, then two faces."""
    began = Event("began", 1, Expression.HAPPY, 0.0, 0.7)
    ended = Event("ended", 1, Expression.HAPPY, 3.0, 0.7)
    yield frame(0.0, face(), events=[began])
    yield frame(1.0, face())
    yield frame(2.0, face())
    yield frame(3.0, face(held=None, seen="sad"), events=[ended])
    yield frame(4.0, face(held=None, seen="sad"))
    yield frame(5.0, face(held=None, unmeasurable="dark"))
    yield frame(6.0)
    yield frame(7.0)
    yield frame(8.0, face(held="sad", seen="sad"), face(2, held="neutral", seen="neutral"))
    yield frame(9.0, face(held="sad", seen="sad"), face(2, held="neutral", seen="neutral"))
