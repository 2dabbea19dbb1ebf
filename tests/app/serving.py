"""The real app on a free port of this machine, in a thread of the tests, with a database of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from websockets.sync.client import ClientConnection, connect

from mien.app.law.consent import show
from mien.app.law.policy import Place, Purpose
from mien.app.live.engine import Engine
from mien.app.store.facade import Store
from mien.app.web.context import Context
from mien.app.web.security import Access
from mien.app.web.server import make_server
from mien.runtime.recognizer import Recognizer


class Served:
    """A running app.

    Attributes:
        context: of it.
        origin: its address.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.origin = context.access.origin

    @property
    def store(self) -> Store:
        return self.context.store

    def client(self, **options: Any) -> httpx.Client:
        """A browser's requests: cookie and origin as its own pages send them."""
        access = self.context.access
        headers = {"origin": self.origin, **options.pop("headers", {})}
        cookies = {access.cookie: access.session}
        return httpx.Client(base_url=self.origin, headers=headers, cookies=cookies, trust_env=False, **options)

    def agree(self, purpose: Purpose | str = Purpose.SELF_REFLECTION, place: Place = Place.EU) -> None:
        """Choose a purpose, and consent."""
        self.store.change_settings(purpose=Purpose(purpose), place=place)
        shown = show(self.store.terms(), now=self.context.clock())
        self.store.keep(shown)
        self.store.keep(shown.give(self.context.clock()))

    @contextlib.contextmanager
    def socket(self, path: str = "/live/frames", **options: Any) -> Iterator[Talk]:
        """A live socket, as the page opens it."""
        access = self.context.access
        headers = {"cookie": f"{access.cookie}={access.session}", **options.pop("headers", {})}
        origin = options.pop("origin", self.origin)
        with connect(
            self.origin.replace("http", "ws") + path,
            origin=origin,
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=2**22,
            **options,
        ) as connection:
            yield Talk(connection)


class Talk:
    """What a page says and hears over the live socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._number = 0

    def hear(self, kind: str | None = None, *, timeout: float = 10) -> dict[str, Any]:
        """The next message, or the next of a kind."""
        end = time.monotonic() + timeout
        while True:
            message: dict[str, Any] = json.loads(self.connection.recv(timeout=max(end - time.monotonic(), 0.01)))
            if kind is None or message["is"] == kind:
                return message

    def frame(self, jpeg: bytes) -> int:
        """Send a frame; its number."""
        self._number += 1
        self.connection.send(struct.pack("<I", self._number) + jpeg)
        return self._number

    def tell(self, do: str, **more: object) -> None:
        """Send a command."""
        self.connection.send(json.dumps({"do": do, **more}))

    def record(self) -> int:
        """Begin a recording; its number."""
        self.tell("record")
        number: int = self.hear("recording")["recording"]
        return number

    def view(self, jpeg: bytes) -> dict[str, Any]:
        """Send a frame, and hear what it showed."""
        number = self.frame(jpeg)
        while True:
            message = self.hear()
            if message.get("frame") == number:
                return message


def jpeg(picture: np.ndarray, quality: int = 85) -> bytes:
    """An RGB picture as JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def on_canvas(portrait: np.ndarray, *, width: int = 640, height: int = 480, faces: int = 1) -> np.ndarray:
    """The portrait's head once or several times side by side, on grey."""
    canvas = np.full((height, width, 3), 128, dtype=np.uint8)
    head = portrait[0:240, 110:330]
    for number in range(faces):
        scale = 1.0 if faces == 1 else 0.8
        part = cv2.resize(head, None, fx=scale, fy=scale)
        left = round(width * (number + 1) / (faces + 1) - part.shape[1] / 2)
        top = (height - part.shape[0]) // 2
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


@contextlib.contextmanager
def serving(folder: Path, recognizer: Recognizer, **options: Any) -> Iterator[Served]:
    """Run the app for a while."""
    with socket.socket() as listening, Store(folder / "app.db") as store:
        listening.bind(("127.0.0.1", 0))
        access = Access(host="127.0.0.1", port=listening.getsockname()[1])
        engine = Engine(recognizer)
        context = Context(store=store, engine=engine, access=access, **options)
        server = make_server(context)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="served")
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
                assert thread.is_alive()
            yield Served(context)
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            engine.close()
            assert not thread.is_alive()
