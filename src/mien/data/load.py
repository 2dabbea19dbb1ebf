"""One call for every dataset: by name, or by the path of a file or folder in any known layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mien.core.errors import DatasetError, nearest
from mien.core.places import data_folder
from mien.core.preprocess import InputSpec
from mien.data import fer2013, ferplus
from mien.data.base import Dataset
from mien.data.cache import cached
from mien.data.csv_manifest import index_manifest
from mien.data.folder import index_folder

NAMES = ("fer2013", "ferplus")
"""Datasets that have a name."""

_PICTURES, _VOTES = "fer2013.csv", "fer2013new.csv"


def load_dataset(
    name_or_path: str | Path,
    spec: InputSpec,
    *,
    root: Path | None = None,
    cache: Path | None = None,
    counts: fer2013.Counts = "published",
) -> Dataset:
    """Load a dataset, cropped to ``spec``.

    Args:
        name_or_path: ``"fer2013"`` or ``"ferplus"``; or the path of ``fer2013.csv``, of ``fer2013new.csv`` beside it,
            of a CSV manifest, of FER2013's image folders, or of a folder ``class/*.png`` or ``split/class/*.png``. A
            folder of that very name is meant by ``Path("fer2013")`` or ``"./fer2013"``.
        spec: what every picture is cropped to.
        root: where named datasets lie, as ``fer2013/fer2013.csv`` or ``fer2013.csv``; if None, ``MIEN_DATA``, else
            ``mien/data`` in the platform's folder for users' data.
        cache: where decoded datasets are kept; if None, ``MIEN_CACHE``, else the platform's cache folder.
        counts: ``"any"`` accepts a FER2013 that differs from the published one.

    Returns:
        The dataset. One that has no splits of its own gets ``train``, ``validation`` and ``test``
        (:func:`mien.data.splits.with_splits`).

    Raises:
        LabelError: an unknown label.
        DatasetError: unknown name, nothing at the path, another layout, a damaged or altered file, unreadable pictures.
    """
    build: Callable[[], Dataset]
    files: Sequence[Path]
    named = isinstance(name_or_path, str) and name_or_path in NAMES
    source = _named(str(name_or_path), root) if named else Path(name_or_path).expanduser()
    if (source / _PICTURES).is_file():
        source /= _PICTURES
    if source.is_dir():
        index = index_folder(source)
        official = named or fer2013.is_fer2013(index)
        if official:
            index = fer2013.as_fer2013(index, counts=counts)
        build, files, layout = partial(index.read, spec), index.sources, "fer2013-folder" if official else "folder"
    elif not source.is_file():
        raise DatasetError(
            f"there is no dataset '{name_or_path}' and nothing at such a path: {nearest(str(name_or_path), NAMES)}, "
            "or the path of a CSV file or an image folder"
        )
    else:
        header = _header(source)
        if "image name" in header:
            pictures = source.with_name(_PICTURES)
            build = partial(ferplus.read_csv, source, pictures, spec, counts=counts)
            files, layout = (source, pictures), f"ferplus-{counts}"
        elif header & {"emotion", "pixels"}:
            build = partial(fer2013.read_csv, source, spec, counts=counts)
            files, layout = (source,), f"fer2013-{counts}"
        else:
            index = index_manifest(source)
            build, files, layout = partial(index.read, spec), index.sources, "manifest"
    return cached(build, source=source, files=files, spec=spec, layout=layout, folder=cache)


def _named(name: str, root: Path | None) -> Path:
    """Where a named dataset lies: its CSV file, or the folder that holds FER2013's ``train`` and ``test``."""
    root = root or data_folder()
    file = _VOTES if name == "ferplus" else _PICTURES
    places = [root / "fer2013" / file, root / file]
    if name == "fer2013":
        places.append(root / "fer2013" / "train")
    for place in places:
        if place.exists():
            return place.parent if place.is_dir() else place
    raise DatasetError(
        f"{name} is not there; looked for {', '.join(map(str, places))}. Put it there, or say where it is: root=, the "
        "environment variable MIEN_DATA, or the path itself in place of the name"
    )


def _header(file: Path) -> set[str]:
    with file.open("rb") as lines:
        line = lines.readline(4096)
    return {name.strip(' "\r\n').lower() for name in line.decode("utf-8-sig", errors="replace").split(",")}
