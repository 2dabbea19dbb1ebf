"""``mien bulk`` as a user runs it."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from mien.cli import bulk
from mien.core.errors import PolicyError


@pytest.fixture
def mien():
    app = typer.Typer()
    app.callback()(lambda: None)
    bulk.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["bulk", *map(str, arguments)])


def test_plan_says_what_there_is_and_what_is_left_out(mien, tmp_path):
    for name in ("a.png", "b.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"123")
    said = mien("plan", tmp_path).stdout
    assert "1 picture and 1 video, 0.0 MB" in said
    assert "1 file left out: 1 .txt, neither picture nor video" in said
    assert json.loads(mien("plan", tmp_path, "--json").stdout)["left_out"] == {".txt": 1}


def test_what_the_law_refuses_is_refused_by_its_name(mien, tmp_path):
    done = mien("run", tmp_path, "--out", tmp_path / "out", "--purpose", "workplace", "--place", "eu")
    assert isinstance(done.exception, PolicyError)
    assert str(done.exception).startswith("bulk work is not offered for the workplace: AI Act Art. 5(1)(f)")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("every", ["0s", "-1s", "0fps", "often"])
def test_an_impossible_cadence_is_a_wrong_usage(mien, tmp_path, every):
    done = mien("run", tmp_path, "--out", tmp_path / "o", "--purpose", "research", "--place", "eu", "--every", every)
    assert done.exit_code == 2
