"""The person's own place in a room that somebody else opened: asked for, taken and left."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from mien.app.law.consent import Consent
from mien.app.law.terms import Terms
from mien.app.rooms.client import RoomClient
from mien.app.rooms.room_app import About


class Seat:
    """The person's own place in a room: asked, and once they consent, joined. Lives in the app's event loop.

    Args:
        client: speaks with the room.
        about: what the room said of itself.
        text: what is consented to.
        consent: shown, and given later.

    Attributes:
        said: the latest words about the room, oldest first.
        paused: whether nothing is read and sent for a while.
    """

    def __init__(self, client: RoomClient, about: About, text: Terms, consent: Consent) -> None:  # noqa: D107
        self.client = client
        self.about = about
        self.text = text
        self.consent = consent
        self.said: deque[str] = deque(maxlen=5)
        self.paused = False
        self._task: asyncio.Task[None] | None = None

    @property
    def joined(self) -> bool:
        """Whether it has ever been taken."""
        return self._task is not None

    @property
    def going_on(self) -> bool:
        """Whether something may still be sent."""
        return self._task is not None and not self._task.done()

    async def join(self, consent: Consent, now: Callable[[], float]) -> None:
        """Take the seat under a consent that was given.

        Raises:
            AppError: the consent is none, or the room refuses or cannot be reached.
        """
        await self.client.join(consent, now=now)
        self.consent = consent
        self._task = asyncio.create_task(self.client.run())

    def pause(self, *, paused: bool) -> None:
        """Send no readings for a while, or again."""
        self.paused = paused
        if paused:
            self.client.pause()
        else:
            self.client.resume()

    async def leave(self) -> None:
        """Stop sending, and tell the room."""
        await self.client.leave()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
