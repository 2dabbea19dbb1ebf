"""Datasets of image sequences, of which single frames become rows: CK+, its folders CK+48, and MUG."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import Expression
from mien.data.class_folders import index_folder, is_class
from mien.data.dataset import text_column
from mien.data.layout import Layout
from mien.data.picture_index import PictureIndex, no_pictures, pictures_under, visible

CKPLUS_CODES = (
    Expression.NEUTRAL,
    Expression.ANGRY,
    Expression.CONTEMPT,
    Expression.DISGUST,
    Expression.FEAR,
    Expression.HAPPY,
    Expression.SAD,
    Expression.SURPRISE,
)
"""What the numbers 0 to 7 in CK+'s emotion files mean."""

FRAMES = 3
"""Frames of a sequence that show its expression: the last ones of CK+, as CK+48 has them; the middle ones of MUG."""

_SEQUENCES = {
    Expression.ANGRY: 45,
    Expression.CONTEMPT: 18,
    Expression.DISGUST: 59,
    Expression.FEAR: 25,
    Expression.HAPPY: 69,
    Expression.SAD: 28,
    Expression.SURPRISE: 83,
}
_PEAKS = {expression: FRAMES * count for expression, count in _SEQUENCES.items()}
_LABELS = ("Emotion", "Emotion_labels")
_IMAGES = "cohn-kanade-images"
_CK48 = re.compile(r"(?P<subject>S\d{3})_(?P<sequence>\d{3})_\d{8}\.png", re.IGNORECASE)
_TAKE = re.compile(r"take\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Frames:
    """Frames of one sequence that show one expression."""

    files: Sequence[Path]
    expression: Expression
    subject: str
    sequence: str


def list_ckplus(folder: Path) -> PictureIndex | None:
    """``cohn-kanade-images/S005/001/*.png`` beside ``Emotion/S005/001/S005_001_00000011_emotion.txt``.

    A sequence goes from the neutral face to the peak. Only those with an emotion file are labelled: their last three
    frames show its expression, their first frame is neutral.

    Raises:
        DatasetError: an emotion file holds no number of 0 to 7, or its frames are missing.
    """
    labels = next((folder / name for name in _LABELS if (folder / name).is_dir()), None)
    if labels is None or not (folder / _IMAGES).is_dir():
        return None
    found: list[_Frames] = []
    for file in sorted(labels.glob("*/*/*_emotion.txt")):
        if file.name.startswith("."):
            continue
        subject, number = file.parent.parent.name, file.parent.name
        frames = _frames(folder / _IMAGES / subject / number, file)
        sequence, expression = f"{subject}/{number}", _emotion(file)
        found.append(_Frames(frames[:1], Expression.NEUTRAL, subject, sequence))
        found.append(_Frames(frames[1:][-FRAMES:], expression, subject, sequence))
    return _index(folder, found)


def list_ck48(folder: Path) -> PictureIndex | None:
    """``anger/S010_004_00000017.png``: face crops of 48 x 48 pixels, the last three frames of each sequence."""
    if not any(is_class(entry) for entry in visible(folder) if entry.is_dir()):
        return None
    index = index_folder(folder)
    names = [_CK48.fullmatch(file.name) for file in index.files]
    matches = [name for name in names if name is not None]
    if len(matches) < len(names) or index.splits is not None:
        return None
    columns = {
        "subject": text_column([match["subject"].upper() for match in matches]),
        "sequence": text_column([f"{match['subject'].upper()}/{match['sequence']}" for match in matches]),
    }
    return replace(index, metadata={**index.metadata, **columns})


def list_mug(folder: Path) -> PictureIndex | None:
    """``001/anger/take000/img_0000.jpg``, with a folder ``session1`` in between for who came more than once.

    A take begins and ends with the neutral face: its middle three frames show its expression.
    """
    found: list[_Frames] = []
    others = 0
    for person in (entry for entry in visible(folder) if entry.is_dir() and entry.name.isdigit()):
        sessions = [e for e in visible(person) if e.is_dir() and e.name.lower().startswith("session")] or [person]
        for place in (entry for session in sessions for entry in visible(session) if entry.is_dir()):
            takes = [e for e in visible(place) if e.is_dir() and _TAKE.fullmatch(e.name)]
            try:
                expression = Expression.parse(place.name)
            except LabelError:
                others += len(takes)
                continue
            for take in takes:
                frames = pictures_under(take)
                start = max((len(frames) - FRAMES) // 2, 0)
                sequence = take.relative_to(folder).as_posix()
                found.append(_Frames(frames[start : start + FRAMES], expression, person.name, sequence))
    index = _index(folder, found)
    if index is None or not others:
        return index
    return replace(index, left_out={**index.left_out, "takes of no single expression": others})


def _frames(folder: Path, label: Path) -> list[Path]:
    frames = pictures_under(folder) if folder.is_dir() else []
    peak = label.name.removesuffix("_emotion.txt")
    names = [frame.stem for frame in frames]
    if peak not in names or len(frames) < 2:
        raise DatasetError(
            f"{label} labels the sequence {folder}, which has {len(frames)} pictures and "
            f"{'no' if peak not in names else 'only the'} frame {peak}: take the original again"
        )
    return frames[: names.index(peak) + 1]


def _emotion(file: Path) -> Expression:
    text = file.read_text(encoding="ascii", errors="replace").strip()
    try:
        code = float(text)
        if code not in range(len(CKPLUS_CODES)):
            raise ValueError
    except ValueError:
        meanings = ", ".join(f"{code} ({label})" for code, label in enumerate(CKPLUS_CODES))
        raise DatasetError(f"{file}: expected one of {meanings}, found '{text[:40]}'") from None
    return CKPLUS_CODES[int(code)]


def _index(folder: Path, found: Sequence[_Frames]) -> PictureIndex | None:
    rows = [(file, frames) for frames in found for file in frames.files]
    if not rows:
        return None
    column: Callable[[str], list[str]] = lambda name: [getattr(frames, name) for _, frames in rows]  # noqa: E731
    return PictureIndex(
        name=folder.name,
        origin=folder,
        files=[file for file, _ in rows],
        expressions=[frames.expression for _, frames in rows],
        metadata={
            "file": text_column([file.relative_to(folder).as_posix() for file, _ in rows]),
            "subject": text_column(column("subject")),
            "sequence": text_column(column("sequence")),
        },
        whole=True,
        left_out=no_pictures({file.parent for file, _ in rows}),
    )


CKPLUS = Layout(
    name="ckplus",
    title="CK+ (Lucey et al. 2010)",
    looks_like="CK+ (cohn-kanade-images/S005/001/*.png beside Emotion/S005/001/*_emotion.txt)",
    documented="the ReadMe of the distribution ('PHASE 1', revised 28th Sept 2010)",
    licence="non-commercial research, by agreement with its owners",
    checked=False,
    places=("ckplus", "ck+", "ck_plus"),
    pictures={**_PEAKS, Expression.NEUTRAL: sum(_SEQUENCES.values())},
    persons=118,
    list_pictures=list_ckplus,
    notes="327 labelled sequences of 593; three peak frames and one neutral frame of each",
)

CK48 = Layout(
    name="ck48",
    title="CK+48 (981 face crops of CK+)",
    looks_like="CK+48's class folders (anger/S010_004_00000017.png)",
    documented="kaggle.com/datasets/shuvoalok/ck-dataset; 135, 54, 177, 75, 207, 84 and 249 pictures",
    licence=CKPLUS.licence,
    checked=False,
    places=("ck48", "ck+48"),
    pictures=_PEAKS,
    persons=118,
    list_pictures=list_ck48,
    notes="no neutral pictures; made by others from CK+",
)

MUG = Layout(
    name="mug",
    title="MUG (Aifanti, Papachristou & Delopoulos 2010)",
    looks_like="MUG's sequences (001/anger/take000/img_0000.jpg)",
    documented="mug.ee.auth.gr/fed; folder names as programs that read it expect them",
    licence="scientific research, by agreement with its owners",
    checked=False,
    places=("mug", "mug/subjects3", "mug/subjects"),
    pictures={},
    persons=52,
    list_pictures=list_mug,
    notes="52 of 86 persons are given out; the number of takes is not published, so only persons are counted",
)
