"""The room that this machine hosts, and the one in which its person sits: their servers and tasks, made and ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from mien.app.law.consent import Consent
from mien.app.law.policy import Decision
from mien.app.law.terms import Terms
from mien.app.rooms.address import fingerprint_of
from mien.app.rooms.client import RoomClient
from mien.app.rooms.room import Room
from mien.app.rooms.server import About, RoomHost, rooms_app
from mien.core.errors import RoomError

TLS = tuple[Path, Path]
"""Files of a certificate and of its key."""


class Hosted:
    """A room on a port of its own, in a thread.

    Args:
        decision: what the policy says of its purpose and place.
        network: whether other machines may reach it.
        tls: certificate and key; None speaks plain HTTP.

    Attributes:
        host: the room.
        addresses: where it can be joined.
        fingerprint: sha256 of its certificate.

    Raises:
        PolicyError: the policy allows no room.
        RoomError: no port can be listened on, or the certificate cannot be used.
    """

    def __init__(self, decision: Decision, *, network: bool, tls: TLS | None) -> None:  # noqa: D107
        import uvicorn

        self.host = RoomHost(Room(decision, now=time.monotonic()))
        self.fingerprint = None if tls is None else _fingerprint(tls[0])
        self._listening = socket.socket()
        try:
            self._listening.bind(("0.0.0.0" if network else "127.0.0.1", 0))  # noqa: S104
        except OSError as error:
            raise RoomError(f"no port can be listened on ({error.strerror})") from None
        port = self._listening.getsockname()[1]
        names = _own_addresses() if network else ["127.0.0.1"]
        self.addresses = [f"{'http' if tls is None else 'https'}://{name}:{port}" for name in names]
        config = uvicorn.Config(
            rooms_app(self.host),
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            limit_concurrency=600,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if tls is None else str(tls[0]),
            ssl_keyfile=None if tls is None else str(tls[1]),
        )
        try:
            config.load()
        except OSError as error:
            self._listening.close()
            raise RoomError(f"the TLS certificate or its key cannot be used ({error})") from None
        self._server = uvicorn.Server(config)
        sockets = {"sockets": [self._listening]}
        self._thread = threading.Thread(target=self._server.run, kwargs=sockets, name="mien-room", daemon=True)
        self._thread.start()

    def close(self, *, grace: float = 0.0) -> None:
        """End the room; it says so for ``grace`` seconds to whoever asks, and then stops listening."""
        self.host.close()
        if grace:
            timer = threading.Timer(grace, self._stop)
            timer.daemon = True
            timer.start()
        else:
            self._stop()

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._listening.close()


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


def _fingerprint(cert: Path) -> str:
    try:
        return fingerprint_of(cert.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise RoomError(f"{cert}: is no certificate in PEM that can be read ({error})") from None


def _own_addresses() -> list[str]:
    """This machine's addresses in its networks, as far as its own name tells; its name where that tells none."""
    name = socket.gethostname()
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None, socket.AF_INET)}
    except OSError:
        found = set()
    return sorted(address for address in found if not address.startswith("127.")) or [name]
