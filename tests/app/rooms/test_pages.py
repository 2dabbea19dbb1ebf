"""A room's pages: opened under the law, joined with consent, and ended by whoever wants to."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.serving import running
from mien.app.law.audit import Action
from mien.app.law.consent import State
from mien.app.law.terms import Scope
from mien.app.rooms.client import Membership, RoomClient
from mien.app.rooms.hosting import Hosted
from mien.core.policy import Place, Purpose


@pytest.fixture
def lecturer(served):
    """An app whose person may open a room with faces."""
    served.agree(Purpose.AUDIENCE_TEST)
    return served


@pytest.fixture
def guest(tmp_path, haar, new_database):
    """Another machine's app."""
    (tmp_path / "guest").mkdir()
    with running(tmp_path / "guest", haar, database=new_database) as app:
        app.store.change_settings(purpose=Purpose.AUDIENCE_TEST, place=Place.EU)
        yield app


def opened(app) -> tuple[str, str]:
    """Open a room; its address and code."""
    with app.client() as client:
        assert client.post("/rooms/open", data={"reach": "here"}).headers["location"] == "/rooms/host"
        page = client.get("/rooms/host").text
    address = re.search(r"<strong>(http[^<]+)</strong>", page)[1]
    return address, re.search(r'class="code">(\w+)<', page)[1]


def seated(app, address: str, code: str):
    """Join a room, consent, and sit."""
    with app.client() as client:
        assert (
            client.post("/rooms/join", data={"address": address, "code": code}).headers["location"] == "/rooms/consent"
        )
        assert "Before you join" in client.get("/rooms/consent").text
        assert client.post("/rooms/consent", data={"agreed": "yes"}).headers["location"] == "/rooms/seat"


def wait_for(what, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_room_is_opened_joined_and_left(lecturer, guest):
    address, code = opened(lecturer)
    room = lecturer.context.hosted.host.room
    seated(guest, address, code)
    assert len(room.members) == 1
    assert guest.store.consent(Scope.ROOM_FACES).state is State.GIVEN
    with guest.client() as client:
        assert client.get("/rooms/seat.json").json() == {"state": "joined", "going_on": True, "said": []}
        assert client.post("/rooms/tap", data={"pace": "fine"}).json() == {"counted": False}  # no circle of five yet
        assert client.post("/rooms/tap", data={"pace": "wild"}).status_code == 409
        assert client.post("/rooms/join", data={"address": address, "code": code}).status_code == 409
        assert client.post("/rooms/leave").headers["location"] == "/rooms"
    assert room.members == frozenset()
    assert guest.store.consent(Scope.ROOM_FACES).state is State.WITHDRAWN
    actions = [entry.action for entry in guest.store.audit()]
    assert actions.count(Action.ROOM_JOINED) == actions.count(Action.ROOM_LEFT) == 1


def test_what_the_lecturer_sees_says_nothing_of_few(lecturer, guest):
    seated(guest, *opened(lecturer))
    with lecturer.client() as client:
        view = client.get("/rooms/host.json").json()
    assert (view["enough"], view["reports"], view["hints"]) == (False, [], [])
    assert "Fewer than 5" in view["waiting"]


@pytest.mark.slow
def test_a_face_is_read_for_the_room_under_its_own_consent(lecturer, guest, one_face, monkeypatch):
    offered = []
    original = RoomClient.offer
    monkeypatch.setattr(RoomClient, "offer", lambda self, second: offered.append(second) or original(self, second))
    with guest.socket("/live/frames?kind=room") as talk:
        assert "in no room" in talk.hear("over")["why"]
    seated(guest, *opened(lecturer))
    with guest.socket() as talk:
        assert talk.hear()["is"] == "over"  # a consent to the room is none to recordings of one's own
    with guest.socket("/live/frames?kind=room") as talk:
        talk.hear("ready")
        talk.tell("record")
        assert "Nothing is recorded in a room" in talk.hear("said")["words"]
        end = time.monotonic() + 3.5
        while time.monotonic() < end or not offered:
            talk.view(one_face)
        talk.tell("pause")
        assert talk.hear("paused")["paused"]
        count, frames = len(offered), guest.context.engine.frames
        talk.frame(one_face)
        time.sleep(0.2)
        assert guest.context.engine.frames == frames
        talk.tell("resume")
        assert not talk.hear("paused")["paused"]
        with guest.client() as client:
            client.post("/rooms/leave")
        talk.frame(one_face)
        assert talk.hear("over")["why"]
    assert count >= 2
    assert offered[-1].polarity["positive"] > 0.5
    assert guest.store.recordings() == ()


def test_a_face_is_not_read_for_a_room_where_the_place_has_come_to_forbid_it(served, guest, one_face):
    served.store.change_settings(purpose=Purpose.WORKPLACE, place=Place.ELSEWHERE)
    guest.store.change_settings(place=Place.ELSEWHERE)
    seated(guest, *opened(served))
    with guest.socket("/live/frames?kind=room") as talk:
        assert talk.view(one_face)["is"] == "view"
        with guest.client() as client:
            client.post("/purpose", data={"purpose": "audience-test", "place": "eu"})
        frames = guest.context.engine.frames
        talk.frame(one_face)
        assert "forbids to read faces" in talk.hear("over")["why"]
        assert guest.context.engine.frames == frames
    with guest.socket("/live/frames?kind=room") as talk:
        assert talk.hear()["is"] == "over"


@pytest.mark.slow
def test_a_room_that_is_closed_says_so_to_its_participants(lecturer, guest):
    seated(guest, *opened(lecturer))
    with lecturer.client() as client:
        assert client.post("/rooms/close").headers["location"] == "/rooms"
        assert client.get("/rooms/host").headers["location"] == "/rooms"
    wait_for(lambda: guest.context.seat.client.state is Membership.REFUSED)
    with guest.client() as client:
        assert "closed" in client.get("/rooms/seat.json").json()["said"][-1]


@pytest.mark.slow
def test_a_room_that_vanishes_ends_the_reading_for_it(lecturer, guest, one_face):
    seated(guest, *opened(lecturer))
    guest.context.seat.client.patience = 1.0
    with guest.socket("/live/frames?kind=room") as talk:
        talk.hear("ready")
        hosted, lecturer.context.hosted = lecturer.context.hosted, None
        hosted.stop()
        end = time.monotonic() + 40
        message = {"is": ""}
        while message["is"] != "over" and time.monotonic() < end:
            talk.frame(one_face)
            message = talk.hear()
    assert message["is"] == "over"
    assert guest.context.seat.client.state is Membership.GONE
    with guest.client() as client:
        assert "vanished" in client.get("/rooms/seat.json").json()["said"][-1]
        assert client.post("/rooms/leave").status_code == 303


@pytest.mark.parametrize("purpose", [Purpose.WORKPLACE, Purpose.EDUCATION])
def test_at_work_and_in_education_a_room_has_taps_alone(served, guest, purpose):
    served.store.change_settings(purpose=purpose, place=Place.EU)
    address, code = opened(served)
    assert not served.context.hosted.host.room.faces
    with guest.client() as client:
        client.post("/rooms/join", data={"address": address, "code": code})
        assert "No camera is opened and no face is read" in client.get("/rooms/consent").text
        client.post("/rooms/consent", data={"agreed": "yes"})
        assert "Open the camera" not in client.get("/rooms/seat").text
    with guest.socket("/live/frames?kind=room") as talk:
        assert "asks for no faces" in talk.hear("over")["why"]


def test_purposes_for_oneself_open_no_room_with_faces(served):
    served.store.change_settings(purpose=Purpose.SELF_REFLECTION, place=Place.EU)
    opened(served)
    assert not served.context.hosted.host.room.faces


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"address": "http://127.0.0.1:1", "code": "AAAAAAAA"}, "cannot be reached"),
        ({"address": "ftp://127.0.0.1:1", "code": "AAAAAAAA"}, "is no address of a room"),
        ({"address": "http://192.0.2.1:80", "code": "AAAAAAAA"}, "is not encrypted"),
        ({"address": "nonsense", "code": ""}, "code"),
        ({"address": "https://127.0.0.1:1", "code": "A", "fingerprint": "12:34"}, "64 hexadecimal digits"),
    ],
)
def test_a_wrong_address_is_said(guest, form, words):
    with guest.client() as client:
        answer = client.post("/rooms/join", data=form)
    assert answer.status_code in (400, 409)
    assert words in answer.text


def clicked_twice(app, path: str, form: dict[str, str]) -> list[httpx.Response]:
    """What two clicks at once are answered with."""

    def click(_: int) -> httpx.Response:
        with app.client() as client:
            return client.post(path, data=form)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(click, range(2)))


@pytest.fixture
def slow_join(monkeypatch):
    """A room that takes its time to let somebody in; set once it was asked to."""
    asked = threading.Event()
    original = RoomClient.join

    async def join(self, *args, **options):
        asked.set()
        await asyncio.sleep(0.5)
        await original(self, *args, **options)

    monkeypatch.setattr(RoomClient, "join", join)
    return asked


def test_two_clicks_open_one_room(lecturer, monkeypatch):
    made = []

    def slow(*args, **options):
        time.sleep(0.3)
        made.append(Hosted(*args, **options))
        return made[-1]

    monkeypatch.setattr("mien.app.web.routes.rooms.Hosted", slow)
    answers = clicked_twice(lecturer, "/rooms/open", {"reach": "here"})
    for hosted in made:
        if hosted is not lecturer.context.hosted:
            hosted.close()
    assert len(made) == 1
    assert sorted(answer.status_code for answer in answers) == [303, 409]


def test_two_clicks_join_a_room_as_one_person(lecturer, guest, slow_join):
    address, code = opened(lecturer)
    with guest.client() as client:
        client.post("/rooms/join", data={"address": address, "code": code})
        answers = clicked_twice(guest, "/rooms/consent", {"agreed": "yes"})
        assert [answer.headers.get("location") for answer in answers] == ["/rooms/seat"] * 2
        assert len(lecturer.context.hosted.host.room.members) == 1
        client.post("/rooms/leave")
    assert lecturer.context.hosted.host.room.members == frozenset()
    assert [entry.action for entry in guest.store.audit()].count(Action.ROOM_JOINED) == 1


def test_who_leaves_while_they_are_let_in_is_not_in_the_room(lecturer, guest, slow_join):
    address, code = opened(lecturer)
    with guest.client() as client, ThreadPoolExecutor(1) as pool:
        client.post("/rooms/join", data={"address": address, "code": code})
        agreeing = pool.submit(clicked_twice, guest, "/rooms/consent", {"agreed": "yes"})
        assert slow_join.wait(10)
        client.post("/rooms/leave")
        agreeing.result()
    wait_for(lambda: lecturer.context.hosted.host.room.members == frozenset(), 5)
    assert guest.store.consent(Scope.ROOM_FACES).state is State.WITHDRAWN


def test_a_wrong_code_and_no_consent_join_nothing(lecturer, guest):
    address, code = opened(lecturer)
    with guest.client() as client:
        assert "the code is wrong" in client.post("/rooms/join", data={"address": address, "code": "XXXXXXXX"}).text
        client.post("/rooms/join", data={"address": address, "code": code})
        assert client.post("/rooms/consent").status_code == 403
        assert client.get("/rooms/seat").headers["location"] == "/rooms"
        client.post("/rooms/leave")
        assert client.get("/rooms/seat.json").status_code == 409
    assert lecturer.context.hosted.host.room.members == frozenset()


def test_other_machines_reach_a_room_over_tls_or_by_an_explicit_word(lecturer):
    with lecturer.client() as client:
        refused = client.post("/rooms/open", data={"reach": "network"})
        assert (refused.status_code, "TLS" in refused.text) == (409, True)
        assert lecturer.context.hosted is None
        client.post("/rooms/open", data={"reach": "network", "plain": "yes"})
        assert lecturer.context.hosted is not None
        assert client.post("/rooms/open", data={"reach": "here"}).status_code == 409
        client.post("/rooms/close")


def test_nothing_of_the_app_is_behind_a_rooms_port(lecturer):
    address, _ = opened(lecturer)
    import httpx

    for path in ("/", "/recordings", "/v1/read", "/static/x/mien.css", "/enter"):
        token = {"token": lecturer.context.access.token}
        assert httpx.get(address + path, params=token, trust_env=False).status_code in (404, 405)
