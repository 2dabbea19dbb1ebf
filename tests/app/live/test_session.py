"""The live socket: what goes in, what comes out, and everything that can go wrong on the way."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time

import numpy as np
import pytest

from app.serving import ClosedError, jpeg, on_canvas, running
from mien.app.law.consent import State, show
from mien.app.live import session as live
from mien.app.live.browser_stream import LARGEST_FRAME, BrowserStream
from mien.app.store.database import Database
from mien.core.errors import StoreError
from mien.core.policy import Place, Purpose
from mien.runtime.inference.classify import OnnxClassifier


def until_read(talk, frame, *, seconds: float = 25.0):
    """Send frames until the own face is read and something is held; the view."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        view = talk.view(frame)
        if view["is"] == "view" and view["own"] and view["own"]["held"]:
            return view
    pytest.fail("nothing was held")


def send_and_hear_out(talk, frame):
    """Send a frame, and listen until the socket closes."""
    talk.frame(frame)
    while True:
        talk.hear()


def test_from_consent_to_a_reading(on_network, one_face):
    on_network.agree()
    with on_network.socket() as talk:
        assert talk.hear()["is"] == "ready"
        first = talk.view(one_face)
        assert (first["presence"], first["own"], len(first["others"])) == ("waiting", None, 1)
        view = until_read(talk, one_face)
        assert view["own"]["held"] == "happy"
        assert 0.5 < view["own"]["sure"] <= 1
        assert view["own"]["unmeasurable"] is None
        assert view["own"]["coverage"] == pytest.approx(0.9, abs=0.05)
        assert view["others"] == []
    assert on_network.store.recordings() == ()


def test_without_a_purpose_or_consent_nothing_is_read(served, one_face):
    for prepare in (lambda: None, lambda: served.store.change_settings(purpose=Purpose.SELF_REFLECTION)):
        prepare()
        with served.socket() as talk:
            assert talk.hear()["is"] == "over"
            with pytest.raises(ClosedError) as closed:
                talk.view(one_face)
            assert closed.value.code == live.REFUSED
    assert served.context.engine.frames == 0


@pytest.mark.parametrize("purpose", [Purpose.WORKPLACE, Purpose.EDUCATION])
def test_a_purpose_that_is_prohibited_reads_no_face(served, one_face, purpose):
    served.agree()
    served.store.change_settings(purpose=purpose, place=Place.EU)
    with served.socket() as talk:
        over = talk.hear()
        assert over["is"] == "over"
        assert "Art. 5(1)(f)" in over["why"]
    assert served.context.engine.frames == 0


def test_a_consent_that_expires_ends_the_session(tmp_path, haar, new_database, one_face):
    now = [1_800_000_000.0]
    with running(tmp_path, haar, database=new_database, clock=lambda: now[0]) as served:
        served.agree()
        with served.socket() as talk:
            talk.hear("ready")
            assert talk.view(one_face)["is"] == "view"
            now[0] += 31 * 86_400
            frames = served.context.engine.frames
            talk.frame(one_face)
            over = talk.hear("over")
            assert "time of the consent is up" in over["why"]
            assert served.context.engine.frames == frames
        with served.socket() as talk:
            assert talk.hear()["is"] == "over"


@pytest.mark.slow
def test_withdrawing_stops_and_erases(served, one_face):
    served.agree()
    with served.socket() as talk, served.client() as client:
        talk.hear("ready")
        talk.record()
        end = time.monotonic() + 1.3
        while time.monotonic() < end:
            talk.view(one_face)
        assert served.store.recordings()
        assert client.post("/consent/withdraw").status_code == 303
        talk.frame(one_face)
        assert talk.hear("over")["why"]
    assert served.store.recordings() == ()
    assert served.store.consent().state is State.WITHDRAWN
    assert served.context.recording is None


def test_what_a_frame_showed_is_not_given_out_once_it_is_taken_back(served, one_face, monkeypatch):
    """The withdrawal comes while the frame is being read, in another thread."""

    def conclude(stream, look, readings):
        view = original(stream, look, readings)
        served.store.withdraw(served.store.consent())
        return view

    original = BrowserStream.conclude
    monkeypatch.setattr(BrowserStream, "conclude", conclude)
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.record()
        talk.frame(one_face)
        over = talk.hear()
        assert (over["is"], "consent was withdrawn" in over["why"]) == ("over", True)
    assert served.store.recordings() == ()


def test_a_pause_holds_in_every_tab_and_analyses_nothing(served, one_face):
    served.agree()
    with served.socket() as one, served.socket() as other:
        for talk in (one, other):
            talk.hear("ready")
            talk.view(one_face)
        one.tell("pause")
        assert one.hear("paused")["paused"] is True
        frames = served.context.engine.frames
        one.frame(one_face)
        other.frame(one_face)
        assert other.hear("paused")["paused"] is True
        time.sleep(0.2)
        assert served.context.engine.frames == frames
        assert served.store.consent().state is State.PAUSED
        one.tell("resume")
        assert one.hear("paused")["paused"] is False
        assert one.view(one_face)["is"] == "view"
    with served.socket() as late:
        assert late.hear()["is"] == "ready"


def test_a_second_tab_is_told_of_the_first_and_cannot_record_too(served, one_face):
    served.agree()
    with served.socket() as one:
        assert one.hear("ready")["others"] == 0
        with served.socket() as other:
            assert other.hear("ready")["others"] == 1
            one.record()
            other.tell("record")
            assert "another tab" in other.hear("said")["words"]
            assert len(served.store.recordings()) == 1
            one.tell("stop")
            one.hear("recording")
            assert other.record() == 2


def test_of_two_tabs_that_begin_at_once_one_records(served, one_face):
    served.agree()
    with served.socket() as one, served.socket() as other:
        for talk in (one, other):
            talk.hear("ready")
            talk.tell("record")
        answers = [talk.hear() for talk in (one, other)]
        assert sorted(answer["is"] for answer in answers) == ["recording", "said"]
        assert served.context.recording == 1
        assert len(served.store.recordings()) == 1


@pytest.mark.slow
def test_a_recording_holds_a_line_a_second_and_notes(served, one_face):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.tell("record", name="Morning")
        number = talk.hear("recording")["recording"]
        end = time.monotonic() + 2.6
        while time.monotonic() < end:
            talk.view(one_face)
        talk.tell("note", text="a thought")
        assert talk.hear("said")["words"] == "Noted."
        talk.tell("stop")
        assert talk.hear("recording") == {"is": "recording", "recording": None, "last": number, "why": None}
    info = served.store.recording(number)
    assert (info.name, info.closed, info.kind, info.model) == ("Morning", True, "live", "small")
    seconds = served.store.seconds(number)
    assert [one.index for one in seconds] == list(range(len(seconds)))
    assert 2 <= len(seconds) <= 4
    assert max(one.held[3] for one in seconds) > 0.5  # happy
    (note,) = served.store.notes(number)
    assert (note.text, note.at is not None and 1 < note.at < 4) == ("a thought", True)


def test_a_tab_that_is_closed_ends_its_recording(served, one_face):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.record()
        talk.view(one_face)
    end = time.monotonic() + 5
    while not served.store.recordings()[0].closed and time.monotonic() < end:
        time.sleep(0.05)
    assert served.store.recordings()[0].closed
    assert served.store.recordings()[0].seconds == 1


@pytest.mark.slow
def test_a_recording_that_is_deleted_under_way_stays_deleted(served, one_face):
    served.agree()
    with served.socket() as talk, served.client() as client:
        talk.hear("ready")
        number = talk.record()
        talk.view(one_face)
        assert client.post(f"/recordings/{number}/delete").status_code == 303
        talk.frame(one_face)
        ended = talk.hear("recording")
        assert (ended["recording"], ended["last"]) == (None, None)
        assert "it was deleted" in ended["why"]
        end = time.monotonic() + 1.3
        while time.monotonic() < end:
            assert talk.view(one_face)["is"] == "view"
        assert served.store.recordings() == ()
        assert talk.record() == number + 1


@pytest.mark.slow
@pytest.mark.parametrize("looking", [True, False])
def test_a_recording_that_is_purged_under_way_has_ended_and_another_can_begin(served, one_face, looking):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        number = talk.record()
        talk.view(one_face)
        served.store.purge(served.context.clock() + 8 * 86_400)
        if not looking:
            talk.tell("stop")
        ended, end = None, time.monotonic() + 10
        while ended is None and time.monotonic() < end:
            talk.frame(one_face)
            message = talk.hear()
            ended = message if message["is"] == "recording" else None
        assert (ended["recording"], ended["last"]) == (None, None)
        assert "purged" in ended["why"]
        assert served.context.recording is None
        assert talk.record() == number + 1


@pytest.mark.parametrize("bad", [b"", b"GIF89a", b"\xff\xd8\xff" + b"\0" * 100, b"\xff\xd8\xff\xe0\x00\x10JFIF"])
def test_a_frame_that_is_no_jpeg_is_told_and_the_next_is_read(served, one_face, bad):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.frame(bad)
        assert talk.hear("bad")["why"]
        assert talk.view(one_face)["is"] == "view"


def test_bad_frames_without_an_end_close_the_socket(served, monkeypatch):
    monkeypatch.setattr(live, "BAD_FRAMES", 3)
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        for _ in range(4):
            talk.frame(b"no picture")
            over = talk.hear()
        assert over["is"] == "over"


@pytest.mark.parametrize("size", [LARGEST_FRAME + 5, pytest.param(50_000_000, marks=pytest.mark.slow)])
def test_frames_that_are_too_large_close_the_socket(on_network, one_face, size):
    on_network.agree()
    with on_network.socket() as talk, on_network.socket() as other:
        talk.hear("ready")
        other.hear("ready")
        with pytest.raises(ClosedError) as closed:
            send_and_hear_out(talk, b"\xff\xd8\xff" + b"\0" * size)
        assert closed.value.code in (None, 1009)  # it may be cut off while it still sends
        assert other.view(one_face)["is"] == "view"


def _seconds(work):
    before = time.monotonic()
    work()
    return time.monotonic() - before


@pytest.mark.slow
def test_of_a_thousand_frames_a_second_only_the_newest_count(on_network, one_face):
    on_network.agree()
    frames = on_network.context.engine.frames
    with on_network.socket() as flood, on_network.socket() as calm:
        flood.hear("ready")
        calm.hear("ready")
        alone = [_seconds(lambda: calm.view(one_face)) for _ in range(10)]
        start, sent, took = time.monotonic(), 0, []
        stop = threading.Event()

        def pour():
            nonlocal sent
            while not stop.is_set():
                flood.frame(one_face)
                sent += 1

        def drain():
            while not stop.is_set():
                flood.hear()

        threads = [threading.Thread(target=work) for work in (pour, drain)]
        for thread in threads:
            thread.start()
        while time.monotonic() - start < 2:
            took.append(_seconds(lambda: calm.view(one_face)))
            time.sleep(max(0.1 - took[-1], 0))
        elapsed = time.monotonic() - start
        stop.set()
        for thread in threads:
            thread.join()
    assert sent > 40 * elapsed
    read = on_network.context.engine.frames - frames
    assert read <= 2 * live.MOST_FPS * 1.15 * elapsed + 2
    assert np.median(took) < 20 * np.median(alone) + 1 / live.MOST_FPS, "a flood of another keeps nobody waiting"


@pytest.mark.slow
def test_a_socket_that_never_reads_is_closed_and_harms_nobody(on_network, one_face, monkeypatch):
    monkeypatch.setattr(live, "SENDING", 0.3)
    monkeypatch.setattr(live, "MOST_FPS", 1000.0)
    monkeypatch.setattr(live, "described", lambda view: {"padding": "x" * 2_000_000})
    on_network.agree()
    access = on_network.context.access
    with socket.create_connection(("127.0.0.1", access.port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = (
            f"GET /live/frames HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\nOrigin: {on_network.origin}\r\n"
            f"Cookie: {access.cookie}={access.session}\r\n\r\n"
        )
        raw.sendall(request.encode())
        payload = struct.pack("<I", 1) + one_face
        head = struct.pack("!BBH", 0x82, 0x80 | 126, len(payload)) + b"\0\0\0\0"
        raw.settimeout(5)
        end = time.monotonic() + 15
        try:
            while on_network.context.streams == 0 or time.monotonic() < end:
                raw.sendall(head + payload)
                time.sleep(0.02)
                if on_network.context.streams == 0 and on_network.context.engine.frames > 2:
                    break
        except OSError:
            pass  # closed by the app
        while on_network.context.streams and time.monotonic() < end:
            time.sleep(0.05)
    assert on_network.context.streams == 0


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_recording_goes_on_when_there_is_room(served, one_face, monkeypatch):
    served.agree()
    original, full = served.store.append, threading.Event()

    def append(*args):
        if full.is_set():
            raise StoreError("app.db: the disk is full; what was stored before is safe. Make room and try again")
        original(*args)

    monkeypatch.setattr(served.store, "append", append)
    with served.socket() as talk:
        talk.hear("ready")
        number = talk.record()
        full.set()
        said, end = [], time.monotonic() + 6
        while time.monotonic() < end and len(said) < 2:
            talk.frame(one_face)
            message = talk.hear()
            if message["is"] == "said":
                said.append(message["words"])
                full.clear()
        talk.tell("stop")
        talk.hear("recording")
    assert "disk is full" in said[0]
    assert "saved again" in said[1]
    seconds = served.store.seconds(number)
    assert [one.index for one in seconds] == list(range(len(seconds)))


@pytest.mark.slow
def test_a_locked_database_stops_neither_the_view_nor_the_recording(served, one_face):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        number = talk.record()
        talk.view(one_face)
        holder = Database(served.store.path)
        took = []
        with holder.write():
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                before = time.monotonic()
                assert talk.view(one_face)["is"] == "view"
                took.append(time.monotonic() - before)
        holder.close()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            talk.view(one_face)
        talk.tell("stop")
        talk.hear("recording")
    assert len(took) > 3, "a view that waits for the lock takes the 2.5 s that it is held"
    seconds = served.store.seconds(number)
    assert len(seconds) >= 3
    assert [one.index for one in seconds] == list(range(len(seconds)))


@pytest.mark.slow
def test_a_wall_clock_that_jumps_back_disturbs_nothing(tmp_path, haar, new_database, one_face):
    now = [1_800_000_000.0]
    with running(tmp_path, haar, database=new_database, clock=lambda: now[0]) as served:
        served.agree()
        with served.socket() as talk:
            talk.hear("ready")
            number = talk.record()
            talk.view(one_face)
            now[0] -= 3600
            end = time.monotonic() + 1.3
            while time.monotonic() < end:
                assert talk.view(one_face)["is"] == "view"
            talk.tell("pause")
            assert talk.hear("paused")["paused"]
            talk.tell("resume")
            assert not talk.hear("paused")["paused"]
            talk.tell("stop")
            talk.hear("recording")
        assert [one.index for one in served.store.seconds(number)][:2] == [0, 1]


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"do": "explode"}', '{"do": 7}', "{}"])
def test_commands_that_are_none_end_the_session_in_words(served, text):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.line.send(text)
        assert "load the page again" in talk.hear("over")["why"]


@pytest.mark.parametrize(
    "command", [{"do": "point", "x": 7, "y": 0}, {"do": "point"}, {"do": "point", "x": "left", "y": 0}, {"do": "note"}]
)
def test_commands_that_cannot_be_done_are_answered_in_words(served, one_face, command):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.line.send(json.dumps(command))
        assert talk.hear("said")["words"]
        assert talk.view(one_face)["is"] == "view"


def test_pointing_chooses_whose_face_is_read(served, astronaut):
    served.agree()
    two = jpeg(on_canvas(astronaut, faces=2))
    with served.socket() as talk:
        talk.hear("ready")
        view = until_read(talk, two)
        ((x, y, width, height),) = view["others"]
        talk.tell("point", x=(x + width / 2) / 640, y=(y + height / 2) / 480)
        talk.view(two)
        moved = talk.view(two)
        assert abs(moved["own"]["box"][0] - x) < 0.3 * width
        assert abs(moved["others"][0][0] - view["own"]["box"][0]) < 0.3 * width


def test_what_the_network_looked_at_comes_on_demand(served, one_face):
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        assert "map" not in until_read(talk, one_face)
        talk.tell("map", on=True)
        maps = [view["map"] for view in (talk.view(one_face) for _ in range(8)) if "map" in view]
        assert maps
        shares = np.array(maps[0]["shares"])
        assert maps[0]["expression"] == "happy"
        assert shares.ndim == 2
        assert (shares.min() >= 0, shares.max()) == (True, 1)
        (left, top), (right, _), (_, bottom) = maps[0]["corners"]
        assert 150 < left < right < 500
        assert 50 < top < bottom < 430
        talk.tell("map", on=False)
        talk.view(one_face)
        assert "map" not in talk.view(one_face)


def test_a_model_without_maps_says_so(served, one_face, monkeypatch):
    from mien.core.errors import ModelError

    def none(*_):
        raise ModelError("no maps")

    monkeypatch.setattr(OnnxClassifier, "features", none)
    served.agree()
    with served.socket() as talk:
        talk.hear("ready")
        talk.tell("map", on=True)
        assert "cannot show what it looked at" in talk.hear("said")["words"]
        assert talk.view(one_face)["is"] == "view"


def test_a_consent_to_fewer_days_does_not_count(served):
    served.agree()
    served.store.change_settings(retention_days=30)
    with served.socket() as talk:
        assert "read it and consent anew" in talk.hear("over")["why"]
    shown = show(served.store.terms(), now=time.time())
    served.store.keep(shown)
    served.store.keep(shown.give(time.time()))
    with served.socket() as talk:
        assert talk.hear()["is"] == "ready"
