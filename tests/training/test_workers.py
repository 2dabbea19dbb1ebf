"""Several workers compute what one would."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from mien.core.errors import ConfigError
from mien.training.loop import Batches
from mien.training.recipe import Augmentation, DataConfig, Optimiser, Recipe
from mien.training.run import Run
from mien.training.workers import Workers

PROGRAM = """
import pathlib, sys
from torch import nn
from mien.core.preprocess import InputSpec
from mien.models.registry import register

@register("plain", paper="none", trained=12*9+12 + 12*7+7, running=0, input=InputSpec())
def plain(classes=7):
    "For a test."
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, classes)
    )

from mien.training.fit import train
from mien.training.recipe import Recipe
from mien.training.workers import Workers
recipe, folder, devices = sys.argv[1:]
workers = Workers(devices=int(devices), strategy="auto" if devices == "1" else "ddp")
train(Recipe.read(pathlib.Path(recipe)), pathlib.Path(folder), threads=1, workers=workers)
"""


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("key", [None, 5])
def test_workers_part_each_batch_between_them(workers, key):
    rows = torch.arange(50)
    alone = list(Batches((rows, rows * 2), 12, key))
    shares = [list(Batches((rows, rows * 2), 12, key, worker=w, workers=workers)) for w in range(workers)]
    for batch, parts in zip(alone, zip(*shares, strict=True), strict=True):
        assert sorted(batch[0].tolist()) == sorted(row for part in parts for row in part[0].tolist())
        assert all(torch.equal(part[1], 2 * part[0]) for part in parts)
        sizes = [len(part[0]) for part in parts]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategy": "dpp"}, r"unknown strategy 'dpp': did you mean 'ddp'\?"),
        ({"devices": 0}, "one node and one device or more"),
        ({"nodes": 0}, "one node and one device or more"),
    ],
)
def test_impossible_workers(values, message):
    with pytest.raises(ConfigError, match=message):
        Workers(**values)


@pytest.fixture
def run(face_folder, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def start(name, devices, batch):
        recipe = Recipe(
            name="plain",
            network="plain",
            data=DataConfig(dataset=str(face_folder), validation="validation"),
            augment=Augmentation(flip=False),
            optimiser=Optimiser(name="sgd", rate=0.05),
            epochs=3,
            batch=batch,
        )
        recipe.write(tmp_path / f"{name}.yaml")
        line = [sys.executable, "program.py", f"{name}.yaml", name, str(devices)]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return start


@pytest.mark.slow
def test_two_processes_lose_what_one_does(run, tmp_path):
    for name, devices in (("one", 1), ("two", 2)):
        done = run(name, devices, 20)
        assert done.returncode == 0, done.stderr[-3000:]
        assert len([line for line in done.stderr.splitlines() if line.startswith("epoch ")]) == 3  # one of them speaks
    one, two = Run.read(tmp_path / "one"), Run.read(tmp_path / "two")
    for alone, shared in zip(one.history, two.history, strict=True):
        for number in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            assert getattr(shared, number) == pytest.approx(getattr(alone, number), rel=1e-5), number
    assert one.history[0].train_loss != one.history[2].train_loss
    first, second = (load_file(tmp_path / name / "best.safetensors") for name in ("one", "two"))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-4, atol=1e-6)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["status"] == "finished"


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared(run):
    done = run("odd", 2, 21)
    assert done.returncode != 0
    assert "a batch of 21 cannot be shared evenly by 2 workers: set batch to a multiple of 2" in done.stderr
