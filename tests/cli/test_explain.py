"""``mien explain`` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from explain.networks import small
from mien.cli import explain as command
from mien.core.errors import ConfigError, DatasetError, LabelError, MissingExtraError, ModelError, PictureError
from mien.explain.faithfulness import RANDOM
from runtime.toys import write_model

METHODS = ["Grad-CAM", "Grad-CAM++", "Integrated gradients", "Occlusion sensitivity"]


@pytest.fixture
def mien(monkeypatch, tmp_path):
    """The command; ``small`` is a torch network, ``other`` another one."""
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    real, made = command.open_predictor, {"small": small(0), "other": small(1)}
    monkeypatch.setattr(command, "open_predictor", lambda name: made[name] if name in made else real(name))
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object):
        out = ["--out", str(tmp_path / "out")]
        return CliRunner().invoke(app, ["explain", *map(str, arguments), *out], catch_exceptions=True)

    return run


@pytest.fixture
def portrait(tmp_path) -> Path:
    picture = pytest.importorskip("skimage.data").astronaut()[..., ::-1]
    cv2.imwrite(str(tmp_path / "portrait.png"), picture)
    return tmp_path / "portrait.png"


@pytest.fixture(scope="module")
def few(face_folder, tmp_path_factory) -> Path:
    """Three drawn faces of each of four expressions, and one of disgust."""
    folder = tmp_path_factory.mktemp("few")
    for label, count in (("angry", 3), ("disgust", 1), ("happy", 3), ("sad", 3), ("neutral", 3)):
        (folder / "test" / label).mkdir(parents=True)
        for path in sorted((face_folder / "test" / label).iterdir())[:count]:
            shutil.copy(path, folder / "test" / label)
    return folder


def numbers(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "out" / "explain.json").read_text())


def test_an_onnx_model_explains_a_picture_by_its_activation_map(mien, portrait, tmp_path):
    result = mien("tiny", portrait)
    assert result.exit_code == 0, result.output
    found = numbers(tmp_path)
    assert (found["model"], found["subject"]) == ("tiny", "portrait.png")
    assert found["readings"][0]["expression"] == "happy"
    assert [score["method"] for score in found["faithfulness"]] == ["Class activation map", *RANDOM]
    assert "sanity" not in found
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        *("explain.html", "explain.json", "expressions.png", "expressions.svg", "methods.png", "methods.svg")
    ]
    page = (out / "explain.html").read_text()
    assert page.count("<img alt=") == 2
    assert "no gradients" in page
    assert "nothing of what a person feels" in page


def test_a_network_explains_a_face_by_every_method_and_checks_them(mien, tmp_path, portrait):
    result = mien("small", portrait, "--json", "--expression", "sad", "--layer", "1", "--seed", "3")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == numbers(tmp_path)
    assert (found["layer"], found["seed"], found["readings"][0]["expression"]) == ("1", 3, "sad")
    assert [score["method"] for score in found["faithfulness"]] == [*METHODS, *RANDOM]
    assert [check["method"] for check in found["sanity"]] == METHODS
    assert [step["layer"] for step in found["sanity"][0]["steps"]] == ["4", "0"]
    assert (tmp_path / "out" / "sanity.svg").is_file()


def test_a_dataset_is_scored_and_averaged(mien, few, tmp_path):
    options = ("--split", "test", "--samples", 3, "--scored", 20, "--network", "eyes=other")
    result = mien("small", few, *options)
    assert result.exit_code == 0, result.output
    found = numbers(tmp_path)
    assert found["faithfulness"][0]["n"] == 13
    averages = found["averages"]
    assert averages["faces"] == {"angry": 3, "disgust": 1, "happy": 3, "sad": 3, "neutral": 3}
    assert list(averages["maps"]["happy"]) == ["nothing covered", "eyes covered", "nose covered", "mouth covered"]
    identities = {name: condition["identity"] for name, condition in averages["conditions"].items()}
    assert identities["eyes covered"] != identities["nothing covered"] == identities["nose covered"]
    assert np.array(averages["maps"]["happy"]["nose covered"]).shape == (8, 8)
    for stem in ("averages", "averages-three"):
        assert (tmp_path / "out" / f"{stem}.png").is_file()
    assert "keep it to yourself" in (tmp_path / "out" / "explain.html").read_text()
    # fewer than asked are said, with their number
    assert "20 faces were asked for to score the methods; there are only 13" in result.output
    assert "3 random faces of each expression (there are only 1 of disgust), seed 0" in result.output


def test_all_parts_of_a_dataset_can_be_taken_together(mien, few, tmp_path):
    shutil.copytree(few / "test", tmp_path / "two" / "train")
    shutil.copytree(few / "test", tmp_path / "two" / "test")
    result = mien("small", tmp_path / "two", "--split", "all", "--samples", 50, "--scored", 1)
    assert result.exit_code == 0, result.output
    assert numbers(tmp_path)["averages"]["faces"]["happy"] == 6


def test_a_crop_is_taken_as_it_is(mien, face_folder, tmp_path):
    face = next((face_folder / "test" / "happy").iterdir())
    result = mien("tiny", face, "--crop")
    assert result.exit_code == 0, result.output
    assert len(numbers(tmp_path)["readings"]) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["tiny", "PORTRAIT", "--layer", "21"], ConfigError, "keeps one layer"),
        (["tiny", "PORTRAIT", "--expression", "hapy"], LabelError, "did you mean 'happy'"),
        (["small", "PORTRAIT", "--layer", "11"], ModelError, "'11' does not exist: .*the default is '1'"),
        (["tiny", "BLANK"], PictureError, "no face was found; .* --crop"),
        (["tiny", "nowhere"], DatasetError, "no dataset 'nowhere'"),
        (["tiny", "nowhere.jpg"], PictureError, "nowhere.jpg: there is no such picture"),
        (["small", "FOLDER", "--split", "test", "--network", "chin=other"], ConfigError, "expected REGION=MODEL"),
        (
            ["tiny", "FOLDER", "--split", "test", "--samples", "3", "--scored", "2", "--network", "eyes=small"],
            ConfigError,
            "runs alone",
        ),
        (["tiny", "FOLDER", "--split", "tset"], DatasetError, "did you mean 'test'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_said(arguments, error, message, mien, portrait, few, tmp_path):
    cv2.imwrite(str(tmp_path / "blank.png"), np.zeros((200, 200, 3), np.uint8))
    places = {"PORTRAIT": portrait, "BLANK": tmp_path / "blank.png", "FOLDER": few}
    result = mien(*(places.get(argument, argument) for argument in arguments))
    assert isinstance(result.exception, error), result.output
    assert re.search(message, str(result.exception))
    assert not (tmp_path / "out").exists()


def test_models_without_feature_map_and_networks_for_a_picture_are_refused(mien, portrait, tmp_path):
    without = mien(write_model(tmp_path / "toy"), portrait)
    assert isinstance(without.exception, ModelError)
    assert "gives no feature map" in str(without.exception)
    assert mien("tiny", portrait, "--network", "eyes=tiny").exit_code == 2


def test_without_captum_the_extra_is_named(mien, portrait, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    result = mien("small", portrait)
    assert isinstance(result.exception, MissingExtraError)
    assert "pip install 'mien[explain]'" in str(result.exception)
