"""The ledger: every measurement that is quoted, one JSON line each, appended and never rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mien.core.files import append_line, read_lines
from mien.core.predictor import VIEW_WORDS
from mien.core.provenance import commit
from mien.evaluation.evaluation_result import Evaluation, Measurement
from mien.reporting.numbers import NONE, hundredths, interval, short_commit
from mien.reporting.tables import Table

_HEADS = (
    *("model", "faces", "measured on", "recipe", "seed", "parameters", "rows", "accuracy % (95 %)"),
    *("without leaks %", "macro F1 %", "log loss", "ECE %", "measured"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry(Measurement):
    """One line of a ledger.

    Attributes:
        time: when it was measured, UTC, ISO 8601.
        mien: version of this package.
        commit: of the repository it was measured in, with ``-dirty`` where tracked files had changed.
    """

    time: str
    mien: str
    commit: str | None = None


def append(path: Path, evaluation: Evaluation) -> LedgerEntry:
    """Append one evaluation to the ledger at ``path``, made where there is none.

    The line goes out in one write behind the file's end and is on the disk when this returns.

    Raises:
        ConfigError: the file holds a line that is no ledger entry; nothing is written.
    """
    if path.exists():
        read(path)
    entry = LedgerEntry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        mien=version("mien"),
        commit=commit(apart_from=path),
        **{field.name: getattr(evaluation, field.name) for field in fields(Measurement)},
    )
    append_line(path, entry)
    return entry


def read(path: Path) -> list[LedgerEntry]:
    """The ledger's entries, oldest first.

    Raises:
        ConfigError: no such file, or a line that is no entry; the message holds its number.
    """
    return read_lines(LedgerEntry, path, what="ledger", start=f"mien evaluate --ledger {path}", renew=_renewed)


def table(entries: Sequence[LedgerEntry]) -> Table:
    """A ledger's entries, best accuracy first.

    Of the same weights measured twice by one protocol the later line counts.
    """
    latest = {(e.identity, e.dataset, e.split, e.views, e.protocol): e for e in entries}
    rows = tuple(
        (
            entry.model,
            VIEW_WORDS[entry.views],
            f"{entry.dataset}/{entry.split}",
            entry.recipe or NONE,
            NONE if entry.training_seed is None else str(entry.training_seed),
            f"{entry.parameters:,}",
            f"{entry.n:,}",
            f"{hundredths(entry.accuracy)} ({interval(entry.accuracy_interval)})",
            hundredths(entry.accuracy_without_leaks),
            hundredths(entry.macro_f1),
            f"{entry.log_loss:.4f}",
            hundredths(entry.expected_calibration_error),
            entry.time[:10] if entry.commit is None else f"{entry.time[:10]} at {short_commit(entry.commit)}",
        )
        for entry in sorted(latest.values(), key=lambda e: -e.accuracy)
    )
    return Table("The ledger", _HEADS, rows, words=(0, 1, 2, 3, 12))


def _renewed(line: dict[str, Any]) -> dict[str, Any]:
    """A line from before ``views``, which said whether it was averaged with the mirrored face."""
    if "mirror" not in line:
        return line
    return {name: value for name, value in line.items() if name != "mirror"} | {
        "views": "mirror" if line["mirror"] else "one"
    }
