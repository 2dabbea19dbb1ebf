"""What participants' machines may ask of a room, as an application of its own: nothing else of mien is behind it.

::

    host = RoomHost(Room(decision, now=time.monotonic()))
    server = uvicorn.Server(uvicorn.Config(rooms_app(host), host="0.0.0.0", port=…, ssl_certfile=…, ssl_keyfile=…))
    host.view(); host.close()                       # for the page of whoever opened it, from any thread or task

It listens where other machines reach it, so it is bound to its own port, apart from the app's, and wants TLS.

``POST /room/about``   code                 what will happen: purpose, place, whether faces, version of the consent text
``POST /room/join``    code, terms_version  a token
``POST /room/send``    reading or none      seconds until the next one is due; each ten seconds, with the token
``POST /room/tap``     pace                 whether it counted
``POST /room/leave``                        what is not shown yet is thrown away

The token goes into ``Authorization: Bearer``. Requests that a browser's page makes are refused, bodies are limited to
1 KB, and guesses at the code to some a minute.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from mien.app.law.terms import ROOM_VERSION, Pace
from mien.app.rooms.reports import LEAST, WINDOW, Coarse
from mien.app.rooms.room import Room, RoomView
from mien.core.errors import AppError, PolicyError, RoomError

SCHEMA = 1
"""Version of what is spoken here; it grows when a key changes its meaning or goes."""

LARGEST_BODY = 1024
GUESSES, GUESSES_IN_ALL = 10, 1000
"""Wrong codes a minute, from one address and from all; there are 10^12 codes."""


class RoomHost:
    """A room and its clock, for several threads and tasks."""

    def __init__(self, room: Room, *, clock: Callable[[], float] = time.monotonic) -> None:  # noqa: D107
        self.room = room
        self._clock = clock
        self._lock = threading.Lock()
        self._guesses: deque[tuple[float, str]] = deque()

    def view(self) -> RoomView:
        """What whoever opened it sees now."""
        with self._lock:
            return self.room.view(now=self._clock())

    def close(self) -> None:
        """End the room."""
        with self._lock:
            self.room.close(now=self._clock())

    @property
    def guesses(self) -> int:
        """How many wrong codes of the last minute are remembered."""
        return len(self._guesses)

    def check_code(self, code: str, address: str) -> None:
        """Refuse a wrong code, and all codes of an address that guessed too often."""
        with self._lock:
            now = self._clock()
            while self._guesses and now - self._guesses[0][0] > 60:
                self._guesses.popleft()
            mine = sum(guesser == address for _, guesser in self._guesses)
            if mine >= GUESSES or len(self._guesses) >= GUESSES_IN_ALL:
                raise _TooManyError("too many wrong codes: wait a minute")
            try:
                self.room.check_code(code)
            except RoomError:
                self._guesses.append((now, address))
                raise

    def join(self, code: str, terms_version: int) -> str:
        """See :meth:`mien.app.rooms.room.Room.join`; so are the other three."""
        with self._lock:
            return self.room.join(code, terms_version=terms_version, now=self._clock())

    def send(self, token: str, said: Coarse | None) -> float:
        """Take in a reading, or a sign of presence."""
        with self._lock:
            return self.room.send(token, said, now=self._clock())

    def tap(self, token: str, pace: str) -> bool:
        """Take in a tap."""
        with self._lock:
            return self.room.tap(token, pace, now=self._clock())

    def leave(self, token: str) -> None:
        """Let a participant go."""
        with self._lock:
            self.room.leave(token, now=self._clock())


class _TooManyError(RoomError):
    """Too many wrong codes."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Code(_Body):
    code: Annotated[str, Field(max_length=32)]


class _Join(_Code):
    terms_version: StrictInt


class _Reading(_Body):
    positive: StrictInt
    neutral: StrictInt
    negative: StrictInt


class _Send(_Body):
    reading: _Reading | None


class _Tap(_Body):
    pace: Pace


@dataclass(frozen=True, slots=True)
class About:
    """What a participant is told before consenting.

    Attributes:
        schema: version of what is spoken.
        purpose: of the room.
        place: where whoever opened it said that it is.
        faces: whether coarse polarity is asked for; else taps only.
        terms_version: of the consent text.
        window: seconds after which to send.
        least: people below whom nothing is shown.
    """

    schema: int
    purpose: str
    place: str
    faces: bool
    terms_version: int
    window: float
    least: int


def rooms_app(host: RoomHost) -> Callable[..., Awaitable[None]]:
    """The ASGI application that serves one room and nothing else."""
    app = FastAPI(title="mien room", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_router(host))

    async def explain(_: Request, error: Exception) -> Response:
        return _explain(error, is_open=host.room.is_open)

    for kind in (AppError, ValueError, RequestValidationError):
        app.add_exception_handler(kind, explain)
    return _ProgramsOnly(app)


def _router(host: RoomHost) -> APIRouter:
    router = APIRouter(prefix="/room")

    @router.post("/about")
    async def about(body: _Code, request: Request) -> About:
        host.check_code(body.code, _address(request))
        room = host.room
        decision = room.decision
        return About(SCHEMA, str(decision.purpose), str(decision.place), room.faces, ROOM_VERSION, WINDOW, LEAST)

    @router.post("/join")
    async def join(body: _Join, request: Request) -> dict[str, str]:
        host.check_code(body.code, _address(request))
        return {"token": host.join(body.code, body.terms_version)}

    @router.post("/send")
    async def send(body: _Send, authorization: Annotated[str, Header()] = "") -> dict[str, float]:
        reading = body.reading
        said = None if reading is None else Coarse(reading.positive, reading.neutral, reading.negative)
        return {"next_in": host.send(_token(authorization), said)}

    @router.post("/tap")
    async def tap(body: _Tap, authorization: Annotated[str, Header()] = "") -> dict[str, bool]:
        return {"counted": host.tap(_token(authorization), body.pace)}

    @router.post("/leave", status_code=204)
    async def leave(authorization: Annotated[str, Header()] = "") -> None:
        host.leave(_token(authorization))

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _token(authorization: str) -> str:
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise RoomError("a token is missing: join the room first")
    return token


def _explain(error: Exception, *, is_open: bool) -> Response:
    """An error as JSON; nothing that was sent is repeated."""
    status, words = 400, str(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        words = f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"
    elif isinstance(error, _TooManyError):
        status = 429
    elif isinstance(error, PolicyError):
        status = 403
    elif isinstance(error, RoomError):
        status = 401 if is_open else 410
    return JSONResponse({"error": words}, status_code=status, headers=_HEADERS)


_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send_ = Callable[[_Message], Awaitable[None]]


class _ProgramsOnly:
    """Lets programs' small requests through, and nothing else: no browser's pages, no sockets, no long bodies."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send_) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif any(name in (b"origin", b"sec-fetch-site") for name, _ in scope["headers"]):
            await _refuse(send, 403, "a room is joined with mien, not with a browser")
        else:
            body = await _whole_body(receive)
            if body is None:
                await _refuse(send, 413, f"a request to a room has {LARGEST_BODY} bytes at most")
            else:
                await self._app(scope, _replay(body), send)


async def _whole_body(receive: _Receive) -> bytes | None:
    """The body; None where it is too long."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            return None
    return body


def _replay(body: bytes) -> _Receive:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> _Message:
        return next(messages, {"type": "http.disconnect"})

    return receive


async def _refuse(send: _Send_, status: int, words: str) -> None:
    body = json.dumps({"error": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
