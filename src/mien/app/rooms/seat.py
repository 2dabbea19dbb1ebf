"""The person's own place in a room that somebody else opened: asked for, taken and left."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mien.app.law.consent import Consent
from mien.app.law.permission import CurrentPermission, Participant, RoomAsks
from mien.app.law.terms import Terms
from mien.app.live.browser_stream import FrameView
from mien.app.rooms.client import RoomClient
from mien.app.rooms.room_app import About
from mien.app.store.aggregate import Aggregator
from mien.app.store.facade import Store
from mien.core.policy import Feature


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

    async def join(self, consent: Consent, store: Store, clock: Callable[[], float]) -> None:
        """Take the seat under a consent that was given.

        Args:
            consent: given to the room's text.
            store: which keeps it.
            clock: gives Unix seconds.

        Raises:
            AppError: the consent is none, or the room refuses or cannot be reached.
        """
        permission = InRoom(lambda: self, store, clock).permission
        await self.client.join(consent, now=clock, may_send=lambda: permission.ask().granted)
        self.consent = consent
        self._task = asyncio.create_task(self.client.run())

    @property
    def asks(self) -> RoomAsks:
        """What the room asks of this person."""
        return self.client.asks(self.about)

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


class InRoom:
    """Somebody reads for the room that they sit in, under their consent to that.

    Args:
        seat: gives their place in a room; None where they have none.
        store: holds the consent.
        clock: gives Unix seconds.
    """

    records = False

    def __init__(self, seat: Callable[[], Seat | None], store: Store, clock: Callable[[], float]) -> None:  # noqa: D107
        self._seat = seat
        self._store = store
        self._aggregator = Aggregator()
        self.permission = CurrentPermission(
            Feature.ROOM_FACES, read=self._participant, changes=self._changes, clock=clock
        )

    async def pause(self) -> None:
        """Send the room nothing for a while, and read nothing."""
        self._pause(paused=True)

    async def resume(self) -> None:
        """Go on after a pause."""
        self._pause(paused=False)

    def take(self, view: FrameView) -> None:
        """Add a view to what is sent to the room."""
        seat = self._seat()
        second = self._aggregator.push_face(view.frame.time or 0.0, view.own, faces=view.faces)
        if seat is not None and second is not None:
            seat.client.offer(second)

    def _pause(self, *, paused: bool) -> None:
        seat = self._seat()
        if seat is not None:
            seat.pause(paused=paused)

    def _participant(self) -> Participant:
        seat = self._seat()
        if seat is None:
            return self._store.participant()
        found = self._store.participant(seat.consent.id)
        return replace(found, room=seat.asks, in_room=seat.going_on, paused=seat.paused)

    def _changes(self) -> object:
        seat = self._seat()
        return self._store.changes, seat, seat is not None and (seat.going_on, seat.paused)
