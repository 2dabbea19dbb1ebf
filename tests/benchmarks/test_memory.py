"""Memory does not grow with what is read: slices of the hour of video and of the 20,000 pictures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tables


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize(
    ("name", "amount"), [("video_memory", ["--frames", "3000"]), ("read_memory", ["--pictures", "1500"])]
)
def test_memory_stays_flat_after_the_warm_up(tmp_path, name, amount):
    program = str(tables.ROOT / "benchmarks" / f"{name}.py")
    command = [sys.executable, program, *amount, "--detector", "haar", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(measured["resident_mb"]) >= 40
    assert measured["growth_mb"] < measured["growth_mb_goal"]
