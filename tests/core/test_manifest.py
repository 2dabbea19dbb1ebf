"""Manifests: read strictly, written whole, and the file they name is checked before use."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import ChecksumError, ConfigError, ModelError
from mien.core.expression import FER2013
from mien.core.fitted import Fitted, Folds
from mien.core.manifest import Head, Manifest, Metric, sha256
from mien.core.preprocess import InputSpec
from mien.core.schema import to_mapping


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"weights")
    manifest = Manifest(
        name="m",
        summary="s",
        network="tiny",
        file="m.onnx",
        sha256=sha256(tmp_path / "m.onnx"),
        bytes=7,
        input=InputSpec(),
        labels=FER2013,
        parameters=3,
        trained_on="drawn",
        data_licence="none",
        weights_licence="Apache-2.0",
        temperature=1.2,
        conformal_thresholds=(0.1, 0, 1, 0.1, 0.1, 0.1, 0.1),
        coverage=0.9,
        energy_threshold=1.0,
        metrics=(Metric("fer2013", "private", "single crop", 10, 0.5, (0.2, 0.8)),),
    )
    manifest.write(tmp_path / "m.json")
    return tmp_path


def test_survives_writing(folder):
    manifest = Manifest.read(folder / "m.json")
    assert Manifest.read(folder / "m.json") == manifest
    assert manifest.labels == FER2013
    assert manifest.metrics[0].accuracy_interval == (0.2, 0.8)
    assert manifest.verify(folder) == folder / "m.onnx"
    assert not list(folder.glob("*.part"))


def test_what_fitted_it_survives_writing(folder):
    path = folder / "m.json"
    manifest = Manifest.read(path)
    manifest.write(path)
    assert "fitted" not in path.read_text()  # nothing is added to a manifest that does not know
    known = replace(manifest, fitted=Fitted("jaffe", Folds(5, 2, "picture", 7), ("train", "validation")))
    known.write(path)
    assert Manifest.read(path) == known
    taught = replace(known, fitted_before=(Fitted("fer2013", None, ("train", "public")), *known.seen))
    taught.write(path)
    assert Manifest.read(path) == taught
    assert taught.seen == (*known.seen, Fitted("fer2013", None, ("train", "public")))


def test_another_file_is_refused(folder):
    (folder / "m.onnx").write_bytes(b"weighty")
    with pytest.raises(ChecksumError, match=r"m\.onnx has sha256 .* its manifest says"):
        Manifest.read(folder / "m.json").verify(folder)


def test_a_cut_file_is_refused(folder):
    (folder / "m.onnx").write_bytes(b"weig")
    with pytest.raises(ChecksumError, match="has 4 bytes, its manifest says 7"):
        Manifest.read(folder / "m.json").verify(folder)


def test_missing_files_are_named(folder):
    manifest = Manifest.read(folder / "m.json")
    (folder / "m.onnx").unlink()
    with pytest.raises(ModelError, match="is missing"):
        manifest.verify(folder)
    with pytest.raises(ModelError, match="no manifest at"):
        Manifest.read(folder / "n.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temprature": 1}, "unknown key 'temprature': did you mean 'temperature'"),
        ({"labels": ["happy", "angry"]}, "in the order angry"),
        ({"labels": ["happy", "glad"]}, "'glad' is not one of them"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"coverage": 1}, "coverage within 0 to 1"),
        ({"conformal_threshold": 0.1}, "unknown key 'conformal_threshold': did you mean 'conformal_thresholds'"),
        ({"conformal_thresholds": 0.1}, "conformal_thresholds: expected a list"),
        ({"conformal_thresholds": [0.1] * 6}, "conformal_thresholds: one for each of the 7 labels"),
        ({"conformal_thresholds": [0.1] * 6 + [1.1]}, "each 0 to 1"),
        ({"conformal_thresholds": [0.1] * 6 + [-0.1]}, "each 0 to 1"),
        ({"file": "../m.onnx"}, "bare name"),
        ({"schema": 2}, "upgrade mien"),
        ({"bytes": "7"}, "bytes: expected a whole number"),
        ({"input": {"size": 4}}, "input: size must be"),
        ({"input": {"align": "nose"}}, "input: align: 'nose' is not one of them"),
        ({"metrics": [{"dataset": "x"}]}, r"metrics\[0\]: the key 'split' is missing"),
        ({"metrics": 3}, "metrics: expected a list"),
        ({"recipe": 3}, "recipe: expected text"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(folder, change, message):
    content = json.loads((folder / "m.json").read_text()) | change
    (folder / "m.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message) as caught:
        Manifest.read(folder / "m.json")
    assert "m.json" in str(caught.value)


def test_what_is_no_json_is_refused(folder):
    (folder / "m.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        Manifest.read(folder / "m.json")


def test_fields_without_a_value_are_left_out(folder):
    manifest = replace(Manifest.read(folder / "m.json"), paper=None)
    assert "paper" not in to_mapping(manifest)


MATRIX = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
HEAD = Head.of("max", MATRIX, np.arange(7) / 3)


def test_a_head_survives_writing_to_the_bit(folder):
    replace(Manifest.read(folder / "m.json"), head=HEAD).write(folder / "m.json")
    head = Manifest.read(folder / "m.json").head
    assert head == HEAD
    np.testing.assert_array_equal(head.matrix, MATRIX)
    np.testing.assert_array_equal(np.float32(head.bias), np.float32(np.arange(7) / 3))


def test_a_manifest_without_a_head_is_read(folder):
    assert "head" not in json.loads((folder / "m.json").read_text())
    assert Manifest.read(folder / "m.json").head is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "*"}, "weights must be base64 of 7 x 5 float32"),
        ({"weights": HEAD.weights[:-8]}, "weights must be base64 of 7 x 5 float32"),
        ({"channels": 6}, "weights must be base64 of 7 x 6 float32"),
        ({"pooling": "median"}, "head: pooling: 'median' is not one of them"),
        ({"weights": Head.of("max", MATRIX, np.zeros(7)).weights, "bias": [0.0] * 5, "channels": 7}, "5 outputs for 7"),
        ({"bias": [float("inf")] * 7}, "must be finite"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
    ids=str,
)
def test_a_wrong_head_is_named(folder, change, message):
    content = json.loads((folder / "m.json").read_text()) | {"head": to_mapping(HEAD) | change}
    (folder / "m.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        Manifest.read(folder / "m.json")


@pytest.mark.parametrize("profile", [(0.5, 0.5), (1.0,) * 7, (0.0, 0.4, 0.1, 0.1, 0.1, 0.1, 0.2)])
def test_a_wrong_neutral_profile_is_named(folder, profile):
    with pytest.raises(ValueError, match="neutral_profile"):
        replace(Manifest.read(folder / "m.json"), neutral_profile=profile)


def test_a_neutral_profile_survives_writing(folder):
    profile = (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4)
    replace(Manifest.read(folder / "m.json"), neutral_profile=profile).write(folder / "m.json")
    assert Manifest.read(folder / "m.json").neutral_profile == profile
