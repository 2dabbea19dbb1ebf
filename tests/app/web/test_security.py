"""Who gets in: by host, origin, cookie and token; and what the pages are allowed to do."""

from __future__ import annotations

import http.client

import pytest
from websockets.exceptions import InvalidStatus

from app.serving import ClosedError, running
from mien.app.web.security import Access


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory, haar, new_database):
    """An app for tests that change nothing."""
    with running(tmp_path_factory.mktemp("unchanged"), haar, database=new_database) as app:
        yield app


@pytest.fixture
def access() -> Access:
    return Access(host="127.0.0.1", port=8765)


def test_each_launch_has_secrets_of_its_own_and_shows_them_to_nobody(access):
    other = Access(host="127.0.0.1", port=8765)
    assert len({access.token, access.session, other.token, other.session}) == 4
    assert min(len(access.token), len(access.session)) >= 43  # 256 bits
    assert access.token not in repr(access)
    assert access.session not in repr(access)
    assert access.url == f"http://127.0.0.1:8765/enter?token={access.token}"


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8765", True),
        ("127.0.0.1", "localhost:8765", True),
        ("127.0.0.1", "127.0.0.1:8766", False),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "evil.example:8765", False),
        ("127.0.0.1", "192.168.1.7:8765", False),
        ("127.0.0.1", "", False),
        ("192.168.1.7", "192.168.1.7:8765", True),
        ("192.168.1.7", "192.168.1.8:8765", False),
        ("0.0.0.0", "192.168.1.7:8765", True),
        ("0.0.0.0", "[fe80::1]:8765", True),
        ("0.0.0.0", "evil.example:8765", False),
        ("::1", "[::1]:8765", True),
        ("::1", "[::1]", False),
        ("FE80::1", "[fe80::1]:8765", True),
        ("MyPC", "mypc:8765", True),
        ("mypc", "MyPC:8765", True),
        ("127.0.0.1", "127.0.0.1:", False),
        ("127.0.0.1", "127.0.0.1:8765:8765", False),
    ],
)
def test_only_its_own_names_are_answered(bound, host, known):
    assert Access(host=bound, port=8765).knows(host) is known


@pytest.mark.parametrize(
    ("access", "origin", "host", "known"),
    [
        (Access(host="127.0.0.1", port=80), "http://127.0.0.1", "127.0.0.1", True),
        (Access(host="127.0.0.1", port=80), "http://127.0.0.1", "127.0.0.1:80", True),
        (Access(host="127.0.0.1", port=80), "http://127.0.0.1", "evil.example", False),
        (Access(host="127.0.0.1", port=80, secure=True), "https://127.0.0.1:80", "127.0.0.1", False),
        (Access(host="MyPC", port=443, secure=True), "https://mypc", "mypc", True),
        (Access(host="MyPC", port=443), "http://mypc:443", "mypc", False),
        (Access(host="::1", port=80), "http://[::1]", "[::1]", True),
        (Access(host="::", port=443, secure=True), "https://127.0.0.1", "[fe80::1]", True),
    ],
)
def test_the_port_of_the_scheme_may_be_left_out_as_browsers_do(access, origin, host, known):
    assert access.origin == origin
    assert access.knows(host) is known


def test_the_launch_address_is_exchanged_for_a_cookie(unchanged):
    with unchanged.stranger() as stranger:
        assert stranger.get("/").status_code == 403
        assert stranger.get("/enter", params={"token": "wrong"}).status_code == 403
        assert stranger.get("/enter").status_code == 403
        assert not stranger.cookies
        entered = stranger.get(unchanged.context.access.url)
        assert entered.status_code == 200
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert unchanged.context.access.token not in cookie
        assert stranger.get("/").status_code == 200


@pytest.mark.parametrize("given", ["x", "é", "a" * 5000, "half of it"])
def test_a_wrong_cookie_or_token_is_refused(unchanged, given):
    access = unchanged.context.access
    given = access.session[:20] if given == "half of it" else given
    headers = {"cookie": f"{access.cookie}={given}".encode("latin-1")}
    bearer = {"authorization": f"Bearer {given}".encode("latin-1")}
    with unchanged.stranger() as stranger:
        assert stranger.get("/", headers=headers).status_code == 403
        assert stranger.get("/", headers=bearer).status_code == 403


def test_another_host_name_is_refused_with_the_right_cookie(unchanged):
    with unchanged.client() as client:
        refused = client.get("/", headers={"host": f"evil.example:{unchanged.context.access.port}"})
        assert refused.status_code == 403
        assert "does not answer under this name" in refused.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_forms_of_other_pages_are_refused(unchanged, origin):
    form = {"purpose": "self-reflection", "place": "eu"}
    with unchanged.client() as client:
        port = unchanged.context.access.port
        refused = client.post("/purpose", data=form, headers={"origin": origin.format(port=port)})
        assert refused.status_code == 403
        del client.headers["origin"]
        assert client.post("/purpose", data=form).status_code == 403
        assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert unchanged.store.settings.purpose is None


def test_a_program_needs_the_token_and_no_origin(served):
    served.agree()
    with served.stranger() as stranger, served.program() as program:
        assert stranger.post("/v1/read", content=b"x").status_code == 403
        assert program.post("/v1/read", content=b"x").status_code == 400
        foreign = {"origin": "http://evil.example"}
        assert program.post("/v1/read", content=b"x", headers=foreign).status_code == 403


@pytest.mark.parametrize(
    ("origin", "headers"),
    [
        ("http://evil.example", {}),
        (None, {}),
        ("own", {"cookie": "mien=nothing"}),
    ],
)
def test_sockets_of_other_pages_are_refused(served, origin, headers):
    served.agree()
    origin = served.origin if origin == "own" else origin
    with pytest.raises(ClosedError) as refused, served.socket(origin=origin, headers=headers):
        pass
    assert refused.value.code == 1008


def test_a_socket_that_is_refused_is_never_opened(on_network):
    on_network.agree()
    with pytest.raises(InvalidStatus) as refused, on_network.socket(origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_pages_may_load_and_send_nothing_elsewhere(unchanged):
    with unchanged.client() as client:
        for path in ("/", "/nowhere", "/static/x/y"):
            headers = client.get(path).headers
            policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
            assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["connect-src"] == f"'self' {unchanged.origin.replace('http', 'ws')}"
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert headers["referrer-policy"] == "same-origin"
            assert "microphone=()" in headers["permissions-policy"]


def test_pages_hold_no_inline_script_or_style(served):
    served.agree()
    with served.client() as client:
        for path in ("/", "/purpose", "/consent", "/live", "/help"):
            text = client.get(path).text
            assert "style=" not in text
            assert "<style" not in text
            assert " onclick" not in text
            assert "<script>" not in text
            assert "http://" not in text.replace(served.origin, "")


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/x/..%2fmien.css", "/x/server.py"])
def test_no_path_of_a_browser_is_opened(unchanged, path):
    with unchanged.client() as client:
        assert client.get(f"/static{path}").status_code == 404


def test_a_body_beyond_its_limit_is_refused_unread(unchanged):
    with unchanged.client() as client:
        form = {"content-type": "application/x-www-form-urlencoded"}
        announced = client.post("/purpose", content=b"x" * 70_000)
        assert announced.status_code == 413

        def endless():
            for _ in range(100):
                yield b"x" * 1000

        assert client.post("/purpose", content=endless(), headers=form).status_code == 413


def test_a_body_that_says_how_large_it_is_is_refused_before_it_is_sent(on_network):
    access = on_network.context.access
    connection = http.client.HTTPConnection("127.0.0.1", access.port, timeout=10)
    connection.putrequest("POST", "/v1/read")
    connection.putheader("authorization", f"Bearer {access.token}")
    connection.putheader("content-length", "50000000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"100 MB" in answer.read()) == (413, True)
    connection.close()


def test_static_files_are_compressed_and_kept(unchanged):
    with unchanged.client() as client:
        page = client.get("/").text
        style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        answer = client.get(style)
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.text.startswith("/*")
        plain = client.get(style, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.text == answer.text


def test_the_openapi_document_lists_programs_paths_alone(unchanged):
    with unchanged.client() as client:
        document = client.get("/v1/openapi.json").json()
    assert list(document["paths"]) == ["/v1/read"]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    with unchanged.client() as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/openapi.json").status_code == 404
