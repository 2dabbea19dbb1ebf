"""The output of a bulk run: Delta Lake tables of which `items` is the one that commits.

A batch is appended to ``faces``, ``events`` and ``recordings`` first and to ``items`` last, and only with its rows in
``items`` it counts. What a driver that was killed in between left in the other tables is deleted when the next one
opens the output. Each commit carries two transaction identifiers of Delta Lake: the batch's, and the driver's. Delta
Lake refuses a commit whose identifier another writer has moved on since, so a second driver ends the first instead of
mixing with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.bulk.store import Store
from mien.bulk.tables import ITEMS, TABLES
from mien.bulk.worker import UnitResult
from mien.core.errors import BulkError, MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable

_BATCH, _DRIVER = "mien batch", "mien driver"
_TARGET = 128 << 20
"""Bytes that a file has after compaction, where there are so many."""
_SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Status:
    """What an output holds.

    Attributes:
        items: rows of ``items``.
        read: of them, those that were read.
        bad: of them, those that could not be.
        faces: faces found.
        bytes: of all items.
        reasons: the commonest reasons of the bad ones, and how often.
        inputs: items that the run was given, or None while it has not been said.
        left_out: files of its folders and shards that are neither picture nor video, by ending, the most first.
    """

    items: int
    read: int
    bad: int
    faces: int
    bytes: int
    reasons: tuple[tuple[str, int], ...]
    inputs: int | None
    left_out: dict[str, int]


class Output:
    """An output that exists; read-only until :meth:`claim`.

    Raises:
        MissingExtraError: deltalake is not installed.
        BulkError: there is no output, or it is damaged or of another version.
    """

    def __init__(self, folder: str | Path) -> None:  # noqa: D107
        _need_deltalake()
        self._store = Store(folder)
        about = self._store.read_about()
        if not isinstance(about, dict) or about.get("schema") != _SCHEMA:
            raise BulkError(f"{folder}: not of schema {_SCHEMA}, which this version of mien reads and writes")
        self.about: dict[str, Any] = about
        self._batch = 0
        self._driver = 0
        opened = {name: self._open(name) for name in reversed(TABLES)}  # all that `items` counts is there
        self._tables = {name: opened[name] for name in TABLES}

    @classmethod
    def create(cls, folder: str | Path, about: dict[str, Any], extra: Sequence[str] = ()) -> Output:
        """Make the empty tables and ``run.json``, which is written last: without it there is no output yet.

        Raises:
            MissingExtraError: deltalake is not installed.
            BulkError: the folder holds something else, or cannot be written.
        """
        _need_deltalake()
        import pyarrow as pa
        from deltalake import DeltaTable

        store = Store(folder)
        strange = [name for name in store.names() if name not in TABLES]
        if strange:
            raise BulkError(f"{store}: holds other files, such as '{strange[0]}': name a new or empty folder")
        if clash := next((name for name in extra if name in ITEMS), None):
            raise BulkError(f"the manifest's own column '{clash}' is one of mien's: rename it")
        with store.writing():
            for name, columns in TABLES.items():
                kinds = columns | (dict.fromkeys(extra, "string") if name == "items" else {})
                schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in kinds.items()])
                DeltaTable.create(store.at(name), schema=schema, mode="ignore", storage_options=store.options)
        store.write_about({"schema": _SCHEMA, **about})
        return cls(folder)

    def claim(self) -> None:
        """Become the one writer, and delete what a killed one left unfinished.

        Raises:
            BulkError: another driver claims it in the same moment, or it cannot be written.
        """
        self._driver = 1 + max(self._transaction(name, _DRIVER) for name in TABLES)
        done = self._transaction("items", _BATCH)
        for name in TABLES:
            self._commit(name, None, [(_DRIVER, self._driver)])
        for name in [*TABLES][:-1]:
            if self._transaction(name, _BATCH) > done:
                with self._store.writing():
                    self._tables[name].delete(
                        f"batch > {done}", commit_properties=self._mark([(_DRIVER, self._driver)])
                    )
        self._batch = done

    def identities(self) -> set[bytes]:
        """The identities of all items that are done."""
        return {
            bytes.fromhex(identity)
            for batch in self.batches("items", ["item"])
            for identity in batch.column("item").to_pylist()
        }

    def commit(self, results: Sequence[UnitResult]) -> None:
        """Append the rows of some units, all or none.

        Raises:
            BulkError: another driver has taken over, or the place is full or read-only.
        """
        import pyarrow as pa

        number = self._batch + 1
        for name in TABLES:
            rows = pa.concat_tables([result.tables[name] for result in results], promote_options="default")
            at = rows.schema.get_field_index("batch")
            rows = rows.set_column(at, "batch", pa.array([number] * len(rows), pa.int64()))
            if len(rows) or name == "items":
                self._commit(name, rows, [(_BATCH, number), (_DRIVER, self._driver)])
        self._batch = number

    def batches(self, name: str, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        """The rows of a table that count, some at a time; those that a killed driver left do not."""
        import pyarrow.dataset as ds

        done = ds.field("batch") <= self._transaction("items", _BATCH)
        yield from self._tables[name].to_pyarrow_dataset().to_batches(columns=columns, filter=done)

    def status(self) -> Status:
        """What is committed."""
        import pyarrow.compute as pc

        counts = {"read": 0, "bad": 0}
        faces = size = 0
        reasons: dict[str, int] = {}
        for batch in self.batches("items", ["uri", "status", "reason", "faces", "bytes"]):
            faces += pc.sum(batch.column("faces")).as_py() or 0
            size += pc.sum(batch.column("bytes")).as_py() or 0
            for status in counts:
                counts[status] += pc.sum(pc.equal(batch.column("status"), status)).as_py() or 0
            failed = batch.filter(pc.equal(batch.column("status"), "bad"))
            for uri, reason in zip(failed.column("uri").to_pylist(), failed.column("reason").to_pylist(), strict=True):
                short = reason.replace(uri, "").strip(": ")
                reasons[short] = reasons.get(short, 0) + 1
        commonest = tuple(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:5])
        about = self.about
        total, read, bad = sum(counts.values()), counts["read"], counts["bad"]
        return Status(total, read, bad, faces, size, commonest, about.get("inputs"), about.get("left_out", {}))

    def compact(self) -> dict[str, tuple[int, int]]:
        """Merge small files, and remove those that no table needs any more; files before and after, by table.

        Raises:
            BulkError: a run is writing at the same time, or the place cannot be written.
        """
        self.claim()
        counts = {}
        for name, table in self._tables.items():
            before = len(table.file_uris())
            with self._store.writing():
                table.optimize.compact(target_size=_TARGET, commit_properties=self._mark([(_DRIVER, self._driver)]))
                self._remove_unused(name)
            counts[name] = before, len(table.file_uris())
        return counts

    def _remove_unused(self, name: str) -> None:
        """Remove the files that a table does not need; Delta Lake's own way leaves some after a clock went back."""
        needed = {uri.rsplit("/", 1)[-1] for uri in self._tables[name].file_uris()}
        for file in self._store.names(name):
            if file.endswith(".parquet") and file not in needed:
                self._store.remove(f"{name}/{file}")

    def export(self, target: Path) -> dict[str, int]:
        """Write each table as one plain Parquet file into the folder ``target``; rows, by table.

        Raises:
            BulkError: a file exists, or the folder cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        from mien.core.files import replacing

        rows = dict.fromkeys(TABLES, 0)
        for name in TABLES:
            path = target / f"{name}.parquet"
            if path.exists():
                raise BulkError(f"{path}: exists already: name another folder")
            schema = pa.schema(self._tables[name].schema().to_arrow())
            try:
                with replacing(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
                    for batch in self.batches(name, None):
                        writer.write_batch(batch.cast(schema))
                        rows[name] += len(batch)
            except OSError as error:
                raise BulkError(f"{path}: cannot be written ({error.strerror or error})") from None
        return rows

    def write_about(self, **more: Any) -> None:
        """Add to ``run.json``."""
        self.about |= more
        self._store.write_about(self.about)

    def _open(self, name: str) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            return DeltaTable(self._store.at(name), storage_options=self._store.options)
        except (OSError, DeltaError) as error:
            raise BulkError(f"{self._store.at(name)}: is missing or damaged ({error}): start a new output") from None

    def _transaction(self, name: str, app: str) -> int:
        return self._tables[name].transaction_version(app) or 0

    def _mark(self, marks: Sequence[tuple[str, int]]) -> CommitProperties:
        from deltalake import CommitProperties, Transaction

        return CommitProperties(app_transactions=[Transaction(app, version) for app, version in marks])

    def _commit(self, name: str, rows: pa.Table | None, marks: Sequence[tuple[str, int]]) -> None:
        import pyarrow as pa
        from deltalake import write_deltalake

        table = self._tables[name]
        schema = pa.schema(table.schema().to_arrow())
        if rows is None:
            rows = schema.empty_table()
        else:
            missing = [field for field in schema if field.name not in rows.column_names]
            for field in missing:
                rows = rows.append_column(field, pa.nulls(len(rows), field.type))
            rows = rows.select(schema.names).cast(schema)
        with self._store.writing():
            write_deltalake(table, rows, mode="append", commit_properties=self._mark(marks))


def _need_deltalake() -> None:
    try:
        import deltalake  # noqa: F401
    except ImportError:
        raise MissingExtraError("deltalake", "cluster", "mien bulk") from None
