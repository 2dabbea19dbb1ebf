import json
import sys

import pytest
import typer
from typer.testing import CliRunner

from explain.fakes import BrightMouth, faces
from mien.cli import occlusion as commands
from mien.core.errors import ConfigError, DatasetError, MissingExtraError
from mien.evaluation.regions import REGIONS


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(commands, "open_predictor", lambda _: BrightMouth())
    monkeypatch.setattr(commands, "load_for", lambda *_, **__: faces())
    app = typer.Typer()
    commands.register(app)
    app.command("other")(lambda: None)

    def call(*arguments):
        return CliRunner().invoke(
            app, ["occlusion", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"}
        )

    return call


def test_a_model_and_a_dataset_are_all_it_needs(run):
    done = run("m", "made")
    assert done.exit_code == 0
    for name in REGIONS:
        assert done.output.count(name) >= 2  # noise and grey
    assert run("measure", "m", "made").output == done.output


def test_regions_are_named_or_given_as_rows(run, tmp_path):
    done = run("m", "made", "--region", "upper-half", "--region", "rows 12:20", "--json", "--out", tmp_path / "out")
    result = json.loads(done.output)
    assert [scores["region"] for scores in result["covered"]] == [
        "none",
        *["upper half"] * 2,
        *["rows 12 to 19"] * 2,
    ]
    assert json.loads((tmp_path / "out" / "occlusion.json").read_text()) == result
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("m", "made", "--region", "mouht"), ConfigError, "unknown region 'mouht': did you mean 'mouth'"),
        (("m", "made", "--region", "rows 40:50"), ConfigError, "does not lie inside a crop of 48 rows"),
        (("m", "made", "--split", "test"), DatasetError, "no split 'test'"),
    ],
)
def test_wrong_input_is_named(run, arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments)


def test_help_names_both_commands(run):
    shown = run("--help").output
    assert "measure" in shown
    assert "study" in shown
    assert run("m").exit_code == 2  # a dataset is missing


def test_a_study_needs_a_recipe_that_is_there_and_fits(run, face_folder, tmp_path):
    assert run("study", tmp_path / "none.yaml").exit_code == 2
    path = tmp_path / "drawn.yaml"
    path.write_text(f"name: drawn\nnetwork: resezap\ndata: {{dataset: {face_folder}, validation: validation}}\n")
    with pytest.raises(ConfigError, match=r"set data\.labels to 'three'"):
        run("study", path, "--out", tmp_path / "runs")
    with pytest.raises(ConfigError, match="unknown key 'epoch'"):
        run("study", path, "--out", tmp_path / "runs", "--set", "drawn.epoch=3")
    with pytest.raises(ConfigError, match="have one name"):
        run("study", path, path, "--out", tmp_path / "runs", "--set", "data.labels=three")


def test_a_key_may_be_one_recipes_own():
    settings = {"a.epochs": 3, "b.epochs": 4, "batch": 8}
    assert commands.own_settings(settings, "a", ["a", "b"]) == {"epochs": 3, "batch": 8}
    assert commands.own_settings(settings, "b", ["a", "b"]) == {"epochs": 4, "batch": 8}


def test_a_study_without_torch_names_the_command(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    path = tmp_path / "drawn.yaml"
    path.write_text("name: drawn\nnetwork: resezap\n")
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[train\]'"):
        run("study", path)


def test_landmarks_come_from_yunet(run, monkeypatch):
    import numpy as np

    from mien.core.face import Box, Face
    from mien.core.preprocess import TEMPLATE
    from mien.runtime.inference import detect

    seen = []

    class Detector:
        def detect(self, picture):
            seen.append(picture.shape)
            if len(seen) % 2:
                return []
            return [Face(box=Box(0, 0, 192, 192), score=1.0, landmarks=(TEMPLATE * 192).astype(np.float32))]

    monkeypatch.setattr(detect, "make_detector", lambda name: Detector() if name == "yunet" else None)
    done = run("m", "made", "--region", "nose", "--landmarks")
    assert done.exit_code == 0
    assert seen == [(192, 192, 3)] * 80  # the private rows alone, four times enlarged
    assert "landmarks of 40 of 80 faces" in " ".join(done.output.split())
