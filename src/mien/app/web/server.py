"""The app's server: pages, the live socket and the programs' interface, behind one guard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mien.app.law.audit import Action
from mien.app.live.browser_stream import LARGEST_FRAME
from mien.app.web import api, templates
from mien.app.web.context import Context
from mien.app.web.routes import page, pages
from mien.app.web.security import Application, Guard
from mien.core.errors import ConsentError, MienError, NotStoredError, PolicyError, RoomError, StoreError

if TYPE_CHECKING:
    from uvicorn import Server

STATUS = {PolicyError: 403, ConsentError: 403, NotStoredError: 404, StoreError: 503, RoomError: 409}
"""How errors of the app are answered, by the first kind that fits; all others of mien by 400."""

PURGE_EVERY = 3600.0
"""Seconds from one purge of what is older than its retention to the next."""

SHUTDOWN = 3
"""Seconds that open sockets get to end when the app is stopped."""


def create_app(context: Context) -> Application:
    """The guarded application of a context."""
    app = FastAPI(title="mien", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    app.state.context = context
    app.include_router(api.router)
    for router in pages():
        app.include_router(router)
    app.add_api_route("/static/{release}/{name}", static)
    for kind in (MienError, ValueError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _explain)
    limits = {"/v1/read": api.LARGEST, "/upload/read": api.LARGEST}
    return Guard(cast(Application, app), access=context.access, limits=limits)


def make_server(context: Context, *, cert: Path | None = None, key: Path | None = None) -> Server:
    """A server of the app, which is run on a socket that listens already.

    Args:
        context: of the app.
        cert: file of the TLS certificate.
        key: and of its key.
    """
    import uvicorn

    config = uvicorn.Config(
        create_app(context),
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME + 1024,
        ws_max_queue=4,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=SHUTDOWN,
        ssl_certfile=None if cert is None else str(cert),
        ssl_keyfile=None if key is None else str(key),
    )
    return uvicorn.Server(config)


def static(release: str, name: str, request: Request) -> Response:
    """A stylesheet or script, which browsers may keep: its address changes with its content."""
    asset = templates.assets().get(name)
    if asset is None or release != templates.release():
        raise HTTPException(404, "there is no such file")
    headers = {"cache-control": "private, max-age=31536000, immutable", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.kind, headers=headers | {"content-encoding": "gzip"})
    return Response(asset.body, media_type=asset.kind, headers=headers)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context = cast(Context, app.state.context)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_purge, context)
        yield
        tasks.cancel_scope.cancel()
    if context.seat is not None:
        await context.seat.leave()
    if context.hosted is not None:
        await anyio.to_thread.run_sync(context.hosted.close)
    with contextlib.suppress(MienError):
        context.store.log(Action.CLOSED)


async def _purge(context: Context) -> None:
    """Erase what is older than its retention, now and every hour."""
    while True:
        with contextlib.suppress(StoreError):  # a locked database is tried again in an hour
            await anyio.to_thread.run_sync(context.store.purge)
        await anyio.sleep(PURGE_EVERY)


async def _explain(request: Request, error: Exception) -> Response:
    """An error as a page for a person, or as JSON for a program."""
    if isinstance(error, HTTPException):
        status, words = error.status_code, str(error.detail)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        status, words = 400, f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"
    elif isinstance(error, MienError | ValueError):
        status, words = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400), str(error)
    else:
        status, words = 500, "mien did not expect this. What it was stands in the terminal."
    if request.url.path.startswith(("/v1/", "/upload/read", "/rooms/tap")):
        return api.failure(status, words)
    return page(request, "error.html", status=status, words=words, code=status)
