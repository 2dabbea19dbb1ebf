"""Templates and static files of the pages, both read once: no path that a browser sends is ever opened."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mien.app.store.values import RecordingInfo, local_time
from mien.core.errors import MissingExtraError

PAGES = Path(__file__).parent / "pages"

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file.

    Attributes:
        kind: its media type.
        body: its bytes.
        packed: its bytes, compressed by gzip.
    """

    kind: str
    body: bytes
    packed: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """The static files by name."""
    files = sorted(path for path in (PAGES / "static").iterdir() if path.suffix in _KINDS)
    bodies = {path: path.read_bytes() for path in files}
    return {p.name: Asset(_KINDS[p.suffix], body, gzip.compress(body, mtime=0)) for p, body in bodies.items()}


@cache
def release() -> str:
    """A name for the static files as they are, so that browsers may keep them for good."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + asset.body)
    return digest.hexdigest()[:12]


def render(template: str, **values: Any) -> str:
    """A page of the template of that name."""
    return str(_templates().get_template(template).render(values))


@cache
def _templates() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
    except ImportError:
        raise MissingExtraError("jinja2", "plots", "the app's pages") from None
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=select_autoescape(("html",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(clock=clock, day=day, tick=tick, minute=minute, named=named, percent=percent)
    environment.globals["static"] = lambda name: f"/static/{release()}/{name}"
    return environment


def clock(seconds: float) -> str:
    """A length: ``42 s``, ``3 min 5 s``, ``1 h 2 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def tick(seconds: float) -> str:
    """A place in a recording: ``1:05``, ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def day(at: float, utc_offset: int | None = None) -> str:
    """The date of a Unix time: ``20 November 2026``; in this machine's own time unless an offset is given."""
    return f"{local_time(at, utc_offset):%d %B %Y}".lstrip("0")


def minute(at: float, utc_offset: int | None = None) -> str:
    """Date and time of a Unix time: ``20 November 2026, 14:05``."""
    return f"{local_time(at, utc_offset):%d %B %Y, %H:%M}".lstrip("0")


def named(recording: RecordingInfo) -> str:
    """What a recording is called: its name, or when it began."""
    return recording.name or minute(recording.started, recording.utc_offset)


def percent(share: float) -> str:
    """A share of 0 to 1 as ``42 %``."""
    return f"{100 * share:.0f} %"
