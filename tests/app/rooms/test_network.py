from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from app.made import dark, room_consent, second
from mien.app.law.terms import DAY, ROOM_VERSION, Scope
from mien.app.rooms import room_app as room_routes
from mien.app.rooms.address import check_address, check_fingerprint, fingerprint_of
from mien.app.rooms.client import Membership, RoomClient
from mien.app.rooms.room import WINDOW, Room
from mien.app.rooms.room_app import RoomHost, rooms_app
from mien.core.errors import ConfigError, ConsentError, RoomError
from mien.core.expression import Expression
from mien.core.policy import Place, decide

ADDRESS = "http://127.0.0.1:8643"


class Time:
    """The room's clock and the participants', which sleeping moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def host(clock: Time, purpose: str = "audience-test", place: str = "eu") -> RoomHost:
    return RoomHost(Room(decide(purpose, place), now=clock()), clock=clock)


class Line(httpx.AsyncBaseTransport):
    """The way to a room, which can break, and keeps what is sent."""

    def __init__(self, room: RoomHost) -> None:
        self.inner = httpx.ASGITransport(app=rooms_app(room))
        self.broken = False
        self.sent: list[tuple[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            raise httpx.ConnectError("cut")
        self.sent.append((request.url.path, json.loads(request.content or b"null")))
        return await self.inner.handle_async_request(request)


async def ask(room: RoomHost, verb: str, body: Any, token: str = "", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=rooms_app(room), client=(options.pop("address", "10.0.0.1"), 1))
    headers = {"authorization": f"Bearer {token}"} if token else {}
    headers.update(options.pop("headers", {}))
    method = options.pop("method", "POST")
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers.setdefault("content-type", "application/json")
        return await http.request(method, f"/room/{verb}", content=content, headers=headers)


# The room's side


def test_a_participant_is_told_joins_sends_and_leaves(clock: Time) -> None:
    async def run() -> None:
        room = host(clock)
        code = room.room.code
        about = (await ask(room, "about", {"code": code})).json()
        assert about == {
            "schema": 1,
            "purpose": "audience-test",
            "place": "eu",
            "faces": True,
            "terms_version": ROOM_VERSION,
            "window": 10.0,
            "least": 5,
        }
        token = (await ask(room, "join", {"code": code, "terms_version": ROOM_VERSION})).json()["token"]
        reading = {"reading": {"positive": 2, "neutral": 1, "negative": 1}}
        answer = await ask(room, "send", reading, token)
        assert (answer.status_code, answer.json()) == (200, {"next_in": 15.0})
        assert (await ask(room, "send", {"reading": None}, token)).status_code == 200
        assert (await ask(room, "tap", {"pace": "fine"}, token)).json() == {"counted": False}
        answer = await ask(room, "leave", None, token)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await ask(room, "send", reading, token)).status_code == 401

    asyncio.run(run())


@pytest.mark.parametrize(
    ("verb", "body", "status", "words"),
    [
        ("join", {"code": "WRONGONE", "terms_version": ROOM_VERSION}, 401, "code is wrong"),
        ("about", {"code": 7}, 400, "code"),
        ("about", {"code": "x" * 33}, 400, "code"),
        ("about", {}, 400, "code"),
        ("about", {"code": "x", "name": "Eve"}, 400, "name"),
        ("about", b"{", 400, "JSON"),
        ("about", b"", 400, ""),
        ("send", {"reading": {"positive": 2, "neutral": 1, "negative": 2}}, 400, "quarters"),
        ("send", {"reading": {"positive": 2.0, "neutral": 1, "negative": 1}}, 400, "positive"),
        ("send", {"reading": {"positive": 4, "neutral": 0, "negative": 0, "sad": 0.9}}, 400, "sad"),
        ("send", {}, 400, "reading"),
        ("tap", {"pace": "boring"}, 400, "pace"),
        ("view", {}, 404, ""),
        ("", {}, 404, ""),
    ],
)
def test_a_request_that_is_none_is_refused_in_words(clock: Time, verb: str, body: Any, status: int, words: str) -> None:
    async def run() -> None:
        room = host(clock)
        token = room.join(room.room.code, ROOM_VERSION)
        answer = await ask(room, verb, body, token)
        assert answer.status_code == status
        if status < 404:
            assert words in answer.json()["error"]

    asyncio.run(run())


@pytest.mark.parametrize("token", ["", "guess"])
@pytest.mark.parametrize(("verb", "body"), [("send", {"reading": None}), ("tap", {"pace": "fine"})])
def test_nothing_is_taken_without_a_token(clock: Time, token: str, verb: str, body: Any) -> None:
    assert asyncio.run(ask(host(clock), verb, body, token)).status_code == 401


def test_leaving_without_having_been_there_is_no_error(clock: Time) -> None:
    assert asyncio.run(ask(host(clock), "leave", None, "guess")).status_code == 204


def test_guesses_are_limited_by_address_and_in_all_and_the_right_code_waits_too(
    clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_routes, "GUESSES_IN_ALL", 30)

    async def run() -> None:
        room = host(clock)
        right = {"code": room.room.code}
        for _ in range(room_routes.GUESSES):
            assert (await ask(room, "about", {"code": "WRONG"})).status_code == 401
        assert (await ask(room, "about", right)).status_code == 429
        assert (await ask(room, "join", {**right, "terms_version": ROOM_VERSION})).status_code == 429
        assert (await ask(room, "about", right, address="10.0.0.2")).status_code == 200
        clock.now += 61
        assert (await ask(room, "about", right)).status_code == 200
        for number in range(room_routes.GUESSES_IN_ALL):
            assert (await ask(room, "about", {"code": "WRONG"}, address=f"10.0.1.{number}")).status_code == 401
        assert (await ask(room, "about", right, address="10.0.2.1")).status_code == 429
        clock.now += 61
        assert (await ask(room, "about", right)).status_code == 200
        assert room.guesses == 0  # what is over is forgotten

    asyncio.run(run())


@pytest.mark.parametrize("header", ["origin", "sec-fetch-site"])
def test_pages_of_browsers_are_refused(clock: Time, header: str) -> None:
    room = host(clock)
    answer = asyncio.run(ask(room, "about", {"code": room.room.code}, headers={header: "https://evil.example"}))
    assert answer.status_code == 403
    assert "not with a browser" in answer.json()["error"]


def test_a_long_body_is_refused_before_it_is_read(clock: Time) -> None:
    async def run() -> None:
        room = host(clock)
        assert (await ask(room, "about", b" " * 2_000)).status_code == 413
        sent = 0

        async def drip() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(1_000_000):
                sent += 100
                yield b" " * 100

        transport = httpx.ASGITransport(app=rooms_app(room))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            answer = await http.post("/room/about", content=drip())
        assert answer.status_code == 413
        assert sent < 3_000

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_post_is_understood(clock: Time, method: str) -> None:
    assert asyncio.run(ask(host(clock), "about", None, method=method)).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/recordings", "/settings", "/v1/read", "/static/x"])
def test_nothing_else_of_the_app_is_behind_a_room(clock: Time, path: str) -> None:
    async def run() -> int:
        transport = httpx.ASGITransport(app=rooms_app(host(clock)))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            return (await http.get(path)).status_code

    assert asyncio.run(run()) == 404


def test_a_room_of_taps_and_a_closed_room_say_so(clock: Time) -> None:
    async def run() -> None:
        room = host(clock, "education")
        token = room.join(room.room.code, ROOM_VERSION)
        reading = {"reading": {"positive": 4, "neutral": 0, "negative": 0}}
        answer = await ask(room, "send", reading, token)
        assert answer.status_code == 403
        assert "5(1)(f)" in answer.json()["error"]
        room.close()
        answer = await ask(room, "send", {"reading": None}, token)
        assert (answer.status_code, answer.json()["error"]) == (410, "the room is closed")
        assert (await ask(room, "about", {"code": room.room.code})).status_code == 410

    asyncio.run(run())


# The participant's side


class Hasty:
    """Waiting takes no time but moves the clock; what was waited for is kept."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self.waits: list[float] = []

    async def __call__(self, wake: asyncio.Event, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def hasty(clock: Time) -> Hasty:
    return Hasty(clock)


def client(line: Line, room: RoomHost, clock: Time, **options: Any) -> RoomClient:
    return RoomClient(ADDRESS, room.room.code, transport=line, clock=clock, **options)


def test_all_that_leaves_the_machine_is_quarters_every_ten_seconds(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock)
        line = Line(room)
        mine = client(line, room, clock, wait=hasty)
        about = await mine.about()
        assert mine.asks(about).terms(Place.EU).scope is Scope.ROOM_FACES
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        task = asyncio.create_task(mine.run())
        for index in range(100):
            mine.offer(second(index, Expression.HAPPY if index % 4 else Expression.SAD))
            if index % 10 == 9:
                await asyncio.sleep(0.005)
        await mine.leave()
        await task
        assert mine.state is Membership.LEFT
        sends = [body for path, body in line.sent if path == "/room/send"]
        assert len(sends) > 5
        for body in sends:
            assert set(body) == {"reading"}
            if body["reading"] is not None:
                assert set(body["reading"]) == {"positive", "neutral", "negative"}
                assert all(type(value) is int for value in body["reading"].values())
                assert sum(body["reading"].values()) == 4
        assert [path for path, _ in line.sent][:2] == ["/room/about", "/room/join"]
        assert [path for path, _ in line.sent][-1] == "/room/leave"
        assert line.sent[1][1] == {"code": room.room.code, "terms_version": ROOM_VERSION}
        assert all(1.0 <= wait <= 17.0 for wait in hasty.waits[1:])

    asyncio.run(run())


def test_what_is_sent_is_the_mean_of_what_was_read(clock: Time) -> None:
    async def run() -> None:
        room = host(clock)
        mine = client(Line(room), room, clock)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        mine.offer(second(0, Expression.HAPPY))
        mine.offer(second(1, Expression.HAPPY))
        assert mine.take() is None  # two seconds are too few
        for index in range(4):
            mine.offer(second(index, Expression.HAPPY, probability=1.0))
            mine.offer(second(index, Expression.SAD, probability=1.0))
            mine.offer(dark(index))
        taken = mine.take()
        assert (taken.positive, taken.neutral, taken.negative) == (2, 0, 2)  # type: ignore[union-attr]
        assert mine.take() is None
        mine.pause()
        for index in range(10):
            mine.offer(second(index))
        assert mine.take() is None
        mine.resume()
        assert mine.take() is None
        await mine.leave()

    asyncio.run(run())


def test_before_joining_and_after_leaving_nothing_is_gathered_or_sent(clock: Time) -> None:
    async def run() -> None:
        room = host(clock)
        line = Line(room)
        mine = client(line, room, clock)
        mine.offer(second(0))
        await mine.run()
        await mine.leave()
        with pytest.raises(RoomError, match="cannot tap: outside"):
            await mine.tap("fine")
        assert line.sent == []
        assert mine.take() is None

    asyncio.run(run())


def test_in_a_room_of_taps_no_reading_is_gathered(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock, "education")
        line = Line(room)
        mine = client(line, room, clock, wait=hasty)
        about = await mine.about()
        assert mine.asks(about).terms(Place.EU).scope is Scope.ROOM_TAPS
        await mine.join(room_consent(Scope.ROOM_TAPS), now=lambda: 1.0)
        for index in range(30):
            mine.offer(second(index))
        task = asyncio.create_task(mine.run())
        await asyncio.sleep(0.02)
        assert await mine.tap("too slow") is False  # alone
        await mine.leave()
        await task
        assert all(body == {"reading": None} for path, body in line.sent if path == "/room/send")

    asyncio.run(run())


def test_a_room_that_vanishes_is_tried_for_a_minute_and_then_left_alone(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock)
        line = Line(room)
        said: list[str] = []
        mine = client(line, room, clock, say=said.append, wait=hasty)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        line.broken = True
        began = clock()
        await mine.run()
        assert mine.state is Membership.GONE
        assert 60.0 <= clock() - began <= 90.0
        assert len(said) == 2
        assert "cannot be reached (ConnectError); nothing is sent while it is tried again" in said[0]
        assert "vanished" in said[1]
        sent = len(line.sent)
        line.broken = False
        mine.offer(second(0))
        await mine.run()
        assert len(line.sent) == sent

    asyncio.run(run())


def test_a_room_that_comes_back_in_time_goes_on_and_gets_nothing_old(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock)
        line = Line(room)
        said: list[str] = []
        mine = client(line, room, clock, say=said.append, wait=hasty)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        line.broken = True
        for index in range(10):
            mine.offer(second(index))
        task = asyncio.create_task(mine.run())
        while mine.state is not Membership.LOST:
            await asyncio.sleep(0)
        line.broken = False
        while mine.state is Membership.LOST:
            await asyncio.sleep(0)
        assert mine.state is Membership.JOINED
        assert said[-1].endswith("the room is back")
        await mine.leave()
        await task
        assert all(body == {"reading": None} for path, body in line.sent if path == "/room/send")

    asyncio.run(run())


@pytest.mark.parametrize("answers", [[None], [None, 200], [200], [410]])
def test_who_leaves_while_a_message_is_under_way_has_left(hasty: Hasty, answers: list[int | None]) -> None:
    """Whether that message, the last of the answers, is lost, comes through after a loss, or is refused."""

    async def run() -> None:
        sent: list[str] = []
        said: list[str] = []
        under_way, leaving = asyncio.Event(), asyncio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            verb = request.url.path.rpartition("/")[2]
            sent.append(verb)
            if verb == "join":
                return httpx.Response(200, json={"token": "t"})
            if verb == "leave":
                leaving.set()
                for _ in range(50):
                    await asyncio.sleep(0)
                return httpx.Response(204)
            if sent.count("send") == len(answers):
                under_way.set()
                await leaving.wait()
            status = answers[min(sent.count("send"), len(answers)) - 1]
            if status is None:
                raise httpx.ReadTimeout("lost")
            return httpx.Response(status, json={"next_in": 3})

        mine = RoomClient(ADDRESS, "CODE", transport=httpx.MockTransport(answer), say=said.append, wait=hasty)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        task = asyncio.create_task(mine.run())
        await under_way.wait()
        before = len(said)
        await mine.leave()
        await asyncio.wait_for(task, 5)
        assert mine.state is Membership.LEFT
        assert sent == ["join", *["send"] * len(answers), "leave"]
        assert len(said) == before

    asyncio.run(run())


def test_a_room_that_refuses_ends_it(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock)
        said: list[str] = []
        mine = client(Line(room), room, clock, say=said.append, wait=hasty)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        room.close()
        await mine.run()
        assert mine.state is Membership.REFUSED
        assert "the room is closed" in said[-1]
        await mine.leave()

    asyncio.run(run())


def test_a_consent_that_runs_out_ends_it(clock: Time, hasty: Hasty) -> None:
    async def run() -> None:
        room = host(clock)
        line = Line(room)
        said: list[str] = []
        mine = client(line, room, clock, say=said.append, wait=hasty)
        with pytest.raises(ConsentError, match="of its own"):
            await mine.join(_own_consent(), now=lambda: 1.0)
        with pytest.raises(ConsentError, match="time of the consent is up"):
            await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: DAY)
        assert line.sent == []
        wall = [1.0]
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: wall[0])
        wall[0] = DAY
        with pytest.raises(RoomError, match="consent to this room has ended"):
            await mine.tap("fine")
        assert mine.state is Membership.LEFT
        assert [path for path, _ in line.sent] == ["/room/join", "/room/leave"]
        assert "time of the consent is up" in said[-1]

    asyncio.run(run())


def _own_consent() -> Any:
    from mien.app.law.consent import show
    from mien.app.law.terms import terms

    return show(terms(decide("self-reflection")), now=0.0).give(0.0)


@pytest.mark.parametrize(("theirs", "mine"), [("elsewhere", Place.EU), ("elsewhere", Place.UNSET)])
def test_the_stricter_place_counts(clock: Time, theirs: str, mine: Place) -> None:
    """A room elsewhere may read faces in teaching; somebody in the EU does not take part with theirs."""

    async def run() -> None:
        room = host(clock, "education", theirs)
        about = await client(Line(room), room, clock).about()
        assert about.faces
        text = client(Line(room), room, clock).asks(about).terms(mine)
        assert text.scope is Scope.ROOM_TAPS
        assert "no face is read" in text.paragraphs[0].words
        assert client(Line(room), room, clock).asks(about).terms(Place.ELSEWHERE).scope is Scope.ROOM_FACES

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, json={"hello": 1}), "no room of this version"),
        (httpx.Response(200, content=b"<html>"), "no room of this version"),
        (httpx.Response(404, content=b"<html>"), "no room of mien"),
        (httpx.Response(302, headers={"location": "https://evil.example"}), "no room"),
        (httpx.Response(503), "answers with an error"),
        (
            httpx.Response(
                200,
                json={
                    "schema": 2,
                    "purpose": "research",
                    "place": "eu",
                    "faces": True,
                    "terms_version": 1,
                    "window": 10,
                    "least": 5,
                },
            ),
            "another version of mien",
        ),
        (
            httpx.Response(
                200,
                json={
                    "schema": 1,
                    "purpose": "spying",
                    "place": "eu",
                    "faces": True,
                    "terms_version": 1,
                    "window": 10,
                    "least": 5,
                },
            ),
            "no room of this version",
        ),
    ],
)
def test_what_is_no_room_is_said(answer: httpx.Response, words: str) -> None:
    async def run() -> None:
        transport = httpx.MockTransport(lambda _: answer)
        with pytest.raises(RoomError, match=words):
            await RoomClient(ADDRESS, "CODE", transport=transport).about()

    asyncio.run(run())


@pytest.mark.parametrize("said", [{}, {"next_in": "soon"}, {"next_in": -5}, {"next_in": 1e9}, {"next_in": 0}])
def test_a_room_cannot_make_a_participant_hurry_or_fall_asleep(said: dict[str, Any]) -> None:
    async def run() -> float:
        answers = {"join": {"token": "t"}, "send": said}
        transport = httpx.MockTransport(lambda asked: httpx.Response(200, json=answers[asked.url.path[6:]]))
        mine = RoomClient(ADDRESS, "CODE", transport=transport)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        return await mine.send()

    assert 3.0 <= asyncio.run(run()) <= 30.0


def test_what_may_not_be_sent_any_more_is_thrown_away(clock: Time) -> None:
    async def run() -> None:
        room = host(clock)
        line, allowed = Line(room), [True]
        mine = client(line, room, clock)
        await mine.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0, may_send=lambda: allowed[0])
        for may in (True, False, True):
            allowed[0] = may
            for index in range(5 if may else 10):
                mine.offer(second(index))
            await mine.send()
        await mine.leave()
        first, refused, last = [body["reading"] for path, body in line.sent if path == "/room/send"]
        assert refused is None
        assert first == last
        assert sum(first.values()) == 4

    asyncio.run(run())


# Addresses


@pytest.mark.parametrize(
    "address",
    ["", "host:8643", "ftp://host:1", "https://host", "https://host:99999", "https://me:secret@host:1", "https://:1"],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="no address of a room"):
        check_address(address)


def test_what_is_sent_over_a_network_is_encrypted_unless_allowed() -> None:
    assert check_address("https://192.168.1.2:8643/join#x") == "https://192.168.1.2:8643"
    assert check_address("http://127.0.0.1:8643") == "http://127.0.0.1:8643"
    assert check_address("http://[::1]:8643") == "http://[::1]:8643"
    for address in ("http://192.168.1.2:8643", "http://127.0.0.1.evil.example:1", "http://host:1"):
        with pytest.raises(ConfigError, match="not encrypted"):
            check_address(address)
        assert check_address(address, plain=True) == address


@pytest.mark.parametrize("words", ["", "abc", "g" * 64, "a" * 63])
def test_a_fingerprint_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        check_fingerprint(words)


# Over a real network


@contextlib.contextmanager
def served(room: RoomHost, **options: Any) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(rooms_app(room), log_level="error", **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mien"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_five_people_and_a_lecturer_over_the_network() -> None:
    clock = Time()
    room = host(clock)

    async def run(port: int) -> None:
        people = [RoomClient(f"http://127.0.0.1:{port}", room.room.code) for _ in range(5)]
        for person in people:
            await person.about()
            await person.join(room_consent(Scope.ROOM_FACES), now=lambda: 1.0)
        for _ in range(7):
            for number, person in enumerate(people):
                mood = Expression.HAPPY if number < 3 else Expression.NEUTRAL
                for index in range(10):
                    person.offer(second(index, mood, probability=1.0))
                await person.send()
            clock.now += WINDOW
        view = room.view()
        assert view.reports[0].shares == {"positive": 0.6, "neutral": 0.4, "negative": 0.0, "no reading": 0.0}
        for person in people:
            await person.leave()
        assert not room.view().enough

    with served(room) as port:
        asyncio.run(run(port))


def test_a_room_is_known_by_its_certificate(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    right = fingerprint_of(cert.read_text())
    by_openssl = subprocess.run(
        ["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.partition("=")[2]
    assert check_fingerprint(by_openssl) == right
    room = host(Time())

    async def run(port: int) -> None:
        address = f"https://127.0.0.1:{port}"
        known = RoomClient(address, room.room.code, fingerprint=by_openssl)
        assert (await known.about()).purpose == "audience-test"
        await known.leave()
        with pytest.raises(RoomError, match="another certificate"):
            await RoomClient(address, room.room.code, fingerprint="0" * 64).about()
        stranger = RoomClient(address, room.room.code)
        with pytest.raises(RoomError, match="cannot be reached"):
            await stranger.about()
        await stranger.leave()

    with served(room, ssl_certfile=str(cert), ssl_keyfile=str(key)) as port:
        asyncio.run(run(port))


def test_nobody_at_the_address_is_said(certificate: tuple[Path, Path]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for scheme, pin in (("http", None), ("https", "0" * 64)):
            nobody = RoomClient(f"{scheme}://127.0.0.1:{port}", "CODE", fingerprint=pin)
            with pytest.raises(RoomError, match="cannot be reached"):
                asyncio.run(nobody.about())


def test_the_module_uses_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    room = host(Time())

    async def run(port: int) -> None:
        mine = RoomClient(f"http://127.0.0.1:{port}", room.room.code)
        assert (await mine.about()).least == 5
        await mine.leave()

    with served(room) as port:
        asyncio.run(run(port))
