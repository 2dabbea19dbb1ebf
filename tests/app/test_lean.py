"""The app needs figures and pages alone, of what the extra ``report`` brings."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def test_every_page_opens_without_scikit_learn_scipy_and_pyarrow():
    command = [sys.executable, str(HERE / "lean_child.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    status, words = answers.pop("/recordings/1/export.parquet")
    assert status == 400
    assert "writing Parquet needs pyarrow, which is not installed" in words
    assert "mien[parquet]" in words
    assert {path: status for path, (status, _) in answers.items() if status != 200} == {}


def test_the_app_asks_for_no_more():
    extras = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [need for need in extras["app"] if need.startswith("mien")] == ["mien[plots]"]
    assert extras["report"] == ["mien[plots,parquet,stats]"]
