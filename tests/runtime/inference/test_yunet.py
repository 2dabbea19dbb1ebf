"""YuNet on ONNX Runtime against OpenCV's own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import ModelError
from mien.runtime.inference.yunet import YuNetNetwork
from runtime.toys import write_model


@pytest.mark.parametrize("size", [(512, 512), (320, 180), (96, 96), (333, 201), (64, 640)])
@pytest.mark.parametrize("copies", [1, 2])
def test_it_finds_what_opencv_finds(yunet, portrait, size, copies):
    picture = cv2.resize(np.hstack([portrait, portrait[:, ::-1]][:copies]), size, interpolation=cv2.INTER_AREA)
    _, expected = cv2.FaceDetectorYN.create(str(yunet), "", size, 0.6, 0.3, 5000).detect(picture[..., ::-1].copy())
    found = YuNetNetwork(yunet).detect(picture, 0.6)
    np.testing.assert_allclose(found, np.zeros((0, 15)) if expected is None else expected, atol=1e-3)


def test_overlapping_finds_are_one_face(yunet, portrait):
    assert len(YuNetNetwork(yunet).detect(portrait, 0.05)) < 20
    assert len(YuNetNetwork(yunet).detect(portrait, 0.8)) == 1


def test_noise_holds_no_face(yunet):
    noise = np.random.default_rng(0).integers(0, 256, (100, 160, 3)).astype(np.uint8)
    assert YuNetNetwork(yunet).detect(noise, 0.6).shape == (0, 15)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path):
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"yunet\.onnx.*pull yunet"):
        YuNetNetwork(path)


def test_another_network_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="no YuNet, it lacks bbox_16"):
        YuNetNetwork(write_model(tmp_path).with_suffix(".onnx"))
