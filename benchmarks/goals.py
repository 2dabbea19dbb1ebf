"""The page of what the bundled models were to reach, what they reach, and what would close the gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.core.manifest import Manifest
from mien.core.predictor import VIEW_WORDS
from mien.evaluation import ledger
from mien.evaluation.model_record import ModelRecord
from mien.reporting.numbers import percent
from mien.reporting.tables import markdown as table

ECE = 0.03
"""Largest mean distance of confidence and accuracy."""

COVERAGE = (0.885, 0.915)
"""Share of candidate sets that hold the truth, least and most."""

LEAST = 0.85
"""Share of them for each expression, but for those of so few faces that it says little."""

RARE = 60
"""Fewer faces than this of an expression are too few to hold it against that (FER2013 has 55 of disgust)."""

ENSEMBLE = "base-and-small"
"""What the ledger calls the ensemble: ``mien ensemble base-and-small base small``."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a bundled model was to reach: shares correct on PrivateTest, single crops."""

    model: str
    goal: float
    floor: float
    next: str
    dataset: str = "fer2013"


GOALS = (
    Goal("tiny", 0.6974, 0.68, "a stronger teacher: what helped it most was to be taught by one"),
    Goal(
        "small",
        0.72,
        0.70,
        "an accelerator: a teacher that is better than `base` and of another kind, asked for every augmented picture. "
        "Taught from its first step for 56 epochs by the cached answers of `base` and `small`, it came to less "
        "(`small-scratch` in [what helped](what-helped.md)); with more room, 982,263 values, and 14 epochs of answers "
        "for every augmented picture it came to as much (`small-grown`): more room alone is not what it lacks",
    ),
    Goal("base", 0.737, 0.71, "a teacher that is better than itself, and more than 44 epochs"),
    Goal("small-ferplus", 0.87, 0.84, "a teacher; it learnt from the votes alone", dataset="ferplus"),
)
_ENSEMBLE = (0.752, 0.725)

_HEAD = f"""# What was aimed at, and what came of it

The goals for the bundled models were set before the models were made, each with a floor for training on a processor
alone, which is how these were trained: two cores, one seed each. Accuracy is of single crops of FER2013's PrivateTest
([how it is measured](measuring.md)). ECE is to be {100 * ECE:g} % at most; candidate sets are to hold the truth for
{100 * COVERAGE[0]:g} to {100 * COVERAGE[1]:g} % of the faces, and for {100 * LEAST:g} % of each expression's, but
for disgust, whose 55 faces say little. Generated from the [ledger](measuring.md#the-ledger) and the
[records](reliability.md).
"""

_SPEED = """Faces a second of CPU time on one thread, in batches of eight, from the uint8 crop to the logits
([how it is measured](frontier.md)). From the crop to the reading, by the clock, there are fewer:
[benchmarks](benchmarks.md).
"""

_WHY_SMALL = """## Why `small` is the default

`small` reads where no model is named. On PublicTest it is as often right as `base`, within what 3,589 faces can tell
([what helped](what-helped.md)), and keeps as much of it under corruption, more behind a covered nose or eyes, at a
quarter of the size and nearly three times the speed. `tiny` is two points below it and loses more under corruption; it
is for machines where each millisecond counts. `base` is for those where a point or two more on PrivateTest are worth
nearly three times the time.
"""


def page(
    manifests: dict[str, Manifest],
    records: dict[str, ModelRecord],
    book: Sequence[ledger.LedgerEntry],
    speeds: dict[str, Any],
) -> str:
    """The page, from manifests and records by the model's name, the ledger and the frontier."""
    measured = {
        (entry.identity, entry.dataset): entry for entry in book if (entry.split, entry.views) == ("private", "one")
    }
    heads = ("model", "what is next", "goal %", "floor %", "ours %", "the goal", "the floor")
    rows: list[tuple[str, ...]] = []
    for goal in GOALS:
        entry = measured[manifests[goal.model].sha256, goal.dataset]
        gaps = (_gap(entry.accuracy, goal.goal), _gap(entry.accuracy, goal.floor))
        name = f"`{goal.model}`" if goal.dataset == "fer2013" else f"`{goal.model}`, on FER+ of {entry.n:,} faces"
        rows.append((name, goal.next, f"{100 * goal.goal:.2f}", f"{100 * goal.floor:.1f}", _figure(entry), *gaps))
    rows.append(_ensemble(book))
    parts = [
        _HEAD,
        "## Accuracy",
        table(heads, rows, words=(0, 1)),
        "## Reliability on PrivateTest",
        _reliability(records),
    ]
    parts += ["## Speed of the network alone", _SPEED, _speed(speeds), _WHY_SMALL]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _ensemble(book: Sequence[ledger.LedgerEntry]) -> tuple[str, ...]:
    """Its row: chosen on PublicTest, measured once on PrivateTest; it does not ship, its members do."""
    goal, floor = _ENSEMBLE
    looks = {entry.views: entry for entry in book if (entry.model, entry.split) == (ENSEMBLE, "private")}
    ours, gaps = "–", ("not reached", "not reached")
    if "one" in looks:
        ours, gaps = _figure(looks["one"]), (_gap(looks["one"].accuracy, goal), _gap(looks["one"].accuracy, floor))
    if "mirror" in looks:
        ours += f"; {100 * looks['mirror'].accuracy:.2f} {VIEW_WORDS['mirror']}"
    steps_next = (
        "networks of another kind with the budget of `base`: these were taught by one another, and a third that was "
        "trained with them as teachers, from the start or with more room, adds nothing to their mean"
    )
    return ("the mean of `base` and `small`", steps_next, f"{100 * goal:.1f}", f"{100 * floor:.1f}", ours, *gaps)


def _figure(entry: ledger.LedgerEntry) -> str:
    low, high = entry.accuracy_interval
    return f"{100 * entry.accuracy:.2f} ({100 * low:.1f} to {100 * high:.1f})"


def _reliability(records: dict[str, ModelRecord]) -> str:
    heads = ("model", "ECE", "sets hold the truth", "the least of an expression")
    rows = []
    for name, record in records.items():
        for one in record.measured:
            if one.evaluation.split != "private" or one.robustness.coverage is None:
                continue
            calibration, coverage = one.robustness.expected_calibration_error.value, one.robustness.coverage.value
            often = [c for c in one.robustness.classes if c.n >= RARE]
            least = min(often, key=lambda c: c.coverage.value)
            rows.append(
                (
                    f"`{name}`",
                    _met(calibration, calibration <= ECE),
                    _met(coverage, COVERAGE[0] <= coverage <= COVERAGE[1]),
                    f"{least.label} {_met(least.coverage.value, least.coverage.value >= LEAST)} (n = {least.n})",
                )
            )
    return table(heads, rows)


def _speed(measured: dict[str, Any]) -> str:
    rates = {row["name"]: row["faces_per_second"] for row in measured["rows"]}
    rows = [
        (f"`{name}`", f"{goal:,}", f"{rates[name]:,.0f}, {'met' if rates[name] >= goal else 'missed'}")
        for name, goal in measured["goals"].items()
    ]
    return table(("model", "goal, faces per CPU second", "ours"), rows)


def _gap(value: float, aim: float) -> str:
    return "reached" if value >= aim else f"{100 * (aim - value):.2f} points short"


def _met(value: float, holds: bool) -> str:
    return f"{percent(value)}, {'met' if holds else 'missed'}"
