"""A bulk run: what is left to do, done by an engine and committed as it comes."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mien.bulk.cluster import run_ray
from mien.bulk.inputs import Item, find_items, is_remote
from mien.bulk.local import run_local
from mien.bulk.options import BulkOptions, Limits
from mien.bulk.output import Output, Status
from mien.bulk.store import Store
from mien.bulk.worker import Unit, UnitResult
from mien.core.errors import BulkError
from mien.core.policy import Feature, Place, Purpose, decide
from mien.core.provenance import describe_machine, describe_versions

_EVERY = 5.0
"""Seconds from one commit to the next: what a kill loses, beyond the units under way."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        inputs: items that it was given.
        before: of them, those that an earlier run had done.
        done: of them, those that this one has.
        bad: of those of this one, how many could not be read.
        faces: found by this one.
        bytes: of its items.
        seconds: since it began to read.
    """

    inputs: int
    before: int
    done: int
    bad: int
    faces: int
    bytes: int
    seconds: float

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this pace; None before the first item."""
        return self.seconds / self.done * (self.inputs - self.before - self.done) if self.done else None


def run_bulk(
    inputs: Sequence[str],
    out: str | Path,
    *,
    purpose: Purpose,
    place: Place,
    options: BulkOptions | None = None,
    on: Literal["local", "ray"] = "local",
    workers: int | None = None,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Status:
    """Read all inputs that ``out`` does not hold yet, and commit their rows into it.

    Args:
        inputs: as for :func:`~mien.bulk.inputs.find_items`.
        out: folder of the output, new or of the same options; a path, or an address such as ``s3://bucket/out``.
        purpose: what it is done for; the law decides by it.
        place: where the people are whose faces are read.
        options: what decides the rows.
        on: where it is read: in processes of this machine, or in actors of the Ray cluster that ``RAY_ADDRESS`` names
            or this machine is part of. Its nodes must reach the inputs by the same addresses.
        workers: processes or actors; None for one each core.
        limits: when an item or the run is given up.
        progress: told after each unit.

    Returns:
        What the output holds at the end.

    Raises:
        PolicyError: the law does not let faces be read for this purpose there.
        BulkError: an input or the output cannot be used, or too many items were bad.
        ModelError: a model or detector cannot be used.
    """
    decide(purpose, place).require(Feature.UPLOAD, called="bulk work")
    options, limits = options or BulkOptions(), limits or Limits()
    if workers is not None and workers < 1:
        raise BulkError(f"workers is {workers}: at least one process reads")
    Store(out).check_writable()
    recognizer = options.recognizer()
    decides, key = options.decides(recognizer), options.key(recognizer)
    del recognizer
    left_out = Counter[str]()
    own = [] if is_remote(str(out)) else [Path(out)]
    items = list(find_items(inputs, left_out=left_out, without=own))
    extra = list(dict.fromkeys(name for item in items for name, _ in item.extra))
    about = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": decides,
        "columns": extra,
        "purpose": str(purpose),
        "place": str(place),
        "given": list(inputs),
        "inputs": len(items),
        "machine": describe_machine(),
        "versions": describe_versions("onnxruntime", "av", "deltalake"),
    }
    output = _opened(out, about, extra)
    output.claim()
    done = output.identities()
    left = [item for item in items if item.identity(key) not in done]
    counts = _Counts(len(items), len(items) - len(left), limits.max_bad)
    output.write_about(inputs=len(items), given=list(inputs), left_out=dict(left_out.most_common()))
    del items, done
    if left:
        cores = workers or os.cpu_count() or 1
        units = _units(left, limits.unit, cores)
        if on == "ray":
            engine = run_ray(options, units, workers=workers, limits=limits, key=key)
        else:
            engine = run_local(options, units, workers=min(cores, len(units)), limits=limits, key=key)
        with closing(engine) as results:
            _commit_all(output, results, counts, progress)
    status = output.status()
    output.write_about(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        counts={"items": status.items, "read": status.read, "bad": status.bad, "faces": status.faces},
    )
    return status


def _commit_all(
    output: Output, results: Iterator[UnitResult], counts: _Counts, progress: Callable[[Progress], None]
) -> None:
    """Commit what the workers hand in, some seconds' worth at a time; after an error too."""
    waiting: list[UnitResult] = []
    last = time.monotonic()
    try:
        for result in results:
            waiting.append(result)
            progress(counts.add(result))
            counts.check()
            if time.monotonic() - last > _EVERY:
                batch, waiting = waiting, []  # one whose commit failed must not be tried again: half of it may be there
                output.commit(batch)
                last = time.monotonic()
    except (BulkError, KeyboardInterrupt):
        if waiting:
            output.commit(waiting)
        raise
    if waiting:
        output.commit(waiting)


class _Counts:
    """Counts what this run has done, and ends it where too much is bad."""

    def __init__(self, inputs: int, before: int, max_bad: float | None) -> None:
        self._inputs, self._before, self._max_bad = inputs, before, max_bad
        self._done = self._bad = self._faces = self._bytes = 0
        self._reasons: Counter[str] = Counter()
        self._began = time.monotonic()

    def add(self, result: UnitResult) -> Progress:
        self._done += result.read + result.bad
        self._bad += result.bad
        self._faces += result.faces
        self._bytes += result.bytes
        self._reasons += result.reasons
        seconds = time.monotonic() - self._began
        return Progress(self._inputs, self._before, self._done, self._bad, self._faces, self._bytes, seconds)

    def check(self) -> None:
        if self._max_bad is not None and self._bad > self._max_bad * self._inputs:
            why = "; ".join(f"{count} x {reason}" for reason, count in self._reasons.most_common(3))
            raise BulkError(
                f"{self._bad} of {self._inputs} inputs could not be read, more than {self._max_bad:.3g} of all, so the "
                f"run has stopped ({why}): mend the inputs, or allow more, and run it again"
            )


def _opened(out: str | Path, about: dict[str, Any], extra: Sequence[str]) -> Output:
    """The output, made or found; one of other options is refused with what differs."""
    if not Store(out).has_output():
        return Output.create(out, about, extra)
    output = Output(out)
    before = output.about
    changed = {f"option '{name}'": (before["options"].get(name), value) for name, value in about["options"].items()}
    changed |= {name: (before[name], about[name]) for name in ("purpose", "place")}
    changed["manifest's own columns"] = before["columns"], about["columns"]
    differs = [f"{name} was {_short(old)} and is {_short(new)}" for name, (old, new) in changed.items() if old != new]
    if differs:
        raise BulkError(f"{out}: was made with something else: {'; '.join(differs)}. Undo that, or name another output")
    return output


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({digest[:8]})" for name, digest in value.items())
    return f"'{value}'" if isinstance(value, str) else str(value)


def _units(items: Sequence[Item], most: int, workers: int) -> list[Unit]:
    """Videos alone, the largest first; then the pictures in blocks, smaller where there would be too few for all."""
    videos = sorted((item for item in items if item.is_video), key=lambda item: -item.size)
    pictures = [item for item in items if not item.is_video]
    size = max(1, min(most, -(-len(pictures) // (4 * workers))))
    return [Unit((video,)) for video in videos] + list(_blocks(pictures, size))


def _blocks(items: Sequence[Item], size: int) -> Iterator[Unit]:
    for start in range(0, len(items), size):
        yield Unit(tuple(items[start : start + size]))
