"""What the routes of one running app share: its store, its engine, its secrets, and who is being analysed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mien.app.history.advice import load
from mien.app.history.rules import Rules
from mien.app.law.consent import Consent, State
from mien.app.law.policy import Decision, Feature
from mien.app.live.engine import Engine
from mien.app.rooms.hosting import TLS, Hosted
from mien.app.rooms.seat import Seat
from mien.app.store.facade import Store
from mien.app.web.security import Access
from mien.core.errors import ConsentError, PolicyError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

NO_PURPOSE = "no purpose was chosen yet: say first what mien is used for, and where"


@dataclass(slots=True, eq=False)
class Context:
    """All of a running app.

    Attributes:
        store: what is kept.
        engine: what reads frames.
        access: who may ask.
        clock: gives Unix seconds.
        epoch: grows whenever consent, purpose or retention may have changed, so that live sessions ask again.
        streams: how many browsers' frames are being analysed.
        recording: number of the recording under way; one at a time, as it is one person's.
        hosted: the room that this machine hosts.
        opening: held while a room is opened, so that two clicks open one.
        seat: the person's own place in a room.
        seating: held while that place is asked for, taken or left, so that two clicks take one.
        tls: certificate and key with which rooms can be reached from other machines.
        uploading: held while an upload is taken in and read; one at a time, so that the live view keeps its pace and
            memory holds one.
    """

    store: Store
    engine: Engine
    access: Access
    clock: Callable[[], float] = time.time
    epoch: int = 0
    streams: int = 0
    recording: int | None = None
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

    def allow(self, feature: Feature) -> Decision:
        """Refuse what the policy does not allow.

        Raises:
            PolicyError: it is not allowed, or no purpose was chosen.
        """
        decision = self.decision
        if decision is None:
            raise PolicyError(NO_PURPOSE)
        decision.require(feature)
        return decision

    def gate(self, feature: Feature) -> Consent:
        """The consent under which a face may be read now.

        Raises:
            PolicyError: the policy does not allow it.
            ConsentError: nobody consented, or no longer.
        """
        self.allow(feature)
        consent = self.store.consent()
        if consent is None:
            raise ConsentError("consent has not been given yet: read the text and agree, or leave it")
        consent.check(self.store.terms(), self.clock())
        return consent

    @property
    def rules(self) -> Rules:
        """The rules of advice and pace: mien's own, and those that the person put beside the database.

        Raises:
            ConfigError: a key in the person's own is wrong.
        """
        own = self.store.path.with_name("advice.yaml")
        return load(own if own.is_file() else None)

    @property
    def agreed(self) -> Consent | None:
        """The consent that holds for what mien is used for now, paused or not; None where there is none."""
        consent, decision = self.store.consent(), self.decision
        if consent is None or decision is None or not decision.allows(Feature.LIVE):
            return None
        asked = consent.resume(self.clock()) if consent.state is State.PAUSED else consent
        try:
            asked.check(self.store.terms(), self.clock())
        except ConsentError:
            return None
        return consent

    def changed(self) -> None:
        """Tell the live sessions that what holds for them may have changed."""
        self.epoch += 1


def context_of(connection: HTTPConnection) -> Context:
    """The context of the app that handles a request or socket."""
    return cast(Context, connection.app.state.context)
