"""What there is to read: folders, globs, manifests and tar shards, on this machine or wherever fsspec reaches."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mien.core.errors import BulkError, MissingExtraError
from mien.core.picture_files import ENDINGS, left_out_by_name, walk_folder

VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg"),
    *(".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts"),
)
"""Endings by which videos are found, in lower case; every other file that a manifest names is taken for a picture."""

MANIFEST_ENDINGS = (".csv", ".parquet")
_OWN = ("uri", "id", "start", "end")


class Item(NamedTuple):
    """One picture, or one video or part of one.

    Attributes:
        id: what the user calls it; its address unless a manifest says otherwise.
        uri: its address; of a member of a tar shard, ``SHARD#MEMBER``.
        size: bytes; -1 where the place does not say.
        stamp: what changes when the content does: the time of the last change, or the etag.
        start: seconds of a video from which it is read; None for its beginning.
        end: seconds up to which it is read; None for its end.
        offset: where a member of a tar shard begins; -1 for a file.
        extra: the manifest's own columns.
    """

    id: str
    uri: str
    size: int
    stamp: str
    start: float | None = None
    end: float | None = None
    offset: int = -1
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def is_video(self) -> bool:
        """Whether it is read as a video."""
        return self.uri.lower().endswith(VIDEO_ENDINGS)

    def identity(self, options: str) -> bytes:
        """16 bytes that are the same only for the same content, read with the same ``options``."""
        parts = (self.id, self.uri, self.size, self.stamp, self.start, self.end, options)
        return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()[:16]


def find_items(
    inputs: Sequence[str], *, left_out: Counter[str] | None = None, without: Sequence[Path] = ()
) -> Iterator[Item]:
    """Every picture and video of ``inputs``, in order.

    Args:
        inputs: folders, globs, files, manifests (``.csv``, ``.parquet``) and tar shards (``.tar``), local or at an
            address that fsspec knows.
        left_out: counts, by ending or reason, the files of folders and shards that are neither picture nor video.
        without: folders that are passed over, such as the output.

    Raises:
        BulkError: an input is missing, empty, no manifest, or two items have the same id.
    """
    seen: set[str] = set()
    others = Counter[str]() if left_out is None else left_out
    own = frozenset(os.path.realpath(path) for path in without)
    for given in inputs:
        found = False
        for item in _of(given, others, own):
            found = True
            if item.id in seen:
                raise BulkError(f"{given}: the id '{item.id}' occurs twice: give each input an id of its own, once")
            seen.add(item.id)
            yield item
        if not found:
            raise BulkError(f"{given}: no picture and no video in it; looked for {', '.join(ENDINGS + VIDEO_ENDINGS)}")


def _of(given: str, left_out: Counter[str], own: frozenset[str]) -> Iterator[Item]:
    if not given:
        raise BulkError("an input's name is empty: name a folder, a file, a manifest or a tar shard")
    ending = PurePosixPath(given).suffix.lower()
    if any(sign in given for sign in "*?[") and not Path(given).exists():
        yield from _of_glob(given, left_out, own)
    elif given.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise BulkError(f"{given}: a compressed shard cannot be read from the middle: unpack it to a plain .tar")
    elif ending == ".tar":
        yield from _of_shard(given, left_out)
    elif ending in MANIFEST_ENDINGS:
        yield from _of_manifest(given)
    elif is_remote(given):
        yield from _of_remote(given, left_out)
    else:
        yield from _of_local(Path(given), left_out, own)


def is_remote(uri: str) -> bool:
    """Whether it is an address, and no path."""
    return "://" in uri


def _takes(name: str, left_out: Counter[str]) -> bool:
    """Whether a file of a folder or shard is read; it is counted if not."""
    reason = left_out_by_name(name, ENDINGS + VIDEO_ENDINGS)
    if reason is not None:
        left_out[reason] += 1
    return reason is None


def _of_local(path: Path, left_out: Counter[str], own: frozenset[str]) -> Iterator[Item]:
    if not path.exists():
        raise BulkError(f"{path}: no such file or folder")
    if not path.is_dir():
        yield _local(str(path))
        return
    yield from map(_local, walk_folder(path, left_out, endings=ENDINGS + VIDEO_ENDINGS, without=own))


def _local(path: str) -> Item:
    try:
        about = os.stat(path)  # noqa: PTH116
    except OSError:
        return Item(path, path, -1, "missing")  # it fails when it is read, as every other broken input does
    return Item(path, path, about.st_size, str(about.st_mtime_ns))


def _of_glob(pattern: str, left_out: Counter[str], own: frozenset[str]) -> Iterator[Item]:
    if is_remote(pattern):
        fs, path = file_system(pattern)
        matches = asked(pattern, lambda: sorted(fs.glob(path)))
        names = [fs.unstrip_protocol(match) for match in matches]
    else:
        names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # a pattern may be absolute
    if not names:
        raise BulkError(f"{pattern}: nothing has a name of this pattern; quote it, so that the shell leaves it alone")
    for name in names:
        yield from _of(name, left_out, own)


def file_system(uri: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path within it.

    Raises:
        MissingExtraError: fsspec is not installed.
        BulkError: nothing installed knows such addresses.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("fsspec", "cluster", f"reading {uri}") from None
    try:
        fs, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise BulkError(f"{uri}: nothing that is installed reads such addresses ({error})") from None
    return fs, path


def asked(uri: str, ask: Any) -> Any:
    """The answer of a remote place.

    Raises:
        BulkError: it has none; in one sentence.
    """
    try:
        return ask()
    except FileNotFoundError:
        raise BulkError(f"{uri}: no such bucket, folder or file") from None
    except PermissionError as error:
        raise BulkError(f"{uri}: access is denied ({error}): check the credentials") from None
    except Exception as error:  # each file system has errors of its own
        kind = type(error).__name__
        hint = ": set the credentials of the store" if "credential" in f"{kind} {error}".lower() else ""
        raise BulkError(f"{uri}: cannot be listed ({kind}: {error}){hint}") from None


def _of_remote(uri: str, left_out: Counter[str]) -> Iterator[Item]:
    fs, path = file_system(uri)
    about = asked(uri, lambda: fs.info(path))
    if about["type"] != "directory":
        yield _remote(uri, about)
        return
    for name, details in sorted(asked(uri, lambda: fs.find(path, detail=True)).items()):
        if _takes(name.removeprefix(path), left_out):
            yield _remote(fs.unstrip_protocol(name), details)


def _remote(uri: str, about: dict[str, Any]) -> Item:
    stamp = next((str(about[key]) for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in about), "")
    return Item(uri, uri, -1 if about.get("size") is None else int(about["size"]), stamp)


def _of_shard(uri: str, left_out: Counter[str]) -> Iterator[Item]:
    fs, path = file_system(uri) if is_remote(uri) else (None, uri)
    about = _local(uri) if fs is None else _remote(uri, asked(uri, lambda: fs.info(path)))
    try:
        with open(uri, "rb") if fs is None else fs.open(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:  # noqa: PTH123
            for member in tar:
                if member.isfile() and _takes(member.name, left_out):
                    name = f"{uri}#{member.name}"
                    yield Item(name, name, member.size, about.stamp, offset=member.offset_data)
    except FileNotFoundError:
        raise BulkError(f"{uri}: no such file") from None
    except (OSError, tarfile.TarError) as error:
        raise BulkError(f"{uri}: is no tar archive, or cut short ({error})") from None


def _of_manifest(uri: str) -> Iterator[Item]:
    rows = _csv_rows(uri) if uri.lower().endswith(".csv") else _parquet_rows(uri)
    for place, row in rows:
        if not row["uri"]:
            raise BulkError(f"{place}: the uri is empty: each row names a picture or a video")
        start, end = _seconds(row.get("start"), "start", place), _seconds(row.get("end"), "end", place)
        if end is not None and end <= (start or 0.0):
            raise BulkError(f"{place}: it ends at {end:g} s, which is not after its start at {start or 0:g} s")
        address = _beside(uri, row["uri"])
        item = _remote_unasked(address) if is_remote(address) else _local(address)
        span = "" if start is None and end is None else f"@{start or 0:g}-{'' if end is None else f'{end:g}'}"
        extra = tuple((name, value) for name, value in row.items() if name not in _OWN)
        yield item._replace(id=row.get("id") or item.uri + span, start=start, end=end, extra=extra)


def _remote_unasked(uri: str) -> Item:
    """An address that a manifest names: asking for each one's size would take a request each."""
    return Item(uri, uri, -1, "")


def _beside(manifest: str, uri: str) -> str:
    """A relative address counts from the manifest's folder."""
    if is_remote(uri) or Path(uri).is_absolute():
        return uri
    if is_remote(manifest):
        return f"{manifest.rsplit('/', 1)[0]}/{uri}"
    return str(Path(manifest).parent / uri)


def _seconds(text: str | None, name: str, place: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BulkError(f"{place}: the {name} is '{text}': it is seconds from the start of the video, 0 or more")
    return value


def _opened(uri: str) -> Any:
    if is_remote(uri):
        fs, path = file_system(uri)
        return asked(uri, lambda: fs.open(path))
    try:
        return Path(uri).open("rb")
    except OSError as error:
        raise BulkError(f"{uri}: {error.strerror}") from None


def _checked_names(uri: str, names: Iterable[str]) -> list[str]:
    found = list(names)
    if "uri" not in found:
        raise BulkError(f"{uri}: a manifest needs a column 'uri', and this one has: {', '.join(found)[:120]}")
    if doubled := next((name for name in found if found.count(name) > 1), None):
        raise BulkError(f"{uri}: the column '{doubled}' occurs twice: rename one")
    return found


def _csv_rows(uri: str) -> Iterator[tuple[str, dict[str, str]]]:
    with _opened(uri) as file:
        lines = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(file))
        reader = csv.reader(lines)
        try:
            names = _checked_names(uri, next(reader, []))
            for cells in reader:
                if cells and len(cells) != len(names):
                    raise BulkError(
                        f"{uri}, line {reader.line_num}: {len(cells)} cells, and the header has {len(names)}"
                    )
                if cells:
                    yield f"{uri}, line {reader.line_num}", dict(zip(names, cells, strict=True))
        except UnicodeDecodeError:
            raise BulkError(f"{uri}: is not UTF-8 text: save the manifest as CSV in UTF-8") from None


def _parquet_rows(uri: str) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet", "reading a Parquet manifest") from None
    number = 0
    with _opened(uri) as file:
        try:
            table = pq.ParquetFile(file)
            _checked_names(uri, table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{uri}, row {number}", {k: "" if v is None else str(v) for k, v in row.items()}
        except pa.ArrowException as error:
            raise BulkError(f"{uri}: is no Parquet file, or damaged ({error})") from None
