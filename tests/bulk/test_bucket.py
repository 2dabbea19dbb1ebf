"""Inputs and outputs on a bucket: moto's S3 server over HTTP, slow, and with answers that it owes."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from bulk.outputs import bulk, rows_of
from mien.bulk import Output, find_items
from mien.core import BulkError

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")
werkzeug = pytest.importorskip("werkzeug.serving")


class Breaking:
    """Each answer takes a moment, and of some requests it is that the server is busy."""

    def __init__(self, app, every: int) -> None:
        self._app = app
        self._every = every
        self._counts = itertools.count(1)
        self.refused = 0

    def __call__(self, environ, start_response):
        time.sleep(0.005)
        if next(self._counts) % self._every == 0:
            self.refused += 1
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return self._app(environ, start_response)


@pytest.fixture(scope="module")
def server():
    app = Breaking(moto.DomainDispatcherApplication(moto.create_backend_app), every=9)
    made = werkzeug.make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", app
    made.shutdown()
    thread.join()


@pytest.fixture
def bucket(server, inputs, monkeypatch):
    """A bucket with the inputs in it."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": server[0],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    if not fs.exists("sessions"):
        fs.mkdir("sessions")
        fs.put(str(inputs) + "/", "sessions/in/", recursive=True)
    yield fs
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_a_bucket_gives_the_rows_of_a_folder_though_the_server_is_busy_now_and_then(
    bucket, server, toy, tmp_path, undisturbed
):
    out = "s3://sessions/out"
    status = bulk("s3://sessions/in", out, toy)
    assert (status.read, status.bad) == (9, 1)
    assert server[1].refused > 0
    told = []
    assert bulk("s3://sessions/in", out, toy, progress=told.append) == status
    assert told == []
    Output(out).compact()
    assert len([name for name in bucket.ls("sessions/out/items", detail=False) if name.endswith(".parquet")]) == 1
    there, here = rows_of(out, tmp_path / "there"), rows_of(undisturbed[1], tmp_path / "here")
    assert _numbers(there["faces"]) == _numbers(here["faces"])
    assert {row["uri"] for row in there["items"]} == {f"s3://{name}" for name in bucket.find("sessions/in")}


def _numbers(rows):
    """Rows without the addresses, in an order that does not depend on them."""
    names = ("frame", "time", "box_x", "box_y", "happy", "smoothed_happy", "expression", "held")
    return sorted([[str(row[name]) for name in names] for row in rows])


@pytest.mark.slow
def test_what_is_wrong_with_a_bucket_is_one_sentence(bucket, inputs, toy, monkeypatch):
    with pytest.raises(BulkError, match="s3://nowhere/out: no such bucket"):
        bulk(inputs / "0.png", "s3://nowhere/out", toy)
    with pytest.raises(BulkError, match="s3://nowhere/in: no such bucket"):
        list(find_items(["s3://nowhere/in"]))
    with pytest.raises(BulkError, match="s3://sessions/none: no output of mien bulk"):
        Output("s3://sessions/none")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    bucket.clear_instance_cache()
    with pytest.raises(BulkError, match="set the credentials of the store"):
        list(find_items(["s3://sessions/in"]))
