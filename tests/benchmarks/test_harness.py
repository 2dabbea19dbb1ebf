from __future__ import annotations

import json
import statistics
import sys

import pytest

import harness


def test_percentiles_are_those_of_the_standard_library():
    samples = [float((7 * i) % 101) for i in range(101)]
    cuts = statistics.quantiles(samples, n=20, method="inclusive")
    assert harness.percentiles(samples) == pytest.approx({"p50": cuts[9], "p95": cuts[18]})


def test_a_child_is_charged_for_its_own_memory_only():
    ballast = b"x" * 200_000_000
    small = harness.child([sys.executable, "-S", "-c", "pass"])
    large = harness.child([sys.executable, "-S", "-c", "ballast = b'x' * 100_000_000"])
    assert small.peak_mb < 50 < 100 < large.peak_mb < 150 < len(ballast) / 1e6
    assert small.cpu_seconds > 0


def test_a_child_that_fails_says_why():
    with pytest.raises(RuntimeError, match="ended with 3: no luck"):
        harness.child([sys.executable, "-c", "import sys; sys.stderr.write('no luck'); sys.exit(3)"])


def test_a_result_says_where_it_was_measured(tmp_path):
    harness.write("nothing", {"rows": []}, folder=tmp_path)
    found = json.loads((tmp_path / "nothing.json").read_text())
    assert found["benchmark"] == "nothing"
    assert found["rows"] == []
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["onnxruntime"]
    assert {"time", "commit"} < set(found)
