"""Each program measures, on next to nothing; and what it writes makes a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import framing
import tables
from mien.core.preprocess import TEMPLATE

PROGRAMS = {
    "crops": (tables.crops_table, ["tiny", "--rounds", "3"]),
    "cold": (tables.cold_table, ["--runs", "2"]),
    "folder": (tables.folder_table, ["--pictures", "10"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_measures(name, tmp_path):
    table, options = PROGRAMS[name]
    program = tables.ROOT / "benchmarks" / f"{name}.py"
    command = [sys.executable, str(program), *options, "--out", str(tmp_path / tables.RESULTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| --- |" in table(tmp_path)


def test_a_landmark_template_is_made_symmetric():
    points = np.array([[0.3, 0.4], [0.68, 0.36], [0.51, 0.6], [0.35, 0.76], [0.65, 0.76]])
    expected = [[0.31, 0.38], [0.69, 0.38], [0.5, 0.6], [0.35, 0.76], [0.65, 0.76]]
    np.testing.assert_allclose(framing.symmetric(points), expected)


def test_the_template_in_use_is_the_measured_one():
    measured = json.loads((Path(framing.__file__).parent / "results" / "framing.json").read_text())
    np.testing.assert_allclose(TEMPLATE, measured["yunet"]["template"], atol=0.005)
