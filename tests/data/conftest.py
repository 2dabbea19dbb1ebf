"""Small generated files in the true layouts; no picture of a face among them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.expression import FER2013
from mien.core.preprocess import InputSpec
from mien.data.dataset import Dataset
from mien.data.load import load_dataset

USAGES = ("Training", "Training", "Training", "PublicTest", "PrivateTest", "PrivateTest", "Training")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def spec() -> InputSpec:
    return InputSpec()


@pytest.fixture
def faces() -> np.ndarray:
    """Seven different 48 x 48 pictures, one for each of FER2013's classes."""
    return np.random.default_rng(0).integers(0, 256, (7, 48, 48), dtype=np.uint8)


@pytest.fixture
def fer2013_lines(faces: np.ndarray) -> list[str]:
    """``fer2013.csv`` with one row for each class, in class order."""
    rows = [
        f"{index},{' '.join(map(str, face.ravel()))},{usage}"
        for index, (face, usage) in enumerate(zip(faces, USAGES, strict=True))
    ]
    return ["emotion,pixels,Usage", *rows]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Write lines as a file below the test's own folder."""

    def writer(lines: Sequence[str], name: str = "fer2013.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return writer


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture of random (or given) pixels below the test's own folder."""
    random = np.random.default_rng(1)

    def writer(name: str, pixels: np.ndarray | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = random.integers(0, 256, (40, 40, 3), dtype=np.uint8) if pixels is None else pixels
        assert cv2.imwrite(str(path), content)
        return path

    return writer


@pytest.fixture(scope="session")
def real_root() -> Path:
    """Folder of the real datasets."""
    root = os.environ.get("MIEN_DATA")
    if not root:
        pytest.skip("MIEN_DATA is not set: it names the folder that holds fer2013/fer2013.csv")
    return Path(root)


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all processes of a run: what the first has decoded, the others read."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(scope="session")
def real_fer2013(real_root: Path, real_cache: Path) -> Dataset:
    return load_dataset("fer2013", InputSpec(), root=real_root, cache=real_cache)


@pytest.fixture
def toy() -> Callable[..., Dataset]:
    """A dataset of 8 x 8 pictures, each of one grey value with a mark, so that equal values are equal pictures."""

    def maker(
        values: Sequence[int], indices: Sequence[int], splits: Sequence[str] | None = None, **metadata: Sequence[str]
    ) -> Dataset:
        images = np.zeros((len(values), 8, 8), dtype=np.uint8)
        images[:, 0, 0] = np.array(values) % 256
        images[:, 0, 1] = np.array(values) // 256 % 256
        images[:, 7, 7] = 255
        return Dataset(
            name="toy",
            images=images,
            indices=np.array(indices, dtype=np.int64),
            labels=FER2013,
            splits=np.array(splits or ["train"] * len(values)),
            rows=np.arange(len(values), dtype=np.int64),
            licence="none",
            metadata={name: np.array(column) for name, column in metadata.items()},
        )

    return maker
