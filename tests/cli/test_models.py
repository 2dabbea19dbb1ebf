"""``mien models`` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mien.cli import models
from mien.core.errors import DownloadError, UnknownModelError
from runtime.toys import write_model, yunet_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("MIEN_HOME", str(folder))
    return folder / "models"


@pytest.fixture
def mien(home: Path):
    app = typer.Typer()
    models.register(app)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["models", *map(str, arguments)], env={"COLUMNS": "160"})

    return run


def test_list_shows_licence_and_state(mien, home):
    line = next(line for line in mien("list").stdout.splitlines() if line.startswith("yunet"))
    assert "not pulled" in line
    assert "MIT (OpenCV Zoo)" in line
    write_model(home, "mine")
    listed = {entry["name"]: entry for entry in json.loads(mien("list", "--json").stdout)}
    assert (listed["mine"]["state"], listed["mine"]["licence"]) == ("pulled", "Apache-2.0")
    assert listed["yunet"]["state"] == "not pulled"


def test_show(mien, home):
    write_model(home, "mine")
    text = mien("show", "mine").stdout
    for fact in ("Apache-2.0", "trained on", "angry, disgust", "energy threshold"):
        assert fact in text
    assert json.loads(mien("show", "mine", "--json").stdout)["manifest"]["temperature"] == 1.5
    assert "github.com/opencv" not in mien("show", "mine").stdout
    assert "MIT" in mien("show", "yunet").stdout
    assert isinstance(mien("show", "mime").exception, UnknownModelError)


def test_show_tells_how_the_bundled_model_was_measured(mien):
    metrics = json.loads(mien("show", "tiny", "--json").stdout)["manifest"]["metrics"]
    assert {metric["split"] for metric in metrics} == {"public", "private"}
    text = mien("show", "tiny").stdout
    for metric in metrics:
        assert f"{metric['accuracy']:.1%}" in text
        assert metric["protocol"].split(";")[0] in text


def test_pull_from_a_file_and_verify(mien, home):
    result = mien("pull", "yunet", "--from", yunet_file())
    assert result.exit_code == 0, result.output
    assert "sha256 verified, licence MIT" in result.stdout
    assert mien("verify").stdout.splitlines()[-1] == "yunet: ok"
    assert "not pulled" not in mien("list").stdout


def test_verify_fails_on_damage(mien, home):
    path = write_model(home, "mine")
    shutil.copy(path, home / "mine.onnx")
    result = mien("verify")
    assert result.exit_code == 1
    assert "mien: mine: " in result.stderr


def test_pull_from_nowhere(mien, tmp_path):
    result = mien("pull", "yunet", "--from", tmp_path / "gone")
    assert isinstance(result.exception, DownloadError)
