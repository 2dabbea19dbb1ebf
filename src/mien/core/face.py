"""The results: boxes, faces, readings and frames. Frozen, and checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.expression import Expression, Labels, Polarity

LANDMARK_NAMES = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")
"""Order of a face's five landmarks; right and left are the person's own (YuNet's order)."""

PROBABILITY_DIGITS = TIME_DIGITS = 6
SCORE_DIGITS = 4
PIXEL_DIGITS = 2
"""Decimals that are written of a number, in JSON and in tables alike; more of them would mean nothing."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its picture: ``x``, ``y`` of the top left corner, ``width``, ``height``.

    It may reach beyond the picture.

    Raises:
        ValueError: a value is not finite, or a side is not positive.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not all(math.isfinite(value) for value in (self.x, self.y, self.width, self.height)):
            raise ValueError(f"a box needs finite numbers: {self}")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box needs a positive width and height: {self}")

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box, ``(x, y)``."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        """Pixels inside."""
        return self.width * self.height

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        shared = max(across, 0.0) * max(down, 0.0)
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, eq=False)
class Reading:
    """One model's answer for one face.

    Attributes:
        model: name of the model that gave it.
        labels: the K expressions it knows, in FER2013's order.
        probabilities: ``(K,)`` float32, calibrated; they sum to 1.
        candidates: the expressions that it may well be (split conformal prediction), most probable first, never
            empty.
        coverage: of the faces that show an expression, whichever it is, the share whose candidate set holds it, among
            faces like those of the calibration split.
        energy: log-sum-exp of the calibrated logits; low where the crop looks unlike a face.

    Raises:
        ValueError: shapes disagree, or the probabilities are none.
    """

    model: str
    labels: Labels
    probabilities: NDArray[np.float32]
    candidates: Labels
    coverage: float
    energy: float

    def __post_init__(self) -> None:
        """Check the probabilities and freeze a copy of them."""
        values = np.array(self.probabilities, dtype=np.float32)
        if values.shape != (len(self.labels),):
            raise ValueError(f"{len(self.labels)} labels need as many probabilities, got shape {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all() and abs(float(values.sum()) - 1) < 1e-3):
            raise ValueError(f"probabilities must be 0 or more and sum to 1: {values}")
        if not self.candidates or not set(self.candidates) <= set(self.labels):
            raise ValueError(f"candidates {self.candidates} must be one or more of {self.labels}")
        values.setflags(write=False)
        object.__setattr__(self, "probabilities", values)

    def __eq__(self, other: object) -> bool:
        """Equal in every field, to the last bit."""
        if not isinstance(other, Reading):
            return NotImplemented
        mine, others = (
            (one.model, one.labels, one.probabilities.tobytes(), one.candidates, one.coverage, one.energy)
            for one in (self, other)
        )
        return mine == others

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def ranked(self) -> Labels:
        """All labels, most probable first."""
        return tuple(self.labels[i] for i in np.argsort(-self.probabilities, kind="stable"))

    @property
    def expression(self) -> Expression:
        """The most probable expression."""
        return self.ranked[0]

    @property
    def confidence(self) -> float:
        """Calibrated probability of :attr:`expression`."""
        return self.probability(self.expression)

    def probability(self, expression: str) -> float:
        """Probability of one expression; 0 for one that the model does not know."""
        known = expression in self.labels
        return float(self.probabilities[self.labels.index(Expression(expression))]) if known else 0.0

    @cached_property
    def polarities(self) -> dict[Polarity, float]:
        """Probability of each polarity: the sums over its expressions."""
        return {
            polarity: float(sum(self.probability(e) for e in self.labels if e.polarity is polarity))
            for polarity in Polarity
        }

    @property
    def polarity(self) -> Polarity:
        """The most probable polarity; it can differ from that of the most probable expression."""
        return max(self.polarities, key=self.polarities.__getitem__)

    @property
    def is_ambiguous(self) -> bool:
        """Whether the candidate set holds more than one expression."""
        return len(self.candidates) > 1

    def describe(self) -> str:
        """The candidates in words: ``"happy"`` or ``"neutral, sad or angry"``."""
        *most, last = self.candidates
        return f"{', '.join(most)} or {last}" if most else str(last)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "model": self.model,
            "expression": str(self.expression),
            "confidence": round(self.confidence, PROBABILITY_DIGITS),
            "probabilities": {
                str(e): round(p, PROBABILITY_DIGITS)
                for e, p in zip(self.labels, self.probabilities.tolist(), strict=True)
            },
            "candidates": [str(e) for e in self.candidates],
            "coverage": self.coverage,
            "polarity": str(self.polarity),
            "polarities": {str(k): round(v, PROBABILITY_DIGITS) for k, v in self.polarities.items()},
            "energy": round(self.energy, SCORE_DIGITS),
        }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment of a stream.

    An expression *began* or *ended* on a track, from sustained evidence; or a *cut* ended every track, as the picture
    shows another scene.

    Attributes:
        kind: which of the three.
        track: id of the track; None for a cut.
        expression: the expression; None for a cut.
        time: when, seconds from the start of the stream.
        strength: mean smoothed probability of the expression: over the evidence that began it, or over its whole
            length; None for a cut.

    Raises:
        ValueError: an expression's event without track, expression or strength, or a cut with one.
    """

    kind: Literal["began", "ended", "cut"]
    track: int | None
    expression: Expression | None
    time: float
    strength: float | None

    def __post_init__(self) -> None:
        """Check that it is whole."""
        given = [value is not None for value in (self.track, self.expression, self.strength)]
        if any(given) if self.kind == "cut" else not all(given):
            raise ValueError(f"an expression's event needs a track, an expression and a strength, a cut none: {self}")

    @classmethod
    def cut(cls, time: float) -> Event:
        """A cut, seconds from the start of the stream."""
        return cls("cut", None, None, time, None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "kind": self.kind,
            "track": self.track,
            "expression": None if self.expression is None else str(self.expression),
            "time": round(self.time, TIME_DIGITS),
            "strength": None if self.strength is None else round(self.strength, PROBABILITY_DIGITS),
        }


@dataclass(frozen=True, eq=False)
class Track:
    """Where one face of a stream stands in its own time.

    Attributes:
        id: 1, 2, 3 … in the order of appearance; never used again within a stream.
        since: seconds from the start of the stream at which the face was first seen.
        detected: whether a detector found the face in this very frame; otherwise its box was carried on.
        smoothed: the first model's probabilities smoothed over the track; None before the first measurable frame, and
            once none came for longer than the smoothing's ``max_gap``.
        held: the expression that stands by hysteresis; None while uncertain.
    """

    id: int
    since: float
    detected: bool
    smoothed: Reading | None = None
    held: Expression | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "id": self.id,
            "since": round(self.since, TIME_DIGITS),
            "detected": self.detected,
            "smoothed": None if self.smoothed is None else self.smoothed.to_dict(),
            "held": None if self.held is None else str(self.held),
        }


@dataclass(frozen=True, eq=False)
class Face:
    """A face found in a picture, with one reading per model that read it.

    Attributes:
        box: square around the face, framed as FER2013 frames its faces, whatever detector found it.
        score: the detector's own confidence, 0 to 1 (Haar: see :class:`mien.runtime.inference.detect.HaarDetector`).
        landmarks: ``(5, 2)`` float32 pixel positions (x, y) in the order of :data:`LANDMARK_NAMES`, or None.
        readings: one per model, in the order in which the models were given; empty before classification and where
            the face is not measurable.
        unmeasurable: why the face was not read (``"too small"``, ``"dark"`` …); None where it was.
        track: the face's place in its stream; None in a single picture.
        turned: degrees (0, 90, 180 or 270) by which the picture has to be turned clockwise for the face to be upright;
            box and landmarks are in the pixels of the picture as it is.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] | None = None
    readings: tuple[Reading, ...] = ()
    unmeasurable: str | None = None
    track: Track | None = None
    turned: int = 0

    def __post_init__(self) -> None:
        """Check and freeze the landmarks."""
        if self.turned not in (0, 90, 180, 270):
            raise ValueError(f"a face is turned by 0, 90, 180 or 270 degrees, got {self.turned}")
        if not math.isfinite(self.score):
            raise ValueError(f"a face needs a finite score, got {self.score}")
        if self.landmarks is not None:
            points = np.array(self.landmarks, dtype=np.float32)
            if points.shape != (len(LANDMARK_NAMES), 2) or not np.isfinite(points).all():
                raise ValueError(f"landmarks must be five finite (x, y) pairs, got shape {points.shape}")
            points.setflags(write=False)
            object.__setattr__(self, "landmarks", points)

    def mapped(self, *, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Face:
        """The face with its box and landmarks scaled about the origin and then shifted by ``(x, y)`` pixels."""
        (dx, dy), box = shift, self.box
        moved = Box(scale * box.x + dx, scale * box.y + dy, scale * box.width, scale * box.height)
        points = self.landmarks
        if points is not None:
            points = points * np.float32(scale) + np.array(shift, dtype=np.float32)
        return replace(self, box=moved, landmarks=points)

    @property
    def reading(self) -> Reading:
        """The first model's reading.

        Raises:
            ValueError: the face was only detected, or is not measurable.
        """
        if not self.readings:
            raise ValueError(f"this face was detected but not read: {self.unmeasurable or 'no model was asked'}")
        return self.readings[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        box, points = self.box, None if self.landmarks is None else self.landmarks.tolist()
        return {
            "box": [round(value, PIXEL_DIGITS) for value in (box.x, box.y, box.width, box.height)],
            "score": round(self.score, SCORE_DIGITS),
            "landmarks": None if points is None else [[round(v, PIXEL_DIGITS) for v in point] for point in points],
            "readings": [reading.to_dict() for reading in self.readings],
            "unmeasurable": self.unmeasurable,
            "track": None if self.track is None else self.track.to_dict(),
            "turned": self.turned,
        }


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture and its faces.

    Attributes:
        width: pixels across.
        height: pixels down.
        faces: the faces found, largest first; empty where there is none.
        detector: name of the detector.
        models: names of the models, in the order of each face's readings.
        source: the file or stream it came from, where there is one.
        time: seconds from the start of its stream; None for a single picture.
        rejected: finds of the detector that were dropped because they did not look like a face.
        events: expressions that began or ended with this frame of a stream, and a cut before it.
    """

    width: int
    height: int
    faces: tuple[Face, ...]
    detector: str
    models: tuple[str, ...]
    source: str | None = None
    time: float | None = None
    rejected: int = 0
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        """Check the sizes, and that every measurable face carries every model's reading."""
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a frame needs a positive size, got {self.width} x {self.height}")
        for face in self.faces:
            expected = self.models if face.unmeasurable is None else ()
            if tuple(reading.model for reading in face.readings) != expected:
                raise ValueError(f"each measurable face of a frame needs one reading of each of {self.models}")

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.faces)

    @property
    def readings(self) -> Sequence[Reading]:
        """The first model's reading of each measurable face."""
        return [face.reading for face in self.faces if face.readings]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, the schema of ``mien read --json``."""
        return {
            "source": self.source,
            "time": None if self.time is None else round(self.time, TIME_DIGITS),
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "models": list(self.models),
            "rejected": self.rejected,
            "faces": [face.to_dict() for face in self.faces],
            "events": [event.to_dict() for event in self.events],
        }
