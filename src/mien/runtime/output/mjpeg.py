"""The annotated stream in a browser on this machine: ``mien watch --show``, as the headless OpenCV has no window."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Generator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mien.core.face import Frame
from mien.core.preprocess import Image
from mien.runtime.output.annotated import encode_jpeg
from mien.runtime.output.draw import StreamDrawer
from mien.runtime.output.sinks import Picture, Sink

_QUALITY = 80
_BOUNDARY = "mien-frame"

_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>mien watch</title>
<meta name="viewport" content="width=device-width">
<style>
html, body { height: 100%; margin: 0 }
body { background: #18191d; display: grid; grid-template-rows: minmax(0, 1fr) auto; color: #c9ccd2;
  font: 15px/1.5 system-ui, sans-serif }
img { width: 100%; height: 100%; object-fit: contain }
p { margin: 0; padding: .5rem 1rem }
</style></head><body>
<img src="stream" alt="The annotated stream">
<p>Only this machine can open this page, and nothing that it shows is kept.
It ends with the command in the terminal.</p>
</body></html>
"""


class LivePage(Sink):
    """Serves the newest annotated frame to browsers.

    It listens on the loopback address alone, on a free port. The address holds a token that is new at each launch, and
    a request under another host name is refused, so that no other page in the browser can reach it.

    Frames are drawn and encoded in a thread of its own, and only while somebody looks; one that is not drawn yet when
    the next arrives is left out.
    """

    def __init__(self) -> None:
        """Listen, and wait for frames."""
        self._token = secrets.token_urlsafe(16)
        self._change = threading.Condition()
        self._newest: tuple[Frame, Image] | None = None
        self._jpeg = b""
        self._count = 0
        self._viewers = 0
        self._closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.25}, name="mien-page"),
            threading.Thread(target=self._draw, name="mien-page-draw"),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return f"http://127.0.0.1:{self.port}/{self._token}/"

    @property
    def is_watched(self) -> bool:
        """Whether a browser takes the stream at this moment; frames are of no use while none does."""
        return self._viewers > 0

    def write(self, frame: Frame, picture: Picture) -> None:
        """Take the newest frame, if a browser takes the stream.

        The picture is asked for here: a decoded frame is for one thread, and other sinks may ask for it as well.
        """
        if not self.is_watched:
            return
        newest = frame, picture()
        with self._change:
            self._newest = newest
            self._change.notify_all()

    def close(self) -> None:
        """End the streams, and stop listening."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def serves(self, host: str, path: str) -> str | None:
        """What of the page a request asks for, ``""`` or ``"stream"``; None where it may have nothing."""
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return None
        for what in ("", "stream"):
            if hmac.compare_digest(path.encode(), f"/{self._token}/{what}".encode()):
                return what
        return None

    def jpegs(self) -> Generator[bytes, None, None]:
        """The encoded frames as they come, from now to the end, as far as the reader can follow."""
        with self._change:
            self._viewers += 1
            self._change.notify_all()
            seen = self._count
        try:
            while True:
                with self._change:
                    while not self._closed and self._count == seen:
                        self._change.wait()
                    if self._closed:
                        return
                    seen, jpeg = self._count, self._jpeg
                yield jpeg
        finally:
            with self._change:
                self._viewers -= 1

    def _draw(self) -> None:
        drawer = StreamDrawer()
        while True:
            with self._change:
                while not self._closed and (self._newest is None or not self._viewers):
                    self._change.wait()
                if self._closed or self._newest is None:
                    return
                (frame, picture), self._newest = self._newest, None
            jpeg = encode_jpeg(drawer.draw(picture, frame), quality=_QUALITY)
            with self._change:
                self._jpeg, self._count = jpeg, self._count + 1
                self._change.notify_all()


def _handler(page: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = page.serves(self.headers.get("Host", ""), self.path)
            if wanted is None:
                self.send_error(HTTPStatus.NOT_FOUND)
            elif wanted == "stream":
                self._stream()
            else:
                self._begin("text/html; charset=utf-8")
                self.wfile.write(_PAGE)

        def _stream(self) -> None:
            self._begin(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            frames = page.jpegs()
            try:
                for jpeg in frames:
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                self.close_connection = True  # the browser left
            finally:
                frames.close()

        def _begin(self, kind: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            policy = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Requests are nobody's business on the terminal."""

    return Handler
