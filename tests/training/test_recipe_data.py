"""Which rows a recipe fits and chooses on."""

import csv
from dataclasses import replace

import cv2
import pytest

from conftest import draw_face
from mien.core.errors import ConfigError, DatasetError
from mien.core.expression import FER2013
from mien.core.fitted import Folds
from mien.core.preprocess import InputSpec
from mien.training.recipe import DataConfig, Recipe
from mien.training.recipe_data import load_splits


@pytest.fixture
def persons(tmp_path):
    """A CSV manifest: six persons, each with every expression, in splits that part persons."""
    file = tmp_path / "persons.csv"
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["path", "label", "subject", "split"])
        for person in range(6):
            for kind, label in enumerate(FER2013):
                name = f"{person}-{label}.png"
                assert cv2.imwrite(str(tmp_path / name), draw_face(kind, seed=10 * person + kind))
                writer.writerow([name, label, f"P{person}", "train" if person < 4 else "validation"])
    return file


def recipe(dataset, **data):
    values = {"validation": "validation", **data}
    return Recipe(name="drawn", network="tiny", data=DataConfig(dataset=str(dataset), **values))


def people(dataset):
    return set(dataset.metadata["subject"].tolist())


def test_given_splits_that_part_persons(persons):
    fitted, validation = load_splits(recipe(persons), InputSpec(), None)
    assert people(fitted) == {"P0", "P1", "P2", "P3"}
    assert people(validation) == {"P4", "P5"}


def test_a_person_on_both_sides_is_refused(persons):
    persons.write_text(persons.read_text().replace("3-happy.png,happy,P3,train", "3-happy.png,happy,P3,validation"))
    with pytest.raises(DatasetError, match=r"1 persons stand in 'train' and in 'validation' \(P3\).*data\.folds"):
        load_splits(recipe(persons), InputSpec(), None)


def test_a_person_in_what_is_reported_is_refused_before_training(persons):
    persons.write_text(persons.read_text().replace("3-happy.png,happy,P3,train", "3-happy.png,happy,P3,test"))
    with pytest.raises(DatasetError, match=r"1 persons stand in 'train' and in 'test' \(P3\).*data\.folds"):
        load_splits(recipe(persons), InputSpec(), None)


@pytest.mark.parametrize("test", range(3))
def test_folds_part_persons_anew(persons, test):
    fitted, validation = load_splits(recipe(persons, folds=Folds(count=3, test=test)), InputSpec(), None)
    assert len(people(fitted)) == len(people(validation)) == 2
    assert not people(fitted) & people(validation)
    assert all(fitted.counts.values())


def test_random_folds_may_part_one_persons_pictures(persons):
    folds = Folds(count=3, apart="picture")
    fitted, validation = load_splits(recipe(persons, folds=folds), InputSpec(), None)
    assert people(fitted) & people(validation)
    assert not set(fitted.rows.tolist()) & set(validation.rows.tolist())


def test_folds_are_the_same_whatever_the_labels(persons):
    seven, _ = load_splits(recipe(persons, folds=Folds(count=3)), InputSpec(), None)
    six, validation = load_splits(recipe(persons, folds=Folds(count=3), labels="six"), InputSpec(), None)
    assert people(six) == people(seven)
    assert len(six) == len(validation) == 12
    assert six.left_out == {"neutral, which is none of the labels": 6}


def test_a_dataset_without_splits_asks_for_folds(tmp_path):
    for number, code in enumerate(("AN", "HA", "NE"), start=1):
        assert cv2.imwrite(str(tmp_path / f"KA.{code}1.{number}.tiff"), draw_face(number, seed=number))

    class Everything:
        name = "everything"

        def detect(self, picture):
            from mien.core.face import Box, Face

            return [Face(Box(0, 0, 48, 48), 1.0)]

    from mien.data.load import load_dataset

    load_dataset(tmp_path, InputSpec(), detector=Everything())
    with pytest.raises(DatasetError, match=r"comes without splits: .*data\.folds: \{count: 5, test: 0\}"):
        load_splits(recipe(tmp_path), InputSpec(), None)


def test_folds_are_read_from_a_recipe_file(tmp_path, persons):
    plain = recipe(persons)
    plain.write(tmp_path / "recipe.yaml")
    changed = Recipe.read(tmp_path / "recipe.yaml").override({"data.folds.count": 3, "data.folds.test": 2})
    assert changed.data.folds == Folds(count=3, test=2)
    assert replace(changed, data=plain.data) == plain
    with pytest.raises(ConfigError, match=r"data: folds: unknown key 'tests': did you mean 'test'"):
        plain.override({"data.folds.tests": 1})
    with pytest.raises(ConfigError, match="folds need a count of 3 or more"):
        plain.override({"data.folds.test": 7})
