"""The app as tests talk to it: in this process without a network, or really served where that is what is tested."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import struct
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import cv2
import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mien.app.law.consent import show
from mien.app.live.engine import Engine
from mien.app.store.facade import Store
from mien.app.web.context import Context
from mien.app.web.security import Access
from mien.app.web.server import create_app, make_server
from mien.core.policy import Place, Purpose
from mien.runtime.recognizer import Recognizer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it wants a client of its own instead of httpx
    from starlette.testclient import TestClient


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
        return self._client(headers=headers, cookies={access.cookie: access.session}, **options)

    def stranger(self) -> httpx.Client:
        """Requests that carry nothing."""
        return self._client()

    def program(self) -> httpx.Client:
        """A program's requests, which has the token."""
        return self._client(headers={"authorization": f"Bearer {self.context.access.token}"})

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
        with self._line(path, headers | ({} if origin is None else {"origin": origin})) as line:
            yield Talk(line)

    def _client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.origin, trust_env=False, timeout=60, **options)

    @contextlib.contextmanager
    def _line(self, path: str, headers: dict[str, str]) -> Iterator[Line]:
        origin = headers.pop("origin", None)
        url = self.origin.replace("http", "ws") + path
        options = {"compression": None, "proxy": None, "max_size": 2**22}
        with connect(url, origin=origin, additional_headers=headers, **options) as connection:
            yield NetworkLine(connection)


class Following(TestClient):
    """A client of an app that another one has started and will end."""

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Here(Served):
    """An app in this process, asked without a network."""

    def __init__(self, context: Context, client: TestClient) -> None:
        super().__init__(context)
        self._lead = client

    def _client(self, **options: Any) -> httpx.Client:
        client = Following(
            self._lead.app, base_url=self.origin, raise_server_exceptions=False, follow_redirects=False, **options
        )
        client.portal = self._lead.portal  # all of them in the one event loop, as a server has
        return client

    @contextlib.contextmanager
    def _line(self, path: str, headers: dict[str, str]) -> Iterator[Line]:
        line = MemoryLine(self._lead, path, {"host": self.origin.partition("://")[2], **headers})
        try:
            line.open()
            yield line
        finally:
            line.close()


class ClosedError(Exception):
    """The app closed a socket, or refused to open it."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Line:
    """A socket's two directions."""

    def send(self, message: str | bytes) -> None:
        raise NotImplementedError

    def receive(self, timeout: float) -> str:
        raise NotImplementedError


class NetworkLine(Line):
    """Over the network."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, message: str | bytes) -> None:
        with self._closing():
            self._connection.send(message)

    def receive(self, timeout: float) -> str:
        with self._closing():
            return self._connection.recv(timeout=timeout)

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except ConnectionClosed as closed:
            raise ClosedError(None if closed.rcvd is None else closed.rcvd.code) from None


class MemoryLine(Line):
    """By ASGI messages to an app in this process."""

    def __init__(self, lead: TestClient, path: str, headers: dict[str, str]) -> None:
        self._portal = lead.portal
        self._app = lead.app
        path, _, query = path.partition("?")
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "ws",
            "headers": [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()],
            "client": ("testclient", 50000),
            "server": ("testserver", 80),
            "subprotocols": [],
            "state": {},
            "extensions": {},
        }

    def open(self) -> None:
        self._to_app, in_app = anyio.create_memory_object_stream[Any](float("inf"))
        from_app, self._from_app = anyio.create_memory_object_stream[Any](float("inf"))

        async def run() -> None:
            with in_app, from_app:
                await self._app(self._scope, in_app.receive, from_app.send)

        self._task = self._portal.start_task_soon(run)
        with contextlib.suppress(anyio.BrokenResourceError):  # it is refused before it was heard
            self._portal.call(self._to_app.send, {"type": "websocket.connect"})
        self._checked(self._portal.call(self._heard, 20.0))

    def send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        try:
            self._portal.call(self._to_app.send, {"type": "websocket.receive", kind: message})
        except anyio.BrokenResourceError:  # the app has closed it, and what it said last is still to be heard
            while True:
                self.receive(20)

    def receive(self, timeout: float) -> str:
        return self._checked(self._portal.call(self._heard, timeout))["text"]

    def close(self) -> None:
        with contextlib.suppress(anyio.BrokenResourceError):  # the app has ended it already
            self._portal.call(self._to_app.send, {"type": "websocket.disconnect", "code": 1001})
        try:
            self._task.result(20)
        finally:
            self._to_app.close()
            self._from_app.close()

    async def _heard(self, timeout: float) -> dict[str, Any]:
        with anyio.fail_after(timeout):
            try:
                return await self._from_app.receive()
            except anyio.EndOfStream:
                return {"type": "websocket.close", "code": None}

    def _checked(self, message: dict[str, Any]) -> dict[str, Any]:
        if message["type"] == "websocket.close":
            raise ClosedError(message.get("code", 1000))
        return message


class Talk:
    """What a page says and hears over the live socket."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._number = 0

    def hear(self, kind: str | None = None, *, timeout: float = 20) -> dict[str, Any]:
        """The next message, or the next of a kind."""
        end = time.monotonic() + timeout
        while True:
            message: dict[str, Any] = json.loads(self.line.receive(max(end - time.monotonic(), 0.01)))
            if kind is None or message["is"] == kind:
                return message

    def frame(self, jpeg: bytes) -> int:
        """Send a frame; its number."""
        self._number += 1
        self.line.send(struct.pack("<I", self._number) + jpeg)
        return self._number

    def tell(self, do: str, **more: object) -> None:
        """Send a command."""
        self.line.send(json.dumps({"do": do, **more}))

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


def hurried(context: Context) -> Context:
    """The context, whose store does not wait for the disk: no test cuts the power."""
    with context.store.database.raw() as raw:
        raw.execute("PRAGMA synchronous = OFF")
    return context


@contextlib.contextmanager
def running(folder: Path, recognizer: Recognizer, *, database: Path | None = None, **options: Any) -> Iterator[Here]:
    """An app in this process, on a database in ``folder`` that may begin as a copy."""
    place = folder / "app.db"
    if database is not None:
        shutil.copy(database, place)
    with Store(place) as store, contextlib.closing(Engine(recognizer)) as engine:
        context = hurried(Context(store=store, engine=engine, access=Access(host="127.0.0.1", port=8765), **options))
        with TestClient(create_app(context), base_url=context.access.origin) as lead:
            yield Here(context, lead)


@contextlib.contextmanager
def serving(folder: Path, recognizer: Recognizer, **options: Any) -> Iterator[Served]:
    """An app on a free port of this machine, in a thread of the tests."""
    with (
        socket.socket() as listening,
        Store(folder / "app.db") as store,
        contextlib.closing(Engine(recognizer)) as engine,
    ):
        listening.bind(("127.0.0.1", 0))
        access = Access(host="127.0.0.1", port=listening.getsockname()[1])
        context = hurried(Context(store=store, engine=engine, access=access, **options))
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
            assert not thread.is_alive()
