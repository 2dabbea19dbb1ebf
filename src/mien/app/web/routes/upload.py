"""The page on which a person reads a picture or a video of their own; nothing of it is kept."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.app.live.own_files import LARGEST_PICTURE, LARGEST_VIDEO, MOST_SECONDS
from mien.app.web import api
from mien.app.web.context import context_of
from mien.app.web.routes import go, page
from mien.core.errors import ConsentError
from mien.core.policy import Feature

router = APIRouter()


@router.get("/upload")
def upload(request: Request) -> Response:
    """The page, behind consent."""
    context = context_of(request)
    permission = context.permission(Feature.UPLOAD).ask()
    if isinstance(permission.refusal, ConsentError):
        return go("/consent")
    if permission.refusal is not None:
        raise permission.refusal
    limits = {"picture": LARGEST_PICTURE, "video": LARGEST_VIDEO, "seconds": MOST_SECONDS}
    return page(request, "upload.html", expressions=context.labels, limits=limits)


@router.post("/upload/read")
async def read(request: Request, agreed: str = "") -> Response:
    """Read what was chosen on the page."""
    if agreed != "yes":
        raise ConsentError("say first that it shows you alone, or that everybody in it agreed")
    return api.answer(await api.frames_of(request, every=1.0))
