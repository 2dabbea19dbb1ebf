"""A run's numbers in the hands of Lightning's loggers: the CSV file for real, the others' packages by name."""

import csv
import json
import sys
from dataclasses import replace

import pytest
import yaml

from mien.core.errors import ConfigError, MissingExtraError
from mien.training.fit import train
from mien.training.recipe import Optimiser, Recipe
from mien.training.run import Run


@pytest.fixture
def recipe(drawn):
    data = replace(drawn, limit=40)
    return Recipe("told", "tiny", data=data, optimiser=Optimiser(rate=1e-2), epochs=2, batch=20, logger="csv")


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_csv_file_holds_every_epoch_and_the_hyper_parameters(recipe, tmp_path):
    run = train(recipe, tmp_path)
    found = rows(tmp_path / "logs" / "version_0" / "metrics.csv")
    assert [int(row["step"]) for row in found] == [1, 2]
    for row, epoch in zip(found, run.history, strict=True):
        for name in ("rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"):
            assert float(row[name]) == pytest.approx(getattr(epoch, name), rel=1e-5)
    told = yaml.safe_load((tmp_path / "logs" / "version_0" / "hparams.yaml").read_text())
    assert (told["network"], told["optimiser"]["rate"], told["trained"]) == ("tiny", 1e-2, 50_703)


def test_another_logger_is_no_other_recipe_and_gets_the_epochs_before(recipe, tmp_path):
    """A run without logger is stopped and goes on with one; the bits are those of a run without."""

    def stop(run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(recipe, logger=None), tmp_path / "run", on_epoch=stop)
    assert "logger" not in json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    run = train(recipe, tmp_path / "run")
    assert run.recipe.logger == Run.read(tmp_path / "run").recipe.logger == "csv"
    assert [row["step"] for row in rows(tmp_path / "run" / "logs" / "version_0" / "metrics.csv")] == ["1", "2"]
    whole = train(replace(recipe, logger=None), tmp_path / "whole")
    assert [replace(e, seconds=0) for e in run.history] == [replace(e, seconds=0) for e in whole.history]
    assert not (tmp_path / "whole" / "logs").exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_logger_without_its_package_is_refused_before_anything_is_read(recipe, tmp_path, monkeypatch, name):
    for package in ("tensorboard", "tensorboardX", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, package, None)
    nowhere = replace(recipe, logger=name, data=replace(recipe.data, dataset=str(tmp_path / "none")))
    with pytest.raises(
        MissingExtraError, match=f"the logger '{name}' needs {name}, which is not installed: pip install {name}$"
    ):
        train(nowhere, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_misspelt_logger_names_the_nearest(recipe):
    with pytest.raises(ConfigError, match="'tensorbord' is not one of them: did you mean 'tensorboard'"):
        recipe.override({"logger": "tensorbord"})
