"""``mien serve``: the local app."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.detector import say_if_haar
from mien.core.errors import MienError, MissingExtraError

if TYPE_CHECKING:
    from mien.app.web.security import Access


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(serve)


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, and open no browser.")] = False,
    model: Annotated[str | None, typer.Option(help="Name or path of the model that reads.")] = None,
    detector: Annotated[str, typer.Option(help="Face detector: auto (YuNet once pulled, else Haar), haar, yunet.")] = (
        "auto"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on; any other than this machine's own needs TLS.")] = (
        "127.0.0.1"
    ),
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate (PEM).", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).", metavar="FILE")] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Allow another --host without TLS: anybody on the way can listen in.")
    ] = False,
) -> None:
    """Open the app: your own expressions, live and over time, in this machine's browser.

    It asks first what it is used for, and for your consent. Everything stays on this machine. Ends by Ctrl-C.
    """
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("--tls-cert and --tls-key go together")
    if not _is_loopback(host) and tls_cert is None and not plain_http:
        raise typer.BadParameter(
            f"--host {host} can be reached by other machines: give --tls-cert and --tls-key, or allow --plain-http"
        )
    for path in (tls_cert, tls_key):
        if path is not None and not path.is_file():
            raise MienError(f"{path}: no such file; it belongs to --tls-cert and --tls-key")
    try:
        from mien.app.web.security import Access
        from mien.app.web.server import make_server
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "app", "mien serve") from None
    import cv2

    from mien.app.law.audit import Action
    from mien.app.live.engine import Engine
    from mien.app.store.facade import Store
    from mien.app.web.context import Context
    from mien.runtime.inference.library import DEFAULT_MODEL
    from mien.runtime.recognizer import Recognizer

    cv2.setNumThreads(1)
    say_if_haar(detector)
    recognizer = Recognizer(model or DEFAULT_MODEL, detector=detector)
    with _listen(host, port) as listening, Store() as store:
        access = Access(host=host, port=listening.getsockname()[1], secure=tls_cert is not None)
        store.log(Action.OPENED)
        engine = Engine(recognizer)
        try:
            tls = None if tls_cert is None or tls_key is None else (tls_cert, tls_key)
            context = Context(store=store, engine=engine, access=access, tls=tls)
            server = make_server(context, cert=tls_cert, key=tls_key)
            _greet(access, open_browser=not no_browser)
            server.run(sockets=[listening])
        finally:
            engine.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # from here on a browser that is quicker than the server waits for it
    except OSError as error:
        listening.close()
        raise MienError(
            f"{host}:{port} cannot be listened on ({error.strerror}): is mien running already? --port 0 finds another"
        ) from None
    return listening


def _greet(access: Access, *, open_browser: bool) -> None:
    print(f"mien is open at\n\n  {access.url}\n", flush=True)
    print("The address holds this launch's secret: keep it to yourself. Ctrl-C ends.", flush=True)
    if open_browser:
        import webbrowser

        if not webbrowser.open(access.url):
            print("No browser could be opened; open the address yourself.", file=sys.stderr)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
