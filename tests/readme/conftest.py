from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
from skimage.data import astronaut


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as a reader has it: ``photo.jpg``, and ``pictures/`` with two more."""
    portrait = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(tmp_path / "photo.jpg"), portrait)
    (tmp_path / "pictures").mkdir()
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "pictures" / "a.jpg")
    assert cv2.imwrite(str(tmp_path / "pictures" / "b.jpg"), cv2.flip(portrait, 1))
    return tmp_path
