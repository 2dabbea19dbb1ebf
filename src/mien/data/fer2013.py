"""FER2013 (Goodfellow et al. 2013, "Challenges in Representation Learning", ICML workshop), as it was published.

35,887 grey faces of 48 x 48 pixels in seven classes, in one file ``fer2013.csv`` or as Kaggle's folders of JPEGs.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import FER2013, Expression
from mien.core.preprocess import Image, InputSpec, crop_pictures
from mien.data.dataset import Dataset, text_column
from mien.data.layout import part_of
from mien.data.picture_index import PictureIndex
from mien.data.splits import with_splits
from mien.data.table_file import read_header, read_table

Counts = Literal["published", "any"]
"""Whether a file must hold exactly what was published, or may be any file in the same layout."""

LICENCE = "research only: pictures collected from the web for the ICML 2013 challenge, rights with their owners"

PUBLISHED: Mapping[str, tuple[int, ...]] = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "public": (467, 56, 496, 895, 653, 415, 607),
    "private": (491, 55, 528, 879, 594, 416, 626),
}
"""Rows of each split and class, in the order of :data:`FER2013`."""

SPLITS: Mapping[str, str] = {"Training": "train", "PublicTest": "public", "PrivateTest": "private"}
"""The split that a Usage means."""

MERGED: Mapping[str, tuple[str, ...]] = {"test": ("public", "private")}
"""Parts of a copy in two folders that are official splits in one."""

_FOLDERS = {
    "train": PUBLISHED["train"],
    "test": tuple(a + b for a, b in zip(PUBLISHED["public"], PUBLISHED["private"], strict=True)),
}
_PIXELS_SHA256 = "c267d81af4fae7bced50ff1be0ce06f7d14fb05887ece2efe39e04c35f8558b1"
_SIDE = 48
_EMOTIONS = {str(index): index for index in range(len(FER2013))}
_FILE = re.compile(rf"({'|'.join(SPLITS)})_\d+\.")
_MEND = (
    "take the original file again or, if it is meant to be another, allow it with --counts any (data.counts: any in a "
    "recipe, counts='any' in Python)"
)
PART_FILES: Mapping[str, str] = {
    "train.csv": "train",
    "validation.csv": "validation",
    "val.csv": "validation",
    "test.csv": "test",
}
"""Files in which others lay out parts of FER2013 without its Usage, and the splits that they become."""


def read_csv(file: Path, spec: InputSpec, *, counts: Counts = "published") -> Dataset:
    """Read ``fer2013.csv``: columns ``emotion`` (0 to 6), ``pixels`` (48 x 48 values), ``Usage``.

    Training, PublicTest and PrivateTest become the splits ``train``, ``public`` and ``private``. A file without
    ``Usage`` gets splits as every dataset without. Kaggle's ``icml_face_data.csv`` holds the same rows.

    Args:
        file: the CSV file.
        spec: what the pictures are cropped to.
        counts: ``"published"`` refuses a file whose counts or pixels are not the published ones.

    Raises:
        LabelError: an unknown emotion.
        DatasetError: no such file, a missing column, a row cut short, pixels that are not 2,304 values of 0 to 255,
            an unknown Usage, or other counts or pixels than published. Messages name the line.
    """
    images, indices, splits = _read_rows(file)
    found = hashlib.sha256(images.data).hexdigest()
    if counts == "published":
        if splits is None:
            raise DatasetError(f"{file} has no column Usage, and is not FER2013 as published: {_MEND}")
        check_counts(file, _counted(splits, indices), PUBLISHED)
        if found != _PIXELS_SHA256:
            raise DatasetError(
                f"{file}: the pixels, or the order of the rows, are not the published ones: expected sha256 "
                f"{_PIXELS_SHA256}, found {found}: {_MEND}"
            )
    whole = found == _PIXELS_SHA256 and splits is not None and not _deviations(_counted(splits, indices), PUBLISHED)
    return _dataset(images, indices, splits, spec, whole=whole)


def part_files(folder: Path) -> list[Path]:
    """The tables of pixels in a folder that holds parts of FER2013 in files of their own (:data:`PART_FILES`)."""
    return [folder / name for name in PART_FILES if "pixels" in read_header(folder / name)]


def read_parts(folder: Path, spec: InputSpec, *, counts: Counts = "published") -> Dataset:
    """Read a folder of ``train.csv`` and ``test.csv``, as Kaggle has them, with ``emotion`` and ``pixels``.

    Each file becomes a split; where there is but one, splits are made. Kaggle's own ``test.csv`` has no labels: its
    rows are counted as left out.

    Args:
        folder: holds the files.
        spec: what the pictures are cropped to.
        counts: anything but ``"any"`` refuses them, as the published files are others.

    Raises:
        LabelError: an unknown emotion.
        DatasetError: ``counts`` is ``"published"``, no file has labels, or one is damaged.
    """
    files = part_files(folder)
    if counts == "published":
        raise DatasetError(
            f"{folder} holds {', '.join(file.name for file in files)} without Usage, and not FER2013 as published "
            f"(fer2013.csv, or icml_face_data.csv): {_MEND}"
        )
    images: list[Image] = []
    indices: list[int] = []
    splits: list[str] = []
    left_out = {}
    for file in files:
        if "emotion" not in read_header(file):
            left_out[f"without an emotion ({file.name})"] = sum(1 for _ in read_table(file)[1])
            continue
        pictures, classes, usages = _read_rows(file)
        images.append(pictures)
        indices += classes
        splits += usages or [PART_FILES[file.name]] * len(pictures)
    if not images:
        raise DatasetError(
            f"{folder}: {', '.join(file.name for file in files)} has no column emotion, so that nobody knows what its "
            "pictures show: take icml_face_data.csv of the same download, or fer2013.csv"
        )
    dataset = _dataset(np.concatenate(images), indices, splits if len(set(splits)) > 1 else None, spec, whole=False)
    return replace(dataset, left_out=left_out)


def _counted(splits: list[str], indices: list[int]) -> Counter[tuple[str, Expression]]:
    return Counter(zip(splits, (FER2013[index] for index in indices), strict=True))


def _dataset(images: Image, indices: list[int], splits: list[str] | None, spec: InputSpec, *, whole: bool) -> Dataset:
    dataset = Dataset(
        name="fer2013" if whole else part_of("fer2013", len(images)),
        images=crop_pictures(images, spec),
        indices=np.array(indices, dtype=np.int64),
        labels=FER2013,
        splits=text_column(splits or ["train"] * len(images)),
        rows=np.arange(len(images), dtype=np.int64),
        licence=LICENCE,
    )
    return with_splits(dataset) if splits is None else dataset


def is_fer2013(index: PictureIndex) -> bool:
    """Whether an image folder is FER2013 from Kaggle: by its file names (``Training_3908.jpg``) or its counts."""
    if index.splits is None or set(index.splits) != set(_FOLDERS) or not set(index.expressions) <= set(FER2013):
        return False
    named = all(_FILE.match(file.name) for file in index.files)
    return named or not _deviations(Counter(zip(index.splits, index.expressions, strict=True)), _FOLDERS)


def as_fer2013(index: PictureIndex, *, counts: Counts = "published") -> PictureIndex:
    """FER2013 from Kaggle's folders ``train/angry/*.jpg`` and ``test/angry/*.jpg``.

    ``test`` is PublicTest and PrivateTest together; where the files still carry their names
    (``PrivateTest_10131363.jpg``) it becomes ``public`` and ``private``. The JPEGs were compressed once more, so their
    pixels differ a little from those of ``fer2013.csv``, and their order is not its order.

    Raises:
        DatasetError: other counts than published, unless ``counts`` is ``"any"``.
    """
    splits, published = list(index.splits or ["train"] * len(index.files)), _FOLDERS
    names = [_FILE.match(file.name) for file in index.files]
    if all(names):
        splits, published = [SPLITS[name[1]] for name in names if name], dict(PUBLISHED)
    found = Counter(zip(splits, index.expressions, strict=True))
    if counts == "published":
        check_counts(index.origin, found, published)
    name = part_of("fer2013", len(index.files)) if _deviations(found, published) else "fer2013"
    return replace(index, name=name, splits=splits, licence=LICENCE)


def check_counts(
    origin: Path, found: Mapping[tuple[str, Expression], int], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Compare rows per split and class with the published ones.

    Raises:
        DatasetError: they differ; the message holds both totals and every count that differs.
    """
    deviations = _deviations(found, expected)
    if deviations:
        total = sum(map(sum, expected.values()))
        raise DatasetError(
            f"{origin} is not FER2013 as published: expected {total} rows, found {sum(found.values())}; "
            f"{'; '.join(deviations)}: {_MEND}"
        )


def _deviations(found: Mapping[tuple[str, Expression], int], expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    wanted = {(s, e): n for s, row in expected.items() for e, n in zip(FER2013, row, strict=True)}
    return [
        f"{split} {label}: expected {wanted.get((split, label), 0)}, found {found.get((split, label), 0)}"
        for split, label in dict.fromkeys((*wanted, *found))
        if wanted.get((split, label), 0) != found.get((split, label), 0)
    ]


def _read_rows(file: Path) -> tuple[Image, list[int], list[str] | None]:
    """Pictures, classes and splits of a table; no splits where it has no Usage."""
    header, rows = read_table(file)
    missing = [name for name in ("emotion", "pixels") if name not in header]
    if missing or len(set(header)) < len(header):
        fault = f"{' and '.join(missing)} missing" if missing else "one occurs twice"
        raise DatasetError(
            f"{file}, line 1: expected the columns emotion,pixels,Usage, found {','.join(header)[:200] or 'nothing'}: "
            f"{fault}"
        )
    emotions, values = header.index("emotion"), header.index("pixels")
    usages = header.index("usage") if "usage" in header else None
    pixels, indices, splits = bytearray(), [], []
    for number, row in rows:
        emotion = row[emotions].removesuffix(".0")
        if emotion not in _EMOTIONS:
            valid = ", ".join(f"{index} ({label})" for index, label in enumerate(FER2013))
            raise LabelError(f"{file}, line {number}: expected an emotion of {valid}, found {_text(emotion)}")
        if usages is not None:
            usage = row[usages]
            if usage not in SPLITS:
                valid = ", ".join(map(_text, SPLITS))
                raise DatasetError(f"{file}, line {number}: expected a Usage of {valid}, found {_text(usage)}")
            splits.append(SPLITS[usage])
        pixels += _pixels(file, number, row[values])
        indices.append(_EMOTIONS[emotion])
    if not indices:
        raise DatasetError(f"{file} has a header and no rows: take the original file again")
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, _SIDE, _SIDE)
    return images, indices, None if usages is None else splits


def _pixels(file: Path, number: int, text: str) -> bytes:
    expected = f"{file}, line {number}: expected {_SIDE * _SIDE} pixel values of 0 to 255"
    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    except ValueError:
        odd = next((word for word in text.split() if not word.isdigit()), text)
        raise DatasetError(f"{expected}, found {_text(odd)}") from None
    if len(values) != _SIDE * _SIDE:
        raise DatasetError(f"{expected}, found {len(values)} values")
    if values.min() < 0 or values.max() > 255:
        raise DatasetError(f"{expected}, found {values[(values < 0) | (values > 255)][0]}")
    return values.astype(np.uint8).tobytes()


def _text(value: str) -> str:
    return f"'{value[:40]}'"
