"""Debian's chromium with a camera that shows a film made here, and the real app for it to open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright import sync_api

from app.serving import Served, jpeg, serving
from mien.runtime.recognizer import Recognizer
from runtime.streams import moving_faces

VIEWPORTS = {"desk": {"width": 1180, "height": 820}, "phone": {"width": 390, "height": 844}}


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI"):
        pytest.fail("chromium is missing: apt-get install chromium")
    if found is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One moving face, as the fake camera plays it again and again."""
    path = tmp_path_factory.mktemp("film") / "camera.mjpeg"
    path.write_bytes(b"".join(jpeg(picture) for picture in moving_faces(60, width=640, height=480)))
    return path


@pytest.fixture(scope="session")
def playwright() -> Iterator[sync_api.Playwright]:
    """Playwright, without a browser of its own."""
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: sync_api.Playwright, film: Path) -> Iterator[sync_api.Browser]:
    """The browser."""
    browser = playwright.chromium.launch(
        executable_path=_chromium(),
        args=[
            "--no-sandbox",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    """The bundled model and the embedded detector."""
    return Recognizer(detector="haar")


@pytest.fixture
def served(tmp_path: Path, recognizer: Recognizer) -> Iterator[Served]:
    """A running app, before its first start."""
    with serving(tmp_path, recognizer) as app:
        yield app


Open = Callable[..., sync_api.Page]


@pytest.fixture
def opened(chromium: sync_api.Browser, served: Served) -> Iterator[Open]:
    """Opens an app by its launch address; the page must complain of nothing and ask nobody else.

    It wants ``served`` so that the pages are closed before the app is: an open page asks on, and would complain.
    """
    contexts, complaints = [], []

    def open_(app: Served, path: str = "/", *, viewport: str = "desk", **options: object) -> sync_api.Page:
        context = chromium.new_context(viewport=VIEWPORTS[viewport], permissions=["camera"], **options)
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: complaints.append(one.text) if _matters(one) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        context.on("request", lambda request: _own(app, request.url, complaints))
        page.goto(app.context.access.url)
        page.wait_for_url(f"{app.origin}/")
        if path != "/":
            page.goto(app.origin + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def _matters(message: sync_api.ConsoleMessage) -> bool:
    """Whether a message of the browser is a complaint; that a request was refused is not one."""
    refused = "the server responded with a status of 4" in message.text
    return message.type in ("error", "warning") and not refused


def _own(app: Served, url: str, complaints: list[str]) -> None:
    if not url.startswith((app.origin, app.origin.replace("http", "ws"), "blob:", "data:")):
        complaints.append(f"it asked for {url}")
