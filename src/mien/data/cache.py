"""Decoded datasets on disk, so that a second load opens one file instead of thousands of pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.expression import Expression
from mien.core.files import replacing
from mien.core.places import cache_folder
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset, text_column

FORMAT = 3
"""Of cache files; another where pictures are decoded otherwise."""

_METADATA = "metadata."


def cached(
    build: Callable[[], Dataset],
    *,
    source: Path,
    files: Iterable[Path],
    spec: InputSpec,
    layout: str,
    left_out: Mapping[str, int] | None = None,
    folder: Path | None = None,
) -> Dataset:
    """A dataset from the cache, or from ``build`` and into the cache.

    There is one cache file for each source, layout and crop; it is rebuilt when a source file's path, size or time of
    change is another, or when it is damaged. Writers and readers may run side by side: a file appears whole or not at
    all. A folder that cannot be written costs time, never the dataset.

    Args:
        build: reads the dataset from its source.
        source: the file or folder that the dataset is known by.
        files: every file that ``build`` reads.
        spec: what the pictures are cropped to; its mean and deviation are not part of a crop.
        layout: which reader ``build`` is, with its options.
        left_out: files beside them that ``build`` counts and does not read; with other counts the cache is rebuilt.
        folder: where cache files lie; if None, ``MIEN_CACHE``, else ``mien`` in the platform's cache folder.
    """
    folder = folder or cache_folder()
    crop = astuple(replace(spec, mean=(0.0,) * spec.channels, std=(1.0,) * spec.channels))
    path = folder / f"{layout}-{digest(FORMAT, layout, crop, str(source.resolve()))[:16]}.npz"
    found = digest(fingerprint(files), sorted((left_out or {}).items()))
    dataset = _read(path, found)
    if dataset is None:
        dataset = build()
        _write(path, dataset, found)
    return dataset


def fingerprint(files: Iterable[Path]) -> str:
    """What changes when one of the files is another, by path, size or time of change."""
    return digest([_state(file) for file in files])


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write a cache file, whole or not at all; where the folder cannot be written it is left out."""
    try:
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)
    except OSError:
        return


def _state(file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError:  # left to the reader, which reports every such file at once
        return str(file), -1, -1
    return str(file), status.st_size, status.st_mtime_ns


def digest(*parts: object) -> str:
    """Sha256 of the parts' representations."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(path: Path, expected: str) -> Dataset | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["fingerprint"]) != expected:
                return None
            return Dataset(
                name=str(arrays["name"]),
                images=arrays["images"],
                indices=arrays["indices"],
                labels=tuple(Expression(str(label)) for label in arrays["labels"]),
                splits=arrays["splits"],
                rows=arrays["rows"],
                licence=str(arrays["licence"]),
                votes=arrays.get("votes"),
                metadata={
                    key.removeprefix(_METADATA): arrays[key] for key in arrays.files if key.startswith(_METADATA)
                },
                left_out=json.loads(str(arrays["left_out"])),
                detector=str(arrays["detector"]),
            )
    except Exception:  # absent or damaged, which shows in a dozen ways; the source says what is wrong, if anything is
        return None


def _write(path: Path, dataset: Dataset, found: str) -> None:
    arrays: dict[str, Any] = {
        "fingerprint": found,
        "name": dataset.name,
        "images": dataset.images,
        "indices": dataset.indices,
        "labels": text_column(dataset.labels),
        "splits": dataset.splits,
        "rows": dataset.rows,
        "licence": dataset.licence,
        "left_out": json.dumps(dict(dataset.left_out)),
        "detector": dataset.detector,
        **{f"{_METADATA}{name}": column for name, column in dataset.metadata.items()},
    }
    if dataset.votes is not None:
        arrays["votes"] = dataset.votes
    write_arrays(path, **arrays)
