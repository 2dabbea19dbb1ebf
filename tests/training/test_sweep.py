"""Sweeps: what a grid means, what is run and what is not run again, and the table."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from mien.cli import sweep as command
from mien.core.errors import ConfigError, DatasetError, ModelError, TrainingError
from mien.core.expression import FER2013
from mien.core.fitted import Folds
from mien.core.preprocess import InputSpec
from mien.data.load import load_dataset
from mien.training.cost import Cost
from mien.training.fit import train
from mien.training.recipe import Augmentation, DataConfig, Optimiser, Recipe
from mien.training.run import Epoch, Run
from mien.training.runner import Runner
from mien.training.sweep import plan, read_grid, sweep
from mien.training.sweep_result import Sweep, table


@pytest.fixture
def recipe(face_folder):
    return Recipe(
        name="drawn",
        network="tiny",
        data=DataConfig(dataset=str(face_folder), validation="validation"),
        augment=Augmentation(),
        optimiser=Optimiser(rate=1e-2),
        epochs=2,
        batch=20,
    )


COST = Cost("made", 1_000, 10, 9_789_696, 204_160, 48, 0.237, 0.3, 5, "paper", 1.5)


class Projection:
    """A predictor: a random projection of the pixels."""

    name, identity, labels, input = "projection", "ab" * 32, FER2013, InputSpec()
    temperature, parameters, seen = 1.0, 10, ()

    def logits(self, crops):
        weights = np.random.default_rng(0).normal(size=(48 * 48, 7))
        return (crops.reshape(len(crops), -1) / 255 @ weights).astype(np.float32)


class Trainer:
    """Stands in for training: writes the runs that it would end with, one epoch at a time, and counts at no cost."""

    def __init__(self):
        self.trained, self.counted, self.opened, self.said = [], [], [], []
        self.stop, self.refuse, self.uncountable = None, None, None

    def runner(self, **options):
        """The runner of one call."""
        return Made(self, say=self.said.append, **options)


class Made(Runner):
    def __init__(self, trainer, **options):
        super().__init__(**options)
        self._trainer = trainer

    def fit(self, recipe, folder, fitted, chosen):
        trainer = self._trainer
        if trainer.refuse and trainer.refuse(recipe):
            raise TrainingError("no weights at hand")
        run = Run(
            recipe=recipe,
            status="running",
            input=InputSpec(),
            labels=FER2013,
            trained=1000,
            running=10,
            rows=len(fitted),
            validation_rows=len(chosen),
            data_licence="made",
            device="none",
            versions={},
            data=(fitted.identity, chosen.identity),
            precision=recipe.precision,
        )
        if (folder / "run.json").exists():
            run = Run.read(folder)
        for number in range(len(run.history) + 1, recipe.epochs + 1):
            accuracy = 0.5 + 0.1 * recipe.seed + recipe.optimiser.rate + 0.01 * number
            run = run.with_epoch(Epoch(number, 0.1, 1.0, 0.5, 2.0 - accuracy, accuracy, 3.0))
            run.write(folder)
            if trainer.stop and trainer.stop(recipe, number):
                raise KeyboardInterrupt
        trainer.trained.append(folder.name)
        return run

    def count(self, recipe, *, labels, spec, rounds):
        self._trainer.counted.append(recipe.network)
        assert (labels, spec) == (FER2013, InputSpec())  # as the run has them
        if self._trainer.uncountable:
            raise self._trainer.uncountable
        return replace(COST, network=recipe.network)

    def open(self, folder):
        self._trainer.opened.append(folder.name)
        return Projection()


@pytest.fixture
def trainer():
    return Trainer()


GRID = {"optimiser.rate": [0.01, 0.03], "seed": [0, 1]}


def test_a_grid_is_read_as_yaml():
    grid = read_grid(["optimiser.rate=0.01, 3e-3", "precision=bf16", "patience=null,3", "transfer.taps=[a, b],[]"])
    assert grid == {
        "optimiser.rate": [0.01, "3e-3"],
        "precision": ["bf16"],
        "patience": [None, 3],
        "transfer.taps": [["a", "b"], []],
    }
    assert read_grid(["options.width=1,2"]) == {"options.width": [1, 2]}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("optimiser.rat=1", r"no recipe has such a key: did you mean 'optimiser\.rate'\?"),
        ("rate=0.1,0.2", r"no recipe has such a key: did you mean 'optimiser\.rate'\?"),
        ("data.fold.test=0,1", r"did you mean 'data\.folds\.test'\?"),
        ("progresive.size=24", r"did you mean 'progressive\.size'\?"),
        ("banana=1", r"--grid banana: no recipe has such a key: Valid: name, network"),
        ("seed", "expected KEY=VALUE,VALUE…"),
        ("seed=", "expected KEY=VALUE,VALUE…"),
        ("seed=1,1", "a value stands there twice"),
        ("seed=[1", "the values are not YAML"),
    ],
)
def test_a_grid_that_no_recipe_can_take(item, message):
    with pytest.raises(ConfigError, match=message):
        read_grid([item])


def test_a_key_that_stands_there_twice():
    with pytest.raises(ConfigError, match="seed stands there twice"):
        read_grid(["seed=1", "seed=2"])
    with pytest.raises(ConfigError, match="a sweep needs a grid"):
        read_grid([])


def test_cells_are_all_combinations(recipe, tmp_path):
    cells = plan(recipe, GRID, tmp_path)
    assert [cell.folder.name for cell in cells] == [
        "optimiser.rate=0.01,seed=0",
        "optimiser.rate=0.01,seed=1",
        "optimiser.rate=0.03,seed=0",
        "optimiser.rate=0.03,seed=1",
    ]
    assert [(cell.recipe.optimiser.rate, cell.recipe.seed) for cell in cells] == [
        (0.01, 0),
        (0.01, 1),
        (0.03, 0),
        (0.03, 1),
    ]
    assert all(replace(cell.recipe, seed=0, optimiser=recipe.optimiser) == recipe for cell in cells)


def test_folder_names_are_safe_and_distinct(recipe, tmp_path):
    cells = plan(recipe, {"summary": ["a/b", "a:b", "x" * 300, "x" * 301]}, tmp_path)
    names = [cell.folder.name for cell in cells]
    assert len(set(names)) == 4
    assert all(len(name) < 120 and "/" not in name and ":" not in name for name in names)


def test_folds_are_a_grid_too(recipe, tmp_path):
    cells = plan(recipe, {"data.folds.test": [0, 1, 2]}, tmp_path)
    assert [cell.recipe.data.folds for cell in cells] == [Folds(test=0), Folds(test=1), Folds(test=2)]


def test_contradictions_are_found_before_anything_runs(recipe, tmp_path, trainer):
    with pytest.raises(ConfigError, match=r"--grid epochs=0, seed=1: .*epochs and patience must be 1 or more"):
        sweep(recipe, {"epochs": [2, 0], "seed": [1]}, tmp_path, runner=trainer.runner())
    assert trainer.trained == []
    assert not any(tmp_path.iterdir())


def test_a_network_or_split_that_there_is_not_is_found_before_anything_runs(recipe, tmp_path, trainer):
    with pytest.raises(ConfigError, match=r"--grid network=tinny: unknown network 'tinny'.*'tiny'"):
        sweep(recipe, {"network": ["tiny", "tinny"]}, tmp_path, runner=trainer.runner())
    with pytest.raises(ConfigError, match=r"options\.activaton=block: network '\w+' has no option 'activaton'"):
        sweep(recipe, {"options.activaton": ["block"]}, tmp_path, runner=trainer.runner())
    with pytest.raises(ConfigError, match=r"network 'resezap' has no option 'activaton': did you mean 'activation'"):
        sweep(replace(recipe, network="resezap"), {"options.activaton": ["block"]}, tmp_path, runner=trainer.runner())
    with pytest.raises(ConfigError, match=r"options\.pool=plian"):
        sweep(
            replace(recipe, network="resezap"), {"options.pool": ["padded", "plian"]}, tmp_path, runner=trainer.runner()
        )
    with pytest.raises(DatasetError, match="has no split 'tset': did you mean 'test'"):
        sweep(recipe, GRID, tmp_path, split="tset", runner=trainer.runner())
    assert trainer.trained == []
    assert not any(tmp_path.iterdir())


def test_every_cell_runs_once(recipe, tmp_path, trainer):
    result = sweep(recipe, GRID, tmp_path, runner=trainer.runner())
    assert len(trainer.trained) == 4
    assert [line for line in trainer.said if " epochs of " not in line] == [
        "1 of 4: optimiser.rate=0.01, seed=0",
        "counting and timing 'tiny'",
        "2 of 4: optimiser.rate=0.01, seed=1",
        "3 of 4: optimiser.rate=0.03, seed=0",
        "4 of 4: optimiser.rate=0.03, seed=1",
    ]
    assert [cell.status for cell in result.cells] == ["finished"] * 4
    assert result.cells[3].validation_accuracy == pytest.approx(0.5 + 0.1 + 0.03 + 0.02)
    assert (result.cells[3].epoch, result.cells[3].epochs, result.cells[3].seconds) == (2, 2, 6.0)
    assert Sweep.read(tmp_path) == result
    assert sweep(recipe, GRID, tmp_path, runner=trainer.runner()) == result
    assert len(trainer.trained) == 4


def test_a_larger_grid_runs_what_is_new(recipe, tmp_path, trainer):
    sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner())
    result = sweep(recipe, {"seed": [0, 1, 2]}, tmp_path, runner=trainer.runner())
    assert trainer.trained == ["seed=0", "seed=1", "seed=2"]
    assert len(result.cells) == 3


def test_an_interrupted_sweep_goes_on(recipe, tmp_path, trainer):
    trainer.stop = lambda recipe, epoch: (recipe.seed, epoch) == (1, 1)
    with pytest.raises(KeyboardInterrupt):
        sweep(recipe, {"seed": [0, 1, 2]}, tmp_path, runner=trainer.runner())
    so_far = Sweep.read(tmp_path)
    assert [(cell.status, cell.epochs) for cell in so_far.cells] == [("finished", 2), ("waiting", 1), ("waiting", 0)]
    assert "| 1 | waiting |" in (tmp_path / "sweep.md").read_text()
    trainer.stop = None
    result = sweep(recipe, {"seed": [0, 1, 2]}, tmp_path, runner=trainer.runner())
    assert trainer.trained == ["seed=0", "seed=1", "seed=2"]
    assert [cell.epochs for cell in result.cells] == [2, 2, 2]


def test_a_cell_that_fails_leaves_the_others(recipe, tmp_path, trainer):
    trainer.refuse = lambda recipe: recipe.seed == 1
    result = sweep(recipe, {"seed": [0, 1, 2]}, tmp_path, runner=trainer.runner())
    assert [cell.status for cell in result.cells] == ["finished", "failed", "finished"]
    text = (tmp_path / "sweep.md").read_text()
    assert "| 1 | failed |" in text
    assert "seed=1 failed: no weights at hand" in text
    trainer.refuse = None
    result = sweep(recipe, {"seed": [0, 1, 2]}, tmp_path, runner=trainer.runner())
    assert [cell.status for cell in result.cells] == ["finished"] * 3


def test_a_changed_recipe_needs_another_folder(recipe, tmp_path, trainer):
    sweep(recipe, {"seed": [0]}, tmp_path, runner=trainer.runner())
    with pytest.raises(TrainingError, match="holds a sweep of another recipe"):
        sweep(replace(recipe, epochs=3), {"seed": [0]}, tmp_path, runner=trainer.runner())
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(TrainingError, match="seed=0 holds a run of another recipe"):
        sweep(replace(recipe, epochs=3), {"seed": [0]}, tmp_path, runner=trainer.runner())
    sweep(recipe, {"seed": [0]}, tmp_path, runner=trainer.runner())  # the runs alone are enough to go on
    assert trainer.trained == ["seed=0"]


def test_a_damaged_record_is_named(recipe, tmp_path, trainer):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(TrainingError, match=r"sweep\.json is not JSON"):
        sweep(recipe, {"seed": [0]}, tmp_path, runner=trainer.runner())


def test_a_loss_that_is_not_finite_is_none(recipe, tmp_path, trainer):
    sweep(recipe, {"seed": [0]}, tmp_path, runner=trainer.runner())
    run = Run.read(tmp_path / "seed=0")
    broken = replace(run, history=(replace(run.history[0], validation_loss=float("nan")),))
    broken.write(tmp_path / "seed=0")
    (tmp_path / "sweep.json").unlink()
    result = sweep(recipe, {"seed": [0]}, tmp_path, runner=trainer.runner())
    assert result.cells[0].validation_loss is None
    json.loads((tmp_path / "sweep.json").read_text(), parse_constant=pytest.fail)


def test_the_table_averages_repeats(recipe, tmp_path, trainer):
    lines = table(sweep(recipe, GRID, tmp_path, runner=trainer.runner())).splitlines()
    assert lines[2] == (
        "| optimiser.rate | seed | validation accuracy | validation loss | kept epoch | trained | multiplications "
        "| ONNX kB | ms | seconds |"
    )
    assert lines[4] == "| 0.01 | 0 | 53.00% | 1.4700 | 2 of 2 | 1,000 | 9,789,696 | 204 | 0.24 | 6 |"
    assert any(line.startswith("ms: ") and "on paper, under a load of 1.5 processes" in line for line in lines)
    assert "Over seed:" in lines
    # 53 and 63 %: mean 58, standard deviation 10 / sqrt(2)
    assert "| 0.01 | 2 | 58.00 % ± 7.07 |" in lines


def test_each_network_is_counted_and_timed_once(recipe, tmp_path, trainer):
    result = sweep(recipe, {"network": ["tiny", "resezap"], "seed": [0, 1]}, tmp_path, runner=trainer.runner())
    assert [cell.cost.network for cell in result.cells] == ["tiny", "tiny", "resezap", "resezap"]
    assert trainer.counted == ["tiny", "resezap"]
    larger = {"network": ["tiny", "resezap"], "seed": [0, 1, 2]}
    assert sweep(recipe, larger, tmp_path, runner=trainer.runner()).cells[5].cost == result.cells[3].cost
    assert trainer.counted == ["tiny", "resezap"]
    assert sweep(recipe, larger, tmp_path, runner=trainer.runner()) == Sweep.read(tmp_path)


@pytest.mark.parametrize(
    ("grid", "times"),
    [
        ({"options.activation": ["block", "layer"]}, 2),
        ({"views": ["one", "mirror"]}, 2),
        ({"transfer.hidden": [None, 8]}, 2),
        ({"epochs": [1, 2], "augment.flip": [True, False]}, 1),
    ],
)
def test_what_changes_a_network_is_counted_anew(recipe, tmp_path, trainer, grid, times):
    options = {"top": "dense"} if "transfer.hidden" in grid else {}
    sweep(replace(recipe, network="resezap", options=options), grid, tmp_path, runner=trainer.runner())
    assert trainer.counted == ["resezap"] * times


def test_a_sweep_from_before_costs_were_kept_gets_them(recipe, tmp_path, trainer):
    whole = sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner())
    content = json.loads((tmp_path / "sweep.json").read_text())
    for cell in content["cells"]:
        assert cell.pop("cost")["multiplications"] == 9_789_696
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    old = Sweep.read(tmp_path)
    assert [cell.cost for cell in old.cells] == [None, None]
    assert "| 0 | 53.00% | 1.4700 | 2 of 2 | 1,000 |  |  |  | 6 |" in table(old)
    assert "ms: " not in table(old)
    assert sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner()) == whole
    assert trainer.counted == ["tiny", "tiny"]
    assert trainer.trained == ["seed=0", "seed=1"]


def test_a_network_that_cannot_be_timed_is_trained_all_the_same(recipe, tmp_path, trainer):
    trainer.uncountable = ModelError("no export")
    result = sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner())
    assert [(cell.status, cell.error, cell.cost) for cell in result.cells] == [("finished", None, None)] * 2
    assert "| 1,000 |  |  |  | 6 |" in table(result)
    assert trainer.counted == ["tiny"]


def test_an_interruption_while_timing_keeps_what_was_measured(recipe, tmp_path, trainer):
    trainer.uncountable = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        sweep(recipe, {"seed": [0, 1]}, tmp_path, split="test", runner=trainer.runner())
    first, second = Sweep.read(tmp_path).cells
    assert (first.status, first.rows, first.cost) == ("finished", 56, None)
    assert first.accuracy is not None
    assert second.status == "waiting"


def test_a_further_split_is_measured_and_kept(recipe, tmp_path, trainer, face_folder):
    sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner())
    result = sweep(recipe, {"seed": [0, 1]}, tmp_path, split="test", runner=trainer.runner())
    assert sweep(recipe, {"seed": [0, 1]}, tmp_path, split="test", runner=trainer.runner()) == result
    assert sweep(recipe, {"seed": [0, 1]}, tmp_path, runner=trainer.runner()) == result  # what was measured stays
    assert trainer.opened == ["seed=0", "seed=1"]
    rows = load_dataset(str(face_folder), InputSpec()).split("test")
    right = float((Projection().logits(rows.images).argmax(1) == rows.indices).mean())
    low, high = result.cells[0].accuracy_interval
    assert result.cells[0].accuracy == pytest.approx(right)
    assert low <= right <= high
    assert f"| 0 | 53.00% | {100 * right:.2f} % ({100 * low:.2f}–{100 * high:.2f}) |" in table(result)
    assert f"| 2 | 58.00 % ± 7.07 | {100 * right:.2f} % ± 0.00 |" in table(result)


@pytest.fixture
def made_runner(trainer, monkeypatch):
    monkeypatch.setattr("mien.training.runner.Runner", lambda **options: Made(trainer, **options))


def run(*arguments):
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)  # with one command alone typer would leave its name out
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)])


def test_command(recipe, tmp_path, made_runner):
    recipe.write(tmp_path / "drawn.yaml")
    result = run(tmp_path / "drawn.yaml", "--grid", "seed=0,1", "--set", "epochs=1", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    assert "| 1 | 62.00% |" in result.stdout
    assert "2 of 2: seed=1" in result.stderr
    content = run(
        tmp_path / "drawn.yaml", "--grid", "seed=0,1", "--set", "epochs=1", "--out", tmp_path / "out", "--json"
    )
    assert [cell["settings"] for cell in json.loads(content.stdout)["cells"]] == [{"seed": 0}, {"seed": 1}]


def test_command_that_fails_or_is_interrupted(recipe, tmp_path, trainer, made_runner):
    recipe.write(tmp_path / "drawn.yaml")
    arguments = (tmp_path / "drawn.yaml", "--grid", "seed=0,1", "--out", tmp_path / "out")
    trainer.refuse = lambda recipe: recipe.seed == 1
    result = run(*arguments)
    assert (result.exit_code, "1 of 2 cells failed" in result.stderr) == (1, True)
    trainer.refuse, trainer.stop = None, lambda recipe, epoch: True
    result = run(*arguments)
    assert (result.exit_code, "the same command goes on" in result.stderr) == (130, True)


def wait_for_epochs(folder, epochs, process, limit=240):
    for _ in range(limit * 20):
        if process.poll() is not None:
            pytest.fail(f"the run ended by itself with {process.returncode} before it could be stopped")
        try:
            if len(json.loads((folder / "run.json").read_text()).get("history", [])) >= epochs:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    pytest.fail(f"no {epochs} epochs within {limit} s")


@pytest.mark.slow
def test_a_killed_sweep_repeats_nothing_and_loses_nothing(recipe, tmp_path):
    recipe = replace(recipe, epochs=4)
    recipe.write(tmp_path / "drawn.yaml")
    folder = tmp_path / "out"
    line = [sys.executable, "-m", "mien", "sweep", str(tmp_path / "drawn.yaml"), "--grid", "seed=0,1"]
    line += ["--out", str(folder), "--threads", "1", "--split", "test"]
    process = subprocess.Popen(line, env=dict(os.environ))
    wait_for_epochs(folder / "seed=1", 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (folder / "seed=0" / "best.safetensors").stat().st_mtime_ns
    assert Run.read(folder / "seed=1").status == "running"
    subprocess.run(line, check=True, capture_output=True)
    assert (folder / "seed=0" / "best.safetensors").stat().st_mtime_ns == first
    result = Sweep.read(folder)
    assert [(cell.status, cell.epochs, cell.rows) for cell in result.cells] == [("finished", 4, 56)] * 2
    train(replace(recipe, seed=1), tmp_path / "whole", threads=1)
    here, there = (load_file(path / "best.safetensors") for path in (folder / "seed=1", tmp_path / "whole"))
    assert all(torch.equal(here[name], there[name]) for name in here)
