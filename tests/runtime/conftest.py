"""Fixtures of the runtime's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.toys import write_model, yunet_file

MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes models into a folder of the test."""

    def make(name: str = "toy", **options: object) -> Path:
        return write_model(tmp_path / "made", name, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the manifest of a model that no test changes."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """The real portrait that ships with scikit-image: RGB 512 x 512, one smiling woman."""
    skimage_data = pytest.importorskip("skimage.data")
    picture = skimage_data.astronaut()
    picture.setflags(write=False)
    return picture


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MIEN_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MIEN_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def yunet() -> Path:
    """The real YuNet file, or a skip."""
    return yunet_file()


@pytest.fixture
def no_gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A build without the face-or-not gate: energies decide what is no face."""
    monkeypatch.setattr("mien.runtime.inference.face_gate.FACE_GATE", tmp_path / "none.json")
