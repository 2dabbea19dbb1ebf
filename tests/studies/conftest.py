from __future__ import annotations

import pytest
import torch

from mien.studies import execute
from mien.studies import means as means_module
from mien.studies.means import Means
from mien.training.cost import Cost
from studies.making import RECIPE, WholePicture, make_fer2013, make_jaffe


@pytest.fixture(scope="session")
def drawn_root(tmp_path_factory):
    """A data folder with FER2013 and JAFFE of drawn faces."""
    root = tmp_path_factory.mktemp("datasets")
    make_fer2013(root / "fer2013")
    make_jaffe(root / "jaffe")
    return root


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder of recipes that the studies read instead of mien's own."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "drawn.yaml").write_text(RECIPE.format(name="drawn", epochs=2))
    (folder / "longer.yaml").write_text(RECIPE.format(name="longer", epochs=3))
    monkeypatch.setattr(means_module, "recipes_folder", lambda: folder)
    return folder


@pytest.fixture
def means(drawn_root):
    """Quick, for a FER2013 that is not the published one is taken by quick studies alone."""
    return Means(root=drawn_root, detector=WholePicture(), quick=True, threads=1)


@pytest.fixture
def uncounted(monkeypatch):
    """Costs at no cost: counting and timing a network takes seconds, and has tests of its own."""
    cost = Cost("made", 50_703, 1_360, 9_789_696, 204_000, 48, 0.2, 0.3, 10, "paper", 0.0)
    monkeypatch.setattr(execute, "measure_cost", lambda recipe, rounds: cost)
    return cost


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
