"""Who may talk to the app, and what its pages may do: one guard around every request and every socket.

The app listens on this machine, which is not enough: every page in the browser and every program can reach the loopback
address too. So each launch has a secret of its own, requests under another host name are refused (DNS rebinding),
whatever changes something must come from the app's own pages (forged requests), and the pages may load and send nothing
elsewhere.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ENTER = "/enter"
"""Where the launch's address, which holds its token, leads: it is exchanged for a cookie."""

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body, where no path has a limit of its own."""

_SAFE = frozenset({"GET", "HEAD"})
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]+))?")

_ENTERING = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>mien</title><meta http-equiv="refresh" content="0;url=/">
<link rel="icon" href="data:,"></head>
<body><p><a href="/">Go on to mien</a></p></body></html>
"""
"""Not a redirect: a browser sends no strict cookie along a redirect that began in another program or page."""


@dataclass(frozen=True, slots=True)
class Access:
    """The secrets of one launch, and the addresses at which it may be asked.

    Attributes:
        host: the address that it listens on.
        port: likewise.
        secure: whether it speaks TLS.
        token: stands in the launch's address, and in programs' ``Authorization: Bearer``.
        session: what the browser's cookie holds.
    """

    host: str
    port: int
    secure: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers keep those of all ports together."""
        return f"mien-{self.port}"

    @property
    def scheme(self) -> str:
        """How its addresses begin."""
        return "https" if self.secure else "http"

    @property
    def origin(self) -> str:
        """What a browser on this machine calls it."""
        shown = "127.0.0.1" if self.host in _WILDCARDS else self._name
        return f"{self.scheme}://{shown}" + (f":{self.port}" if self.port != self._usual_port else "")

    @property
    def url(self) -> str:
        """The launch's address, for this person's eyes only."""
        return f"{self.origin}{ENTER}?token={quote(self.token)}"

    def knows(self, host: str) -> bool:
        """Whether a request may name this host and port.

        A machine that listens on all its addresses may be called by any of them as numbers, which no foreign name
        server can forge, and not by name.
        """
        named = _HOST.fullmatch(host.lower())
        if named is None or (named["port"] or str(self._usual_port)) != str(self.port):
            return False
        name = named["name"]
        if name in _LOOPBACK_NAMES or name == self._name:
            return True
        return self.host in _WILDCARDS and _is_number(name.strip("[]"))

    def admits(self, headers: MutableMapping[str, str]) -> bool:
        """Whether a request carries the cookie or the token."""
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        given = cookies[self.cookie].value if self.cookie in cookies else ""
        return _same(given, self.session) or self.is_bearer(headers)

    def is_bearer(self, headers: MutableMapping[str, str]) -> bool:
        """Whether a program gave the token."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and _same(given, self.token)

    @property
    def _name(self) -> str:
        """The host as browsers write it."""
        return (f"[{self.host}]" if ":" in self.host else self.host).lower()

    @property
    def _usual_port(self) -> int:
        """The scheme's own, which browsers leave out of every address."""
        return 443 if self.secure else 80


class Guard:
    """ASGI middleware that lets nothing past but what :class:`Access` allows, and limits what comes and what is sent.

    Args:
        app: what is guarded.
        access: of this launch.
        limits: largest body, in bytes, of paths that begin so; the longest such beginning counts.
    """

    def __init__(  # noqa: D107
        self,
        app: Application,
        *,
        access: Access,
        limits: MutableMapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._limits = dict(sorted((limits or {}).items(), key=lambda pair: -len(pair[0])))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        reason = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if reason is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": reason})
            return
        send = self._with_headers(scope, send)
        if reason is not None:
            await _answer(send, 403, reason.encode())
        elif scope["path"] == ENTER:
            await self._enter(scope, send)
        else:
            await self._limited(scope, headers, receive, send)

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> str | None:
        """Why a request is refused, in words for the person who made it; None if it is not."""
        access, path = self._access, scope["path"]
        host = headers.get("host", "")
        if not access.knows(host):
            return f"mien does not answer under this name; open {access.origin}"
        origin = headers.get("origin")
        own = f"{access.scheme}://{host}"
        if origin is not None and origin != own:
            return "this request comes from another page; open mien's own"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path != ENTER:
            return "this request comes from another page; open mien's own"
        if path == ENTER:
            return None
        if not access.admits(headers):
            return "mien does not know this browser: open the address that 'mien serve' printed when it started"
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if changes and origin is None and not access.is_bearer(headers):
            return "this request does not say which page it comes from"
        return None

    async def _enter(self, scope: Scope, send: Send) -> None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] != "GET" or not _same(given, self._access.token):
            reason = b"this address is not that of this launch: open the one that 'mien serve' printed when it started"
            await _answer(send, 403, reason)
            return
        secure = "; Secure" if self._access.secure else ""
        cookie = f"{self._access.cookie}={self._access.session}; Path=/; HttpOnly; SameSite=Strict{secure}"
        await _answer(send, 200, _ENTERING, kind="text/html; charset=utf-8", more=[(b"set-cookie", cookie.encode())])

    async def _limited(self, scope: Scope, headers: MutableMapping[str, str], receive: Receive, send: Send) -> None:
        """Pass a request on whose body is not larger than its path allows; what says so itself is not even read."""
        limit = next((most for path, most in self._limits.items() if scope["path"].startswith(path)), LARGEST_BODY)
        too_large = f"that is more than the {limit / 1e6:g} MB that are taken here".encode()
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            await _answer(send, 413, too_large)
            return
        taken, begun = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            if taken <= limit:  # what the app says of a body that broke off is not the reason
                begun = True
                await send(message)

        with contextlib.suppress(_TooLargeError):
            await self._app(scope, counted, noted)
        if taken > limit and not begun:
            await _answer(send, 413, too_large)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        fixed = _page_headers(self._access, scope)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message.get("headers", [])}
                extra = [pair for pair in fixed if pair[0] not in given]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        return sent


class _TooLargeError(Exception):
    """A body went beyond its limit."""


def _page_headers(access: Access, scope: Scope) -> list[tuple[bytes, bytes]]:
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    socket = f" {'wss' if access.secure else 'ws'}://{host}" if access.knows(host) else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        f"connect-src 'self'{socket}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )
    features = "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()"
    return [
        (b"content-security-policy", policy.encode()),
        (b"permissions-policy", features.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ]


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    kind: str = "text/plain; charset=utf-8",
    more: list[tuple[bytes, bytes]] | None = None,
) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
