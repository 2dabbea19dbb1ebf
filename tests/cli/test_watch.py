"""``mien watch`` as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from mien.cli import watch
from mien.cli.keys import ended_by_user
from mien.cli.options import parse_seconds
from mien.core.errors import MienError
from mien.runtime.output.terminal import clock
from runtime.streams import moving_faces, write_video
from runtime.toys import write_model, yunet_file


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_faces(45))


@pytest.fixture
def mien(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    app = typer.Typer()
    app.callback()(lambda: None)
    watch.register(app)
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / yunet_file().name).symlink_to(yunet_file())
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))

    def run(*arguments: object) -> Result:
        threads = cv2.getNumThreads()
        try:
            return CliRunner().invoke(app, ["watch", *map(str, arguments), "--model", str(toy)])
        finally:
            cv2.setNumThreads(threads)

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_video_is_watched_to_its_end(mien, clip):
    result = mien(clip)
    assert result.exit_code == 0, result.output
    last = result.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"1\.5 s watched · 45 frames · 1 face · \d+ events? · [\d,]+ frames/s", last)


def test_everything_is_written(mien, clip, tmp_path):
    out = {kind: tmp_path / "out" / f"o.{kind}" for kind in ("csv", "jsonl", "parquet", "mp4")}
    options = [part for kind, path in out.items() for part in (f"--{kind.replace('mp4', 'video')}", path)]
    result = mien(clip, *options)
    assert result.exit_code == 0, result.output
    faces = [row for row in rows_of(out["csv"]) if row["row"] == "face"]
    assert [int(row["frame"]) for row in faces] == list(range(45))
    assert {row["track"] for row in faces} == {"1"}
    lines = [json.loads(line) for line in out["jsonl"].read_text().splitlines()]
    assert [line["time"] for line in lines] == pytest.approx([i / 30 for i in range(45)], abs=1e-4)
    assert out["parquet"].stat().st_size > 1000
    with av.open(str(out["mp4"])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 45


@pytest.mark.parametrize("option", ["--csv", "--jsonl", "--parquet", "--video"])
def test_an_output_that_exists_is_refused(mien, clip, tmp_path, option):
    path = tmp_path / "there.mp4"
    path.write_text("precious")
    result = mien(clip, option, path)
    assert result.exit_code == 1
    assert "--overwrite" in str(result.exception)
    assert path.read_text() == "precious"
    assert mien(clip, option, path, "--overwrite", "--seconds", "0.1").exit_code == 0
    assert path.read_bytes() != b"precious"


def test_a_source_that_fails_leaves_no_files(mien, tmp_path):
    broken = tmp_path / "v.mp4"
    broken.write_bytes(b"no video")
    result = mien(broken, "--csv", tmp_path / "o.csv")
    assert result.exit_code == 1
    assert isinstance(result.exception, MienError)
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize(
    ("source", "message"), [("63", "no such camera"), ("none.mp4", "no such file"), ("http://127.0.0.1:9/", "refused")]
)
def test_sources_that_cannot_be_opened(mien, source, message):
    result = mien(source)
    assert result.exit_code == 1
    assert message in str(result.exception)


def test_seconds_and_cadence(mien, clip, tmp_path):
    result = mien(clip, "--seconds", "0.5", "--detect-every", "5", "--csv", tmp_path / "o.csv", "--detector", "haar")
    assert result.exit_code == 0, result.output
    assert {row["frame"] for row in rows_of(tmp_path / "o.csv")} <= {str(i) for i in range(15)}


def test_samples_of_a_video(mien, clip, tmp_path):
    result = mien(clip, "--every", "0.5s", "--for", "1.2s", "--csv", tmp_path / "o.csv")
    assert result.exit_code == 0, result.output
    rows = [row for row in rows_of(tmp_path / "o.csv") if row["row"] == "face"]
    assert [float(row["time"]) for row in rows] == pytest.approx([0, 0.5, 1.0], abs=0.04)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--for", "8h"], "belongs to --every"),
        (["--every", "10m", "--show"], "rows only"),
        (["--every", "10m", "--seconds", "3"], "rows only"),
        (["--every", "soon"], "30s, 10m or 8h"),
        (["--every", "0m"], "30s, 10m or 8h"),
        (["--detect-every", "0"], "from 1 on"),
        (["--detect-every", "often"], "from 1 on"),
    ],
)
def test_contradictions_are_refused(mien, clip, options, message):
    result = mien(clip, *options)
    assert result.exit_code == 2
    assert message in re.sub(r"[\s│]+", " ", result.output)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("8h", 28800), ("1.5 h", 5400), ("7", 7)])
def test_durations(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(12.44, "12.4 s"), (60, "0:01:00"), (28_805.9, "8:00:05")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_events_are_told(mien, clip):
    result = mien(clip)
    for line in result.stdout.splitlines()[:-1]:
        assert re.fullmatch(r"\d+\.\d s  face 1: an expression like \w+ (began|ended)", line)


class EndlessCamera:
    """Stands for ``cv2.VideoCapture``; presses Ctrl-C once a file has rows."""

    def __init__(self, rows: Path) -> None:
        self._rows = rows
        self._pressed = False

    def __call__(self, number: int) -> EndlessCamera:
        return self

    def isOpened(self) -> bool:
        return True

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        if not self._pressed and self._rows.exists() and self._rows.read_bytes().count(b"\n") > 2:
            self._pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return True, np.zeros((48, 64, 3), dtype=np.uint8)

    def release(self) -> None:
        pass


def test_ctrl_c_ends_with_all_rows_on_disk(mien, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cv2, "VideoCapture", EndlessCamera(tmp_path / "o.csv"))
    result = mien("0", "--csv", tmp_path / "o.csv", "--parquet", tmp_path / "o.parquet")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "o.parquet").exists()
    assert not (tmp_path / "o.parquet.csv").exists()
    rows = rows_of(tmp_path / "o.csv")
    assert rows
    assert int(rows[-1]["frame"]) == len(rows) - 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_breaks_off():
    with ended_by_user() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


_PROGRAM = """
import sys
from mien.cli.keys import ended_by_user
with ended_by_user() as stop:
    print("ready", flush=True)
    sys.exit(0 if stop.wait(60) else 3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.filterwarnings("ignore:.*forkpty.*:DeprecationWarning")
def test_q_on_the_terminal_ends():
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", _PROGRAM])
    try:
        seen = b""
        while b"ready" not in seen:
            seen += os.read(terminal, 100)
        os.write(terminal, b"xq")
        _, status = os.waitpid(child, 0)
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def test_without_a_terminal_keys_are_left_alone():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("stop.wait(60)", "not stop.is_set()")],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0


def test_show_serves_the_page_and_closes_it(mien, clip, monkeypatch):
    from mien.runtime.output import mjpeg

    urls: list[str] = []

    class Watched(mjpeg.LivePage):
        def __init__(self) -> None:
            super().__init__()
            urls.append(self.url)
            self.seen = threading.Event()

        def write(self, frame, picture) -> None:
            assert picture().shape == (320, 480, 3)
            super().write(frame, picture)
            self.seen.set()

        def close(self) -> None:
            with urllib.request.urlopen(self.url, timeout=30) as answer:
                assert answer.status == 200
            super().close()

        @property
        def is_watched(self) -> bool:
            return True

    monkeypatch.setattr(mjpeg, "LivePage", Watched)
    began = time.monotonic()
    result = mien(clip, "--show", "--seconds", "0.4")
    assert time.monotonic() - began >= 0.3, "a file that is shown plays at its own pace"
    assert result.exit_code == 0, result.output
    assert f"open {urls[0]} in a browser" in result.stdout
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(urls[0], timeout=30)


def test_it_is_in_the_command():
    done = subprocess.run([sys.executable, "-m", "mien", "watch", "--help"], capture_output=True, text=True, check=True)
    assert "--detect-every" in done.stdout


def test_outputs_of_one_name_or_of_the_source_are_refused_first(mien, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    for options, says in (
        (["--csv", tmp_path / "x", "--jsonl", tmp_path / "x"], "--csv and --jsonl both name"),
        (["--parquet", tmp_path / "x", "--csv", tmp_path / "x.csv"], "both name"),
        (["--video", film, "--overwrite"], "film.mp4, which is read"),
    ):
        assert says in str(mien(film, *options).exception)
    assert film.read_bytes() == b"a film"
