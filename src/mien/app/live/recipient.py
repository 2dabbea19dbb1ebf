"""Whom a live view reads for: the person alone, or a room that they sit in."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mien.app.law.permission import CurrentPermission
from mien.app.live.browser_stream import FrameView
from mien.app.store.facade import Store


class Recipient(Protocol):
    """Who gets what a live view reads, and whose permission it takes.

    Attributes:
        permission: whether the face may be read now.
        records: whether what is read may be recorded.
    """

    permission: CurrentPermission
    records: bool

    async def pause(self) -> None:
        """Read nothing for a while."""

    async def resume(self) -> None:
        """Read again."""

    def take(self, view: FrameView) -> None:
        """Take in a view, which was read with permission."""


class Alone:
    """The person reads for themselves, under their consent to that.

    Args:
        store: holds the consent.
        permission: to read their own face.
    """

    records = True

    def __init__(self, store: Store, permission: CurrentPermission) -> None:  # noqa: D107
        self._store = store
        self.permission = permission

    async def pause(self) -> None:
        """Pause the consent, in every tab."""
        await asyncio.to_thread(self._store.pause)

    async def resume(self) -> None:
        """Go on after a pause."""
        await asyncio.to_thread(self._store.resume)

    def take(self, view: FrameView) -> None:
        """Nothing: the view is on the person's own page, and with their recorder."""
