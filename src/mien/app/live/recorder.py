"""Seconds on their way to the store, which may be slow, locked or full: the live view never waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from mien.app.law.consent import Consent
from mien.app.live.browser_stream import FrameView
from mien.app.store.aggregate import Aggregator, Second
from mien.app.store.facade import Store
from mien.core.errors import AppError, ConsentError, NoRecordingError, StoreError

Tell = Callable[[str], Awaitable[None]]

WAITING = 300
"""Seconds that may wait for the store; what goes beyond it is lost, and said."""

RETRY = 1.0
"""Seconds from one attempt to the next."""

GONE = "The recording has ended: it was deleted, withdrawn or purged."
"""What is said of one that the store does not know any more."""


class Recorder:
    """One recording under way.

    Args:
        store: where it goes.
        recording: its number there.
        began: time of the stream at which it began, seconds.
        tell: told what the person should know.
        retry: seconds from one attempt at a store that fails to the next.

    Attributes:
        recording: its number.
        length: seconds from its beginning to the last view.
        ended: why it ended by itself, or was not saved to its end; None while all is well.
    """

    def __init__(self, store: Store, recording: int, *, began: float, tell: Tell, retry: float = RETRY) -> None:  # noqa: D107
        self.recording = recording
        self._store = store
        self._began = began
        self._tell = tell
        self._retry = retry
        self._aggregator = Aggregator()
        self.length = 0.0
        self.ended: str | None = None
        self._waiting: deque[Second] = deque()
        self._change = asyncio.Event()
        self._failing = False
        self._stopping = False
        self._lost = 0
        self._task = asyncio.create_task(self._write())

    @classmethod
    async def open(
        cls,
        store: Store,
        consent: Consent,
        *,
        model: str,
        name: str,
        kind: Literal["live", "scheduled"],
        began: float,
        tell: Tell,
    ) -> Recorder:
        """Begin a recording.

        Raises:
            AppError: the store, the consent or the policy refuses.
        """
        number = await asyncio.to_thread(store.open_recording, consent, model=model, name=name, kind=kind)
        return cls(store, number, began=began, tell=tell)

    def push(self, view: FrameView) -> None:
        """Take in a view of the stream; once it has ended nothing is kept."""
        if self.ended is None:
            self.length = max((view.frame.time or 0.0) - self._began, self.length)
            self._queue(self._aggregator.push_face(self.length, view.own, faces=view.faces))

    async def close(self) -> None:
        """Store what is left, as far as the store takes it now, and end the recording."""
        if self.ended is None:
            self._queue(self._aggregator.finish())
        self._stopping = True
        self._change.set()
        await self._task
        try:
            await asyncio.to_thread(self._store.close_recording, self.recording)
        except NoRecordingError:
            self.abandon()
        except AppError as error:
            await self._tell(f"The recording could not be closed: {error}")

    def abandon(self, why: str = GONE) -> None:
        """Let go of a recording that cannot go on, and store nothing more; from any thread."""
        self.ended = self.ended or why

    def _queue(self, second: Second | None) -> None:
        if second is None:
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(second)
        self._change.set()

    async def _write(self) -> None:
        while True:
            await self._change.wait()
            self._change.clear()
            while self._waiting and self.ended is None:
                second = self._waiting[0]
                try:
                    await asyncio.to_thread(self._store.append, self.recording, second)
                except NoRecordingError:
                    self.abandon()
                    return
                except (ConsentError, ValueError) as error:
                    self.abandon(f"The recording has ended: {error}")
                    return
                except StoreError as error:
                    if not self._failing:
                        await self._tell(f"The recording cannot be saved at the moment: {error}")
                    self._failing = True
                    if self._stopping:
                        self.abandon(f"{len(self._waiting)} seconds of the recording were not saved.")
                        return
                    await asyncio.sleep(self._retry)
                    continue
                if self._waiting and self._waiting[0] is second:
                    self._waiting.popleft()
                if self._failing:
                    lost = f"; {self._lost} seconds in between were lost" if self._lost else ""
                    await self._tell(f"The recording is being saved again{lost}.")
                    self._failing, self._lost = False, 0
            if self._stopping:
                return
