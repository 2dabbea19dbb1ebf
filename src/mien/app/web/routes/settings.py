"""Privacy: consent and its receipt, retention, backup, and the log of what was done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from mien.app.web.context import context_of
from mien.app.web.routes import go, page

router = APIRouter(prefix="/privacy")

_SHOWN = 200
"""Rows of the log on the page, the latest."""


@router.get("")
def privacy(request: Request) -> Response:
    """What is kept, and how to end it."""
    context = context_of(request)
    return page(
        request,
        "privacy.html",
        decision=context.decision,
        settings=context.store.settings,
        consent=context.store.consent(),
        withdrawable=context.store.withdrawable(),
        recordings=len(context.store.recordings()),
        database=context.store.path.name,
        log=list(reversed(context.store.audit()))[:_SHOWN],
    )


@router.post("/settings")
def change(request: Request, retention_days: Annotated[int, Form()], advice: Annotated[str, Form()] = "") -> Response:
    """Take in how long recordings stay, and whether suggestions are made."""
    context = context_of(request)
    context.store.change_settings(retention_days=retention_days, advice=advice == "yes")
    return go("/privacy", "saved")
