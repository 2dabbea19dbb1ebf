"""What a text that names a model means, and what is said of one that means none."""

import shutil

import pytest

from mien.core.errors import ModelError, UnknownModelError
from mien.core.model_reference import ModelReference, manifests
from mien.core.places import BUNDLED


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a run, an export, an ensemble and a file of weights."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "models").mkdir()
    for name in ("tiny.onnx", "tiny.json"):
        shutil.copy(BUNDLED / name, tmp_path / "models" / name)
    (tmp_path / "two.ensemble.json").write_text("{}")
    (tmp_path / "weights.pth").write_bytes(b"")
    (tmp_path / "plain").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("run", "run"),
        ("tiny", "exported"),
        ("models", "exported"),
        ("models/tiny.onnx", "exported"),
        ("models/tiny.json", "exported"),
        ("two.ensemble.json", "ensemble"),
        ("gone.ensemble.json", "ensemble"),
        ("imagenet", "imagenet"),
        ("https://x.test/a.pth", "url"),
        ("weights.pth", "file"),
        ("gone.pth", "file"),
        ("gone.onnx", "file"),
        ("plain", "file"),
        ("runs/gone", "unknown"),
        ("resezap", "unknown"),
    ],
)
def test_what_a_text_means(folder, text, kind):
    assert ModelReference.parse(text).kind == kind
    assert str(ModelReference.parse(text)) == text


def test_a_run_goes_before_a_model_of_its_name_and_gives_the_models_manifest_still(folder):
    (folder / "run").rename(folder / "tiny")
    reference = ModelReference.parse("tiny")
    assert reference.kind == "run"
    assert reference.manifest_path() == manifests()["tiny"]


def test_the_manifest_of_a_name_a_file_and_a_folder(folder):
    bundled = BUNDLED / "tiny.json"
    assert ModelReference.parse("tiny").manifest_path() == bundled
    for text in ("models", "models/tiny.onnx", "models/tiny.json"):
        assert ModelReference.parse(text).manifest_path().read_bytes() == bundled.read_bytes()
    shutil.move("models/tiny.onnx", "run/tiny.onnx")
    shutil.move("models/tiny.json", "run/tiny.json")
    assert ModelReference.parse(folder / "run").manifest().name == "tiny"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("run", ModelError, r"or a run \(run\.json\), found none: name the file itself"),
        ("two.ensemble.json", ModelError, "is an ensemble, which mien evaluate and mien compare take"),
        ("gone.ensemble.json", UnknownModelError, "no such model file or folder; 'mien models list'"),
        ("runs/gone", UnknownModelError, "no such model file or folder; 'mien models list'"),
        ("tinny", UnknownModelError, r"unknown model 'tinny': did you mean 'tiny'\?"),
        ("weights.pth", ModelError, r"no manifest at weights\.json"),
    ],
)
def test_a_text_without_exported_model_is_told_with_the_remedy(folder, text, error, message):
    with pytest.raises(error, match=message):
        ModelReference.parse(text).manifest()
