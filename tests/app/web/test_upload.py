"""Pictures and videos that are handed over: read, limited, forgotten, and told in one documented schema."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import av
import cv2
import httpx
import numpy as np
import pytest
from PIL import Image as Pil

from app.serving import jpeg, on_canvas
from core.encoded import heic, save
from mien import Recognizer
from mien.app.law.audit import Action
from mien.app.live import own_files
from mien.app.live.own_files import is_picture, read_own_file
from mien.core.errors import MienError, PictureError, VideoError
from mien.core.policy import Purpose
from mien.runtime.stream.watcher import Watcher
from runtime.streams import moving_faces, write_video
from runtime.toys import png_header


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """Two seconds of a moving face as MP4."""
    pytest.importorskip("skimage.data")
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", moving_faces(50), fps=25).read_bytes()


def ask(served, data: bytes, **options) -> httpx.Response:
    """As a program asks."""
    with served.program() as program:
        return program.post("/v1/read", content=data, **options)


def test_a_picture_is_read_as_everywhere_else(on_network, one_face, haar):
    on_network.agree()
    answer = ask(on_network, one_face)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["schema"], body["mien"]) == (1, "0.1.0")
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(one_face, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    (frame,) = body["frames"]
    assert frame == haar.read(decoded).to_dict()
    assert frame["faces"][0]["readings"][0]["expression"] == "happy"


def test_a_face_that_was_cut_out_is_read_as_it_is(served, haar, astronaut):
    served.agree()
    crop = np.ascontiguousarray(astronaut[60:190, 165:285])
    data = cv2.imencode(".png", crop[..., ::-1])[1].tobytes()
    (frame,) = ask(served, data, params={"detector": "whole"}).json()["frames"]
    assert frame == Recognizer(haar.models, detector="whole").read(crop).to_dict()
    assert frame["faces"][0]["box"] == [0, 0, 120, 130]
    assert ask(served, data, params={"detector": "halves"}).status_code == 400


@pytest.mark.parametrize(("kind", "package"), [("AVIF", "PIL"), ("HEIC", "pillow_heif")])
def test_a_phones_picture_is_read_or_refused_by_its_name(kind, package, haar, astronaut, monkeypatch):
    pytest.importorskip("pillow_heif")
    picture = Pil.fromarray(on_canvas(astronaut))
    data = save(picture, "AVIF") if kind == "AVIF" else heic(picture)
    assert is_picture(data)
    (frame,) = read_own_file(haar, data)
    assert [face.reading.expression for face in frame.faces] == ["happy"]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PictureError, match=rf"the upload: reading {kind} needs pillow.*pip install 'mien\[heif\]'"):
        read_own_file(haar, data)


def test_the_answer_is_what_the_document_says(served, one_face, film):
    served.agree()
    with served.client() as client:
        schemas = client.get("/v1/openapi.json").json()["components"]["schemas"]
    for data in (one_face, film):
        body = ask(served, data).json()
        fits(body, schemas["Answer"], schemas)
    fits(ask(served, b"").json(), schemas["Failure"], schemas)


def fits(value, schema, schemas):
    """A small reading of JSON schema: references, alternatives, arrays, objects with all their keys, plain types."""
    if "$ref" in schema:
        return fits(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        kinds = [one for one in schema["anyOf"] if (one.get("type") == "null") == (value is None)]
        return fits(value, kinds[0], schemas)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        assert set(value) == set(schema["properties"])
        for key, part in schema["properties"].items():
            fits(value[key], part, schemas)
    elif kind == "object":
        for part in value.values():
            fits(part, schema["additionalProperties"], schemas)
    elif kind == "array":
        for part in value:
            fits(part, schema["items"], schemas)
    else:
        types = {"string": str, "number": int | float, "integer": int, "boolean": bool, "null": type(None)}
        assert isinstance(value, types[kind]), (value, schema)
    return None


def test_a_video_is_followed_and_told_each_second(served, film):
    served.agree()
    frames = ask(served, film, params={"every": 0.5}).json()["frames"]
    assert {0.0, 0.5, 1.0, 1.5} <= {round(frame["time"], 1) for frame in frames} <= {at / 10 for at in range(20)}
    assert {face["track"]["id"] for frame in frames for face in frame["faces"]} == {1}
    assert frames[-1]["faces"][0]["track"]["smoothed"]["expression"] == "happy"
    assert any(event["kind"] == "began" for frame in frames for event in frame["events"])


@pytest.mark.parametrize("codec", ["matroska", "avi"])
def test_other_containers_are_read(haar, film, tmp_path, codec):
    ending = {"matroska": "mkv", "avi": "avi"}[codec]
    path = write_video(tmp_path / f"film.{ending}", moving_faces(12), fps=12)
    frames = read_own_file(haar, path.read_bytes(), every=0.5)
    assert len(frames) >= 2
    assert all(len(frame) == 1 for frame in frames)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"hello, I am no picture", "neither a picture nor a video"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 40, "the upload"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "the upload"),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 64, "the upload"),
        (b"\x1aE\xdf\xa3" + b"\0" * 64, "the upload"),
        (b"#EXTM3U\nhttp://evil.example/a.ts\n", "neither a picture nor a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "neither a picture nor a video"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither a picture nor a video"),
    ],
)
def test_what_is_neither_is_refused_in_words(served, data, words):
    served.agree()
    answer = ask(served, data)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
    assert Action.UPLOADED not in {entry.action for entry in served.store.audit()}


def test_a_film_that_is_cut_short_is_read_as_far_as_it_goes_or_refused(haar, film):
    whole = len(read_own_file(haar, film, every=0.1))
    for share in (0.3, 0.6, 0.9):
        with contextlib.suppress(VideoError):
            assert 0 < len(read_own_file(haar, film[: int(share * len(film))], every=0.1)) <= whole


def test_limits_hold_before_anything_is_decoded(haar, film, monkeypatch):
    with pytest.raises(PictureError, match=r"10000 x 10000 is 100.0 megapixels and the limit is 40.0$"):
        read_own_file(haar, png_header(10_000, 10_000))
    monkeypatch.setattr(own_files, "LARGEST_PICTURE", 1000)
    with pytest.raises(PictureError, match="at most"):
        read_own_file(haar, b"\xff\xd8\xff" + b"\0" * 1000)
    monkeypatch.setattr(own_files, "LARGEST_VIDEO", 1000)
    with pytest.raises(VideoError, match="at most"):
        read_own_file(haar, film)
    monkeypatch.setattr(own_files, "LARGEST_VIDEO", 10**8)
    monkeypatch.setattr(own_files, "MOST_VIDEO_PIXELS", 1000)
    with pytest.raises(VideoError, match="480 x 320 pixels"):
        read_own_file(haar, film)
    monkeypatch.setattr(own_files, "MOST_VIDEO_PIXELS", 10**7)
    monkeypatch.setattr(own_files, "MOST_SECONDS", 1.0)
    with pytest.raises(VideoError, match="longer than the 1 s"):
        read_own_file(haar, film)


def test_uploads_that_wait_do_not_hold_up_the_live_view(served, monkeypatch):
    at_once, reading, go_on = [], threading.Event(), threading.Event()

    def slow(*_, **__):
        at_once.append(len(at_once))
        reading.set()
        assert go_on.wait(20)
        return []

    monkeypatch.setattr("mien.app.web.api.read_own_file", slow)
    served.agree()
    waiting = min(32, (os.cpu_count() or 1) + 4) + 2  # more than there are threads in the event loop's own pool
    with served.socket() as talk, ThreadPoolExecutor(waiting) as pool:
        talk.hear("ready")
        answers = [pool.submit(ask, served, b"x") for _ in range(waiting)]
        try:
            assert reading.wait(10)
            time.sleep(0.5)
            talk.tell("pause")
            assert talk.hear("paused", timeout=5)["paused"] is True
            assert at_once == [0]
        finally:
            go_on.set()
        assert [upload.result().status_code for upload in answers] == [200] * waiting


def test_an_upload_that_does_not_arrive_lets_the_next_one_in(on_network, one_face, monkeypatch):
    monkeypatch.setattr("mien.app.web.api.ARRIVING", 0.5)
    on_network.agree()
    access = on_network.context.access
    with socket.create_connection(("127.0.0.1", access.port), timeout=20) as stalled:
        head = f"POST /v1/read HTTP/1.1\r\nhost: 127.0.0.1:{access.port}\r\nauthorization: Bearer {access.token}\r\n"
        stalled.sendall(f"{head}content-length: 9\r\n\r\n".encode())
        time.sleep(0.2)
        assert ask(on_network, one_face).status_code == 200
        assert b"did not arrive within 0.5 s" in b"".join(iter(lambda: stalled.recv(4096), b""))


def test_nothing_of_an_upload_touches_the_disk(served, one_face, film, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    served.agree()
    before = {path for path in tmp_path.rglob("*") if "app.db" not in path.name}
    assert ask(served, one_face).status_code == ask(served, film).status_code == 200
    assert {path for path in tmp_path.rglob("*") if "app.db" not in path.name} == before
    assert one_face[:200] not in served.store.path.read_bytes()


def test_the_page_reads_only_what_was_agreed_to(served, one_face):
    served.agree()
    with served.client() as client:
        refused = client.post("/upload/read", content=one_face)
        assert (refused.status_code, "agreed" in refused.json()["error"]) == (403, True)
        assert client.post("/upload/read?agreed=yes", content=one_face).status_code == 200
    uploaded = [entry for entry in served.store.audit() if entry.action is Action.UPLOADED]
    assert len(uploaded) == 1
    assert dict(uploaded[0].details) == {}


@pytest.mark.parametrize("purpose", [None, Purpose.WORKPLACE, Purpose.EDUCATION])
def test_no_face_is_read_for_a_purpose_that_does_not_allow_it(served, one_face, monkeypatch, purpose):
    monkeypatch.setattr(Recognizer, "read", lambda *_: pytest.fail("a face was read"))
    if purpose is not None:
        served.store.change_settings(purpose=purpose)
    assert ask(served, one_face).status_code == 403
    with served.client() as client:
        assert client.post("/upload/read?agreed=yes", content=one_face).status_code == 403
        assert client.get("/upload").status_code == 403


def test_without_a_consent_that_covers_it_nothing_is_read_and_the_words_are_those_of_the_live_view(
    served, one_face, monkeypatch
):
    monkeypatch.setattr(Recognizer, "read", lambda *_: pytest.fail("a face was read"))

    def refused(words: str) -> None:
        answer = ask(served, one_face)
        assert answer.status_code == 403
        assert words in answer.json()["error"]
        with served.client() as client:
            assert client.post("/upload/read?agreed=yes", content=one_face).json()["error"] == answer.json()["error"]
        if "paused" not in words:
            with served.socket() as talk:
                assert talk.hear("over")["why"] == answer.json()["error"]

    served.store.change_settings(purpose=Purpose.SELF_REFLECTION)
    refused("consent has not been given yet")
    with served.client() as client:
        assert client.get("/upload").headers["location"] == "/consent"
    served.agree()
    served.store.pause()
    refused("the analysis is paused")
    served.store.resume()
    served.store.change_settings(retention_days=30)
    refused("read it and consent anew")
    served.store.change_settings(retention_days=7)
    served.store.withdraw(served.store.consent())
    refused("consent was withdrawn")


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        (lambda store: store.withdraw(store.consent()), "consent was withdrawn"),
        (lambda store: store.pause(), "paused"),
        (lambda store: store.change_settings(purpose=Purpose.WORKPLACE), "Art. 5(1)(f)"),
    ],
)
def test_what_is_taken_back_stops_an_upload_that_is_being_read(served, film, monkeypatch, stop, words):
    looks = []

    def step(watcher, shot):
        looks.append(shot.index)
        if len(looks) == 4:
            stop(served.store)
        return original(watcher, shot)

    original = Watcher.step
    monkeypatch.setattr(Watcher, "step", step)
    served.agree()
    answer = ask(served, film)
    assert (answer.status_code, words in answer.json()["error"]) == (403, True)
    assert looks == [0, 1, 2, 3]
    assert Action.UPLOADED not in {entry.action for entry in served.store.audit()}


def test_a_reading_that_is_done_when_it_is_taken_back_is_not_given_out(served, one_face, monkeypatch):
    def read(recognizer, picture):
        served.store.withdraw(served.store.consent())
        return original(recognizer, picture)

    original = Recognizer.read
    monkeypatch.setattr(Recognizer, "read", read)
    served.agree()
    answer = ask(served, one_face)
    assert (answer.status_code, set(answer.json())) == (403, {"schema", "error"})


@pytest.mark.parametrize("every", ["0", "-1", "61", "often"])
def test_a_wrong_cadence_is_refused(served, one_face, every):
    served.agree()
    answer = ask(served, one_face, params={"every": every})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("every: ")


def test_pictures_are_told_by_their_beginning(one_face, film, astronaut):
    png = cv2.imencode(".png", astronaut)[1].tobytes()
    webp = cv2.imencode(".webp", astronaut)[1].tobytes()
    assert all(is_picture(data) for data in (one_face, png, webp))
    assert not any(is_picture(data) for data in (film, b"", b"RIFF....AVI "))


def test_a_playlist_inside_a_container_opens_nothing(haar, tmp_path, monkeypatch):
    opened = []
    original = av.open
    monkeypatch.setattr(av, "open", lambda file, *a, **k: opened.append(type(file).__name__) or original(file, *a, **k))
    with pytest.raises(MienError):
        read_own_file(haar, b"\0\0\0\x18ftypmp42" + b"#EXTM3U\nfile:///etc/passwd\n" * 20)
    assert opened == ["BytesIO"]


def test_several_faces_are_all_told(served, astronaut):
    served.agree()
    (frame,) = ask(served, jpeg(on_canvas(astronaut, faces=2))).json()["frames"]
    assert len(frame["faces"]) == 2
