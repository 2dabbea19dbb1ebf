"""Everything the app keeps, in one SQLite file of the user's data folder.

::

    with Store() as store:                                  # the platform's data folder; Store(path) elsewhere
        store.purge()                                       # at the start, and every hour
        store.change_settings(purpose=Purpose.SELF_REFLECTION, place=Place.EU)
        store.decision.require(Feature.RECORDINGS)          # what the policy says of that purpose and place

        shown = show(store.terms(), now=time.time())        # the text to show; every state of a consent is kept
        store.keep(shown)
        store.keep(consent := shown.give(time.time()))
        recording = store.open_recording(consent, model="tiny")
        store.append(recording, second)                     # once a second
        store.close_recording(recording)
        store.note(recording, "after lunch")
        store.correct(recording, start=10, end=14, was=Expression.SAD)

        store.log(Action.EXPORTED, recording=recording, format="csv")   # what happens outside of the store
        store.delete(recording)
        store.withdraw(consent)                             # stop and erase

Frames never come here. A store may be used from many threads (an async server calls it through threads): operations
take turns. Each is one transaction, on the disk when it returns, so that a kill or a power cut loses at most the second
that was not appended yet. What is deleted is overwritten (``secure_delete``), the file rebuilt, and the write-ahead log
emptied.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from mien.app.storage.annotations import AnnotationsPart
from mien.app.storage.database import Database
from mien.app.storage.recordings import RecordingsPart


def default_path() -> Path:
    """Where the app's database is: ``$MIEN_HOME/app.db``, or ``app.db`` in the user's data folder."""
    from mien.core.places import models_folder

    return models_folder().parent / "app.db"


class Store(RecordingsPart, AnnotationsPart):
    """The app's database. See the module for how it is used, and the parts in ``mien.app.storage`` for each operation.

    Args:
        path: of the database, made with its folder where it does not exist; None for :func:`default_path`.
        clock: gives Unix seconds.

    Raises:
        StoreError: it cannot be opened, is no database of mien, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:  # noqa: D107
        super().__init__(Database(path or default_path()), clock)

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._database.path

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Empty the write-ahead log into the database and close it; closing twice does nothing."""
        self._database.close()
