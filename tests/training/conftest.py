"""The drawn faces as recipes name them, and one thread, so that the bits are the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mien.training.recipe import DataConfig


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def drawn(face_folder: Path) -> DataConfig:
    """The drawn faces as a recipe names them: 140 rows to fit, 56 to choose on."""
    return DataConfig(dataset=str(face_folder), validation="validation")


@pytest.fixture(scope="session")
def few(drawn: DataConfig) -> DataConfig:
    """Two batches of twenty of them."""
    return DataConfig(dataset=drawn.dataset, validation=drawn.validation, limit=40)
