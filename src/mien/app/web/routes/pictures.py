"""Pictures of the pages, drawn when they are asked for, in the colours and at the width of the browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starlette.responses import Response

from mien.app.history.stored_recordings import Day
from mien.runtime.recordings.chart import ChartStyle, Theme, Width, draw_days, on_page, render_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_drawing = threading.Lock()  # matplotlib does not draw in several threads at once


def picture(draw: Callable[[ChartStyle], Figure], theme: Theme, width: Width) -> Response:
    """What is drawn, as SVG."""
    with _drawing:
        return Response(render_svg(draw(on_page(theme, width))), media_type="image/svg+xml")


def days_picture(days: Sequence[Day], theme: Theme, width: Width) -> Response:
    """The polarity of each day."""
    named = [(f"{day.date:%a} {day.date.day} {day.date:%b}", day.totals) for day in days]
    return picture(lambda look: draw_days(named, look), theme, width)
