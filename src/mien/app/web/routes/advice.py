"""Suggestions from a period: each with its evidence, its source and its limits, to rate, put off or switch off."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from mien.app.history.advice import SNOOZES, Silence, Suggestion, judge, person_samples
from mien.app.history.stored_recordings import Day, days
from mien.app.web.context import Context, context_of
from mien.app.web.routes import go, page
from mien.app.web.routes.pictures import days_picture
from mien.core.errors import AppError, nearest
from mien.core.policy import Feature
from mien.runtime.recordings.chart import Theme, Width

router = APIRouter(prefix="/advice")

PERIODS = {3: "3 days", 7: "7 days", 14: "2 weeks", 30: "30 days"}
_DAY = 86_400.0


@router.get("")
def advice(request: Request, period: int = 7) -> Response:
    """The suggestions for a period, and why the other rules say nothing."""
    context = _allowed(request)
    period = period if period in PERIODS else 7
    found = _days(context, period)
    rules, feedback = context.rules, context.store.feedback
    samples = person_samples(found)
    on = context.store.settings.advice
    judged = [judge(rule, samples, feedback, now=context.clock()) for rule in rules.rules if rule.scope == "person"]
    return page(
        request,
        "advice.html",
        on=on,
        period=period,
        periods=PERIODS,
        days=found,
        minutes=sum(sample.minutes for sample in samples),
        suggestions=[one for one in judged if isinstance(one, Suggestion)] if on else [],
        silences=[one for one in judged if isinstance(one, Silence)] if on else [],
        disclaimer=rules.disclaimer,
        help=rules.help,
        snoozes=SNOOZES,
    )


@router.get("/days.svg")
def chart(request: Request, period: int = 7, theme: Theme = "light", width: Width = "wide") -> Response:
    """The period's days."""
    found = _days(_allowed(request), period)
    if not found:
        raise AppError("nothing was recorded in this period")
    return days_picture(found, theme, width)


@router.post("/{rule}/rate")
def rate(request: Request, rule: str, rating: Annotated[int, Form()]) -> Response:
    """Keep whether a suggestion helped."""
    context = _allowed(request)
    context.store.rate(_checked(context, rule), 1 if rating > 0 else -1)
    return go("/advice", "saved")


@router.post("/{rule}/snooze")
def snooze(request: Request, rule: str, span: Annotated[str, Form()]) -> Response:
    """Put a suggestion off."""
    context = _allowed(request)
    if span not in SNOOZES:
        raise AppError(f"a suggestion is put off for {', '.join(SNOOZES)}, not for '{span[:20]}'")
    context.store.snooze(_checked(context, rule), context.clock() + SNOOZES[span])
    return go("/advice", "saved")


@router.post("/{rule}/switch")
def switch(request: Request, rule: str, off: Annotated[str, Form()] = "") -> Response:
    """Switch a rule off, or on again."""
    context = _allowed(request)
    context.store.switch(_checked(context, rule), off=off == "yes")
    return go("/advice", "saved")


@router.post("/switch")
def switch_all(request: Request, on: Annotated[str, Form()] = "") -> Response:
    """Switch all suggestions off, or on again."""
    _allowed(request).store.change_settings(advice=on == "yes")
    return go("/advice", "saved")


def _allowed(request: Request) -> Context:
    context = context_of(request)
    context.allow(Feature.ADVICE)
    return context


def _days(context: Context, period: int) -> tuple[Day, ...]:
    """The last days, today among them, by the person's own midnight."""
    now = context.clock()
    local = time.localtime(now)
    midnight = now - (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec)
    return days(context.store, since=midnight - (max(min(period, 366), 1) - 1) * _DAY)


def _checked(context: Context, rule: str) -> str:
    names = [one.id for one in context.rules.rules]
    if rule not in names:
        raise AppError(f"there is no rule '{rule[:40]}': {nearest(rule[:40], names)}")
    return rule
