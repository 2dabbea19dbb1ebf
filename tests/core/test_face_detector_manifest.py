"""A face detector's manifest: read strictly, and the file it names is checked before use."""

from __future__ import annotations

import json

import pytest

from mien.core.errors import ChecksumError, ConfigError, ModelError
from mien.core.manifest import FaceDetectorManifest, sha256


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "eye.onnx").write_bytes(b"weights")
    FaceDetectorManifest(
        kind="detector",
        name="eye",
        summary="Finds faces.",
        network="face-detector",
        file="eye.onnx",
        sha256=sha256(tmp_path / "eye.onnx"),
        bytes=7,
        parameters=3,
        trained_on="drawn faces",
        data_licence="none",
        weights_licence="Apache-2.0",
        min_score=0.5,
        sure=0.7,
    ).write(tmp_path / "eye.json")
    return tmp_path


def test_it_survives_writing_and_names_a_file_that_is_checked(folder):
    manifest = FaceDetectorManifest.read(folder / "eye.json")
    assert manifest.verify(folder) == folder / "eye.onnx"
    (folder / "eye.onnx").write_bytes(b"weighty")
    with pytest.raises(ChecksumError, match=r"eye\.onnx has sha256 .* install mien again"):
        manifest.verify(folder)
    (folder / "eye.onnx").unlink()
    with pytest.raises(ModelError, match="is missing, its manifest is there: install mien again"):
        manifest.verify(folder)


def test_a_missing_one_says_what_it_would_be(tmp_path):
    with pytest.raises(ModelError, match=r"no manifest at .*a face detector is NAME\.onnx"):
        FaceDetectorManifest.read(tmp_path / "eye.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_score": 0.8}, "sure from it to 1"),
        ({"min_score": 0.0}, "above 0"),
        ({"sure": 1.2}, "sure from it to 1"),
        ({"file": "../eye.onnx"}, "bare name"),
        ({"kind": "gate"}, "kind"),
    ],
)
def test_what_is_wrong_is_named(folder, change, message):
    content = json.loads((folder / "eye.json").read_text()) | change
    (folder / "eye.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        FaceDetectorManifest.read(folder / "eye.json")
