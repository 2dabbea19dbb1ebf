"""What is known of a published dataset: how its owners lay it out, what it holds, and who may use it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mien.core.errors import DatasetError
from mien.core.expression import Expression
from mien.data.dataset import text_column
from mien.data.picture_index import PictureIndex, no_pictures, pictures_under, visible

WHOLE = "all"
"""The one split of a dataset whose owners made none; :mod:`mien.data.folds` makes folds of it."""

_PART = " (part: "
_SAME_PICTURES = {"ferplus": "fer2013", "ck48": "ckplus"}


@dataclass(frozen=True, slots=True)
class Layout:
    """One published dataset.

    Attributes:
        name: what recipes and commands call it.
        title: what its owners call it.
        looks_like: its layout in a few words, for errors.
        documented: where its owners, or those who have it, describe the layout.
        licence: what the owners allow.
        checked: whether this reader was run on the owners' own files; if not, on generated ones in their layout.
        places: where below the data folder it is looked for, in lower case.
        pictures: how many of each expression are read from the whole of it; empty where nobody published it.
        persons: how many people it shows.
        list_pictures: lists a folder's pictures, or gives None where the folder is in another layout.
        notes: what else is known of the original.
    """

    name: str
    title: str
    looks_like: str
    documented: str
    licence: str
    checked: bool
    places: tuple[str, ...]
    pictures: Mapping[Expression, int]
    persons: int
    list_pictures: Callable[[Path], PictureIndex | None]
    notes: str = ""

    def index(self, folder: Path, *, whole: bool) -> PictureIndex | None:
        """The folder's pictures under this layout, or None where it is in another.

        Args:
            folder: where to look.
            whole: refuse anything but the published number of pictures and persons; if not, a part is taken for what
                it is, and says so in its name.

        Raises:
            DatasetError: files contradict each other, or it is not the whole of the dataset.
        """
        index = self.list_pictures(folder)
        if index is None:
            return None
        index = replace(index, name=self.name, origin=folder, licence=self.licence)
        if index.splits is None:
            index = replace(index, splits=[WHOLE] * len(index.files))
        deviations = self.deviations(index)
        if not deviations:
            return index
        if whole:
            raise DatasetError(
                f"{folder} is not {self.title} as published: {'; '.join(deviations)}: take the original again, or "
                "give its path in place of the name to use what is there"
            )
        return replace(index, name=part_of(self.name, len(index.files)))

    def deviations(self, index: PictureIndex) -> list[str]:
        """Where the counts differ from the published ones, in words."""
        found = Counter(index.expressions)
        wrong = [
            f"{expression}: expected {self.pictures.get(expression, 0)}, found {found.get(expression, 0)}"
            for expression in Expression
            if self.pictures and self.pictures.get(expression, 0) != found.get(expression, 0)
        ]
        persons = len(set(index.metadata["subject"].tolist()))
        return wrong if persons == self.persons else [*wrong, f"persons: expected {self.persons}, found {persons}"]

    def find(self, root: Path) -> PictureIndex | None:
        """The whole dataset below the data folder, whatever the case of the folders' names; None where it is nowhere.

        Raises:
            DatasetError: it is there, but not as published.
        """
        for place in self.places:
            for folder in _descend(root, place.split("/")):
                index = self.index(folder, whole=True)
                if index is not None:
                    return index
        return None

    def named(self, root: Path) -> PictureIndex:
        """What :meth:`find` finds.

        Raises:
            DatasetError: it is nowhere (the message names the places), or not as published.
        """
        index = self.find(root)
        if index is not None:
            return index
        raise DatasetError(
            f"{self.name} is not there; looked for {self.looks_like} in "
            f"{', '.join(str(root / place) for place in self.places)}. Put it there, or say where it is: --data ROOT "
            "(root= in Python), the environment variable MIEN_DATA, or the path itself in place of the name. "
            f"{self.title} is its owners' to give: {self.licence}"
        )


def part_of(name: str, pictures: int) -> str:
    """What a dataset is called that is a part of the published one of that name, or an altered one."""
    return f"{name}{_PART}{pictures:,} pictures)"


def pictures_of(name: str) -> str:
    """The dataset whose pictures are shown by the one of that name, which may be a part or another edition of it."""
    whole = name.partition(_PART)[0]
    return _SAME_PICTURES.get(whole, whole)


def named_pictures(
    folder: Path,
    pattern: re.Pattern[str],
    expression: Callable[[re.Match[str]], Expression],
    columns: Mapping[str, Callable[[re.Match[str]], str]],
    *,
    renamed: Mapping[str, str] | None = None,
    inside: re.Pattern[str] | None = None,
) -> PictureIndex | None:
    """List whole pictures whose file names say what they show; None where no file has such a name.

    Args:
        folder: holds the pictures, or the folders ``inside`` that do.
        pattern: of the names.
        expression: what a name says.
        columns: further columns, from the names.
        renamed: the right name of files that their owners misnamed.
        inside: names of subfolders that are looked into.
    """
    places = [folder] + [e for e in visible(folder) if inside is not None and e.is_dir() and inside.fullmatch(e.name)]
    files, matches, others = [], [], 0
    for file in (file for place in places for file in pictures_under(place)):
        match = pattern.fullmatch((renamed or {}).get(file.name, file.name))
        if match is None:
            others += 1
        else:
            files.append(file)
            matches.append(match)
    if not files:
        return None
    metadata = {name: text_column([value(match) for match in matches]) for name, value in columns.items()}
    return PictureIndex(
        name=folder.name,
        origin=folder,
        files=files,
        expressions=[expression(match) for match in matches],
        metadata={"file": text_column([file.relative_to(folder).as_posix() for file in files]), **metadata},
        whole=True,
        left_out=no_pictures(places) + Counter({"named otherwise than its owners name pictures": others}),
    )


def _descend(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    if not names:
        yield folder
    elif folder.is_dir():
        for entry in visible(folder):
            if entry.is_dir() and entry.name.lower() == names[0]:
                yield from _descend(entry, names[1:])
