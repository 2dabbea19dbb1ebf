"""The ONNX classifier: its numbers against plain numpy, and every way in which a model can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mien.core.errors import ChecksumError, ConfigError, ModelError, UnknownModelError
from mien.core.expression import FER2013, FERPLUS, SIX
from mien.core.manifest import Manifest
from mien.core.predictor import Predictor
from mien.runtime.inference.classify import OnnxClassifier, providers
from mien.runtime.inference.library import open_model


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 48, 48), dtype=np.uint8)


def reference_logits(manifest_path: Path, crops: np.ndarray) -> np.ndarray:
    """The toy network in numpy, from its file's weights."""
    graph = onnx.load(manifest_path.with_suffix(".onnx")).graph
    w = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    x = (crops.astype(np.float64) - w["mean"]) / w["std"]
    n, side = len(crops), crops.shape[1] // 8
    patches = x.reshape(n, side, 8, side, 8)
    maps = np.einsum("nyixj,oij->noyx", patches, w["kernel"][:, 0])
    return np.tanh(maps).reshape(n, -1) @ w["dense"] + w["bias"]


def change(manifest_path: Path, **values: object) -> None:
    content = json.loads(manifest_path.read_text())
    manifest_path.write_text(json.dumps(content | values))


def test_logits_equal_the_formula(toy, crops):
    model = open_model(toy)
    assert isinstance(model, Predictor)
    logits = model.logits(crops)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, reference_logits(toy, crops), atol=1e-5)


def test_a_reading_follows_from_temperature_and_threshold(toy, crops):
    model = open_model(toy)
    manifest = model.manifest
    scaled = reference_logits(toy, crops) / manifest.temperature
    probabilities = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    for reading, row, logit in zip(model.read(crops), probabilities, scaled, strict=True):
        np.testing.assert_allclose(reading.probabilities, row, atol=1e-6)
        assert reading.energy == pytest.approx(np.log(np.exp(logit).sum()), abs=1e-5)
        wanted = {FER2013[i] for i in np.flatnonzero(row >= manifest.conformal_thresholds)} | {FER2013[row.argmax()]}
        assert set(reading.candidates) == wanted
        assert (reading.model, reading.coverage) == ("toy", 0.9)


def test_no_crops_and_many_crops(toy, crops):
    model = open_model(toy)
    assert model.logits(crops[:0]).shape == (0, 7)
    assert model.read(crops[:0]) == []
    many = np.tile(crops, (70, 1, 1))
    np.testing.assert_allclose(model.logits(many), np.tile(model.logits(crops), (70, 1)), atol=1e-5)


def test_strided_crops_are_taken(toy, crops):
    model = open_model(toy)
    np.testing.assert_array_equal(model.logits(crops[:, :, ::-1]), model.logits(crops[:, :, ::-1].copy()))


@pytest.mark.parametrize("wrong", [np.zeros((2, 48, 47), np.uint8), np.zeros((2, 48, 48), np.float32)])
def test_other_crops_are_refused(wrong, toy):
    with pytest.raises(ValueError, match="takes uint8 crops"):
        open_model(toy).logits(wrong)


def test_attributes_come_from_the_manifest(toy):
    model = open_model(toy)
    manifest = Manifest.read(toy)
    assert (model.name, model.identity, model.labels) == ("toy", manifest.sha256, FER2013)
    assert (model.input, model.temperature, model.parameters) == (manifest.input, 1.5, manifest.parameters)


def test_rgb_models_and_other_label_sets(make_model):
    model = open_model(make_model("rgb", size=64, channels=3, labels=FERPLUS))
    (reading,) = model.read(np.zeros((1, 64, 64, 3), np.uint8))
    assert reading.labels == FERPLUS


def test_threads_and_spinning_are_explicit(toy):
    model = open_model(toy, threads=2)
    options = model._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    for pool in ("intra_op", "inter_op"):
        assert options.get_session_config_entry(f"session.{pool}.allow_spinning") == "0"
    with pytest.raises(ModelError, match="threads must be a whole number, 1 or more"):
        open_model(toy, threads=0)


@pytest.mark.parametrize("name", ["cpu", "CPU", "CPUExecutionProvider"])
def test_the_provider_is_used(name, toy):
    assert open_model(toy, provider=name)._session.get_providers() == ["CPUExecutionProvider"]


def test_an_unavailable_provider_is_refused_with_those_that_are(toy):
    with pytest.raises(ModelError, match=rf"'abacus' is not available.*{', '.join(providers())}"):
        open_model(toy, provider="abacus")


def test_another_sha256_is_refused(make_model):
    path = make_model()
    change(path, sha256="0" * 64)
    with pytest.raises(ChecksumError, match=r"toy\.onnx has sha256 .* its manifest says 0000"):
        open_model(path)


def test_a_model_cut_short_is_refused(make_model):
    path = make_model()
    onnx_path = path.with_suffix(".onnx")
    onnx_path.write_bytes(onnx_path.read_bytes()[:-100])
    with pytest.raises(ChecksumError, match="bytes, its manifest says"):
        open_model(path)


def test_a_manifest_without_its_model_and_a_model_without_its_manifest(make_model):
    path = make_model()
    data = path.with_suffix(".onnx").read_bytes()
    path.with_suffix(".onnx").unlink()
    with pytest.raises(ModelError, match=r"toy\.onnx is missing"):
        open_model(path)
    path.with_suffix(".onnx").write_bytes(data)
    path.unlink()
    with pytest.raises(ModelError, match="no manifest at"):
        open_model(path.with_suffix(".onnx"))


def test_what_is_no_network_is_refused(make_model):
    import hashlib

    path = make_model()
    path.with_suffix(".onnx").write_bytes(b"text")
    change(path, sha256=hashlib.sha256(b"text").hexdigest(), bytes=4)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load it"):
        open_model(path)


def test_a_graph_must_fit_its_manifest(make_model):
    path = make_model("labels", outputs=5)
    with pytest.raises(ModelError, match=r"names 7 labels, the network gives \(n, 5\)"):
        open_model(path)
    path = make_model("size")
    change(path, input={"size": 64})
    with pytest.raises(ModelError, match=r"\(n, 64, 64\), the network takes \(n, 48, 48\)"):
        open_model(path)
    path = make_model("six", labels=SIX)
    assert open_model(path).labels == SIX


def test_a_misspelt_manifest_key_is_named(make_model):
    path = make_model()
    change(path, temprature=2)
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        open_model(path)


def test_models_are_opened_by_name_file_and_folder(make_model, home):
    path = make_model("toy")
    for way in (path, str(path), path.with_suffix(".onnx"), path.parent):
        assert open_model(way).name == "toy"
    pulled = home / "models"
    pulled.mkdir(parents=True)
    for file in path.parent.iterdir():
        (pulled / file.name).write_bytes(file.read_bytes())
    assert open_model("toy").name == "toy"
    with pytest.raises(UnknownModelError, match="did you mean 'toy'"):
        open_model("toi")
    (path.parent / "run.json").write_text("{}")
    assert open_model(path.parent).name == "toy"
    make_model("another")
    with pytest.raises(ModelError, match="found another, toy: name the file itself"):
        open_model(path.parent)


def test_what_is_not_there_is_said(tmp_path, home):
    with pytest.raises(UnknownModelError, match="no such model file or folder"):
        open_model(tmp_path / "gone.onnx")
    with pytest.raises(UnknownModelError, match="unknown model 'gone'"):
        open_model("gone")
    with pytest.raises(ModelError, match="found none"):
        open_model(tmp_path)
    (tmp_path / "two.ensemble.json").write_text("{}")
    with pytest.raises(ModelError, match="is an ensemble"):
        open_model(tmp_path / "two.ensemble.json")


def test_it_can_be_made_without_the_library(toy):
    assert OnnxClassifier(Manifest.read(toy), toy.parent).name == "toy"
