"""The part of ``mien report`` that cuts recordings around stimuli: files to participants, results to a terminal."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.core.errors import MienError
from mien.core.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from mien.runtime.recordings.epochs import Epochs, EpochSpec
    from mien.runtime.recordings.responses import Contrast, Experiment
    from mien.runtime.recordings.stimuli import Stimulus

_EVENT_KINDS = (".tsv", ".csv", ".eaf", ".txt")


@dataclass(frozen=True, slots=True)
class EventsFile:
    """Where stimuli come from: one file for all recordings, or a folder with one for each; and what is what in it."""

    path: Path
    onset: str | None
    condition: str | None
    tier: str | None

    def stimuli(self, recording: Path) -> tuple[Stimulus, ...]:
        """Those of one recording."""
        from mien.runtime.recordings.stimuli import read_stimuli

        path = self._beside(recording) if self.path.is_dir() else self.path
        return read_stimuli(path, onset=self.onset, condition=self.condition, tier=self.tier)

    def _beside(self, recording: Path) -> Path:
        stem = re.sub(r"_(recording|beh|physio)$", "", recording.stem)
        names = [f"{name}{kind}" for name in (recording.stem, f"{stem}_events") for kind in _EVENT_KINDS]
        for name in names:
            if (self.path / name).is_file():
                return self.path / name
        raise MienError(
            f"{self.path}: no events for {recording.name}; expected {names[0]}, or a name such as {stem}_events.tsv"
        )


def parse_epoch(text: str) -> tuple[float, float]:
    """``"-1:5"``: from a second before the onset to five after it."""
    match = re.fullmatch(r"-?(\d+(?:\.\d*)?):\+?(\d+(?:\.\d*)?)", text.strip())
    if match is None:
        raise typer.BadParameter(f"it is BEFORE:AFTER in seconds, such as -1:5, not '{text}'")
    return float(match[1]), float(match[2])


def epoch_spec(around: tuple[float, float], *, baseline: bool, min_coverage: float) -> EpochSpec:
    """The options as a specification.

    Raises:
        typer.BadParameter: they contradict one another.
    """
    from mien.runtime.recordings.epochs import EpochSpec

    try:
        return EpochSpec(before=around[0], after=around[1], baseline=baseline, min_coverage=min_coverage)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def experiment(
    groups: Mapping[str, Sequence[Path]], events: EventsFile, spec: EpochSpec
) -> tuple[list[Epochs], Experiment]:
    """Cut every recording, join those of one participant, and analyse.

    A participant is what a file name says by BIDS's ``sub-LABEL``, else the recording itself.

    Args:
        groups: recordings by group; one group without a name where there is none to compare.
        events: their stimuli.
        spec: how to cut.
    """
    from mien.runtime.recordings.epochs import cut_epochs, merge_epochs
    from mien.runtime.recordings.read import read_recording
    from mien.runtime.recordings.responses import analyse_epochs

    people: dict[str, tuple[str, list[Epochs]]] = {}
    for group, paths in groups.items():
        for path in paths:
            label = re.match(r"(sub-[A-Za-z0-9]+)(_|$)", path.stem)
            name = label[1] if label else path.stem
            if not label and name in people:
                raise MienError(f"two recordings are called {name}: give one another name, or call both sub-{name}_…")
            if name in people and people[name][0] != group:
                raise MienError(f"{name} is in two groups, {people[name][0]} and {group}; groups need other people")
            try:
                epochs = cut_epochs(read_recording(path), events.stimuli(path), spec)
            except ValueError as error:
                raise MienError(f"{path}: {error}") from None
            people.setdefault(name, (group, []))[1].append(epochs)
    joined = [merge_epochs(parts, name) for name, (_, parts) in people.items()]
    named = [group for group, _ in people.values()] if len(groups) > 1 else None
    try:
        return joined, analyse_epochs(joined, groups=named)
    except ValueError as error:
        raise MienError(str(error)) from None


def write_epochs(path: Path, epochs: Iterable[Epochs]) -> None:
    """A long table: a row for each participant, epoch and bin, with a column for each quantity."""
    from io import StringIO

    from mien.runtime.recordings.epochs import QUANTITIES

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["participant", "condition", "trial", "onset", "duration", "coverage", "excluded", "time", *QUANTITIES]
    )
    for one in epochs:
        times = one.spec.times
        for at, stimulus in enumerate(one.stimuli):
            about = [
                one.participant,
                stimulus.condition,
                stimulus.trial,
                f"{stimulus.onset:g}",
                f"{stimulus.duration:g}",
            ]
            about += [f"{one.coverage[at]:.3f}", one.excluded[at]]
            for time, values in zip(times, one.values[at], strict=True):
                cells = ["" if math.isnan(value) else f"{value:.5f}" for value in values]
                writer.writerow([*about, f"{time:.4g}", *cells])
    write_whole(path, text.getvalue())


def print_experiment(found: Experiment, console: Console) -> None:
    """Conditions, responses and contrasts as tables."""
    from rich.table import Table
    from rich.text import Text

    spec = found.spec
    how = "less the mean before the onset" if spec.baseline else "as they are"
    console.print(Text(f"epochs from -{spec.before:g} to +{spec.after:g} s, {how}", style="bold"))
    for warning in found.warnings:
        console.print(Text(warning, style="yellow"))
    table = Table("condition", box=None, pad_edge=False)
    for heading in ("participants", "epochs", "left out", "read"):
        table.add_column(heading, justify="right")
    for course in found.courses:
        left_out = sum(course.excluded.values())
        cells = [str(course.participants), str(course.epochs), str(left_out), f"{100 * course.coverage:.0f} %"]
        table.add_row(Text(course.condition), *cells)
    console.print(table)
    console.print()
    table = Table("condition", "quantity", box=None, pad_edge=False)
    for heading in ("points", "95 % interval", "peak", "latency", "duration"):
        table.add_column(heading, justify="right")
    for r in found.responses:
        cells = [points(r.change), interval_words(r.interval), points(r.peak), seconds(r.latency), seconds(r.duration)]
        table.add_row(Text(r.condition), r.quantity, *cells)
    console.print(table)
    console.print()
    for (kind, name), group in groupby(found.contrasts, key=lambda c: (c.kind, _pair(c))):
        rows = list(group)
        people = " and ".join(str(n) for n in dict.fromkeys(rows[0].participants))
        console.print(Text(f"{name} ({kind} participants, n = {people})", style="bold"))
        table = Table("quantity", box=None, pad_edge=False)
        for heading in ("points", "95 % interval", "g", "p", "p (Holm)", "when"):
            table.add_column(heading, justify="right")
        for c in rows:
            when = ", ".join(f"{k.start:.1f}–{k.end:.1f} s" for k in c.clusters if k.p <= 0.05)
            effect = "–" if c.effect is None else f"{c.effect:+.2f}"
            cells = [points(c.difference), interval_words(c.interval), effect, chance(c.p), chance(c.p_holm), when]
            table.add_row(c.quantity, *cells, style="bold" if c.p_holm <= 0.05 else None)
        console.print(table)
        console.print()


def _pair(contrast: Contrast) -> str:
    return f"{contrast.second} less {contrast.first}" + (f", {contrast.condition}" if contrast.condition else "")


def chance(p: float) -> str:
    """A p value, never as 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def points(value: float) -> str:
    """A difference of probabilities in percentage points."""
    return "–" if math.isnan(value) else f"{100 * value:+.1f}"


def interval_words(interval: tuple[float, float] | None) -> str:
    """``"+0.3 to +4.1"``, in percentage points."""
    return "–" if interval is None else f"{points(interval[0])} to {points(interval[1])}"


def seconds(value: float | None) -> str:
    """``"1.2 s"``."""
    return "–" if value is None else f"{value:.1f} s"
