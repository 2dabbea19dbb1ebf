import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mien.cli import data
from mien.core.errors import DatasetError


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder whose one test picture also stands in train, under another label; one picture is blank."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    pictures[2] = 128
    for name, index in (("train/sad/a", 0), ("train/happy/b", 1), ("train/happy/c", 2), ("test/happy/d", 0)):
        file = tmp_path / "mine" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), pictures[index])
    return tmp_path / "mine"


def run(*arguments):
    app = typer.Typer()
    data.register(app)
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_show_as_json(mine):
    assert json.loads(run("show", mine, "--json").stdout) == {
        "name": "mine",
        "licence": "not stated",
        "pictures": 4,
        "labels": ["happy", "sad"],
        "splits": {"test": {"happy": 1, "sad": 0}, "train": {"happy": 2, "sad": 1}},
        "distinct": 3,
        "blank": 1,
        "duplicate_groups": 1,
        "conflicting_groups": 1,
        "conflicting_pictures": 2,
        "leaks": [
            {"split": "test", "against": "train", "pictures": 1},
            {"split": "train", "against": "test", "pictures": 1},
        ],
    }


def test_show_as_table(mine):
    result = run("show", mine)
    assert result.exit_code == 0
    assert "mine: 4 pictures" in result.stdout
    assert "licence: not stated" in result.stdout
    assert "3 of 4 pictures are distinct" in result.stdout
    assert "pictures of test that also stand in train: 1" in result.stdout


def test_leaks(mine):
    result = run("leaks", mine)
    assert result.exit_code == 0
    assert "blank rows: 2" in result.stdout
    assert "contradicting rows: 0, 3" in result.stdout
    found = json.loads(run("leaks", mine, "--json").stdout)
    assert found["conflicts"] == [[0, 3]]
    assert found["crossings"][0] == {"split": "test", "against": "train", "rows": [0]}


def test_unknown_dataset():
    result = run("show", "ferplu")
    assert isinstance(result.exception, DatasetError)
    assert "did you mean 'ferplus'?" in str(result.exception)
