"""A gate's manifest: read strictly, and the file it names is checked before use."""

import json
from dataclasses import replace

import pytest

from mien.core.errors import ChecksumError, ConfigError, ModelError
from mien.core.manifest import FaceGateManifest, sha256
from mien.core.preprocess import InputSpec


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "gate.onnx").write_bytes(b"weights")
    FaceGateManifest(
        kind="gate",
        name="gate",
        summary="s",
        network="gate",
        file="gate.onnx",
        sha256=sha256(tmp_path / "gate.onnx"),
        bytes=7,
        input=InputSpec(),
        parameters=3,
        trained_on="drawn",
        data_licence="none",
        weights_licence="Apache-2.0",
        threshold=-0.5,
        faces_kept=0.99,
    ).write(tmp_path / "gate.json")
    return tmp_path


def test_survives_writing_and_names_its_file(folder):
    manifest = FaceGateManifest.read(folder / "gate.json")
    manifest.write(folder / "gate.json")
    assert FaceGateManifest.read(folder / "gate.json") == manifest
    assert manifest.verify(folder) == folder / "gate.onnx"
    assert not list(folder.glob("*.part"))


def test_another_file_is_refused(folder):
    (folder / "gate.onnx").write_bytes(b"weighty")
    with pytest.raises(ChecksumError, match=r"gate\.onnx has sha256 .* install mien again"):
        FaceGateManifest.read(folder / "gate.json").verify(folder)
    (folder / "gate.onnx").unlink()
    with pytest.raises(ModelError, match="is missing"):
        FaceGateManifest.read(folder / "gate.json").verify(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "expression"}, "kind: 'expression' is not one of them"),
        ({"labels": ["happy"]}, "unknown key 'labels'"),
        ({"file": "../gate.onnx"}, "bare name"),
        ({"faces_kept": 0}, "a share above 0"),
        ({"threshold": "high"}, "threshold: expected a number"),
        ({"schema": 2}, "upgrade mien"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(folder, change, message):
    content = json.loads((folder / "gate.json").read_text()) | change
    (folder / "gate.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        FaceGateManifest.read(folder / "gate.json")


def test_what_is_not_there_or_no_json_is_refused(folder):
    with pytest.raises(ModelError, match=r"a face gate is NAME\.onnx"):
        FaceGateManifest.read(folder / "gone.json")
    (folder / "gate.json").write_text("{")
    with pytest.raises(ConfigError, match=r"is not JSON .* install mien again"):
        FaceGateManifest.read(folder / "gate.json")


def test_a_threshold_must_be_finite(folder):
    with pytest.raises(ValueError, match="finite"):
        replace(FaceGateManifest.read(folder / "gate.json"), threshold=float("nan"))
