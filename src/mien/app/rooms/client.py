"""A participant's side of a room: what leaves this machine, and when it stops leaving.

::

    client = RoomClient("https://192.168.1.20:8643", "K7P2QX9M", fingerprint="…")   # from whoever opened the room
    about = await client.about()                       # what will happen; nothing is sent yet
    text = client.asks(about).terms(place)             # the consent text; of taps only where this place forbids faces
    await client.join(consent)                         # a consent to that text, given
    task = asyncio.create_task(client.run())           # sends every ten seconds until left, refused or vanished
    client.offer(second)                               # each second of the person's own readings; sums stay here
    await client.tap("too fast")
    client.pause(), client.resume()                    # paused: present, with no reading
    await client.leave()

All that is ever sent of a face is three whole numbers that sum to four. A room that vanishes is tried again for a
minute, which :attr:`RoomClient.state` and ``say`` tell; then the client stops for good, and has to be joined anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mien.app.law.consent import Consent
from mien.app.law.permission import RoomAsks
from mien.app.law.terms import ROOM_VERSION, Scope
from mien.app.rooms.address import UnreachableError, check_address, check_fingerprint, pinned
from mien.app.rooms.reports import Coarse, coarse
from mien.app.rooms.room_app import SCHEMA, About
from mien.app.store.aggregate import Second
from mien.core.errors import ConsentError, RoomError
from mien.core.expression import Polarity
from mien.core.policy import Place, Purpose

if TYPE_CHECKING:
    import httpx

PATIENCE = 60.0
"""Seconds for which a room that vanished is tried again."""

TIMEOUT = 5.0
LEAST_MEASURED = 3.0
"""Seconds of ten in which the face must have been read; else there is no reading to send."""


async def wait_or_wake(wake: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until woken."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds)


class Membership(StrEnum):
    """Where a participant stands."""

    OUTSIDE = "outside"
    JOINED = "joined"
    LOST = "lost, trying again"
    GONE = "the room has vanished"
    REFUSED = "the room refused"
    LEFT = "left"


class RoomClient:
    """One participant in one room.

    Args:
        address: of the room, ``https://host:port``; plain ``http`` to this machine only, unless ``plain`` allows it.
        code: of the room.
        fingerprint: sha256 of the room's certificate in hexadecimal, where it is none that this machine trusts.
        plain: whether to send unencrypted over a network, where everybody on it can read along.
        say: told in words when the room is lost, back, or gone.
        transport: instead of the network, in tests.
        clock: monotonic seconds.
        patience: seconds for which a room that vanished is tried again.
        wait: waits so many seconds, or until the event is set.

    Attributes:
        address: of the room.
        state: where this participant stands.
        patience: see above.

    Raises:
        ConfigError: the address is none, or unencrypted and not of this machine.
    """

    def __init__(  # noqa: D107
        self,
        address: str,
        code: str,
        *,
        fingerprint: str | None = None,
        plain: bool = False,
        say: Callable[[str], None] = lambda _: None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_or_wake,
    ) -> None:
        self.address = check_address(address, plain=plain)
        self.state = Membership.OUTSIDE
        self._code = code.strip().upper()
        self._fingerprint = None if fingerprint is None else check_fingerprint(fingerprint)
        self._say = say
        self._transport = transport
        self._clock = clock
        self.patience = patience
        self._wait = wait
        self._http: httpx.AsyncClient | None = None
        self._token = ""
        self._consent: Consent | None = None
        self._now: Callable[[], float] = time.time
        self._may_send: Callable[[], bool] = lambda: True
        self._scope = Scope.ROOM_TAPS
        self._paused = False
        self._sums = dict.fromkeys(Polarity, 0.0)
        self._measured = 0.0
        self._wake = asyncio.Event()

    async def about(self) -> About:
        """What the room is and asks for; nothing of this person is sent.

        Raises:
            RoomError: it cannot be reached, refuses the code, or speaks another version.
        """
        answer = await self._post("about", {"code": self._code})
        try:
            about = About(**answer)
            Purpose(about.purpose), Place(about.place)
        except (TypeError, ValueError):
            raise RoomError(f"{self.address}: answers, but is no room of this version of mien") from None
        if about.schema != SCHEMA or about.terms_version != ROOM_VERSION:
            raise RoomError(
                f"{self.address}: is a room of another version of mien (schema {about.schema}, consent text "
                f"{about.terms_version}; this one has {SCHEMA} and {ROOM_VERSION}): both sides need the same"
            )
        return about

    def asks(self, about: About) -> RoomAsks:
        """What this room asks of who joins it."""
        return RoomAsks(self.address, Purpose(about.purpose), Place(about.place), about.faces)

    async def join(
        self,
        consent: Consent,
        *,
        now: Callable[[], float] = time.time,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """Join under a consent that was given to the text of what the room :meth:`asks`.

        Args:
            consent: given, and asked again before each message.
            now: gives Unix seconds.
            may_send: whether a reading may be sent at this moment; else what was gathered is thrown away.

        Raises:
            ConsentError: it is not given, or is none for a room.
            RoomError: the room refuses or cannot be reached.
        """
        if consent.terms.scope is Scope.OWN:
            raise ConsentError("a room needs a consent of its own: read its text and agree to that")
        consent.check(consent.terms, now())
        answer = await self._post("join", {"code": self._code, "terms_version": consent.terms.version})
        self._token = str(answer["token"])
        self._consent, self._now, self._scope = consent, now, consent.terms.scope
        self._may_send = may_send
        self.state = Membership.JOINED

    def offer(self, second: Second) -> None:
        """Take in one second of the person's own readings; in a room of taps nothing is done with it."""
        if self._paused or self._scope is not Scope.ROOM_FACES or self.state not in _INSIDE:
            return
        self._measured += second.measured
        for polarity, share in second.polarity.items():
            self._sums[polarity] += share * second.measured

    def pause(self) -> None:
        """Send no readings until :meth:`resume`; what was gathered is thrown away."""
        self._paused = True
        self.take()

    def resume(self) -> None:
        """Send readings again."""
        self._paused = False

    async def run(self) -> None:
        """Send every ten seconds, until left, refused, out of consent, or the room is gone for good.

        Never raises for the room's sake: :attr:`state` says how it ended.
        """
        lost: float | None = None
        wait = random.uniform(0.2, 2.0)  # noqa: S311  # so that not all participants of a room send at once
        while self.state in _INSIDE:
            await self._wait(self._wake, wait)
            if self.state not in _INSIDE or not await self._still_consents():
                return
            try:
                next_in = await self.send()
            except UnreachableError as error:
                now = self._clock()
                if lost is None:
                    lost = now
                    self._change(Membership.LOST, f"{error}; nothing is sent while it is tried again")
                if now - lost >= self.patience:
                    self._change(Membership.GONE, f"{self.address}: the room has vanished; join anew if it comes back")
                    return
                wait = min(self.patience / 12, 5.0)
            except RoomError as error:
                self._change(Membership.REFUSED, str(error))
                return
            else:
                if lost is not None:
                    lost = None
                    self._change(Membership.JOINED, f"{self.address}: the room is back")
                wait = next_in + random.uniform(-2.0, 2.0)  # noqa: S311

    async def send(self) -> float:
        """Send what was gathered, or that there is no reading; seconds until the next message is due.

        Raises:
            RoomError: the room refuses or cannot be reached.
        """
        said = self.take()
        if said is not None and not await asyncio.to_thread(self._may_send):
            said = None
        return _next_in(await self._post("send", {"reading": None if said is None else _quarters(said)}))

    async def tap(self, pace: str) -> bool:
        """Send a tap; whether it counted (the first in each half minute does).

        Raises:
            RoomError: not in a room, or it refuses or cannot be reached.
        """
        if self.state not in _INSIDE:
            raise RoomError(f"cannot tap: {self.state}")
        if not await self._still_consents():
            raise RoomError("cannot tap: the consent to this room has ended")
        return bool((await self._post("tap", {"pace": pace})).get("counted"))

    async def leave(self) -> None:
        """Stop sending, and tell the room; one that cannot be told forgets this person after half a minute."""
        if self.state in _INSIDE:
            self._change(Membership.LEFT, "")
            with contextlib.suppress(RoomError):
                await self._post("leave", None)
        self._wake.set()
        self.take()
        self._token = ""
        if self._http is not None:
            client, self._http = self._http, None
            await client.aclose()

    async def _still_consents(self) -> bool:
        assert self._consent is not None  # noqa: S101  # joining sets it
        try:
            self._consent.check(self._consent.terms, self._now())
        except ConsentError as error:
            self._say(f"left the room: {error}")
            await self.leave()
            return False
        return True

    def take(self) -> Coarse | None:
        """What was gathered, rounded to quarters; gathering begins anew."""
        sums, measured = self._sums, self._measured
        self._sums, self._measured = dict.fromkeys(Polarity, 0.0), 0.0
        if self._paused or measured < LEAST_MEASURED:
            return None
        return coarse({polarity: value / measured for polarity, value in sums.items()})

    def _change(self, state: Membership, words: str) -> None:
        """Move on, and say so; whoever left while a message was under way has left, whatever comes of that."""
        if self.state not in _INSIDE:
            return
        self.state = state
        if words:
            self._say(words)

    async def _post(self, verb: str, body: dict[str, Any] | None) -> dict[str, Any]:
        import httpx

        if self._http is None:
            self._http = await self._connect()
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            response = await self._http.post(f"/room/{verb}", json=body, headers=headers)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise UnreachableError(f"{self.address}: the room cannot be reached ({type(error).__name__})") from None
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            answer = {}
        if response.status_code >= 500:
            raise UnreachableError(f"{self.address}: the room answers with an error ({response.status_code})")
        if response.status_code >= 400 or not isinstance(answer, dict):
            words = answer.get("error", "") if isinstance(answer, dict) else ""
            reason = str(words)[:200] or f"it is no room of mien (status {response.status_code})"
            raise RoomError(f"{self.address}: {reason}")
        return answer

    async def _connect(self) -> httpx.AsyncClient:
        import httpx

        verify: ssl.SSLContext | bool = True
        if self._fingerprint is not None and self.address.startswith("https:"):
            verify = await asyncio.to_thread(pinned, self.address, self._fingerprint)
        # trust_env off: a proxy of the environment would see what is sent to a room next door.
        return httpx.AsyncClient(
            base_url=self.address,
            timeout=TIMEOUT,
            verify=verify,
            transport=self._transport,
            follow_redirects=False,
            trust_env=False,
        )


_INSIDE = (Membership.JOINED, Membership.LOST)


def _quarters(said: Coarse) -> dict[str, int]:
    return {"positive": said.positive, "neutral": said.neutral, "negative": said.negative}


def _next_in(answer: dict[str, Any]) -> float:
    """Seconds until the next message, kept within reason whatever the room says."""
    value = answer.get("next_in")
    return min(max(float(value), 3.0), 30.0) if isinstance(value, int | float) else 10.0
