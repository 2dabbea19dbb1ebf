"""The room that this machine hosts: its server on a port of its own, made and ended."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from mien.app.rooms.address import fingerprint_of
from mien.app.rooms.room import Room
from mien.app.rooms.room_app import RoomHost, rooms_app
from mien.core.errors import RoomError
from mien.core.policy import Decision

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
            self._listening.listen(128)  # from here on whoever is quicker than the server waits for it
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
            timer = threading.Timer(grace, self.stop)
            timer.daemon = True
            timer.start()
        else:
            self.stop()

    def stop(self) -> None:
        """Stop listening, without a word to anybody."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._listening.close()


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
