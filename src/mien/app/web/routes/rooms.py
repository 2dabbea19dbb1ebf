"""Rooms: opened by whoever leads them, joined by each participant from their own machine."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse, Response

from mien.app.history.rules import NO_READING
from mien.app.law.audit import Action
from mien.app.law.consent import State, show
from mien.app.law.terms import Pace, Scope
from mien.app.rooms.client import RoomClient
from mien.app.rooms.hosting import Hosted
from mien.app.rooms.reports import hints
from mien.app.rooms.seat import Seat
from mien.app.web.context import Context, context_of
from mien.app.web.routes import NOT_TICKED, go, page
from mien.core.errors import ConsentError, RoomError
from mien.core.expression import Polarity
from mien.core.policy import Feature

router = APIRouter(prefix="/rooms")

_GRACE = 30.0
"""Seconds for which a closed room still tells its participants that it is: each asks every ten."""


@router.get("")
def rooms(request: Request) -> Response:
    """Open one, or join one."""
    context = _allowed(request)
    return page(
        request,
        "rooms.html",
        decision=context.decision,
        faces=context.decision is not None and context.decision.allows(Feature.ROOM_FACES),
        hosted=context.hosted,
        seat=context.seat,
        tls=context.tls is not None,
    )


@router.post("/open")
def open_room(request: Request, reach: Annotated[str, Form()], plain: Annotated[str, Form()] = "") -> Response:
    """Open a room for the purpose and place that are set."""
    context = _allowed(request)
    network = reach == "network"
    if network and context.tls is None and plain != "yes":
        raise RoomError(
            "other machines reach a room over TLS: start mien serve with --tls-cert and --tls-key, or say that it may "
            "be unencrypted"
        )
    decision = context.allow(Feature.ROOM_TAPS)
    with context.opening:
        if context.hosted is not None:
            raise RoomError("a room is open already: close it first")
        context.hosted = Hosted(decision, network=network, tls=context.tls if network else None)
    context.store.log(Action.ROOM_OPENED, purpose=str(decision.purpose), place=str(decision.place))
    return go("/rooms/host")


@router.get("/host")
def host(request: Request) -> Response:
    """What whoever opened the room sees."""
    hosted = _allowed(request).hosted
    if hosted is None:
        return go("/rooms")
    room = hosted.host.room
    shares = [*Polarity, NO_READING] if room.faces else []
    return page(request, "host.html", hosted=hosted, room=room, shares=shares, paces=list(Pace))


@router.get("/host.json")
def state(request: Request) -> JSONResponse:
    """The same as it changes."""
    context = _allowed(request)
    hosted = context.hosted
    if hosted is None:
        raise RoomError("no room is open")
    view = hosted.host.view()
    found = hints(context.rules, view.reports, now=time.time())
    return JSONResponse(
        {
            "open": view.open,
            "enough": view.enough,
            "waiting": view.waiting,
            "next_in": view.next_in,
            "reports": [
                {
                    "start": one.start,
                    "end": one.end,
                    "people": one.people,
                    "shares": None if one.shares is None else dict(one.shares),
                    "taps": dict(one.taps),
                }
                for one in view.reports
            ],
            "hints": [{"title": one.rule.title, "suggest": one.rule.suggest, "why": one.why_shown} for one in found],
        }
    )


@router.post("/close")
def close(request: Request) -> Response:
    """End the room."""
    context = context_of(request)
    hosted, context.hosted = context.hosted, None
    if hosted is not None:
        hosted.close(grace=_GRACE)
        context.store.log(Action.ROOM_CLOSED)
    return go("/rooms")


@router.post("/join")
async def join(
    request: Request,
    address: Annotated[str, Form()],
    code: Annotated[str, Form()],
    fingerprint: Annotated[str, Form()] = "",
    plain: Annotated[str, Form()] = "",
) -> Response:
    """Ask a room what will happen; nothing of this person is sent."""
    context = await asyncio.to_thread(_allowed, request)
    async with context.seating:
        if context.seat is not None and context.seat.going_on:
            raise RoomError("you are in a room already: leave it first")
        seat: Seat | None = None

        def say(words: str) -> None:
            if seat is not None:
                seat.said.append(words)

        client = RoomClient(address, code, fingerprint=fingerprint.strip() or None, plain=plain == "yes", say=say)
        try:
            about = await client.about()
            settings = await asyncio.to_thread(lambda: context.store.settings)
            text = client.asks(about).terms(settings.place)
        except BaseException:
            await client.leave()
            raise
        consent = show(text, now=context.clock())
        await asyncio.to_thread(context.store.keep, consent)
        context.seat = seat = Seat(client, about, text, consent)
    return go("/rooms/consent")


@router.get("/consent")
def ask(request: Request) -> Response:
    """The room's consent text."""
    seat = _allowed(request).seat
    if seat is None or seat.joined:
        return go("/rooms")
    return page(request, "room-consent.html", seat=seat, faces=seat.text.scope is Scope.ROOM_FACES)


@router.post("/consent")
async def agree(request: Request, agreed: Annotated[str, Form()] = "") -> Response:
    """Agree, and join."""
    context = context_of(request)
    async with context.seating:
        seat = _seat(context)
        if agreed != "yes":
            raise ConsentError(NOT_TICKED)
        if seat.joined:
            return go("/rooms/seat")
        given = seat.consent.give(context.clock())
        await asyncio.to_thread(context.store.keep, given)
        await seat.join(given, context.store, context.clock)
        await asyncio.to_thread(context.store.log, Action.ROOM_JOINED, scope=str(seat.text.scope))
    return go("/rooms/seat")


@router.get("/seat")
def sit(request: Request) -> Response:
    """What a participant sees: what is sent, taps, and the way out."""
    context = _allowed(request)
    seat = context.seat
    if seat is None or not seat.joined:
        return go("/rooms")
    faces = seat.text.scope is Scope.ROOM_FACES
    return page(request, "seat.html", seat=seat, faces=faces, paces=list(Pace), expressions=context.labels)


@router.get("/seat.json")
def seat_state(request: Request) -> JSONResponse:
    """How it stands with the room."""
    seat = _seat(context_of(request))
    return JSONResponse({"state": str(seat.client.state), "going_on": seat.going_on, "said": list(seat.said)})


@router.post("/tap")
async def tap(request: Request, pace: Annotated[str, Form()]) -> JSONResponse:
    """Say how the pace is."""
    if pace not in tuple(Pace):
        raise RoomError(f"a tap is one of {', '.join(Pace)}")
    counted = await _seat(context_of(request)).client.tap(pace)
    return JSONResponse({"counted": counted})


@router.post("/leave")
async def leave(request: Request) -> Response:
    """Leave: nothing is sent any more, and the consent to the room is withdrawn."""
    context = context_of(request)
    async with context.seating:
        seat, context.seat = context.seat, None
        if seat is not None:
            await seat.leave()
            await asyncio.to_thread(_forget, context, seat)
    return go("/rooms")


def _forget(context: Context, seat: Seat) -> None:
    if seat.consent.state is not State.WITHDRAWN:
        context.store.withdraw(seat.consent)
    if seat.joined:
        context.store.log(Action.ROOM_LEFT)


def _allowed(request: Request) -> Context:
    context = context_of(request)
    context.allow(Feature.ROOM_TAPS)
    return context


def _seat(context: Context) -> Seat:
    if context.seat is None:
        raise RoomError("you are in no room")
    return context.seat
