"""An app for each test that talks to one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.serving import Served, jpeg, on_canvas, serving
from mien.runtime.recognizer import Recognizer


@pytest.fixture(scope="session")
def haar() -> Recognizer:
    """What a fresh installation reads with: the bundled model and the embedded detector."""
    return Recognizer(detector="haar")


@pytest.fixture
def served(tmp_path: Path, haar: Recognizer) -> Iterator[Served]:
    """A running app, before its first start."""
    with serving(tmp_path, haar) as app:
        yield app


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """RGB 512 x 512, one smiling woman."""
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="session")
def one_face(astronaut: np.ndarray) -> bytes:
    """A frame with one face."""
    return jpeg(on_canvas(astronaut))


@pytest.fixture(scope="session")
def two_faces(astronaut: np.ndarray) -> bytes:
    """A frame with two faces."""
    return jpeg(on_canvas(astronaut, faces=2))
