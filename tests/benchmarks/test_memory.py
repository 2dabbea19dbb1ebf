"""Memory does not grow with what is watched: a slice of the hour of video."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tables


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_memory_stays_flat_after_the_warm_up(tmp_path):
    program = str(tables.ROOT / "benchmarks" / "video_memory.py")
    command = [sys.executable, program, "--frames", "3000", "--detector", "haar", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "video_memory.json").read_text())
    assert len(measured["resident_mb"]) >= 40
    assert measured["growth_mb"] < measured["growth_mb_goal"]
