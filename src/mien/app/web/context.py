"""What the routes of one running app share: its store, its engine, its secrets, and who is being analysed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mien.app.history.advice import load
from mien.app.history.rules import Rules
from mien.app.law.permission import CurrentPermission
from mien.app.live.session import LiveApp
from mien.app.rooms.hosting import TLS, Hosted
from mien.app.rooms.seat import Seat
from mien.app.web.security import Access
from mien.core.policy import Decision, Feature

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


@dataclass(slots=True, eq=False, kw_only=True)
class Context(LiveApp):
    """All of a running app: what its live views share, and what its pages need besides.

    Attributes:
        access: who may ask.
        hosted: the room that this machine hosts.
        opening: held while a room is opened, so that two clicks open one.
        seat: the person's own place in a room.
        seating: held while that place is asked for, taken or left, so that two clicks take one.
        tls: certificate and key with which rooms can be reached from other machines.
        uploading: held while an upload is taken in and read; one at a time, so that the live view keeps its pace and
            memory holds one.
    """

    access: Access
    hosted: Hosted | None = None
    opening: threading.Lock = field(default_factory=threading.Lock)
    seat: Seat | None = None
    seating: asyncio.Lock = field(default_factory=asyncio.Lock)
    tls: TLS | None = None
    uploading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def decision(self) -> Decision | None:
        """What the policy says of what was chosen; None before."""
        return self.store.decision

    @property
    def labels(self) -> list[str]:
        """The expressions that the model knows."""
        return [str(e) for e in self.engine.recognizer.models[0].labels]

    def allow(self, feature: Feature) -> Decision:
        """Refuse a page of something that the policy does not allow; whether a face may be read is another question.

        Raises:
            PolicyError: it is not allowed, or no purpose was chosen.
        """
        return self.store.participant().require(feature)

    def permission(self, feature: Feature) -> CurrentPermission:
        """Whether the person's own face may be read for a feature."""
        store = self.store
        return CurrentPermission(feature, read=store.participant, changes=lambda: store.changes, clock=self.clock)

    @property
    def rules(self) -> Rules:
        """The rules of advice and pace: mien's own, and those that the person put beside the database.

        Raises:
            ConfigError: a key in the person's own is wrong.
        """
        return load(self.store.path.with_name("advice.yaml"))


def context_of(connection: HTTPConnection) -> Context:
    """The context of the app that handles a request or socket."""
    return cast(Context, connection.app.state.context)
