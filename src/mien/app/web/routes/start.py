"""The first start, where purpose and place are chosen; the overview afterwards; and human help."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from mien.app.web.context import context_of
from mien.app.web.routes import go, page
from mien.core.policy import Feature, Place, Purpose, decide
from mien.runtime.inference.library import is_pulled

router = APIRouter()

_PURPOSES = {
    Purpose.SELF_REFLECTION: "For yourself, on this machine: see and record your own expressions over time.",
    Purpose.RESEARCH: "Each person consents for themselves; an ethics committee agreed where one is needed.",
    Purpose.AUDIENCE_TEST: "People who agreed watch or use something, and only sums over them are looked at.",
    Purpose.CLINICAL_SAFETY: "A medical or safety reason, under a professional who answers for it.",
    Purpose.WORKPLACE: "Anything about people at their work, your own team included.",
    Purpose.EDUCATION: "Anything about pupils, students or people in training.",
}
_PLACES = {
    Place.EU: "The European Union, Iceland, Liechtenstein or Norway, or where the results are used there.",
    Place.ELSEWHERE: "Nobody whose face is read, and no use of the results, is in the EU or EEA.",
    Place.UNSET: "The rules of the EU are applied.",
}


@router.get("/")
def overview(request: Request) -> Response:
    """The overview; the choice of a purpose where none was made."""
    context = context_of(request)
    decision = context.decision
    if decision is None:
        return page(request, "start.html", purposes=_PURPOSES, places=_PLACES, chosen=None, place=Place.UNSET)
    recordings = context.store.recordings()[:4] if decision.allows(Feature.RECORDINGS) else ()
    return page(
        request,
        "home.html",
        decision=decision,
        consent=context.permission(Feature.LIVE).ask().consent,
        recordings=recordings,
        yunet_missing=context.engine.recognizer.detector.name == "haar" and not is_pulled("yunet"),
        here="/",
    )


@router.get("/purpose")
def purpose(request: Request) -> Response:
    """The choice of purpose and place."""
    settings = context_of(request).store.settings
    return page(
        request, "start.html", purposes=_PURPOSES, places=_PLACES, chosen=settings.purpose, place=settings.place
    )


@router.post("/purpose")
def choose(request: Request, purpose: Annotated[str, Form()], place: Annotated[str, Form()]) -> Response:
    """Take in purpose and place; a refusal is shown with its reason and what is offered instead."""
    context = context_of(request)
    decision = decide(purpose, place)
    before = context.store.settings
    context.store.change_settings(purpose=decision.purpose, place=decision.place)
    if not decision.face_analysis:
        return go("/")
    return go("/consent", None if before.purpose in (None, decision.purpose) else "purpose")


@router.get("/help")
def human_help(request: Request) -> Response:
    """Where to find human help."""
    return page(request, "help.html")
