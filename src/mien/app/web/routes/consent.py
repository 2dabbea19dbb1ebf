"""The consent page, which stands before the camera, and the receipt."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from mien.app.law.consent import State, show
from mien.app.law.permission import may_read
from mien.app.web.context import context_of
from mien.app.web.routes import NOT_TICKED, go, page
from mien.core.errors import ConsentError
from mien.core.policy import Feature

router = APIRouter()


@router.get("/consent")
def ask(request: Request) -> Response:
    """The text, to read before anything is computed."""
    context = context_of(request)
    person, now = context.store.participant(), context.clock()
    decision = person.decision
    if decision is None or not decision.allows(Feature.LIVE):
        return go("/")
    text, shown, given = person.terms(), person.consent, may_read(person, Feature.LIVE, now=now).consent
    if given is None and (shown is None or shown.state is not State.SHOWN or shown.terms.sha256 != text.sha256):
        shown = show(text, now=now)
        context.store.keep(shown)
    return page(request, "consent.html", decision=decision, text=text, consent=shown, given=given)


@router.post("/consent")
def give(request: Request, consent: Annotated[str, Form()], agreed: Annotated[str, Form()] = "") -> Response:
    """Agree to the text that was shown."""
    context = context_of(request)
    person = context.store.participant()
    text, shown = person.terms(), person.consent
    if shown is None or shown.id != consent or shown.terms.sha256 != text.sha256:
        raise ConsentError("the text has changed since it was shown, or was answered in another tab: read it again")
    if agreed != "yes":
        raise ConsentError(NOT_TICKED)
    context.store.keep(shown.give(context.clock()))
    return go("/live")


@router.post("/consent/withdraw")
def withdraw(request: Request) -> Response:
    """Stop, and erase everything that was recorded under this consent and earlier ones."""
    context = context_of(request)
    withdrawable = context.store.withdrawable()
    if not withdrawable:
        raise ConsentError("there is no consent to withdraw")
    context.erased()
    context.store.withdraw(withdrawable[0])
    return go("/privacy", "withdrawn")


@router.get("/consent/receipt.{ending}")
def receipt(request: Request, ending: str) -> Response:
    """The receipt of the latest consent, as text or JSON."""
    consent = context_of(request).store.consent()
    if consent is None:
        raise ConsentError("there is no consent to show")
    words = consent.receipt_text() if ending == "txt" else json.dumps(consent.receipt(), indent=1)
    kind = "text/plain" if ending == "txt" else "application/json"
    headers = {"content-disposition": f'attachment; filename="mien-consent.{"txt" if ending == "txt" else "json"}"'}
    return Response(words, media_type=kind, headers=headers)
