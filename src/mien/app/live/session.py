"""The live view's session: frames come over a socket, the newest of them is read, and what it showed goes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.app.law.permission import CurrentPermission, Permission
from mien.app.live.browser_stream import LARGEST_FRAME, BrowserStream, FrameView, described
from mien.app.live.engine import Engine
from mien.app.live.overlay import Activation
from mien.app.live.recorder import Recorder
from mien.app.store.facade import Store
from mien.core.errors import AppError, MienError, PictureError, StoreError

MOST_FPS = 15.0
"""Frames read a second from one browser, at most; it may send more, of which only the newest count."""

SENDING = 5.0
"""Seconds for which a browser may not read what is sent to it, before the socket is closed."""

_HEAD = struct.Struct("<I")
BAD_FRAMES = 50
"""Frames in a row that cannot be used, beyond which the socket is closed."""

REFUSED, TOO_LARGE, TOO_SLOW, BAD = 4403, 1009, 4408, 4400
"""Codes with which the socket is closed."""


@dataclass(slots=True, eq=False, kw_only=True)
class LiveApp:
    """What all live views of a running app share.

    Attributes:
        store: what is kept.
        engine: what reads frames.
        clock: gives Unix seconds.
        streams: how many browsers' frames are being analysed.
        recorder: of the tab that records: one at a time, as it is one person's.
        recording_starts: held while a recording is begun, so that two tabs cannot both begin.
    """

    store: Store
    engine: Engine
    clock: Callable[[], float] = time.time
    streams: int = 0
    recorder: Recorder | None = None
    recording_starts: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def recording(self) -> int | None:
        """Number of the recording under way."""
        recorder = self.recorder
        return None if recorder is None or recorder.ended is not None else recorder.recording

    def erased(self, number: int | None = None) -> None:
        """End the recording under way, as it is being erased: that of a number, or whichever it is."""
        if self.recorder is not None and number in (None, self.recorder.recording):
            self.recorder.abandon()


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


class _OverError(Exception):
    """The session ends: a code, and why, in words for the person."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class LiveSession:
    """One browser's socket.

    Args:
        socket: accepted.
        app: what the live views share.
        recipient: for whom the face is read.
        scheduled: whether the pictures are taken while nobody looks at the page.

    A frame is four bytes, the frame's number (little endian), and a JPEG. Commands are JSON objects with the key
    ``do``. What goes back are JSON objects with the key ``is``: ``ready``, ``view``, ``bad`` (a frame that could not be
    used), ``recording`` (it began, or ended: with its number as ``last`` where it was saved, else with ``why``),
    ``paused``, ``said`` (a sentence for the person) and ``over``.
    """

    def __init__(self, socket: WebSocket, app: LiveApp, recipient: Recipient, *, scheduled: bool = False) -> None:  # noqa: D107
        self._socket = socket
        self._app = app
        self._recipient = recipient
        self._kind: Literal["live", "scheduled"] = "scheduled" if scheduled else "live"
        self._stream = BrowserStream(app.engine.recognizer, alone=scheduled)
        self._newest: tuple[int, bytes] | None = None
        self._arrived = asyncio.Event()
        self._sending = asyncio.Lock()
        self._began = time.monotonic()
        self._permission = Permission()
        self._recorder: Recorder | None = None
        self._closing: asyncio.Task[None] | None = None
        self._activation: Activation | None = None
        self._bad = 0

    async def run(self) -> None:
        """Serve the socket to its end."""
        app = self._app
        app.streams += 1
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._ask()
            await self._send({"is": "ready", "model": self._model, "most_fps": MOST_FPS, "others": app.streams - 1})
            tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._read())]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except _OverError as over:
            await self._end(over.code, str(over))
        except (WebSocketDisconnect, RuntimeError):
            pass  # the browser left, or the app is closing
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_recording(say=False)
            if self._closing is not None:
                await self._closing
            app.streams -= 1

    @property
    def _model(self) -> str:
        return self._app.engine.recognizer.models[0].name

    async def _receive(self) -> None:
        """Take in frames, of which only the newest waits, and commands."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            data = message.get("bytes")
            if data is None:
                await self._command(message.get("text") or "")
            elif len(data) > LARGEST_FRAME + _HEAD.size:
                raise _OverError(TOO_LARGE, f"a frame of {len(data) / 1e6:.1f} MB is more than is taken")
            elif len(data) <= _HEAD.size:
                await self._send({"is": "bad", "frame": 0, "why": "a frame without a picture"})
            else:
                self._newest = _HEAD.unpack_from(data)[0], data[_HEAD.size :]
                self._arrived.set()

    async def _read(self) -> None:
        """Read the newest frame, whenever the last one is done and its answer has gone."""
        due = 0.0
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            await self._arrived.wait()
            self._arrived.clear()
            taken, self._newest = self._newest, None
            if not await self._ask() or taken is None:
                continue
            due = time.monotonic() + 0.95 / MOST_FPS
            number, jpeg = taken
            start = time.monotonic()
            job = self._app.engine.submit(self._stream, jpeg, start - self._began)
            try:
                view = await asyncio.wrap_future(job)
            except PictureError as error:
                await self._refuse(number, error)
                continue
            self._bad = 0
            if not await self._ask():  # it may have been taken back while the frame was read
                continue
            await self._hand_on(view)
            answer = {"is": "view", "frame": number, "milliseconds": round(1000 * (time.monotonic() - start), 1)}
            await self._send(answer | described(view) | await self._map_of(view))

    async def _hand_on(self, view: FrameView) -> None:
        """Hand a view on to whom it was read for, and to the recording."""
        self._recipient.take(view)
        recorder = self._recorder
        if recorder is None:
            return
        recorder.push(view)
        if recorder.ended is not None:
            await self._stop_recording(say=True)

    async def _refuse(self, number: int, error: PictureError) -> None:
        self._bad += 1
        if self._bad > BAD_FRAMES:
            raise _OverError(BAD, f"one frame after another cannot be used: {error}")
        await self._send({"is": "bad", "frame": number, "why": str(error)})

    async def _map_of(self, view: FrameView) -> dict[str, Any]:
        if self._activation is None:
            return {}
        found = await asyncio.to_thread(self._activation.of, view)
        return {} if found is None else {"map": found}

    async def _ask(self) -> bool:
        """Whether this face may be read at the moment; the session ends where it may not be read any more."""
        current = self._recipient.permission
        try:
            permission = current.known()
            if permission is None:
                permission = await asyncio.to_thread(current.ask)
        except StoreError as error:
            raise _OverError(REFUSED, str(error)) from None
        if permission.refusal is not None:
            raise _OverError(REFUSED, str(permission.refusal))
        was, paused = self._permission.paused, permission.paused
        self._permission = permission
        if was and not paused:
            self._stream.subject.restart()
        if was != paused:
            await self._send({"is": "paused", "paused": paused})
        return permission.granted

    async def _command(self, text: str) -> None:
        try:
            command = json.loads(text)
            handler = self._commands[command["do"]]
        except (ValueError, KeyError, TypeError):
            raise _OverError(BAD, "the page and the app do not understand each other; load the page again") from None
        try:
            await handler(self, command)
        except (MienError, ValueError, TypeError, KeyError) as error:
            await self._say(str(error))

    async def _pause(self, command: dict[str, Any]) -> None:  # noqa: ARG002
        await self._recipient.pause()
        await self._ask()

    async def _resume(self, command: dict[str, Any]) -> None:  # noqa: ARG002
        await self._recipient.resume()
        await self._ask()

    async def _point(self, command: dict[str, Any]) -> None:
        self._stream.subject.point(float(command["x"]), float(command["y"]))

    async def _map(self, command: dict[str, Any]) -> None:
        self._activation = Activation(self._app.engine.recognizer.models[0]) if command.get("on") else None

    async def _record(self, command: dict[str, Any]) -> None:
        if self._recorder is not None:
            return
        if not self._recipient.records:
            raise AppError("Nothing is recorded in a room.")
        if self._permission.consent is None or self._permission.paused:
            raise AppError("Nothing is analysed at the moment, so nothing can be recorded. Go on first.")
        async with self._app.recording_starts:
            if self._app.recording is not None:
                raise AppError("A recording runs in another tab of this app. Stop it there first.")
            self._app.recorder = self._recorder = await Recorder.open(
                self._app.store,
                self._permission.consent,
                model=self._model,
                name=str(command.get("name", ""))[:200],
                kind=self._kind,
                began=time.monotonic() - self._began,
                tell=self._say,
            )
        await self._send({"is": "recording", "recording": self._recorder.recording})

    async def _stop(self, command: dict[str, Any]) -> None:  # noqa: ARG002
        await self._stop_recording(say=True)

    async def _note(self, command: dict[str, Any]) -> None:
        if self._recorder is None:
            raise AppError("Notes belong to a recording; start one first.")
        at = self._recorder.length
        await asyncio.to_thread(self._app.store.note, self._recorder.recording, str(command["text"]), at=at)
        await self._say("Noted.")

    async def _stop_recording(self, *, say: bool) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        self._closing = asyncio.create_task(self._close(recorder))
        await asyncio.shield(self._closing)  # a browser that leaves meanwhile must not keep it from being closed
        if say:
            last = recorder.recording if recorder.ended is None else None
            await self._send({"is": "recording", "recording": None, "last": last, "why": recorder.ended})

    async def _close(self, recorder: Recorder) -> None:
        try:
            await recorder.close()
        finally:
            if self._app.recorder is recorder:
                self._app.recorder = None

    async def _say(self, words: str) -> None:
        with contextlib.suppress(_OverError, WebSocketDisconnect, RuntimeError):
            await self._send({"is": "said", "words": words})

    async def _send(self, message: dict[str, Any]) -> None:
        """Send, unless the browser does not read; then the session is over."""
        async with self._sending:
            try:
                async with asyncio.timeout(SENDING):
                    await self._socket.send_text(json.dumps(message, separators=(",", ":")))
            except TimeoutError:
                raise _OverError(TOO_SLOW, "the browser does not read what is sent to it") from None

    async def _end(self, code: int, reason: str) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.send_text(json.dumps({"is": "over", "code": code, "why": reason}))
                await self._socket.close(code, reason[:100])

    _commands: dict[str, Callable[[LiveSession, dict[str, Any]], Awaitable[None]]] = {  # noqa: RUF012
        "pause": _pause,
        "resume": _resume,
        "point": _point,
        "map": _map,
        "record": _record,
        "stop": _stop,
        "note": _note,
    }
