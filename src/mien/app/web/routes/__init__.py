"""The pages that a person opens, one module for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse

from mien.app.web import templates
from mien.app.web.context import context_of
from mien.core.errors import StoreError
from mien.core.policy import Decision, Feature


@dataclass(frozen=True, slots=True)
class Item:
    """A page in the menu, and what must be allowed for it to be there."""

    path: str
    name: str
    features: frozenset[Feature]


MENU = (
    Item("/live", "Live", frozenset({Feature.LIVE})),
    Item("/recordings", "Recordings", frozenset({Feature.RECORDINGS})),
    Item("/advice", "Advice", frozenset({Feature.ADVICE})),
    Item("/upload", "Pictures", frozenset({Feature.UPLOAD})),
    Item("/rooms", "Rooms", frozenset({Feature.ROOM_TAPS, Feature.ROOM_FACES})),
    Item("/privacy", "Privacy", frozenset(Feature)),
)

SAID = {
    "purpose": "What mien is used for was changed. A consent to the old purpose no longer counts.",
    "withdrawn": "Your consent was withdrawn. Everything was stopped, and all recordings made under it were erased.",
    "deleted": "The recording was erased.",
    "all-deleted": "All recordings were erased.",
    "saved": "Saved.",
    "noted": "The note was added.",
    "corrected": "Your word counts: the sums follow it, and what was measured stays visible beside it.",
}
"""What a page says after something was done; the address holds the key alone."""

NOT_TICKED = "nothing was agreed to: tick the box if you agree, or leave it"

_NARROW = frozenset({"consent.html", "room-consent.html", "help.html", "error.html", "start.html"})
"""Templates that are text to read, and no more than a column wide."""


def pages() -> Iterator[APIRouter]:
    """The routers of all pages."""
    from mien.app.web.routes import advice, consent, live, recordings, rooms, settings, start, upload

    for module in (start, consent, live, recordings, advice, upload, rooms, settings):
        yield module.router


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page with the menu of what is allowed, and what was just done."""
    said = SAID.get(request.query_params.get("said", ""))
    path = request.url.path
    here = next((item.path for item in MENU if path == item.path or path.startswith(f"{item.path}/")), path)
    common = {
        "menu": menu(_decision(request)),
        "here": here,
        "said": {"words": said, "bad": False} if said else None,
        "narrow": template in _NARROW,
    }
    return HTMLResponse(templates.render(template, **{**common, **values}), status_code=status)


def menu(decision: Decision | None) -> list[Item]:
    """The pages that the policy leaves open."""
    if decision is None:
        return []
    return [item for item in MENU if item.features & decision.features]


def go(path: str, said: str | None = None) -> RedirectResponse:
    """Go on to a page once a form was taken in, so that loading it again repeats nothing."""
    return RedirectResponse(f"{path}?said={said}" if said else path, status_code=303)


def _decision(request: Request) -> Decision | None:
    try:
        return context_of(request).decision
    except StoreError:
        return None  # the page says what is wrong with the store, and must itself be drawn
