from __future__ import annotations

import pytest
import torch

from mien.studies.cell_recipes import StudyOptions
from studies.making import RECIPE, WholePicture, make_fer2013, make_jaffe


@pytest.fixture(scope="session")
def drawn_root(tmp_path_factory):
    """A data folder with FER2013 and JAFFE of drawn faces."""
    root = tmp_path_factory.mktemp("datasets")
    make_fer2013(root / "fer2013")
    make_jaffe(root / "jaffe")
    return root


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory):
    """Runs that were trained once a session, for :class:`studies.making.DrawnRunner`."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def recipes(tmp_path):
    """A folder of recipes that the studies read instead of mien's own."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "drawn.yaml").write_text(RECIPE.format(name="drawn", epochs=2))
    (folder / "longer.yaml").write_text(RECIPE.format(name="longer", epochs=3))
    return folder


@pytest.fixture
def options(recipes):
    """Quick, for a FER2013 that is not the published one is taken by quick studies alone."""
    return StudyOptions(detector=WholePicture(), quick=True, recipes=recipes)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
