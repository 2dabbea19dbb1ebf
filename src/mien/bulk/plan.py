"""What a run will take, told before it starts: counted, and calibrated on some of its inputs."""

from __future__ import annotations

import io
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.bulk.inputs import Item, find_items
from mien.bulk.options import BulkOptions
from mien.bulk.tables import TABLES
from mien.bulk.worker import Unit, UnitReader, fetched
from mien.core.errors import MienError
from mien.core.policy import Feature, Place, Purpose, decide
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.recorded import VideoFile

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 50
"""Pictures, and likewise a fifth as many videos, that a calibration reads."""

_PIECE = 30.0
"""Seconds of a video that a calibration reads, from its middle."""

_RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What reading will take, by a calibration.

    Attributes:
        sampled: inputs that were read for it.
        core_hours: expected hours of one core.
        interval: core-hours between which it lies with 95 %, by the bootstrap over the inputs that were read.
        disk: bytes of the output after compaction.
    """

    sampled: int
    core_hours: float
    interval: tuple[float, float]
    disk: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to read.

    Attributes:
        pictures: how many.
        videos: how many.
        bytes: of all whose size is known.
        without_size: inputs of unknown size: missing, or at an address that was not asked.
        left_out: files that are neither picture nor video, by ending, the most first.
        cost: what reading takes; None where nothing was read for it.
    """

    pictures: int
    videos: int
    bytes: int
    without_size: int
    left_out: dict[str, int]
    cost: Cost | None


def plan_bulk(
    inputs: Sequence[str],
    *,
    purpose: Purpose | None = None,
    place: Place | None = None,
    options: BulkOptions | None = None,
    sample: int = SAMPLE,
) -> Plan:
    """Count the inputs; and, for a purpose and a place, read some of them to tell what all will take.

    Args:
        inputs: as for :func:`~mien.bulk.inputs.find_items`.
        purpose: what the run is for; None to only count, as reading a sample is reading faces too.
        place: where the people are whose faces are read.
        options: those of the run.
        sample: pictures that are drawn, and a fifth as many videos; the same each time.

    Raises:
        PolicyError: the law does not let faces be read for this purpose there.
        BulkError: an input cannot be used.
        ModelError: a model or detector cannot be used.
    """
    if purpose is not None and place is not None:
        decide(purpose, place).require(Feature.UPLOAD, called="bulk work")
    pictures, videos = _Stratum(sample), _Stratum(max(1, sample // 5))
    left_out = Counter[str]()
    without_size = 0
    for item in find_items(inputs, left_out=left_out):
        (videos if item.is_video else pictures).add(item)
        without_size += item.size < 0
    cost = None if purpose is None or place is None else _calibrated(pictures, videos, options or BulkOptions())
    return Plan(
        pictures=pictures.count,
        videos=videos.count,
        bytes=pictures.bytes + videos.bytes,
        without_size=without_size,
        left_out=dict(left_out.most_common()),
        cost=cost,
    )


@dataclass(slots=True)
class _Stratum:
    """Inputs of one kind, counted, and some of them drawn: each with the same chance."""

    wanted: int
    count: int = 0
    bytes: int = 0
    drawn: list[Item] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311

    def add(self, item: Item) -> None:
        self.count += 1
        self.bytes += max(item.size, 0)
        if len(self.drawn) < self.wanted:
            self.drawn.append(item)
        elif (at := self.chance.randrange(self.count)) < self.wanted:
            self.drawn[at] = item


def _calibrated(pictures: _Stratum, videos: _Stratum, options: BulkOptions) -> Cost:
    reader = UnitReader(options, options.key(options.recognizer()))
    if pictures.drawn:  # what is loaded at the first picture is loaded once in a run
        reader.read(Unit(tuple(pictures.drawn[:1])))
    generator = np.random.default_rng(0)
    seconds = 0.0
    resampled = np.zeros(_RESAMPLES)
    rows = dict.fromkeys(TABLES, 0.0)
    tables: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    for stratum in (pictures, videos):
        if not stratum.drawn:
            continue
        measured = [_measured(reader, item) for item in stratum.drawn]
        each = np.array([one.seconds for one in measured])
        seconds += stratum.count * each.mean()
        draws = generator.integers(len(each), size=(_RESAMPLES, len(each)))
        resampled += stratum.count * each[draws].mean(axis=1)
        for one in measured:
            for name, table in one.tables.items():
                rows[name] += stratum.count * one.times * len(table) / len(measured)
                tables[name].append(table)
    low, high = np.percentile(resampled, [2.5, 97.5]) / 3600
    disk = sum(rows[name] * _bytes_of_row(tables[name]) for name in TABLES)
    return Cost(len(pictures.drawn) + len(videos.drawn), seconds / 3600, (float(low), float(high)), round(disk))


@dataclass(frozen=True, slots=True)
class _Measured:
    """Seconds that an input takes; rows of a piece of it, and how often that goes into the whole."""

    seconds: float
    times: float = 1.0
    tables: dict[str, pa.Table] = field(default_factory=dict)


def _measured(reader: UnitReader, item: Item) -> _Measured:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mien-bulk-") as folder:
        try:
            path = fetched(item, Path(folder), 0)
        except MienError:  # a row in a run
            return _Measured(time.monotonic() - began)
        piece, times = _piece(item._replace(uri=str(path), offset=-1))
        fetching, began = time.monotonic() - began, time.monotonic()
        result = reader.read(Unit((piece,)))
        return _Measured(fetching + times * (time.monotonic() - began), times, result.tables)


def _piece(item: Item) -> tuple[Item, float]:
    """The middle of a long video, and how often it goes into what is read; the whole of everything else."""
    try:
        source = open_source(item.uri) if item.is_video else None
    except MienError:
        source = None
    if not isinstance(source, VideoFile):
        return item, 1.0
    with closing(source), closing(source.pictures()) as pictures:  # nothing but this closes the file
        next(pictures, None)
    begin = item.start or 0.0
    length = min(item.end or math.inf, source.duration) - begin
    if length <= 2 * _PIECE:
        return item, 1.0
    middle = begin + (length - _PIECE) / 2
    return item._replace(start=middle, end=middle + _PIECE), length / _PIECE


def _bytes_of_row(tables: list[pa.Table]) -> float:
    """What one more row adds to a file, whose columns and footer take their room once."""
    import pyarrow as pa

    rows = pa.concat_tables(tables, promote_options="default") if tables else None
    if rows is None or len(rows) < 2:
        return 0.0
    return (_packed(rows) - _packed(rows[:1])) / (len(rows) - 1)


def _packed(table: pa.Table) -> int:
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(table, file)
    return file.tell()
