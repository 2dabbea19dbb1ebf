"""Training on drawn faces: it learns, it resumes to the bit, and it refuses what it must."""

import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mien.core.errors import TrainingError, UnknownModelError
from mien.core.expression import Expression
from mien.core.fitted import Fitted
from mien.core.manifest import Manifest
from mien.core.predictor import softmax
from mien.data.load import load_dataset
from mien.evaluation.protocol import evaluate
from mien.training.fit import fit, train
from mien.training.loop import rate_factor
from mien.training.recipe import Augmentation, Optimiser, Progressive, Recipe
from mien.training.recipe_data import load_rows, load_splits
from mien.training.run import Run
from mien.training.run_as_model import export_run, open_run
from mien.training.transfer import input_of


@pytest.fixture
def recipe(drawn):
    return Recipe(
        name="drawn",
        network="gate",
        data=drawn,
        augment=Augmentation(rotation=5, zoom=0.05, shift=0.03, erase=0.2),
        optimiser=Optimiser(rate=1e-2),
        epochs=4,
        batch=20,
        smoothing=0.05,
        averaging=0.9,
    )


def test_learns_drawn_faces_and_exports_them(drawn_run):
    run = Run.read(drawn_run)
    recipe = run.recipe
    assert run.status == "finished"
    assert run.best.validation_accuracy > 0.6  # chance is 1/7
    assert run.history[-1].train_loss < run.history[0].train_loss
    assert (drawn_run / "curves.png").stat().st_size > 1000
    manifest = Manifest.read(drawn_run / "drawn.json")
    manifest.verify(drawn_run)
    assert manifest.parameters == 52_063
    assert "140 rows of train" in manifest.trained_on
    predictor = open_run(drawn_run)
    data = load_dataset(recipe.data.dataset, predictor.input).split("validation")
    accuracy = (softmax(predictor.logits(data.images)).argmax(1) == data.indices).mean()
    assert accuracy == pytest.approx(run.best.validation_accuracy)
    measured = evaluate(predictor, load_dataset(recipe.data.dataset, predictor.input), split="validation")
    assert (measured.recipe, measured.training_seed) == (recipe.name, recipe.seed)
    assert (
        predictor.seen
        == manifest.seen
        == (Fitted(Path(recipe.data.dataset).name, None, ("train", "validation"), ("validation",)),)
    )


def stop_after(epochs):
    """What ends a run after some epochs as Ctrl-C does."""

    def stop(run):
        if len(run.history) == epochs:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    "changes",
    [
        {"progressive": Progressive()},
        {"optimiser": Optimiser(name="sgd", rate=0.1, schedule="cosine", clip=1.0), "averaging": None},
        {"class_weights": "inverse", "optimiser": Optimiser(name="rmsprop", rate=1e-3, schedule="constant")},
    ],
)
def test_a_stopped_run_resumes_to_the_same_bits(recipe, tmp_path, changes):
    recipe = replace(recipe, **changes)
    train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped", on_epoch=stop_after(2))
    assert Run.read(tmp_path / "stopped").status == "running"
    resumed = train(recipe, tmp_path / "stopped")
    assert [e.epoch for e in resumed.history] == [1, 2, 3, 4]
    same(tmp_path / "whole", tmp_path / "stopped")


KILLED = """
import os, pathlib, signal, sys
from mien.training.fit import train
from mien.training.recipe import Recipe

def stop(run):
    if len(run.history) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

train(Recipe.read(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), threads=1, on_epoch=stop)
"""

INTERRUPTED = """
import functools, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # heeded also where tests run in the background and ignore it
from mien.cli.main import run
from mien.training import fit
fit.train = functools.partial(fit.train, on_epoch=lambda _: os.kill(os.getpid(), signal.SIGINT))
run()
"""


def test_a_killed_process_leaves_a_run_that_goes_on(recipe, tmp_path):
    recipe.write(tmp_path / "recipe.yaml")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "recipe.yaml"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(Run.read(tmp_path / "run").history) == 2
    train(recipe, tmp_path / "run")
    train(recipe, tmp_path / "whole")
    same(tmp_path / "whole", tmp_path / "run")


def test_ctrl_c_leaves_a_run_that_goes_on(recipe, tmp_path):
    recipe.write(tmp_path / "recipe.yaml")
    arguments = ["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run"), "--threads", "1"]
    command = [sys.executable, "-c", INTERRUPTED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "goes on from the last whole epoch" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(Run.read(tmp_path / "run").history) == 1
    train(recipe, tmp_path / "run")
    train(recipe, tmp_path / "whole")
    same(tmp_path / "whole", tmp_path / "run")


def test_a_checkpoint_of_lightnings_trainer_goes_on(recipe, tmp_path):
    """Runs that were begun before the loop was mien's own hold more than it reads, and no less."""
    train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run", on_epoch=stop_after(2))
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    state |= {"pytorch-lightning_version": "2.5.0", "loops": {}, "callbacks": {}, "MixedPrecision": {}}
    state["state_dict"]["class_weights"] = torch.ones(7)
    torch.save(state, tmp_path / "run" / "last.ckpt")
    train(recipe, tmp_path / "run")
    same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_checkpoint_that_cannot_be_resumed_is_refused_in_words(recipe, tmp_path, damage):
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path, on_epoch=stop_after(1))
    if damage == "cut":
        (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes()[:1000])
    else:
        torch.save({"epoch": 0, "state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be resumed .*: train into another folder with --out"):
        train(recipe, tmp_path)


def same(one, other):
    a, b = (load_file(folder / "best.safetensors") for folder in (one, other))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    a, b = (torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (one, other))
    assert all(torch.equal(a[key], b[key]) for key in a)


class Stopped(BaseException):
    """What ends a run in the middle of its writing."""


@contextmanager
def stopped_after(writes, folder):
    """Let that many files appear in a run's folder, and end the run before the next one does."""
    left, original = iter(range(writes)), Path.replace

    def put(part, target):
        if part.parent == folder and next(left, None) is None:
            raise Stopped
        return original(part, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", put)
        yield


@pytest.mark.parametrize("patience", [None, 1])
def test_a_stop_between_any_two_writes_loses_no_epoch(recipe, few, tmp_path, monkeypatch, patience):
    def numbers(run):
        return [replace(epoch, seconds=0.0) for epoch in run.history]

    monkeypatch.setattr("mien.training.fit.draw_curves", lambda *_: None)
    rate = 1e-2 if patience is None else 1e-12  # which never betters the first epoch
    recipe = replace(recipe, data=few, epochs=3, patience=patience, optimiser=Optimiser(rate=rate))
    whole = train(recipe, tmp_path / "whole")
    weights = load_file(tmp_path / "whole" / "best.safetensors")
    assert len(whole.history) == (3 if patience is None else 2)
    points = 0
    for writes in range(1, 11):
        folder = tmp_path / str(writes)
        with suppress(Stopped), stopped_after(writes, folder):
            train(recipe, folder)
            break
        points += 1
        if Run.read(folder).status == "running":
            train(recipe, folder)
        resumed = Run.read(folder)
        assert (resumed.status, numbers(resumed)) == ("finished", numbers(whole)), writes
        found = load_file(folder / "best.safetensors")
        assert all(torch.equal(found[name], weights[name]) for name in weights), writes
    assert points >= 2 * len(whole.history)  # before each record and each checkpoint at least


@pytest.fixture
def begun(recipe, tmp_path):
    """A run that was stopped after the first of its two epochs, and its rows."""
    recipe = replace(recipe, epochs=2)
    rows = load_splits(recipe, input_of(recipe), None)
    with suppress(Stopped), stopped_after(4, tmp_path / "run"):  # record; weights, record and checkpoint
        fit(recipe, tmp_path / "run", *rows)
    assert len(Run.read(tmp_path / "run").history) == 1
    return recipe, tmp_path / "run", rows


def test_a_run_goes_on_with_its_own_rows_alone(begun):
    recipe, folder, (fitted, chosen) = begun
    others = (
        (fitted.take(np.arange(139)), chosen),
        (replace(fitted, indices=np.roll(fitted.indices, 1)), chosen),
        (fitted, replace(chosen, images=255 - chosen.images)),
    )
    for rows in others:
        with pytest.raises(
            TrainingError, match=r"not those it began with, 140 fitted and 56 chosen on .*put them back"
        ):
            fit(recipe, folder, *rows)
    assert fit(recipe, folder, fitted, chosen).status == "finished"


def test_early_stopping_ends_a_run_that_does_not_improve(recipe, tmp_path):
    still = replace(recipe, epochs=20, patience=2, optimiser=Optimiser(rate=1e-12), averaging=None)
    run = train(still, tmp_path / "run")
    assert run.status == "finished"
    assert len(run.history) == run.best.epoch + 2


def test_patience_counts_epochs_without_a_higher_accuracy(drawn_run):
    run = Run.read(drawn_run)
    after = replace(run, recipe=replace(run.recipe, epochs=20, patience=2), history=(), status="running")
    for number, accuracy in enumerate((0.5, 0.4, 0.5), start=1):
        assert after.status == "running"
        epoch = replace(run.history[0], epoch=number, validation_accuracy=accuracy, validation_loss=1 / number)
        after = after.with_epoch(epoch)
    assert after.status == "finished"
    assert after.best.epoch == 1


def test_an_epoch_that_is_computed_once_more_keeps_its_entry(drawn_run):
    run = replace(Run.read(drawn_run), status="running")
    assert run.with_epoch(replace(run.history[0], validation_accuracy=1.0)) == run


@pytest.mark.parametrize(
    ("capabilities", "computed"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, "bf16"),
    ],
)
def test_a_processor_that_imitates_bf16_computes_in_fp32(recipe, tmp_path, monkeypatch, capsys, capabilities, computed):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = replace(recipe, precision="bf16", epochs=1)
    run = train(settings, tmp_path / "run")
    assert run.precision == computed
    assert ("computed in fp32" in capsys.readouterr().err) == (computed == "fp32")
    whole = train(replace(recipe, epochs=1), tmp_path / "whole")
    assert (run.history[0].train_loss == whole.history[0].train_loss) == (computed == "fp32")


def test_class_weights_lift_a_rare_class(recipe, tmp_path):
    run = train(replace(recipe, class_weights="inverse", epochs=1), tmp_path / "run")
    assert np.isfinite(run.history[0].train_loss)


def test_a_folder_with_another_run_is_refused(recipe, tmp_path):
    train(replace(recipe, epochs=1), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"a run of another recipe \(epochs differ\)"):
        train(replace(recipe, epochs=2), tmp_path / "run")
    with pytest.raises(UnknownModelError, match="unknown network 'tinny'"):
        train(replace(recipe, network="tinny"), tmp_path / "run")
    with pytest.raises(TrainingError, match="holds this run, finished"):
        train(replace(recipe, epochs=1), tmp_path / "run")


def test_other_rows_than_chose_the_epoch_calibrate_nothing(recipe, tmp_path):
    fitted, validation = load_splits(recipe, input_of(recipe), None)
    fit(replace(recipe, epochs=1), tmp_path / "run", fitted, validation.take(np.arange(len(validation) - 1)))
    with pytest.raises(TrainingError, match="finds other rows in"):
        export_run(tmp_path / "run", tmp_path / "model")


def test_a_class_without_pictures_is_refused(recipe, tmp_path):
    wrong = replace(recipe, data=replace(recipe.data, labels="ferplus"))
    with pytest.raises(TrainingError, match="has no picture of contempt"):
        train(wrong, tmp_path / "run")


def test_a_class_without_pictures_to_choose_by_is_refused(recipe, monkeypatch):
    every = load_rows(recipe, input_of(recipe), None)
    sad = (every.splits == recipe.data.validation) & (every.indices == list(every.labels).index(Expression.SAD))
    monkeypatch.setattr("mien.training.recipe_data.load_rows", lambda *_: every.take(~sad))
    with pytest.raises(TrainingError, match="the split 'validation' has no picture of sad: add some"):
        load_splits(recipe, input_of(recipe), None)


def test_weights_of_another_network_are_refused(recipe, tmp_path):
    train(replace(recipe, epochs=1), tmp_path / "run")
    record = Run.read(tmp_path / "run")
    replace(record, recipe=replace(record.recipe, network="resezap")).write(tmp_path / "run")
    with pytest.raises(TrainingError, match="does not hold weights of 'resezap'"):
        open_run(tmp_path / "run")


def test_no_run_is_named(tmp_path):
    with pytest.raises(TrainingError, match="no run in"):
        Run.read(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="is not JSON"):
        Run.read(tmp_path)


@pytest.mark.parametrize(
    ("schedule", "first", "peak"), [("onecycle", 0.1, 20), ("cosine", 1.0, 0), ("constant", 1.0, 0)]
)
def test_rate_follows_its_schedule(schedule, first, peak):
    settings = Optimiser(schedule=schedule, warmup=0.2)
    factors = [rate_factor(step, 100, settings) for step in range(101)]
    assert factors[0] == pytest.approx(first)
    assert factors[peak] == pytest.approx(1.0)
    assert factors[100] == pytest.approx(1.0 if schedule == "constant" else 0.001)
    assert all(a >= b - 1e-12 for a, b in zip(factors[peak:], factors[peak + 1 :], strict=False))


def test_augmentation_and_order_differ_between_epochs(recipe, tmp_path):
    still = replace(recipe, epochs=2, optimiser=Optimiser(rate=1e-12), averaging=None)
    first, second = train(still, tmp_path / "run").history
    assert first.train_loss != second.train_loss


def test_a_whole_run_whose_record_says_that_it_goes_on_ends_with_its_next_epoch(recipe, tmp_path):
    recipe = replace(recipe, epochs=1)
    train(recipe, tmp_path / "run")
    replace(Run.read(tmp_path / "run"), status="running").write(tmp_path / "run")
    assert train(recipe, tmp_path / "run").status == "finished"
