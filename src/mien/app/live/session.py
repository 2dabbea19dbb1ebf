"""The live view: frames come over a socket, the newest of them is read, and what it showed goes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.app.law.consent import Consent, State
from mien.app.law.permission import in_room, on_their_own, pause, resume
from mien.app.law.policy import Feature
from mien.app.live.browser_stream import LARGEST_FRAME, BrowserStream, FrameView, described
from mien.app.live.overlay import Activation
from mien.app.live.recorder import Recorder
from mien.app.store.aggregate import Aggregator
from mien.app.web.context import Context, context_of
from mien.core.errors import AppError, ConsentError, MienError, PictureError, PolicyError

MOST_FPS = 15.0
"""Frames read a second from one browser, at most; it may send more, of which only the newest count."""

SENDING = 5.0
"""Seconds for which a browser may not read what is sent to it, before the socket is closed."""

_HEAD = struct.Struct("<I")
_BAD_FRAMES = 50
REFUSED, TOO_LARGE, TOO_SLOW, BAD = 4403, 1009, 4408, 4400
"""Codes with which the socket is closed."""

Kind = Literal["live", "scheduled", "room"]
_KINDS: dict[str, Kind] = {"scheduled": "scheduled", "room": "room"}

router = APIRouter()


@router.websocket("/live/frames")
async def live(socket: WebSocket) -> None:
    """Frames in, views out.

    ``?kind=scheduled`` is for pictures that are taken while nobody looks at the page, ``?kind=room`` reads for the room
    in which the person sits, under the consent to that, and records nothing.
    """
    kind = socket.query_params.get("kind")
    await socket.accept()
    await Session(socket, context_of(socket), kind=_KINDS.get(kind or "", "live")).run()


class _OverError(Exception):
    """The session ends: a code, and why, in words for the person."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Session:
    """One browser's socket.

    A frame is four bytes, the frame's number (little endian), and a JPEG. Commands are JSON objects with the key
    ``do``. What goes back are JSON objects with the key ``is``: ``ready``, ``view``, ``bad`` (a frame that could not be
    used), ``recording`` (it began, or ended: with its number as ``last`` where it was saved, else with ``why``),
    ``paused``, ``said`` (a sentence for the person) and ``over``.
    """

    def __init__(self, socket: WebSocket, context: Context, *, kind: Kind) -> None:  # noqa: D107
        self._socket = socket
        self._context = context
        self._kind: Kind = kind
        self._for_room = Aggregator()
        self._stream = BrowserStream(context.engine.recognizer, alone=kind == "scheduled")
        self._newest: tuple[int, bytes] | None = None
        self._arrived = asyncio.Event()
        self._sending = asyncio.Lock()
        self._began = time.monotonic()
        self._consent: Consent | None = None
        self._epoch = -1
        self._paused = False
        self._recorder: Recorder | None = None
        self._closing: asyncio.Task[None] | None = None
        self._activation: Activation | None = None
        self._bad = 0

    async def run(self) -> None:
        """Serve the socket to its end."""
        context = self._context
        context.streams += 1
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._ask()
            await self._send({"is": "ready", "model": self._model, "most_fps": MOST_FPS, "others": context.streams - 1})
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
            context.streams -= 1

    @property
    def _model(self) -> str:
        return self._context.engine.recognizer.models[0].name

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
            await self._ask()
            if taken is None or self._paused:
                continue
            due = time.monotonic() + 0.95 / MOST_FPS
            number, jpeg = taken
            start = time.monotonic()
            job = self._context.engine.submit(self._stream, jpeg, start - self._began)
            try:
                view = await asyncio.wrap_future(job)
            except PictureError as error:
                await self._refuse(number, error)
                continue
            self._bad = 0
            await self._keep(view)
            answer = {"is": "view", "frame": number, "milliseconds": round(1000 * (time.monotonic() - start), 1)}
            await self._send(answer | described(view) | await self._map_of(view))

    async def _keep(self, view: FrameView) -> None:
        """Hand a view on to what adds them up: the recording, or the room."""
        seat = self._context.seat
        if self._kind == "room" and seat is not None:
            second = self._for_room.push_face(view.frame.time or 0.0, view.own, faces=view.faces)
            if second is not None:
                seat.client.offer(second)
        recorder = self._recorder
        if recorder is None:
            return
        if self._context.recording != recorder.recording:
            recorder.abandon()  # it was deleted while it was under way
        if recorder.ended is None:
            recorder.push(view)
        else:
            await self._stop_recording(say=True)

    async def _refuse(self, number: int, error: PictureError) -> None:
        self._bad += 1
        if self._bad > _BAD_FRAMES:
            raise _OverError(BAD, f"one frame after another cannot be used: {error}")
        await self._send({"is": "bad", "frame": number, "why": str(error)})

    async def _map_of(self, view: FrameView) -> dict[str, Any]:
        if self._activation is None:
            return {}
        found = await asyncio.to_thread(self._activation.of, view)
        return {} if found is None else {"map": found}

    async def _ask(self) -> None:
        """Whether this face may still be read: by the clock always, by the store where something may have changed."""
        consent = self._consent
        if self._epoch == self._context.epoch:
            if consent is not None and consent.at(self._context.clock()).state is State.EXPIRED:
                raise _OverError(REFUSED, "the time of the consent is up: consent anew to go on")
            return
        self._epoch, was = self._context.epoch, self._paused
        try:
            permission = in_room if self._kind == "room" else on_their_own
            self._consent, self._paused = await asyncio.to_thread(permission, self._context)
        except (ConsentError, PolicyError) as error:
            raise _OverError(REFUSED, str(error)) from None
        if was and not self._paused:
            self._stream.subject.restart()
        if was != self._paused:
            await self._send({"is": "paused", "paused": self._paused})

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
        if self._kind == "room":
            self._pause_seat(paused=True)
        else:
            await asyncio.to_thread(pause, self._context)
        await self._ask()

    async def _resume(self, command: dict[str, Any]) -> None:  # noqa: ARG002
        if self._kind == "room":
            self._pause_seat(paused=False)
        else:
            await asyncio.to_thread(resume, self._context)
        await self._ask()

    def _pause_seat(self, *, paused: bool) -> None:
        if self._context.seat is not None:
            self._context.seat.pause(paused=paused)
        self._context.changed()

    async def _point(self, command: dict[str, Any]) -> None:
        self._stream.subject.point(float(command["x"]), float(command["y"]))

    async def _map(self, command: dict[str, Any]) -> None:
        self._activation = Activation(self._context.engine.recognizer.models[0]) if command.get("on") else None

    async def _record(self, command: dict[str, Any]) -> None:
        context = self._context
        if self._recorder is not None:
            return
        if context.recording is not None:
            raise AppError("A recording runs in another tab of this app. Stop it there first.")
        if self._kind == "room":
            raise AppError("Nothing is recorded in a room.")
        await asyncio.to_thread(context.allow, Feature.RECORDINGS)
        if self._consent is None or self._paused:
            raise AppError("Nothing is analysed at the moment, so nothing can be recorded. Go on first.")
        context.recording = 0  # before anything is awaited, so that two tabs cannot both begin
        try:
            self._recorder = await Recorder.open(
                context.store,
                self._consent,
                model=self._model,
                name=str(command.get("name", ""))[:200],
                kind=self._kind,
                began=time.monotonic() - self._began,
                tell=self._say,
            )
            context.recording = self._recorder.recording
        finally:
            context.recording = context.recording or None
        await self._send({"is": "recording", "recording": self._recorder.recording})

    async def _stop(self, command: dict[str, Any]) -> None:  # noqa: ARG002
        await self._stop_recording(say=True)

    async def _note(self, command: dict[str, Any]) -> None:
        if self._recorder is None:
            raise AppError("Notes belong to a recording; start one first.")
        at = self._recorder.length
        await asyncio.to_thread(self._context.store.note, self._recorder.recording, str(command["text"]), at=at)
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
            if self._context.recording == recorder.recording:
                self._context.recording = None

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

    _commands: dict[str, Callable[[Session, dict[str, Any]], Awaitable[None]]] = {  # noqa: RUF012
        "pause": _pause,
        "resume": _resume,
        "point": _point,
        "map": _map,
        "record": _record,
        "stop": _stop,
        "note": _note,
    }
