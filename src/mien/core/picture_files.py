"""Which files of a folder are pictures, and how many others there are: one search for every command and dataset."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mien.core.errors import PictureError, UnreadablePictureError
from mien.core.picture_format import format_of
from mien.core.safe_text import printable

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"),
    *(".pnm", ".pgm", ".ppm", ".pbm", ".jp2", ".avif", ".heic", ".heif", ".hif"),
)
"""Endings by which pictures are found in a folder, in lower case; a file that is named itself may have any."""

WITHOUT_ENDING = "without an ending"
"""Why a file is left out whose name has no ending and whose content is no picture."""

_THUMBNAILS = {"thumbnails", "thumbs", "@eadir", "thumbs.db"}
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_HEAD = 64
_SHOWN = 8


class Entry(NamedTuple):
    """What a folder holds: a picture, or a folder to look into."""

    path: str
    is_folder: bool


def list_folder(
    folder: str | Path,
    left_out: Counter[str],
    *,
    endings: tuple[str, ...] = ENDINGS,
    without: Collection[str] = (),
) -> list[Entry]:
    """The pictures and folders of one folder, in order of name.

    A file without an ending is a picture where its content is one. Hidden entries, what archivers leave behind and
    folders of thumbnails are passed over.

    Args:
        folder: where to look; its own name does not matter.
        left_out: counts all other files by ending or reason, those in folders that are passed over too.
        endings: of the files that are wanted, in lower case.
        without: real paths of what the run itself writes: folders are passed over, other files not counted.
    """
    found = []
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: os.path.normcase(entry.name))
    except OSError:
        left_out["in a folder that cannot be opened"] += 1
        return []
    for entry in listed:
        reason = passed_over(entry.name)
        if entry.is_dir():
            if without and os.path.realpath(entry.path) in without:
                reason = "written by mien"
            if reason is None:
                found.append(Entry(entry.path, is_folder=True))
            elif inside := sum(len(names) for _, _, names in os.walk(entry.path)):
                left_out[reason] += inside
        else:
            reason = reason or _refused(entry, endings)
            if reason is None:
                found.append(Entry(entry.path, is_folder=False))
            elif not without or os.path.realpath(entry.path) not in without:
                left_out[reason] += 1
    return found


def walk_folder(
    folder: str | Path,
    left_out: Counter[str],
    *,
    endings: tuple[str, ...] = ENDINGS,
    without: Collection[str] = (),
) -> Iterator[str]:
    """The pictures of a folder and all below it, in order of name; see :func:`list_folder`.

    Linked folders are looked into, and each folder once, so that links cannot lead in a circle.
    """
    seen = set()
    waiting = [Entry(str(folder), is_folder=True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            about = os.stat(path)  # noqa: PTH116  # Path takes three times as long here
        except OSError:
            left_out["in a folder that cannot be opened"] += 1
            continue
        if (about.st_dev, about.st_ino) in seen:
            continue
        seen.add((about.st_dev, about.st_ino))
        waiting += reversed(list_folder(path, left_out, endings=endings, without=without))


def iter_pictures(
    paths: Iterable[str | Path], *, left_out: Counter[str] | None = None, without: Collection[str | Path] = ()
) -> Iterator[Path]:
    """The picture files among ``paths``: files as they are, folders searched with all below them, in order of name.

    A path that does not exist is passed on, so that it fails when it is read, as every other broken picture does.

    Args:
        paths: files and folders.
        left_out: counts by ending or reason the files of folders that are no pictures (:func:`say_left_out`).
        without: what the run itself writes: folders are passed over, files not counted.

    Raises:
        PictureError: a folder holds no picture, or a name is empty or an address.
    """
    real = {os.path.realpath(path) for path in without}
    for path in map(named_file, paths):
        if not path.is_dir():
            yield path
            continue
        others = Counter[str]()
        found = False
        for picture in walk_folder(path, others, without=real):
            found = True
            yield Path(picture)
        if left_out is not None:
            left_out.update(others)
        if not found:
            there = f" ({say_left_out(others)})" if others else ""
            raise PictureError(
                f"{printable(path)}: no picture in this folder or below it{there}; looked for {', '.join(ENDINGS)}"
            )


def passed_over(name: str) -> str | None:
    """Why an entry of a folder is passed over by its name alone: it is hidden, thumbnails or an archiver's."""
    if name.startswith("."):
        return "hidden"
    if name.startswith("__") or name == "$RECYCLE.BIN":
        return f"in {name}"
    return "thumbnails" if name.lower() in _THUMBNAILS else None


def left_out_by_name(name: str, endings: tuple[str, ...] = ENDINGS) -> str | None:
    """Why a file is left out whose content is not at hand, by its path with slashes; None where it is taken."""
    path = PurePosixPath(name)
    reason = next(filter(None, map(passed_over, path.parts)), None)
    if reason is not None or path.suffix.lower() in endings:
        return reason
    return path.suffix.lower() or WITHOUT_ENDING


def say_left_out(left_out: Mapping[str, int]) -> str:
    """The counts in words: ``3 files left out: 2 .txt, 1 hidden``; nothing for none."""
    total = sum(left_out.values())
    if not total:
        return ""
    ordered = sorted(left_out.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = [f"{count:,} {printable(reason)}" for reason, count in ordered[:_SHOWN]]
    rest = sum(count for _, count in ordered[_SHOWN:])
    more = [f"{rest:,} more"] if rest else []
    return f"{total:,} {'file' if total == 1 else 'files'} left out: {', '.join(reasons + more)}"


def named_file(path: str | Path) -> Path:
    """The file of that name; an empty name would be the folder at hand, and an address loses a slash as a path.

    Raises:
        UnreadablePictureError: it is empty or an address.
    """
    if isinstance(path, str) and not path:
        raise UnreadablePictureError("'': an empty name: name a picture file")
    if isinstance(path, str) and _ADDRESS.match(path):
        raise UnreadablePictureError(f"{path}: is an address, and mien reads files alone: download the picture first")
    return Path(path)


def _refused(entry: os.DirEntry[str], endings: tuple[str, ...]) -> str | None:
    """Why a folder's entry that is no folder is not taken for a picture."""
    if not entry.is_file():
        return "broken link" if entry.is_symlink() else "no file"
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    if ending in endings:
        return None
    if ending:
        return ending
    try:
        with open(entry.path, "rb") as file:  # noqa: PTH123
            return None if format_of(file.read(_HEAD)) else WITHOUT_ENDING
    except OSError:
        return "cannot be opened"
