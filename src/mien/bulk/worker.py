"""What a worker does with a unit: read its items, one after the other, and hand back rows. No engine is in it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mien.bulk.inputs import Item, file_system
from mien.bulk.tables import ITEMS, TABLES, item_row, picture_cells, second_cells, second_of, stream_cells, table_of
from mien.core.errors import BulkError, MienError, VideoError
from mien.core.face import Frame
from mien.runtime.stream.source import SkippingSource, Source
from mien.runtime.stream.stream_picture import StreamPicture

if TYPE_CHECKING:
    import pyarrow as pa

    from mien.bulk.options import BulkOptions

_TRIES = 3
_BACKOFF = 0.5
"""Seconds before the second try of a read that failed; each further one waits twice as long."""

_PACK = 5000
"""Rows after which they become a table."""

Heartbeat = Callable[[], None]
"""Called whenever reading has come further."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Some items that one worker reads in one go.

    Attributes:
        items: what is read.
        lost: whether a worker was lost with it before, when it was no more than one item already.
    """

    items: tuple[Item, ...]
    lost: bool = False

    def after_loss(self, *, sure: bool) -> tuple[Unit, ...]:
        """What is read again after its worker was lost: each item alone, and then once more; nothing if that is bad.

        Args:
            sure: whether it passed a limit, so that a single item is bad at once. Else a node may just have died.
        """
        if len(self.items) > 1:
            return tuple(Unit((item,)) for item in self.items)
        return () if sure or self.lost else (Unit(self.items, lost=True),)


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The rows of a unit.

    Attributes:
        tables: rows of each table of the output.
        read: items that were read.
        faces: faces in them.
        bytes: of the items.
        reasons: how often each reason ended an item, the items' own names left out.
    """

    tables: dict[str, pa.Table]
    read: int
    faces: int
    bytes: int
    reasons: Counter[str]

    @property
    def bad(self) -> int:
        """Items that could not be read."""
        return self.reasons.total()


class UnitReader:
    """Reads units with one set of options, over and over.

    Args:
        options: what decides the rows.
        key: of the options where the run was started.

    Raises:
        ModelError: a model or detector cannot be used.
        BulkError: the same options mean something else on this machine.
    """

    def __init__(self, options: BulkOptions, key: str) -> None:  # noqa: D107
        import cv2

        cv2.setNumThreads(1)
        self._options = options
        self._recognizer = options.recognizer()
        self._key = key
        if options.key(self._recognizer) != key:
            raise BulkError(
                f"{platform.node()}: has other models, or another detector for '{options.detector}', than the machine "
                f"that started the run: install and pull the same on both"
            )

    def read(self, unit: Unit, heartbeat: Heartbeat = lambda: None) -> UnitResult:
        """The rows of a unit; an item that cannot be read is a row like any other."""
        rows = _Rows(self._key, unit.items, seconds=self._options.rows == "second")
        self._read_pictures(unit.items, rows, heartbeat)
        for number, item in enumerate(unit.items):
            if item.is_video:
                self._read_video(number, item, rows, heartbeat)
        return rows.result()

    def _read_pictures(self, items: Sequence[Item], rows: _Rows, heartbeat: Heartbeat) -> None:
        """Local files go to the recognizer as they are; others lie in a folder of their own while they are read."""
        waiting: deque[tuple[int, Path | None]] = deque()
        with tempfile.TemporaryDirectory(prefix="mien-bulk-") as folder:

            def paths() -> Iterator[str]:
                for number, item in enumerate(items):
                    if item.is_video:
                        continue
                    heartbeat()
                    try:
                        path = fetched(item, Path(folder), number)
                    except MienError as error:
                        rows.fail(number, str(error))
                        continue
                    waiting.append((number, path if path != Path(item.uri) else None))
                    yield str(path)

            def fail(source: str, error: MienError) -> None:
                number, own = waiting.popleft()
                rows.fail(number, str(error).replace(source, items[number].uri))
                _forget(own)

            frames = self._recognizer.read_many(paths(), on_error=fail)
            for frame in frames:
                number, own = waiting.popleft()
                rows.picture(number, replace(frame, source=items[number].uri))
                _forget(own)

    def _read_video(self, number: int, item: Item, rows: _Rows, heartbeat: Heartbeat) -> None:
        began, frames, faces = time.monotonic(), 0, 0
        kept = rows.mark()
        try:
            with (
                tempfile.TemporaryDirectory(prefix="mien-bulk-") as folder,
                closing(self._watched(fetched(item, Path(folder), number), item)) as stream,
            ):
                for frame in stream:
                    rows.frame(number, frames, replace(frame, source=item.uri))
                    frames, faces = frames + 1, faces + len(frame)
                    heartbeat()
                if frames == 0:
                    raise VideoError(f"{item.uri}: no picture between its start and its end")
        except MienError as error:
            rows.drop_since(kept)
            path = str(error).split(": ", 1)[0]
            rows.fail(
                number, str(error).replace(path, item.uri) if path.startswith(tempfile.gettempdir()) else str(error)
            )
            return
        rows.end_second(number)
        rows.done(number, frames=frames, faces=faces, seconds=time.monotonic() - began)

    def _watched(self, path: Path, item: Item) -> Generator[Frame, None, None]:
        from mien.runtime.stream.opening import open_source
        from mien.runtime.stream.sampling import SampledSource

        def opened() -> Source:
            return _Part(open_source(path, say=_silent), item.start, item.end)

        every = self._options.every
        if every is None:
            return self._recognizer.watch(opened())
        return self._recognizer.watch(SampledSource(opened, every=every, say=_silent), detect_every=1)


class _Part:
    """The pictures of a source between two times; a source itself."""

    live = False

    def __init__(self, source: Source, start: float | None, end: float | None) -> None:
        self._source = source
        self._start = start or 0.0
        self._end = float("inf") if end is None else end
        self.name = source.name

    def pictures(self) -> Generator[StreamPicture, None, None]:
        with closing(self._source.pictures()) as pictures:
            for picture in pictures:
                if picture.time >= self._end:
                    return
                if picture.time >= self._start:
                    yield picture
                else:
                    self.skip_to(self._start)

    def skip_to(self, time: float) -> None:
        if isinstance(self._source, SkippingSource):
            self._source.skip_to(time)

    def close(self) -> None:
        self._source.close()


class _Rows:
    """The rows of a unit while they come."""

    def __init__(self, key: str, items: Sequence[Item], *, seconds: bool) -> None:
        self._items = items
        self._identities = [item.identity(key) for item in items]
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self._packed: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
        self._second: list[dict[str, Any]] | None = [] if seconds else None
        self._reasons: Counter[str] = Counter()
        self._found = 0
        self._last = time.monotonic()

    def picture(self, number: int, frame: Frame) -> None:
        self._add("faces", number, picture_cells(frame))
        now = time.monotonic()
        self.done(number, frames=1, faces=len(frame), seconds=now - self._last)
        self._last = now

    def frame(self, number: int, index: int, frame: Frame) -> None:
        faces, events = stream_cells(index, frame)
        self._add("events", number, events)
        if self._second is None:
            self._add("faces", number, faces)
            return
        if self._second and faces and second_of(faces[0]) != second_of(self._second[0]):
            self.end_second(number)
        self._second += faces

    def end_second(self, number: int) -> None:
        """Add up the second at hand."""
        if self._second is not None:
            self._add("recordings", number, second_cells(self._second))
            self._second = []

    def mark(self) -> dict[str, int]:
        """A point that :meth:`drop_since` goes back to."""
        for name in TABLES:
            self._pack(name)
        return {name: len(packed) for name, packed in self._packed.items()}

    def drop_since(self, mark: dict[str, int]) -> None:
        for name, length in mark.items():
            del self._packed[name][length:]
            self._rows[name].clear()
        self._second = None if self._second is None else []

    def done(self, number: int, *, frames: int, faces: int, seconds: float) -> None:
        self._found += faces
        about = item_row(self._items[number], self._identities[number])
        self._rows["items"].append(
            about | {"status": "read", "frames": frames, "faces": faces, "seconds": seconds, "worker": _worker()}
        )

    def fail(self, number: int, reason: str) -> None:
        self._rows["items"].append(failed_row(self._items[number], self._identities[number], reason))
        self._reasons[reason.replace(self._items[number].uri, "").strip(": ")] += 1

    def result(self) -> UnitResult:
        import pyarrow as pa

        self.mark()
        tables = {
            name: pa.concat_tables(packed, promote_options="default") if packed else table_of(TABLES[name], [])
            for name, packed in self._packed.items()
        }
        size = sum(max(item.size, 0) for item in self._items)
        read = len(tables["items"]) - self._reasons.total()
        return UnitResult(tables, read, self._found, size, self._reasons)

    def _pack(self, name: str) -> None:
        """Rows take a tenth of the memory once they are a table: hours of a video at its full rate must not add up."""
        if self._rows[name]:
            self._packed[name].append(table_of(TABLES[name], self._rows[name]))
            self._rows[name] = []

    def _add(self, table: str, number: int, rows: Iterable[dict[str, Any]]) -> None:
        mine = {"item": self._identities[number].hex(), "id": self._items[number].id}
        self._rows[table] += (mine | row for row in rows)
        if len(self._rows[table]) >= _PACK:
            self._pack(table)


def failed_row(item: Item, identity: bytes, reason: str) -> dict[str, Any]:
    """The row of an item that could not be read."""
    return item_row(item, identity) | {"status": "bad", "reason": reason, "frames": 0, "faces": 0, "worker": _worker()}


def failed_result(item: Item, key: str, reason: str) -> UnitResult:
    """What is handed in for an item that ended its worker."""
    rows = table_of(ITEMS, [failed_row(item, item.identity(key), f"{item.uri}: {reason}")])
    tables = {name: table_of(columns, []) for name, columns in TABLES.items()} | {"items": rows}
    return UnitResult(tables, 0, 0, max(item.size, 0), Counter([reason]))


def _worker() -> str:
    return f"{platform.node()}/{os.getpid()}"


def _silent(_: str) -> None:
    """What a stream notices is in its rows."""


def _forget(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


def fetched(item: Item, folder: Path, number: int) -> Path:
    """The item as a local file; into ``folder`` if it is none yet.

    Raises:
        BulkError: it is missing, or the place did not answer after several tries.
    """
    if item.offset < 0 and "://" not in item.uri:
        return Path(item.uri)
    address = item.uri.rsplit("#", 1)[0] if item.offset >= 0 else item.uri
    target = folder / f"{number}{PurePosixPath(item.uri).suffix}"
    for again in range(_TRIES):
        try:
            with _source_of(address) as source, target.open("wb") as file:
                if item.offset >= 0:
                    source.seek(item.offset)
                    file.write(source.read(item.size))
                else:
                    shutil.copyfileobj(source, file, 1 << 20)
        except (FileNotFoundError, PermissionError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else "access is denied"
            raise VideoError(f"{item.uri}: {reason}") from None
        except OSError as error:
            if again == _TRIES - 1:
                raise VideoError(f"{item.uri}: cannot be fetched after {_TRIES} tries ({error})") from None
            time.sleep(_BACKOFF * 2**again)
        else:
            return target
    raise AssertionError  # the last try returns or raises


@contextmanager
def _source_of(address: str) -> Iterator[Any]:
    if "://" not in address:
        with Path(address).open("rb") as file:
            yield file
        return
    fs, path = file_system(address)
    with fs.open(path) as file:
        yield file
