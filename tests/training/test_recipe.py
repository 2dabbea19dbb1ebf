"""Recipes: every committed one loads, and every mistake is named."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.core.errors import ConfigError
from mien.core.expression import LABEL_SETS
from mien.models.face_detector import FaceDetectorNetwork
from mien.studies.pooled_rows import PRETRAINING
from mien.training.face_detector_recipe import FaceDetectorRecipe
from mien.training.recipe import Recipe, Transfer, Weights
from mien.training.transfer import assemble, input_of

COMMITTED = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
DETECTORS = [path for path in COMMITTED if FaceDetectorRecipe.describes(path)]
RECIPES = [path for path in COMMITTED if path not in DETECTORS]


@pytest.mark.parametrize("path", DETECTORS, ids=lambda path: path.stem)
def test_every_committed_recipe_of_a_face_detector_loads(path):
    recipe = FaceDetectorRecipe.read(path)
    assert FaceDetectorNetwork(recipe.width, recipe.stem)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_committed_recipe_loads_and_builds(path):
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    if recipe.weights.source.startswith("runs/") or recipe.weights.source == PRETRAINING:
        with pytest.raises(ConfigError, match=r"neither a run nor a file at .*: train that run first"):
            input_of(recipe)
        recipe = replace(recipe, weights=Weights(), transfer=Transfer())
    spec = input_of(recipe)
    classes = len(LABEL_SETS[recipe.data.labels or "fer2013"])
    with torch.device("meta"):
        body = assemble(recipe, classes, spec).eval()
        assert body(torch.zeros(2, spec.planes, spec.size, spec.size)).shape == (2, classes)


def test_a_recipe_survives_writing(tmp_path):
    recipe = Recipe.read(RECIPES[0])
    recipe.write(tmp_path / "again.yaml")
    assert Recipe.read(tmp_path / "again.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nnetwork: resezap\nepoch: 3\n", "unknown key 'epoch': did you mean 'epochs'"),
        (
            "name: a\nnetwork: resezap\naugment: {rotaton: 3}\n",
            "augment: unknown key 'rotaton': did you mean 'rotation'",
        ),
        ("name: a\n", "the key 'network' is missing"),
        ("name: a\nnetwork: resezap\nepochs: many\n", "epochs: expected a whole number, found str 'many'"),
        ("name: a\nnetwork: resezap\nepochs: 0\n", "epochs and patience must be 1 or more"),
        ("name: a\nnetwork: resezap\noptimiser: {name: adam}\n", "'adam' is not one of them: did you mean 'adamw'"),
        ("name: a\nnetwork: resezap\ndata: {train: public}\n", "train and validation are both 'public'"),
        ("name: a/b\nnetwork: resezap\n", "name must be a bare file name"),
        ("name: [\n", "is not a YAML file"),
        ("- 1\n", "expected keys with values"),
        ("", "found nothing"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        Recipe.read(path)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no recipe at"):
        Recipe.read(tmp_path / "none.yaml")


def test_overriding_reaches_nested_keys():
    recipe = Recipe("a", "resezap").override({"optimiser.rate": 0.5, "epochs": 2})
    assert (recipe.optimiser.rate, recipe.epochs) == (0.5, 2)
    with pytest.raises(ConfigError, match="did you mean 'rate'"):
        recipe.override({"optimiser.rat": 0.5})
    with pytest.raises(ConfigError, match="'epochs' has no keys below it"):
        recipe.override({"epochs.x": 1})
