"""Image folders: ``class/*.png`` and ``split/class/*.png``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import Expression
from mien.core.picture_files import say_left_out, walk_folder
from mien.core.safe_text import printable
from mien.data.dataset import text_column
from mien.data.numbered_classes import Classes, parse_label
from mien.data.picture_index import PictureIndex, no_pictures, pictures_under, visible

_NAMED = 5


def index_folder(folder: Path, *, others: Sequence[str] = (), classes: Classes | None = None) -> PictureIndex:
    """List a folder of face crops: ``angry/1.png`` or ``train/angry/1.png``.

    Class folders may carry any word that :meth:`Expression.parse` knows, or numbers where ``classes`` says whose; split
    folders may have any name. Pictures in folders below a class folder are of that class. Every file that is not listed
    is counted as left out, and pictures beside the class folders are named. The column ``file`` holds each picture's
    path in the folder. ``others`` are further layouts, in words, that were looked for before this one.

    Raises:
        LabelError: a class folder's name is no expression.
        DatasetError: no such folder, another layout, no pictures, or a class folder with files and no picture.
    """
    if not folder.is_dir():
        raise DatasetError(f"there is no folder {folder}")
    tops = [entry for entry in visible(folder) if entry.is_dir()]
    left_out = no_pictures([folder])
    loose = pictures_under(folder)
    if any(is_class(top, classes) for top in tops):
        listed = [("", *pair) for pair in _classes(folder, left_out, classes)]
    elif any(is_class(entry, classes) for top in tops for entry in visible(top) if entry.is_dir()):
        listed = [(top.name, *pair) for top in tops for pair in _classes(top, left_out, classes)]
        left_out += no_pictures(tops)
        loose += [picture for top in tops for picture in pictures_under(top)]
    else:
        raise _unknown_layout(folder, tops, others)
    if loose:
        names = ", ".join(picture.relative_to(folder).as_posix() for picture in loose[:_NAMED])
        left_out[f"beside the class folders ({names}{', …' if len(loose) > _NAMED else ''})"] += len(loose)
    has_splits = any(split for split, _, _ in listed)
    return PictureIndex(
        name=folder.resolve().name,
        origin=folder,
        files=[file for _, _, file in listed],
        expressions=[expression for _, expression, _ in listed],
        splits=[split for split, _, _ in listed] if has_splits else None,
        left_out=left_out,
        metadata={"file": text_column([file.relative_to(folder).as_posix() for _, _, file in listed])},
    )


def is_class(folder: Path, classes: Classes | None = None) -> bool:
    """Whether a folder's name is a word for an expression, or one of the numbers of ``classes``."""
    try:
        parse_label(folder.name, classes)
    except LabelError:
        return False
    return True


def _classes(folder: Path, left_out: Counter[str], classes: Classes | None) -> list[tuple[Expression, Path]]:
    listed = []
    for entry in visible(folder):
        if not entry.is_dir():
            continue
        try:
            expression = parse_label(entry.name, classes)
        except LabelError as error:
            raise LabelError(f"{entry}: {error}; rename the folder, or move it elsewhere") from None
        if expression is None:
            others = Counter[str]()
            left_out[f"of class {entry.name}, which is no expression"] += sum(1 for _ in walk_folder(entry, others))
            continue
        others = Counter[str]()
        files = [Path(file) for file in walk_folder(entry, others)]
        if others and not files:
            raise DatasetError(
                f"{entry}: the class {expression} has no picture, {say_left_out(others)}: save them as JPEG or PNG, or "
                "remove the folder"
            )
        left_out += others
        listed += [(expression, file) for file in files]
    return listed


def _unknown_layout(folder: Path, tops: Sequence[Path], others: Sequence[str]) -> DatasetError:
    for inside in (tops, [entry for top in tops for entry in visible(top) if entry.is_dir()]):
        if inside and all(entry.name.isdecimal() for entry in inside):
            try:
                parse_label(inside[0].name, None)
            except LabelError as error:
                return LabelError(f"{inside[0]}: {error}")
    entries = list(visible(folder))
    folders = [f"{entry.name}/" for entry in entries if entry.is_dir()]
    files = [entry.name for entry in entries if entry.is_file()]
    shown = ", ".join((folders + files)[:8]) + (", …" if len(entries) > 8 else "")
    return DatasetError(
        f"{folder} is in no known layout. Looked for: {'; '.join(['fer2013.csv, icml_face_data.csv', *others])}; "
        "pictures in class folders (angry/1.png) or in class folders of splits (train/angry/1.png), where a class is "
        f"one of {', '.join(Expression)}. "
        f"Found: {len(folders)} folders and {len(files)} files{f' ({printable(shown)})' if shown else ''}. "
        "Rename the folders, or list the pictures in a CSV file with the columns path,label"
    )
