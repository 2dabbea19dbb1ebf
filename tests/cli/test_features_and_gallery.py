import sys

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from evaluation.fakes import DescribedPredictor, faces
from mien.cli import features_and_gallery as commands
from mien.core.errors import LabelError, MissingExtraError, ModelError, PictureError, UnknownModelError


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    commands.register(app)

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return call


@pytest.fixture
def shown(run, monkeypatch):
    monkeypatch.setattr(commands, "open_predictor", lambda _: DescribedPredictor())
    monkeypatch.setattr(commands, "load_for", lambda *_, **__: faces())
    return run


def test_a_gallery_is_written(shown, tmp_path):
    done = shown("gallery", "m", "d", "--kind", "mistakes", "-n", "3", "--out", tmp_path / "mine")
    assert done.exit_code == 0
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"mistakes.html", "mistakes.png", "mistakes.svg"}
    assert "asked for" not in done.output


def test_a_shortage_is_said(shown):
    done = shown("gallery", "m", "d", "-n", "200")
    assert "200 were asked for, there are only 60 faces in faces/private" in done.output


def test_wrong_galleries_are_refused(shown):
    assert shown("gallery", "m", "d", "--kind", "best").exit_code == 2
    assert shown("gallery", "m", "d", "-n", "0").exit_code == 2
    with pytest.raises(LabelError, match="does not know the expression 'contempt'"):
        shown("gallery", "m", "d", "--expression", "contempt")


@pytest.fixture
def portrait(tmp_path):
    data = pytest.importorskip("skimage.data")
    path = tmp_path / "portrait.png"
    cv2.imwrite(str(path), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    return path


def test_features_of_the_shipped_model(run, portrait, tmp_path):
    done = run("features", "tiny", portrait, "--detector", "haar", "--layer", "7", "--layer", "9", "--maps", "4")
    assert done.exit_code == 0, done.output
    assert "40 × 24 × 24" in done.output
    names = {path.name for path in (tmp_path / "features").iterdir()}
    assert names == {"features.html", "features.png", "features.svg", "filters.png", "filters.svg"}


def test_features_of_a_network_without_training_say_so(run, tmp_path):
    path = tmp_path / "crop.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8))
    done = run("features", "resezap", path, "--crop", "--maps", "2", "--layer", "blocks.0")
    assert "its weights are fresh" in done.output
    assert "resezap, untrained" in (tmp_path / "features" / "features.html").read_text()


def test_wrong_features_are_refused(run, tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((80, 80), 128, dtype=np.uint8))
    with pytest.raises(PictureError, match="no face was found; if the picture is a face's crop already, add --crop"):
        run("features", "tiny", path, "--detector", "haar")
    with pytest.raises(PictureError, match=r"none\.png"):
        run("features", "tiny", tmp_path / "none.png")
    with pytest.raises(UnknownModelError, match="unknown model 'tinny': did you mean 'tiny'"):
        run("features", "tinny", path, "--crop")
    with pytest.raises(ModelError, match=r"the layer 'block\.0' does not exist: near to it"):
        run("features", "resezap", path, "--crop", "--layer", "block.0")


def test_features_without_torch_name_the_command(run, portrait, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[train\]'"):
        run("features", "tiny", portrait)
