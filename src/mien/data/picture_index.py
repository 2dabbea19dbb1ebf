"""From a list of picture files to a dataset, and how a folder is searched for them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, PictureError
from mien.core.expression import Expression
from mien.core.face import Face
from mien.core.picture_files import ENDINGS, list_folder, passed_over
from mien.core.pictures import read_picture
from mien.core.preprocess import Image, InputSpec, crop_face, crop_picture
from mien.data.dataset import Dataset, text_column
from mien.data.splits import with_splits

NO_FACE = "no face found"
"""Why a whole picture is left out in which a detector found nothing."""

_NAMED = 20


@dataclass(frozen=True, slots=True)
class PictureIndex:
    """What a folder or manifest lists, before any picture is opened.

    Attributes:
        name: what the dataset will be called.
        origin: the folder or file that lists them, for messages.
        files: n pictures.
        expressions: n labels.
        splits: n names, or None where the owner gives none.
        licence: what the owner allows.
        metadata: further columns of n values.
        whole: whether the pictures show more than the face, so that their faces have to be found first
            (:mod:`mien.data.found_faces`); if not, each is a face crop.
        left_out: how many further files the owner has that are not listed, by the reason in words.

    Raises:
        DatasetError: it lists no picture.
    """

    name: str
    origin: Path
    files: Sequence[Path]
    expressions: Sequence[Expression]
    splits: Sequence[str] | None = None
    licence: str = "not stated"
    metadata: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    whole: bool = False
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an empty list."""
        if not self.files:
            raise DatasetError(f"{self.origin} holds no pictures: files that end in {', '.join(ENDINGS)} are expected")

    @property
    def sources(self) -> list[Path]:
        """Every file that the dataset is made from."""
        return [self.origin, *self.files] if self.origin.is_file() else list(self.files)

    def read(self, spec: InputSpec, faces: Sequence[Face | None] | None = None) -> Dataset:
        """Open every picture, crop it to ``spec`` and make splits where there are none.

        Args:
            spec: what the pictures are cropped to.
            faces: n faces of whole pictures; those without one are left out. None for pictures that are face crops.

        Raises:
            DatasetError: pictures cannot be read; the message names them all, up to twenty.
        """
        labels = tuple(expression for expression in Expression if expression in self.expressions)
        dataset = Dataset(
            name=self.name,
            images=self._crops(spec, faces or [None] * len(self.files)),
            indices=np.array([labels.index(expression) for expression in self.expressions], dtype=np.int64),
            labels=labels,
            splits=text_column(self.splits or ["train"] * len(self.files)),
            rows=np.arange(len(self.files), dtype=np.int64),
            licence=self.licence,
            metadata=self.metadata,
            left_out=self.left_out,
        )
        if faces is not None:
            dataset = self._with_faces(dataset, faces)
        return with_splits(dataset) if self.splits is None else dataset

    def _with_faces(self, dataset: Dataset, faces: Sequence[Face | None]) -> Dataset:
        found = np.array([face is not None for face in faces])
        if not found.any():
            raise DatasetError(f"{self.origin}: no face was found in any of {len(faces)} pictures: are they faces?")
        if found.all():
            return dataset
        return replace(dataset, left_out={**self.left_out, NO_FACE: int((~found).sum())}).take(found)

    def _crops(self, spec: InputSpec, faces: Sequence[Face | None]) -> Image:
        crops = np.zeros((len(self.files), *spec.shape), dtype=np.uint8)
        unreadable = []
        for row, (file, face) in enumerate(zip(self.files, faces, strict=True)):
            try:
                picture = read_picture(file)
                crops[row] = crop_picture(picture, spec) if face is None else crop_face(picture, face, spec)
            except PictureError as error:
                unreadable.append(str(error))
        if unreadable:
            more = [f"and {len(unreadable) - _NAMED} more"] if len(unreadable) > _NAMED else []
            raise DatasetError(
                f"{self.origin}: {len(unreadable)} of {len(self.files)} pictures cannot be read; remove or replace "
                "them:\n  " + "\n  ".join(unreadable[:_NAMED] + more)
            )
        return crops


def visible(folder: Path) -> Iterator[Path]:
    """A folder's entries in order of name, without those that are passed over."""
    entries = sorted(folder.iterdir(), key=lambda entry: os.path.normcase(entry.name))  # as paths compare, but faster
    return (entry for entry in entries if passed_over(entry.name) is None)


def pictures_under(folder: Path) -> list[Path]:
    """The picture files of a folder, in order of name; its subfolders are left alone."""
    return [Path(entry.path) for entry in list_folder(folder, Counter()) if not entry.is_folder]


def no_pictures(folders: Iterable[Path]) -> Counter[str]:
    """How many files of the folders are no pictures, by ending or reason: for :attr:`PictureIndex.left_out`."""
    left_out = Counter[str]()
    for folder in folders:
        list_folder(folder, left_out)
    return left_out
