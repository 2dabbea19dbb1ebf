"""The live page, and the socket over which it sends frames."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from mien.app.live.session import Alone, LiveSession, Recipient
from mien.app.rooms.seat import InRoom
from mien.app.web.context import context_of
from mien.app.web.routes import go, page
from mien.core.errors import PolicyError
from mien.core.policy import Feature

router = APIRouter()


@router.get("/live")
def live(request: Request) -> Response:
    """The live page, behind consent."""
    context = context_of(request)
    permission = context.permission(Feature.LIVE).ask()
    if isinstance(permission.refusal, PolicyError):
        return go("/")
    if permission.refusal is not None:
        return go("/consent")
    return page(request, "live.html", expressions=context.labels)


@router.websocket("/live/frames")
async def frames(socket: WebSocket) -> None:
    """Frames in, views out.

    ``?kind=scheduled`` is for pictures that are taken while nobody looks at the page, ``?kind=room`` reads for the room
    in which the person sits, under the consent to that, and records nothing.
    """
    context, kind = context_of(socket), socket.query_params.get("kind")
    recipient: Recipient = (
        InRoom(lambda: context.seat, context.store, context.clock)
        if kind == "room"
        else Alone(context.store, context.permission(Feature.LIVE))
    )
    await socket.accept()
    await LiveSession(socket, context, recipient, scheduled=kind == "scheduled").run()
