"""Stimulus files of experiments: when something was shown, for how long, and under which condition."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree  # files with a DOCTYPE are refused, see _elan

from mien.core.errors import MienError, nearest

_ONSET = "onset"
_CONDITION = ("condition", "trial_type")
_TRIAL = ("trial", "trial_number")
_NOTHING = ("", "n/a", "nan", "none")
_FORMATS = (
    "a table with the columns onset and condition (or trial_type), a BORIS export, a PsychoPy table or an ELAN .eaf"
)


@dataclass(frozen=True, slots=True)
class Stimulus:
    """Something that was shown, said or done at a known time of a recording.

    Attributes:
        onset: seconds from the start of the recording.
        duration: seconds; 0 for a moment, or where the file does not say.
        condition: what it belongs to, such as ``"funny"``.
        trial: the file's own name of the trial; else its number in the file, from 1.

    Raises:
        ValueError: a time is not finite, a duration is negative, or the condition is empty.
    """

    onset: float
    duration: float
    condition: str
    trial: str

    def __post_init__(self) -> None:
        """Check the values."""
        if not math.isfinite(self.onset) or not math.isfinite(self.duration):
            raise ValueError(f"onset and duration must be finite, got {self.onset} and {self.duration}")
        if self.duration < 0:
            raise ValueError(f"a duration cannot be negative, got {self.duration}")
        if not self.condition:
            raise ValueError("the condition is empty")


def read_stimuli(
    path: str | Path, *, onset: str | None = None, condition: str | None = None, tier: str | None = None
) -> tuple[Stimulus, ...]:
    """The stimuli of a file, by onset.

    Read are CSV and TSV with a column ``onset`` and one ``condition`` or ``trial_type`` (BIDS ``events.tsv``; further
    columns ``duration`` and ``trial``), BORIS's aggregated events (``Behavior``, ``Start (s)``, ``Stop (s)``) and
    tabular events (``Time``, ``Behavior``, ``Status`` or ``Behavior type``), PsychoPy's tables (``NAME.started``) and
    ELAN's ``.eaf``. Lines without an onset, as PsychoPy writes them, are no stimuli.

    Args:
        path: the file.
        onset: the column of onsets, where the file has several or calls it something else.
        condition: the column of conditions, likewise.
        tier: the tier of an ELAN file; needed where several hold annotations.

    Raises:
        MienError: no such file, none of these formats, a value that is no time, or no stimulus in it.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise MienError(f"{path}: {reason}; expected {_FORMATS}") from None
    try:
        if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
            found = _elan(content, tier)
        else:
            found = _table(_text(content), onset, condition)
    except _RefusedError as error:
        raise MienError(f"{path}: {error}") from None
    if not found:
        raise MienError(f"{path}: holds no stimulus; expected {_FORMATS}")
    return tuple(sorted(found, key=lambda stimulus: stimulus.onset))


class _RefusedError(Exception):
    """What is wrong with a file, without its name."""


def _text(content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise _RefusedError(f"is no text in UTF-8; expected {_FORMATS}") from None


def _table(text: str, onset: str | None, condition: str | None) -> list[Stimulus]:
    head = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval="")
    try:
        columns = {name.strip().lower(): name for name in reader.fieldnames or () if name}
        rows = [(reader.line_num, row) for row in reader if any(row.values())]
    except csv.Error as error:
        raise _RefusedError(f"line {reader.line_num} is damaged: {error}") from None
    named = {_named(columns, name) for name in (onset, condition) if name}
    if not named and "behavior" in columns:
        return _boris(columns, rows)
    at = _named(columns, onset) if onset else _onset_column(columns)
    of = _named(columns, condition) if condition else _first(columns, _CONDITION)
    if of is None:
        raise _RefusedError(
            f"no column of conditions ({' or '.join(_CONDITION)}); name it with --condition-column: "
            f"{', '.join(columns.values())}"
        )
    duration = columns.get("duration", columns.get(at.strip().lower().removesuffix(".started") + ".duration", ""))
    stopped = columns.get(at.strip().lower().removesuffix(".started") + ".stopped", "")
    trial = _first(columns, _TRIAL) or ""
    found: list[Stimulus] = []
    for line, row in rows:
        if row[at].strip().lower() in _NOTHING:
            continue
        start = _seconds(row[at], line, at)
        length = 0.0
        if row.get(duration, "").strip().lower() not in _NOTHING:
            length = _seconds(row[duration], line, duration)
        elif row.get(stopped, "").strip().lower() not in _NOTHING:
            length = _seconds(row[stopped], line, stopped) - start
        found.append(_stimulus(start, length, row[of].strip(), row.get(trial, "").strip() or str(len(found) + 1), line))
    return found


def _onset_column(columns: Mapping[str, str]) -> str:
    if _ONSET in columns:
        return columns[_ONSET]
    started = [name for low, name in columns.items() if low.endswith(".started")]
    if len(started) == 1:
        return started[0]
    if started:
        raise _RefusedError(f"which of these is the onset? Name it with --onset-column: {', '.join(started)}")
    raise _RefusedError(f"no column '{_ONSET}' among {', '.join(columns.values()) or 'none'}; expected {_FORMATS}")


def _boris(columns: Mapping[str, str], rows: Sequence[tuple[int, Mapping[str, str]]]) -> list[Stimulus]:
    """BORIS's two exports of events; a state of the tabular one is open from its START to its STOP."""
    behaviour = columns["behavior"]
    found: list[Stimulus] = []
    if "start (s)" in columns:
        start, stop = columns["start (s)"], columns.get("stop (s)", "")
        for line, row in rows:
            begin = _seconds(row[start], line, start)
            open_ended = row.get(stop, "").strip().lower() in _NOTHING
            length = 0.0 if open_ended else _seconds(row[stop], line, stop) - begin
            found.append(_stimulus(begin, length, row[behaviour].strip(), str(len(found) + 1), line))
        return found
    status = columns.get("status", columns.get("behavior type"))
    if "time" not in columns or status is None:
        raise _RefusedError("a BORIS export needs 'Start (s)', or 'Time' with 'Status' or 'Behavior type'")
    opened: dict[str, tuple[float, int]] = {}
    for line, row in rows:
        time, name, kind = _seconds(row[columns["time"]], line, "Time"), row[behaviour].strip(), row[status].strip()
        if kind.upper() == "POINT":
            found.append(_stimulus(time, 0.0, name, str(len(found) + 1), line))
        elif kind.upper() == "START" and name not in opened:
            opened[name] = (time, line)
        elif kind.upper() == "STOP" and name in opened:
            begin, at = opened.pop(name)
            found.append(_stimulus(begin, time - begin, name, str(len(found) + 1), at))
        else:
            raise _RefusedError(f"line {line}: '{kind}' of '{name}' does not follow: START, then STOP, or POINT")
    if opened:
        name, (_, line) = next(iter(opened.items()))
        raise _RefusedError(f"line {line}: '{name}' begins and never ends: a STOP is missing")
    return found


def _elan(content: bytes, tier: str | None) -> list[Stimulus]:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise _RefusedError("holds a DOCTYPE, which no ELAN file has; it is not read")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314  # nothing is expanded without a DOCTYPE
    except ElementTree.ParseError as error:
        raise _RefusedError(f"is damaged XML: {error}") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise _RefusedError(f"is XML, but no ELAN file: its root is {root.tag}; expected {_FORMATS}")
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    tiers = {t.get("TIER_ID", ""): list(t.iter("ALIGNABLE_ANNOTATION")) for t in root.iter("TIER")}
    filled = [name for name, annotations in tiers.items() if annotations]
    if tier is not None and tier not in tiers:
        raise _RefusedError(f"no tier '{tier}': {nearest(tier, tiers)}" if tiers else "has no tier")
    if tier is None and len(filled) > 1:
        raise _RefusedError(f"which tier holds the stimuli? Name it with --tier: {', '.join(filled)}")
    if not filled:
        raise _RefusedError("has no tier with annotations that have times")
    found: list[Stimulus] = []
    for annotation in tiers[tier if tier is not None else filled[0]]:
        name = annotation.get("ANNOTATION_ID", "")
        ends = [slots.get(annotation.get(f"TIME_SLOT_REF{i}")) for i in (1, 2)]
        if ends[0] is None or ends[1] is None:
            raise _RefusedError(f"annotation {name} has no time of its own; align it in ELAN first")
        begin, end = (_seconds(str(value), None, f"annotation {name}") / 1000 for value in ends)
        said = (annotation.findtext("ANNOTATION_VALUE") or "").strip()
        found.append(_stimulus(begin, end - begin, said, str(len(found) + 1), None, where=f"annotation {name}"))
    return found


def _named(columns: Mapping[str, str], name: str) -> str:
    found = columns.get(name.strip().lower())
    if found is None:
        raise _RefusedError(f"no column '{name}': {nearest(name, columns.values())}")
    return found


def _first(columns: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((columns[name] for name in names if name in columns), None)


def _seconds(text: str, line: int | None, column: str) -> float:
    place = column if line is None else f"line {line}, {column}"
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        raise _RefusedError(f"{place}: '{text.strip()[:40]}' is no time in seconds") from None
    if not math.isfinite(value):
        raise _RefusedError(f"{place}: '{text.strip()[:40]}' is no time in seconds")
    return value


def _stimulus(
    onset: float, duration: float, condition: str, trial: str, line: int | None, *, where: str | None = None
) -> Stimulus:
    make: Callable[..., Stimulus] = Stimulus
    try:
        return make(onset, duration, condition, trial)
    except ValueError as error:
        raise _RefusedError(f"{where or f'line {line}'}: {error}") from None
