"""The results log: one JSON line for each step on the way to a model, with what it added.

Lines are appended; no figure is ever rewritten.

A step is measured where models are chosen (PublicTest, a validation part), never on PrivateTest. Two runs differ by
their seeds alone by about a point, so a step without a paired interval is *indicative*: one run against another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.core.files import append_line, read_lines
from mien.core.predictor import VIEW_WORDS, Views
from mien.evaluation.compare import Pair
from mien.reporting import tables
from mien.reporting.numbers import NONE, hundredths

Outcome = Literal["helped", "no gain", "hurt", "reference"]
REPORTING = ("private", "test")
"""Splits that report; a step that was chosen on them would make their figures worthless."""


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """One change and what came of it.

    Attributes:
        date: when it was measured, ISO 8601.
        model: what was changed, such as ``"tiny"``.
        change: what was changed about it, in words.
        dataset: what it was measured on.
        split: which part.
        evidence: how much it rests on, such as ``"one seed, 12 epochs"``.
        outcome: what it did; ``"reference"`` for a step that others are compared with.
        against: what it was compared with, in words; None for a reference.
        accuracy: share correct with the change, where it was written down.
        gain: accuracy with the change less accuracy without, where both were.
        interval: 95 % paired bootstrap interval of the gain on the same rows.
        cost: what it costs in time, size or complexity, in words.
        note: what else there is to know.
        views: what of each face the answers with the change were averaged over.
        members: networks that they were averaged over; more than one for an ensemble.

    Raises:
        ValueError: a split that reports, a value out of range, an interval without a gain, or an outcome that the
            interval contradicts.
    """

    date: str
    model: str
    change: str
    dataset: str
    split: str
    evidence: str
    outcome: Outcome
    against: str | None = None
    accuracy: float | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    cost: str | None = None
    note: str | None = None
    views: Views = "one"
    members: int = 1

    def __post_init__(self) -> None:
        """Check what a hand could have got wrong."""
        if self.split in REPORTING:
            raise ValueError(f"a step is not measured on '{self.split}', which only reports: use 'public'")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy is a share of 0 to 1, got {self.accuracy}")
        if self.gain is not None and not -1 <= self.gain <= 1:
            raise ValueError(f"gain is a difference of shares, -1 to 1, got {self.gain}")
        if (self.outcome == "reference") != (self.against is None):
            raise ValueError("a reference is compared with nothing, every other step says what with")
        if self.outcome == "reference" and self.gain is not None:
            raise ValueError("a reference gains nothing: leave gain out")
        if self.interval is not None:
            if self.gain is None or not self.interval[0] <= self.gain <= self.interval[1]:
                raise ValueError(f"an interval needs a gain within it, got {self.gain} and {self.interval}")
            if self.outcome != verdict(self.interval):
                raise ValueError(f"the interval {self.interval} says '{verdict(self.interval)}', not '{self.outcome}'")

    @property
    def indicative(self) -> bool:
        """Whether it rests on less than a paired comparison."""
        return self.interval is None and self.outcome != "reference"


def verdict(interval: tuple[float, float]) -> Outcome:
    """What a paired interval of a gain says."""
    if interval[0] > 0:
        return "helped"
    return "hurt" if interval[1] < 0 else "no gain"


def of_pair(
    pair: Pair,
    *,
    date: str,
    change: str,
    dataset: str,
    split: str,
    accuracy: float,
    evidence: str = "one run of each, the same rows",
    cost: str | None = None,
    views: Views = "one",
    members: int = 1,
) -> LoggedStep:
    """The step of a paired comparison: ``pair.first`` has the change, ``pair.second`` has not.

    Raises:
        ValueError: see :class:`LoggedStep`.
    """
    return LoggedStep(
        date=date,
        model=pair.first,
        change=change,
        against=pair.second,
        dataset=dataset,
        split=split,
        evidence=evidence,
        outcome=verdict(pair.difference_interval),
        accuracy=accuracy,
        gain=pair.difference,
        interval=(min(pair.difference_interval[0], pair.difference), max(pair.difference_interval[1], pair.difference)),
        cost=cost,
        views=views,
        members=members,
    )


def append(path: Path, step: LoggedStep) -> None:
    """Append a step to the log at ``path``, made where there is none; it is on the disk when this returns.

    Raises:
        ConfigError: the file holds a line that is no step; nothing is written.
    """
    if path.exists():
        read(path)
    append_line(path, step)


def read(path: Path) -> list[LoggedStep]:
    """The log's steps, oldest first.

    Raises:
        ConfigError: no such file, or a line that is no step; the message holds its number.
    """
    return read_lines(LoggedStep, path, what="results log", start=f"mien compare … --log {path}")


def markdown(steps: list[LoggedStep], group: Outcome | Literal["indicative"]) -> str:
    """The table of the steps of one outcome, the largest gain or loss first; a sentence where there are none.

    An indicative step stands in a table of its own, whatever it seemed to do.
    """
    of = [step for step in steps if ("indicative" if step.indicative else step.outcome) == group]
    if not of:
        return "None so far."
    of.sort(key=lambda step: -abs(step.gain) if step.gain is not None else math.inf)
    against = () if group == "reference" else ("compared with",)
    seemed = ("it seemed",) if group == "indicative" else ()
    heads = ("model", "what was changed" if against else "what it is", *against, *seemed, "points")
    heads += ("accuracy %", "rests on")
    lines = []
    for step in of:
        words = "; ".join(part for part in (step.change, step.cost, step.note) if part)
        shown = (f", {VIEW_WORDS[step.views]}" if step.views != "one" else "") + (
            f", an ensemble of {step.members}" if step.members > 1 else ""
        )
        rests = f"{step.evidence}{shown}; {step.dataset} {step.split}, {step.date}"
        middle = (*((step.against or "",) if against else ()), *(_SEEMED[step.outcome] for _ in seemed))
        lines.append((f"`{step.model}`", words, *middle, _points(step), hundredths(step.accuracy), rests))
    words_at = [place for place, head in enumerate(heads) if head not in ("points", "accuracy %")]
    return tables.markdown(heads, lines, words=words_at)


_SEEMED = {"helped": "to help", "no gain": "to do nothing", "hurt": "to hurt"}


def _points(step: LoggedStep) -> str:
    if step.gain is None:
        return NONE
    points = f"{100 * step.gain:+.2f}"
    if step.interval is None:
        return points
    low, high = step.interval
    return f"{points} ({100 * low:+.2f} to {100 * high:+.2f})"
