"""Pulling from a real server on this machine and from files; and every way in which it can fail."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from mien.core.errors import ChecksumError, DownloadError, UnknownModelError
from mien.core.places import models_folder
from mien.runtime.inference import library
from mien.runtime.inference.library import entries, entry, open_model, verify
from mien.runtime.inference.pull import pull

CONTENT = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """``/whole`` serves the content, ``/cut`` breaks off half-way, ``/other`` is as long and different."""

    def do_GET(self):
        if self.path not in ("/whole", "/cut", "/other"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        whole = CONTENT[::-1] if self.path == "/other" else CONTENT
        self.wfile.write(whole[: len(whole) // 2] if self.path == "/cut" else whole)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def record(home, server, monkeypatch):
    """The yunet record, pointing at the server."""
    changed = replace(
        library.PULLABLE["yunet"],
        url=f"{server}/whole",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        bytes=len(CONTENT),
    )
    monkeypatch.setitem(library.PULLABLE, "yunet", changed)
    return changed


def leftovers():
    return [p.name for p in models_folder().iterdir()]


def test_from_its_publisher(record, home):
    seen = []
    path = pull("yunet", progress=lambda done, total: seen.append((done, total)))
    assert path == home / "models" / record.file
    assert path.read_bytes() == CONTENT
    assert leftovers() == [record.file]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert entry("yunet").state == "pulled"


def test_from_a_mirror_and_from_a_file(record, server, tmp_path):
    file = tmp_path / "copy.onnx"
    file.write_bytes(CONTENT)
    for source in (f"{server}/whole", str(file)):
        path = pull("yunet", source=source)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_the_real_yunet_from_a_file(home, yunet):
    pull("yunet", source=str(yunet))
    assert dict(verify())["yunet"] is None


def test_an_interrupted_download_leaves_nothing(record, server):
    with pytest.raises(DownloadError, match=r"only 128,000 bytes, yunet has 256,000"):
        pull("yunet", source=f"{server}/cut")
    assert leftovers() == []
    assert entry("yunet").state == "not pulled"


def test_ctrl_c_leaves_nothing(record):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("yunet", progress=interrupt)
    assert leftovers() == []


def test_a_failed_pull_keeps_what_was_there(record, server):
    pull("yunet")
    with pytest.raises(ChecksumError, match="nothing was kept"):
        pull("yunet", source=f"{server}/other")
    assert record.path.read_bytes() == CONTENT
    assert leftovers() == [record.file]


def test_a_longer_file_is_another_file(record, tmp_path):
    file = tmp_path / "long"
    file.write_bytes(CONTENT + b"more")
    with pytest.raises(DownloadError, match="another file"):
        pull("yunet", source=str(file))
    assert leftovers() == []


def test_an_answer_that_is_no_file(record, server):
    with pytest.raises(DownloadError, match=r"answered 404.*--from FILE"):
        pull("yunet", source=f"{server}/nowhere")


def test_offline_says_what_to_do(record, monkeypatch):
    monkeypatch.setitem(library.PULLABLE, "yunet", replace(record, url="http://127.0.0.1:9/yunet"))
    with pytest.raises(DownloadError, match=r"cannot be reached \(.*refused.*mien models pull yunet --from FILE"):
        pull("yunet")
    assert leftovers() == []


def test_a_missing_file_and_an_unknown_name(record, tmp_path):
    with pytest.raises(DownloadError, match="--from takes a file or an http"):
        pull("yunet", source=str(tmp_path / "gone"))
    with pytest.raises(UnknownModelError, match="did you mean 'yunet'"):
        pull("yunnet")


def test_the_published_record_is_that_of_the_real_file(yunet):
    real = library.PULLABLE["yunet"]
    assert hashlib.sha256(yunet.read_bytes()).hexdigest() == real.sha256
    assert (yunet.stat().st_size, yunet.name) == (real.bytes, real.file)


def test_verify_finds_damage(record, make_model, home):
    pull("yunet")
    manifest = make_model("mine")
    for file in manifest.parent.iterdir():
        (home / "models" / file.name).write_bytes(file.read_bytes())
    assert {name: error for name, error in verify() if name in ("mine", "yunet")} == {"mine": None, "yunet": None}
    assert entry("mine").state == "pulled"
    assert open_model("mine").name == "mine"
    record.path.write_bytes(CONTENT[1:])
    (home / "models" / "mine.onnx").write_bytes(b"")
    found = dict(verify())
    assert isinstance(found["yunet"], ChecksumError)
    assert isinstance(found["mine"], ChecksumError)


def test_unknown_entries_name_the_nearest(home):
    assert "yunet" in [e.name for e in entries()]
    with pytest.raises(UnknownModelError, match="did you mean 'yunet'"):
        entry("yunett")


def test_without_mien_home_it_is_the_platforms_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MIEN_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "mien" / "models"
