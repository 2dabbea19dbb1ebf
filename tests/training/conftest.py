"""One recipe on drawn faces, and runs of it that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mien.training.fit import train
from mien.training.recipe import Augmentation, DataConfig, Optimiser, Recipe


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def drawn(face_folder: Path) -> DataConfig:
    """The drawn faces as a recipe names them."""
    return DataConfig(dataset=str(face_folder), validation="validation")


@pytest.fixture(scope="session")
def finished(drawn: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch, to be read and not changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    recipe = Recipe("finished", "tiny", data=drawn, augment=Augmentation(), optimiser=Optimiser(rate=1e-2), epochs=1)
    train(recipe, folder, threads=1)
    return folder
