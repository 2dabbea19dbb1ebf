"""An app for each test that talks to one; one recogniser for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.serving import Here, Served, jpeg, on_canvas, running, serving
from mien.app.store.facade import Store
from mien.runtime.recognizer import Recognizer


@pytest.fixture(scope="session")
def haar() -> Recognizer:
    """What a fresh installation reads with: the bundled model and the embedded detector."""
    return Recognizer(detector="haar")


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("database") / "app.db"
    Store(path).close()
    return path


@pytest.fixture
def served(tmp_path: Path, haar: Recognizer, new_database: Path) -> Iterator[Here]:
    """An app in this process, before its first start."""
    with running(tmp_path, haar, database=new_database) as app:
        yield app


@pytest.fixture
def on_network(tmp_path: Path, haar: Recognizer) -> Iterator[Served]:
    """An app that is really served, before its first start."""
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
