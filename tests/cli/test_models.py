"""``mien models`` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mien.cli import models
from mien.core.errors import ConfigError, DownloadError, UnknownModelError
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
    assert "MIT (OpenCV Zoo)" in mien("show", "yunet").stdout
    write_model(home, "mine")
    listed = {entry["name"]: entry for entry in json.loads(mien("list", "--json").stdout)}
    assert (listed["mine"]["state"], listed["mine"]["licence"]) == ("pulled", "Apache-2.0")
    assert listed["yunet"]["state"] == "not pulled"


def test_show(mien, home):
    write_model(home, "mine")
    text = mien("show", "mine").stdout
    for fact in ("Apache-2.0", "Trained on nothing", "angry, disgust", "energy threshold", "Art. 5(1)(f)"):
        assert fact in text
    assert "FER2013" not in text.replace("FER2013's Training part", "")  # it has seen nothing of it
    assert json.loads(mien("show", "mine", "--json").stdout)["manifest"]["temperature"] == 1.5
    assert "github.com/opencv" not in mien("show", "mine").stdout
    assert "MIT" in mien("show", "yunet").stdout
    assert isinstance(mien("show", "mime").exception, UnknownModelError)
    assert isinstance(mien("show", "mine", "--json", "--markdown").exception, ConfigError)


def test_show_tells_how_the_bundled_model_was_measured(mien):
    found = json.loads(mien("show", "tiny", "--json").stdout)
    metrics = found["manifest"]["metrics"]
    assert {metric["split"] for metric in metrics} == {"public", "private"}
    text = mien("show", "tiny", "--markdown").stdout
    assert text.startswith("# tiny\n")
    for metric in metrics:
        assert f"{100 * metric['accuracy']:.2f} %" in text
        assert metric["protocol"].split(";")[0] in text
    titles = [section["title"] for section in found["card"]["sections"]]
    assert [f"## {title}" for title in titles] == [line for line in text.splitlines() if line.startswith("## ")]


def test_the_card_in_the_terminal_holds_what_the_page_holds(mien):
    page, shown = mien("show", "tiny", "--markdown").stdout, mien("show", "tiny").stdout
    words = {word for word in re.findall(r"[A-Za-z]{9,}", page) if f"<{word}" not in page}
    spread = re.sub(r"\s+", "", shown)
    assert {word for word in words if word not in spread} == set()


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
