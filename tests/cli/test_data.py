import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mien.cli import data
from mien.core.errors import DatasetError, LabelError
from mien.core.face import Box, Face


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
        "persons": None,
        "detector": None,
        "left_out": {},
        "distinct": 3,
        "blank": 1,
        "duplicate_groups": 1,
        "conflicting_groups": 1,
        "conflicting_pictures": 2,
        "leaks": [{"split": "test", "against": "train", "pictures": 1}],
    }


def test_show_as_table(mine):
    result = run("show", mine)
    assert result.exit_code == 0
    assert "mine: 4 pictures" in result.stdout
    assert "licence: not stated" in result.stdout
    assert "3 of 4 pictures are distinct" in result.stdout
    assert "pictures of test that also stand in train: 1" in result.stdout
    assert "pictures of train that also" not in result.stdout
    head = next(line for line in result.stdout.splitlines() if "expression" in line)
    assert head.index("train") < head.index("test"), "in the order of their use"


def test_leaks(mine):
    result = run("leaks", mine)
    assert result.exit_code == 0
    assert "blank rows: 2 (train/happy/c.png)" in result.stdout
    assert "contradicting rows: 0 (test/happy/d.png), 3 (train/sad/a.png)" in result.stdout
    found = json.loads(run("leaks", mine, "--json").stdout)
    assert found["conflicts"] == [[0, 3]]
    assert found["crossings"][0] == {"split": "test", "against": "train", "rows": [0]}
    assert found["files"] == {"0": "test/happy/d.png", "2": "train/happy/c.png", "3": "train/sad/a.png"}


def test_unknown_dataset():
    result = run("show", "ferplu")
    assert isinstance(result.exception, DatasetError)
    assert "did you mean 'ferplus'?" in str(result.exception)


@pytest.fixture
def posed(tmp_path, monkeypatch):
    """Two persons' pictures in JAFFE's layout, all grey; a detector that finds a face in all but one."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "posed").mkdir()
    for number, name in enumerate(("KA.AN1.39", "KA.HA1.29", "KL.AN1.167", "KL.NE1.155")):
        assert cv2.imwrite(str(tmp_path / "posed" / f"{name}.tiff"), np.full((60, 60), 50 * number, dtype=np.uint8))

    class Toy:
        name = "toy"

        def detect(self, picture):
            return [Face(Box(5, 5, 40, 40), 1.0)] if picture.max() < 150 else []

    monkeypatch.setattr("mien.runtime.inference.detect.make_detector", lambda name: Toy() if name == "toy" else None)
    return tmp_path / "posed"


def test_show_says_where_rows_come_from(posed):
    result = run("show", posed, "--detector", "toy")
    assert result.exit_code == 0, result.exception
    for said in (
        "jaffe (part: 4 pictures): 3 pictures",
        "persons: 2",
        "cropped by the largest face that toy finds",
        "1 file left out: 1 no face found",
        "layout: zenodo.org/record/3451524",
    ):
        assert said in result.stdout
    assert "not yet been run" not in result.stdout
    summary = json.loads(run("show", posed, "--detector", "toy", "--json").stdout)
    assert (summary["persons"], summary["detector"], summary["left_out"]) == (2, "toy", {"no face found": 1})


def test_show_says_which_readers_saw_no_original(tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("anger/S010_004_00000017.png", "happy/S011_006_00000013.png"):
        (tmp_path / "ck" / name).parent.mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / "ck" / name), np.full((48, 48), 9, dtype=np.uint8))
    assert "has not yet been run on the original" in run("show", tmp_path / "ck").stdout


def test_show_draws_counts_and_faces(mine, tmp_path):
    result = run("show", mine, "--png", tmp_path / "new" / "mine.png")
    assert f"wrote {tmp_path / 'new' / 'mine.png'}" in result.stdout
    picture = cv2.imread(str(tmp_path / "new" / "mine.png"))
    assert picture.shape[0] > 500


def test_numbers_and_parts_are_asked_for_by_name(mine, tmp_path):
    for word, number in (("happy", "1"), ("sad", "4")):
        for split in ("train", "test"):
            if (mine / split / word).exists():
                (mine / split / word).rename(mine / split / number)
    refused = run("show", mine)
    assert isinstance(refused.exception, LabelError)
    assert "--classes" in str(refused.exception)
    assert json.loads(run("show", mine, "--classes", "affectnet", "--json").stdout)["labels"] == ["fear", "happy"]
    (tmp_path / "part.csv").write_text(f"emotion,pixels\n3,{' '.join(['7'] * 2304)}\n")
    assert "--counts any" in str(run("show", tmp_path / "part.csv").exception)
    assert json.loads(run("show", tmp_path / "part.csv", "--counts", "any", "--json").stdout)["pictures"] == 1
