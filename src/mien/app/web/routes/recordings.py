"""Recordings: the list, one of them over its time, two spans of days compared, files to take away, and erasing."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from mien.app.history.exports import export
from mien.app.history.stored_recordings import Day, as_recording, compare_days, days, load
from mien.app.law.audit import Action
from mien.app.store.values import RecordingInfo
from mien.app.web.context import Context, context_of
from mien.app.web.routes import go, page
from mien.app.web.routes.pictures import days_picture, picture
from mien.core.errors import AppError, ConsentError
from mien.core.expression import Expression
from mien.core.policy import Feature
from mien.runtime.recordings.chart import Theme, Width, draw_difference, draw_lanes
from mien.runtime.recordings.compare import Comparison
from mien.runtime.recordings.page import alternative, describe, shares
from mien.runtime.recordings.totals import totals

router = APIRouter(prefix="/recordings")


class Spans(BaseModel):
    """Two spans of days, each from its first day to its last."""

    first_from: datetime.date
    first_to: datetime.date
    second_from: datetime.date
    second_to: datetime.date

    def compared(self, context: Context) -> Comparison:
        """The comparison of what was recorded in them."""
        first = _span(context, self.first_from, self.first_to)
        return compare_days(first, _span(context, self.second_from, self.second_to))


class Correct(BaseModel):
    """The form of a correction; times as ``1:15``."""

    start: str
    end: str
    was: str
    instead: str = ""


@router.get("")
def listed(request: Request) -> Response:
    """All recordings, the days that they make, and what can be done with them."""
    context = _allowed(request)
    infos = context.store.recordings()
    return page(
        request,
        "recordings.html",
        recordings=[(info, _bar(context, info)) for info in infos],
        days=days(context.store),
        under_way=context.recording,
        retention=context.store.settings.retention_days,
    )


@router.get("/days.svg")
def days_chart(request: Request, theme: Theme = "light", width: Width = "wide") -> Response:
    """The polarity of each day."""
    return days_picture(_some(days(_allowed(request).store)), theme, width)


@router.get("/compare")
def compare(request: Request, spans: Annotated[Spans, Query()]) -> Response:
    """Two spans of days beside each other."""
    comparison = spans.compared(_allowed(request))
    return page(
        request,
        "compare.html",
        comparison=comparison,
        rows=[row for row in comparison.differences if row.measure == "held"],
        alternative=alternative([], [comparison]),
        query=request.url.query,
    )


@router.get("/compare.svg")
def compare_chart(
    request: Request, spans: Annotated[Spans, Query()], theme: Theme = "light", width: Width = "wide"
) -> Response:
    """Their differences, with intervals."""
    compared = spans.compared(_allowed(request))
    return picture(lambda look: draw_difference(compared, look), theme, width)


@router.get("/schedule")
def schedule(request: Request) -> Response:
    """Pictures taken on a schedule over a period."""
    context = context_of(request)
    try:
        context.permission(Feature.RECORDINGS).ask().require()
    except ConsentError:
        return go("/consent")
    return page(request, "schedule.html", here="/recordings")


@router.get("/export.{kind}")
def take_all(request: Request, kind: str) -> Response:
    """All recordings as one file."""
    context = _allowed(request)
    return _file(context, [info.id for info in reversed(context.store.recordings())], kind)


@router.post("/delete-all")
def delete_all(request: Request) -> Response:
    """Erase all recordings, whatever mien is used for by now."""
    context = context_of(request)
    context.erased()
    context.store.delete_all()
    return go("/recordings", "all-deleted")


@router.get("/{number}")
def one(request: Request, number: int) -> Response:
    """One recording over its time."""
    context = _allowed(request)
    info = context.store.recording(number)
    seconds = context.store.seconds(number)
    corrections = context.store.corrections(number)
    added = described = None
    if seconds:
        recording = as_recording(info, seconds, corrections)
        added = totals(recording)
        described = describe(recording, added).removeprefix(f"{recording.name}: ")
    return page(
        request,
        "recording.html",
        info=info,
        under_way=context.recording == number,
        words=described,
        shares=None if added is None else shares(added),
        reasons={} if added is None else added.reasons,
        notes=context.store.notes(number),
        corrections=corrections,
        expressions=context.labels,
    )


@router.get("/{number}/course.svg")
def course(request: Request, number: int, theme: Theme = "light", width: Width = "wide") -> Response:
    """Its course as a chart."""
    recording = load(_allowed(request).store, number)
    return picture(lambda look: draw_lanes(recording, look), theme, width)


@router.get("/{number}/export.{kind}")
def take(request: Request, number: int, kind: str) -> Response:
    """It as a file."""
    return _file(_allowed(request), [number], kind)


@router.post("/{number}/name")
def rename(request: Request, number: int, name: Annotated[str, Form()] = "") -> Response:
    """Call it something."""
    _allowed(request).store.rename(number, name)
    return go(f"/recordings/{number}", "saved")


@router.post("/{number}/note")
def note(request: Request, number: int, text: Annotated[str, Form()], at: Annotated[str, Form()] = "") -> Response:
    """Write beside it."""
    _allowed(request).store.note(number, text, at=_moment(at) if at.strip() else None)
    return go(f"/recordings/{number}", "noted")


@router.post("/{number}/note/{note}/delete")
def delete_note(request: Request, number: int, note: int) -> Response:
    """Erase a note."""
    _allowed(request).store.delete_note(note)
    return go(f"/recordings/{number}", "saved")


@router.post("/{number}/correct")
def correct(request: Request, number: int, form: Annotated[Correct, Form()]) -> Response:
    """Say that what was read was not so."""
    store = _allowed(request).store
    until = min(_moment(form.end), store.recording(number).length)
    right = Expression.parse(form.instead) if form.instead else None
    store.correct(number, start=_moment(form.start), end=until, was=Expression.parse(form.was), instead=right)
    return go(f"/recordings/{number}", "corrected")


@router.post("/{number}/correction/{correction}/delete")
def delete_correction(request: Request, number: int, correction: int) -> Response:
    """Take a correction back."""
    _allowed(request).store.delete_correction(correction)
    return go(f"/recordings/{number}", "saved")


@router.post("/{number}/delete")
def delete(request: Request, number: int) -> Response:
    """Erase it, whatever mien is used for by now."""
    context = context_of(request)
    context.erased(number)
    context.store.delete(number)
    return go("/recordings", "deleted")


def _allowed(request: Request) -> Context:
    """The context, where recordings are allowed: what is stored can be looked at after the consent's end too."""
    context = context_of(request)
    context.allow(Feature.RECORDINGS)
    return context


def _file(context: Context, numbers: list[int], kind: str) -> Response:
    made = export(context.store, numbers, kind)
    for number in numbers:
        context.store.log(Action.EXPORTED, recording=number, format=kind)
    headers = {"content-disposition": f'attachment; filename="{made.name}"'}
    return Response(made.body, media_type=made.kind, headers=headers)


def _bar(context: Context, info: RecordingInfo) -> list[tuple[str, float]]:
    """Its polarity shares, for a small bar in the list."""
    seconds = context.store.seconds(info.id)
    if not seconds:
        return []
    polarities, _ = shares(totals(as_recording(info, seconds, context.store.corrections(info.id))))
    return [(row.name, row.percent) for row in polarities if row.percent > 0]


def _span(context: Context, first: datetime.date, last: datetime.date) -> tuple[Day, ...]:
    found = tuple(day for day in days(context.store) if first <= day.date <= last)
    if not found:
        raise AppError(f"nothing was recorded from {first} to {last}: choose other days")
    return found


def _some(found: tuple[Day, ...]) -> tuple[Day, ...]:
    if not found:
        raise AppError("nothing has been recorded yet")
    return found


def _moment(text: str) -> float:
    """Seconds of ``75``, ``1:15`` or ``0:01:15``."""
    try:
        parts = [float(part) for part in text.strip().split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(not 0 <= part < 1e6 for part in parts):
        raise AppError(f"a time is given as minutes and seconds, such as 1:15, not '{text[:20]}'")
    return sum(part * 60.0**place for place, part in enumerate(reversed(parts)))
