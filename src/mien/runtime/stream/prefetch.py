"""Pictures made in a thread of their own, handed over through a queue that cannot grow."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator

from mien.runtime.stream.source import Source
from mien.runtime.stream.stream_picture import StreamPicture

_AHEAD = 4
"""Pictures decoded ahead: enough to bridge the time of a search, few enough for 4K."""

_GLANCE = 0.25
"""Seconds after which a reader that waits looks whether it was told to stop."""


class Prefetch:
    """Runs a source in a thread.

    From a file every picture comes, in order: the thread waits while :data:`_AHEAD` of them wait. From a live source
    the newest comes: one that nobody has taken gives way to the next.

    Args:
        source: closed at the end.
        stop: ends the stream when it is set, within a quarter of a second.
    """

    def __init__(self, source: Source, *, stop: threading.Event | None = None) -> None:  # noqa: D107
        self._source = source
        self._stop = stop or threading.Event()
        self._change = threading.Condition()
        self._waiting: deque[StreamPicture] = deque(maxlen=1 if source.live else None)
        self._over = False
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"mien-{source.name}", daemon=True)

    def pictures(self) -> Generator[StreamPicture, None, None]:
        """The pictures; the thread ends with this iterator, also where that is closed early.

        Raises:
            VideoError: from the source.
        """
        self._thread.start()
        try:
            while (picture := self._next()) is not None:
                yield picture
        finally:
            self.close()
        if self._error is not None and not self._stop.is_set():
            raise self._error

    def close(self) -> None:
        """End the thread, and wait for it."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._source.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _next(self) -> StreamPicture | None:
        with self._change:
            while not self._stop.is_set():
                if self._waiting:
                    picture = self._waiting.popleft()
                    self._change.notify_all()
                    return picture
                if self._over:
                    return None
                self._change.wait(_GLANCE)
        return None

    def _run(self) -> None:
        pictures = self._source.pictures()
        try:
            for picture in pictures:
                with self._change:
                    while not self._source.live and len(self._waiting) >= _AHEAD and not self._closed:
                        self._change.wait()
                    if self._closed:
                        break
                    self._waiting.append(picture)
                    self._change.notify_all()
        except BaseException as error:  # whatever it is, it is raised where the pictures are read
            self._error = error
        finally:
            with self._change:
                self._over = True
                self._change.notify_all()
            pictures.close()
