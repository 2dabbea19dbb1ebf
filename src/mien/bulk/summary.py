"""What the faces of an output amount to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mien.bulk.output import Output, Status
from mien.core.expression import Expression
from mien.runtime.recordings.read import UNCERTAIN, UNMEASURABLE


@dataclass(frozen=True, slots=True)
class Expressed:
    """How many faces show what.

    Attributes:
        faces: how many there are.
        shown: faces by what they show, the most first: an expression; of videos also ``uncertain``, where none is held,
            and ``not measurable``.
        means: mean probability of each expression over the faces that were read.
    """

    faces: int
    shown: dict[str, int]
    means: dict[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """What an output holds, and what its faces show.

    Attributes:
        status: its counts.
        pictures: by model, the faces of pictures.
        videos: the faces in sampled frames of videos, each frame's counted; None where there are no videos.
    """

    status: Status
    pictures: dict[str, Expressed]
    videos: Expressed | None


def summarise(output: Output) -> Summary:
    """Add up what is committed, some rows at a time."""
    names = [str(expression) for expression in Expression]
    pictures: dict[str, _Sums] = {}
    videos = _Sums()
    for batch in output.batches("faces", ["track", "model", "expression", "held", "unmeasurable", *names]):
        for row in batch.to_pylist():
            if row["track"] is None:
                pictures.setdefault(row["model"], _Sums()).add(row, row["expression"])
            else:
                videos.add(row, _state(row))
    for batch in output.batches("recordings", ["frames", "held", "unmeasurable", *names]):
        for row in batch.to_pylist():
            videos.add(row, _state(row), row["frames"])
    return Summary(
        output.status(),
        {model: sums.expressed() for model, sums in sorted(pictures.items())},
        videos.expressed() if videos.shown else None,
    )


def _state(row: dict[str, object]) -> str:
    if row["unmeasurable"]:
        return UNMEASURABLE
    return str(row["held"] or UNCERTAIN)


class _Sums:
    def __init__(self) -> None:
        self.shown: Counter[str] = Counter()
        self._mass: Counter[str] = Counter()
        self._read = 0

    def add(self, row: dict[str, object], state: str, faces: int = 1) -> None:
        self.shown[state] += faces
        known = {str(e): value for e in Expression if isinstance(value := row[str(e)], float)}
        self._read += faces if known else 0
        for name, value in known.items():
            self._mass[name] += value * faces  # type: ignore[assignment]  # a counter of numbers

    def expressed(self) -> Expressed:
        means = {name: mass / self._read for name, mass in self._mass.most_common()}
        return Expressed(self.shown.total(), dict(self.shown.most_common()), means)
