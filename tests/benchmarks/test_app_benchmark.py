"""The app's benchmark: its parts by hand, and the table that is made of what it measures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

import app_speed
import app_tables
import tables
from app_load import pack, unpack
from runtime.toys import yunet_file


def test_frames_come_out_of_their_file_as_they_went_in():
    frames = [b"", b"one", b"\0" * 300]
    assert unpack(pack(frames)) == frames


def test_memory_of_one_more_browser_is_the_slope():
    loads = [{"streams": n, "resident_mb": 100 + 1.5 * n} for n in (1, 4, 12)]
    assert app_speed.slope(loads) == pytest.approx(1.5)
    assert app_speed.slope(loads[:1]) is None


def test_the_clip_is_what_a_camera_sends():
    frames = app_speed.jpegs(3)
    assert frames[1] == frames[3]
    assert len(set(frames)) == 3
    assert all(frame.startswith(b"\xff\xd8\xff") and 15_000 < len(frame) < 100_000 for frame in frames)


@pytest.mark.slow
def test_it_measures_and_what_it_writes_makes_the_tables(tmp_path, monkeypatch):
    home = tmp_path / "home" / "models"
    home.mkdir(parents=True)
    shutil.copy(yunet_file(), home)
    monkeypatch.setenv("MIEN_HOME", str(home.parent))
    program = tables.ROOT / "benchmarks" / "app_speed.py"
    options = ["--streams", "1", "2", "--seconds", "2", "--frames", "40", "--loads", "1"]
    command = [sys.executable, str(program), *options, "--out", str(tmp_path / tables.RESULTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / tables.RESULTS / "app.json").read_text())
    assert [one["streams"] for one in found["loads"]] == [1, 2]
    assert all(one["read"] > 0.9 for one in found["loads"])
    assert found["frame"][0]["read"] > 0.8
    assert app_tables.goals(tmp_path).count("|") > 20
    assert app_tables.loads(tmp_path).count("\n") == 3


def test_the_documents_table_is_the_measured_one():
    command = [sys.executable, str(tables.ROOT / "benchmarks" / "app_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
