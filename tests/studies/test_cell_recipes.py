"""Weights that a user gives, and a cell's recipe with them."""

from dataclasses import replace
from pathlib import Path

import pytest

from mien.core.errors import ConfigError
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.core.schema import to_mapping
from mien.studies.catalogue import STUDIES
from mien.studies.cell_recipes import GivenWeights, StudyOptions, parse_weights, recipes_folder, signature
from mien.studies.cell_results import Reproduction
from mien.studies.paper_cells import PaperCell
from mien.training.recipe import Recipe, Weights

RESULTS = Path(__file__).parents[2] / "results"
OPTIONS = StudyOptions()
POOLS = PaperCell("pools", "Pools", recipe="000-pools-svm")
BACKBONE = PaperCell("backbone", "Backbone", recipe="000-backbone")


def test_weights_are_a_network_and_where_they_are(tmp_path):
    file = tmp_path / "weights.pth"
    file.touch()
    assert parse_weights("vgg16=imagenet") == ("vgg16", GivenWeights("imagenet"))
    assert parse_weights(f"vgg16={file}") == ("vgg16", GivenWeights(str(file)))
    assert parse_weights(f"vgg16={file}:caffe") == ("vgg16", GivenWeights(str(file), "caffe"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg16", r"expected NETWORK=imagenet, NETWORK=FILE or NETWORK=FILE:MODE"),
        ("vgg16=", r"expected NETWORK=imagenet"),
        ("vgg6=imagenet", r"unknown network 'vgg6': did you mean 'vgg16'"),
        ("vgg16=nowhere.pth", r"there is no file nowhere.pth"),
        ("vgg16=nowhere.pth:cafe", r"there is no file nowhere.pth:cafe; MODE is one of own, torch, tf, caffe"),
    ],
)
def test_wrong_weights_are_named(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_weights(text)


def test_a_recipe_takes_the_weights_that_are_at_hand():
    pools, backbone = OPTIONS.recipe(POOLS), OPTIONS.recipe(BACKBONE)
    assert OPTIONS.with_weights(pools, POOLS) is None
    assert OPTIONS.with_weights(backbone, BACKBONE) is None
    given = GivenWeights("elsewhere/squeezenet1_1_imagenet_features.safetensors")
    same = StudyOptions(weights={"squeezenet": given}).with_weights(pools, POOLS)
    assert same.weights == replace(pools.weights, source=given.source)  # preparation and sha256
    other = StudyOptions(weights={"squeezenet": GivenWeights("mine.pth", "torch")}).with_weights(pools, POOLS)
    assert other.weights == Weights("mine.pth", "torch", None)
    file = StudyOptions(weights={"vgg16": GivenWeights("vgg16.pth")}).with_weights(backbone, BACKBONE)
    assert file.weights == Weights("vgg16.pth", "torch")  # as torchvision prepares
    imagenet = StudyOptions(weights={"vgg16": GivenWeights("imagenet")})
    assert imagenet.with_weights(backbone, BACKBONE) == backbone


def test_a_recipe_without_weights_needs_none():
    cell = PaperCell("b", "B", recipe="000-model-b")
    assert OPTIONS.with_weights(OPTIONS.recipe(cell), cell) == OPTIONS.recipe(cell)


def test_changes_reach_the_recipe():
    cell = PaperCell("b", "B", recipe="000-model-b", change={"optimiser.rate": 0.5, "epochs": 3})
    assert (OPTIONS.recipe(cell).optimiser.rate, OPTIONS.recipe(cell).epochs) == (0.5, 3)
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        OPTIONS.recipe(replace(cell, change={"epoch": 3}))


def test_what_decides_a_figure_signs_it():
    cell, recipe = PaperCell("a", "A", recipe="x"), Recipe("a", "tiny")
    mark = signature(cell, recipe, seed=0, quick=False)
    assert mark == signature(
        replace(cell, name="b", title="B"), replace(recipe, name="b", summary="S", logger="csv"), seed=0, quick=False
    )
    others = [
        signature(cell, replace(recipe, epochs=3), seed=0, quick=False),
        signature(cell, recipe, seed=1, quick=False),
        signature(cell, recipe, seed=0, quick=True),
        signature(replace(cell, start="bundled"), recipe, seed=0, quick=False),
    ]
    assert len({mark, *others}) == 5


def test_a_key_that_has_its_default_signs_nothing():
    cell, recipe = PaperCell("a", "A", recipe="x"), Recipe("a", "tiny", batch=64)
    assert to_mapping(recipe, defaults=False) == {"name": "a", "network": "tiny", "batch": 64}
    said = recipe.override({"augment.degrade": 0.0, "transfer.mode": "all", "epochs": Recipe("a", "tiny").epochs})
    assert signature(cell, said, seed=0, quick=False) == signature(cell, recipe, seed=0, quick=False)


def test_committed_figures_are_of_the_recipes_and_weights_as_they_are():
    for study in STUDIES.values():
        found = {r.cell: r for r in Reproduction.read(RESULTS / f"{study.name}.json").results}
        for cell in study.cells:
            if not cell.is_quoted and found[cell.name].status != "not run":
                mark = OPTIONS.signature(cell)
                assert mark == found[cell.name].signature, f"{study.name}/{cell.name} is of another recipe or weights"


@pytest.mark.parametrize(
    "cell", [PaperCell("a", "A", bundled="tiny"), PaperCell("b", "B", recipe="x", start="bundled")]
)
def test_other_bundled_weights_are_another_cell(cell, tmp_path):
    recipe = Recipe("b", "tiny") if cell.recipe else None
    before = signature(cell, recipe, seed=0, quick=False)
    shipped = Manifest.read(BUNDLED / "tiny.json")
    replace(shipped, sha256="0" * 64).write(tmp_path / "tiny.json")
    assert signature(cell, recipe, seed=0, quick=False, bundled=tmp_path) != before


@pytest.mark.parametrize(
    ("asked", "quick", "most", "epochs"),
    [
        (50, True, None, 2),
        (1, True, None, 1),
        (50, False, 7, 7),
        (5, False, 7, 5),
        (50, True, 1, 1),
        (50, False, None, 50),
    ],
)
def test_no_training_is_longer_than_is_allowed(asked, quick, most, epochs):
    assert StudyOptions(quick=quick, epochs=most).shortened(Recipe("a", "resezap", epochs=asked)).epochs == epochs


def test_recipes_lie_beside_the_sources():
    assert (recipes_folder() / "resezap.yaml").is_file()
