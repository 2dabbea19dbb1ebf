"""Every error that mien raises on purpose, in one tree.

::

    MienError
    ├── MissingExtraError      an optional dependency is not installed
    ├── PictureError           a picture cannot be used
    │   ├── UnreadablePictureError    missing, empty, cut short, or not a picture
    │   └── PictureTooLargeError      more pixels than the limit allows
    ├── VideoError             a video, camera or stream cannot be read
    ├── DatasetError           a dataset is missing, cut, or not in a known layout
    │   └── LabelError         a label is unknown, or label sets do not fit each other
    ├── ConfigError            a recipe or manifest has a wrong key, type or value
    ├── ModelError             a model cannot be used
    │   ├── UnknownModelError  no model or network of that name
    │   └── ChecksumError      a file is not the one its sha256 names
    ├── DownloadError          a model could not be fetched
    ├── TrainingError          a run cannot be started, resumed or exported
    ├── BulkError              a bulk run's input, output or limits do not let it go on
    └── AppError               the local app cannot do it
        ├── PolicyError        the law does not let this be done for that purpose in that place
        ├── ConsentError       nobody consented to it, or no longer, or to another text
        ├── StoreError         the app's database cannot be read or written
        │   └── NotStoredError   what was named is not in the database, or no longer
        │       └── NoRecordingError   there is no recording of that number, or no longer
        └── RoomError          a room refuses, is full, is closed or has vanished

Each message says what is wrong, where, and how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """Base of all errors that mien raises on purpose."""


class MissingExtraError(MienError):
    """An optional dependency is not installed; the message holds the install command."""

    def __init__(self, package: str, extra: str | None, purpose: str) -> None:
        """Name the missing ``package``, the ``extra`` that brings it, if one does, and the ``purpose`` it serves."""
        wanted = package if extra is None else f"'mien[{extra}]'"
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install {wanted}")


class PictureError(MienError):
    """A picture cannot be used."""


class UnreadablePictureError(PictureError):
    """A picture file is missing, empty, cut short, or not a picture."""


class PictureTooLargeError(PictureError):
    """A picture has more pixels than the limit allows.

    Attributes:
        what: the message without its remedy, for those who cannot raise the limit.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        """Say ``what`` is wrong and, if there is one, the ``remedy``."""
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = what


class VideoError(MienError):
    """A video, camera or stream cannot be read."""


class DatasetError(MienError):
    """A dataset is missing, cut, or not in a known layout."""


class LabelError(DatasetError):
    """A label is unknown, or two label sets do not fit each other."""


class ConfigError(MienError):
    """A recipe or manifest has a wrong key, type or value."""


class ModelError(MienError):
    """A model cannot be used."""


class UnknownModelError(ModelError):
    """There is no model or network of that name."""


class ChecksumError(ModelError):
    """A file is not the one that its sha256 names."""


class DownloadError(MienError):
    """A model could not be fetched."""


class TrainingError(MienError):
    """A run cannot be started, resumed or exported."""


class BulkError(MienError):
    """A bulk run's input, output or limits do not let it go on."""


class AppError(MienError):
    """The local app cannot do what was asked."""


class PolicyError(AppError):
    """The law does not let this be done for that purpose in that place; the message names the source."""


class ConsentError(AppError):
    """Nobody consented to it, or no longer, or to another text."""


class StoreError(AppError):
    """The app's database cannot be read or written."""


class NotStoredError(StoreError):
    """What was named is not in the app's database, or no longer."""


class NoRecordingError(NotStoredError):
    """There is no recording of that number, or no longer."""


class RoomError(AppError):
    """A room refuses, is full, is closed or has vanished."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """End an error message: the nearest valid word where one is near, and all valid ones.

    >>> nearest("hapy", ["angry", "happy"])
    "did you mean 'happy'? Valid: angry, happy"
    """
    options = list(choices)
    close = difflib.get_close_matches(word.lower(), options, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Valid: {', '.join(options)}"
