"""Over TLS: the app with its cookie and socket, and a room whose certificate is known by its fingerprint."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import threading
import time

import httpx
import pytest
from websockets.sync.client import connect

from mien.app.live.engine import Engine
from mien.app.rooms.client import RoomClient
from mien.app.rooms.hosting import Hosted
from mien.app.store.facade import Store
from mien.app.web.context import Context
from mien.app.web.security import Access
from mien.app.web.server import make_server
from mien.cli.serve import _listen
from mien.core.errors import RoomError
from mien.core.policy import Place, Purpose, decide


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A certificate that nobody signed, as the documents say to make one."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=mien"]
    subprocess.run(["openssl", "req", "-x509", *kind, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_the_app_over_tls_sets_a_secure_cookie_and_speaks_wss(tls, tmp_path, haar):
    trusted = ssl.create_default_context(cafile=tls[0])
    trusted.check_hostname = False
    with _listen("127.0.0.1", 0) as listening, Store(tmp_path / "app.db") as store:
        access = Access(host="127.0.0.1", port=listening.getsockname()[1], secure=True)
        engine = Engine(haar)
        server = make_server(Context(store=store, engine=engine, access=access), cert=tls[0], key=tls[1])
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=access.origin, verify=trusted, trust_env=False) as client:
                entered = client.get(access.url)
                assert "; Secure" in entered.headers["set-cookie"]
                assert "wss://" in client.get("/").headers["content-security-policy"]
                assert client.post("/purpose", data={"purpose": "self-reflection", "place": "eu"}).status_code == 403
                plain = {"origin": access.origin.replace("https", "http")}
                assert client.get("/", headers=plain).status_code == 403
                own = {"origin": access.origin}
                form = {"purpose": "self-reflection", "place": "eu"}
                assert client.post("/purpose", data=form, headers=own).status_code == 303
            cookie = {"cookie": f"{access.cookie}={access.session}"}
            path = access.origin.replace("https", "wss") + "/live/frames"
            with connect(path, origin=access.origin, additional_headers=cookie, ssl=trusted, proxy=None) as talk:
                assert json.loads(talk.recv(timeout=20))["is"] == "over"
        finally:
            server.should_exit = True
            thread.join(20)
            engine.close()


def test_a_room_is_known_by_its_fingerprint(tls):
    hosted = Hosted(decide(Purpose.AUDIENCE_TEST, Place.EU), network=False, tls=tls)
    try:
        assert hosted.addresses[0].startswith("https://127.0.0.1:")
        code, address = hosted.host.room.code, hosted.addresses[0]

        async def about(fingerprint: str | None) -> str:
            client = RoomClient(address, code, fingerprint=fingerprint)
            try:
                return (await client.about()).purpose
            finally:
                await client.leave()

        end = time.monotonic() + 20
        while True:
            try:
                assert asyncio.run(about(hosted.fingerprint)) == "audience-test"
                break
            except RoomError:
                assert time.monotonic() < end
        with pytest.raises(RoomError, match="another certificate"):
            asyncio.run(about("0" * 64))
        with pytest.raises(RoomError):
            asyncio.run(about(None))
    finally:
        hosted.close()


def test_a_certificate_that_is_none_is_said(tmp_path):
    (tmp_path / "cert.pem").write_text("nonsense")
    with pytest.raises(RoomError, match=r"cert\.pem"):
        Hosted(decide(Purpose.AUDIENCE_TEST, Place.EU), network=False, tls=(tmp_path / "cert.pem", tmp_path / "k.pem"))
