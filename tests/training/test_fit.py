"""Training on drawn faces: it learns, it resumes to the bit, and it refuses what it must."""

import json
import os
import signal
import subprocess
import sys
import time
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
from mien.core.predictor import softmax
from mien.data.load import load_dataset
from mien.evaluation.protocol import evaluate
from mien.training.fit import fit, train
from mien.training.loop import rate_factor
from mien.training.recipe import Augmentation, DataConfig, Optimiser, Progressive, Recipe
from mien.training.recipe_data import load_rows, load_splits
from mien.training.run import Run
from mien.training.run_as_model import export_run, open_run
from mien.training.transfer import input_of


@pytest.fixture
def recipe(face_folder):
    return Recipe(
        name="drawn",
        network="tiny",
        data=DataConfig(dataset=str(face_folder), validation="validation"),
        augment=Augmentation(rotation=5, zoom=0.05, shift=0.03, erase=0.2),
        optimiser=Optimiser(rate=1e-2),
        epochs=4,
        batch=20,
        smoothing=0.05,
        averaging=0.9,
    )


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_learns_drawn_faces_and_exports_them(recipe, tmp_path):
    run = train(replace(recipe, epochs=10), tmp_path / "run")
    assert run.status == "finished"
    assert run.best.validation_accuracy > 0.6  # chance is 1/7
    assert run.history[-1].train_loss < run.history[0].train_loss
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000
    manifest = export_run(tmp_path / "run", tmp_path / "model")
    manifest.verify(tmp_path / "model")
    assert manifest.parameters == 52_063
    assert "140 rows of train" in manifest.trained_on
    predictor = open_run(tmp_path / "run")
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


@pytest.mark.parametrize(
    "changes",
    [{"progressive": Progressive()}, {"optimiser": Optimiser(name="sgd", rate=0.1, schedule="cosine", clip=1.0)}],
)
def test_a_killed_run_resumes_to_the_same_bits(recipe, tmp_path, changes):
    recipe = replace(recipe, **changes)
    train(recipe, tmp_path / "whole")
    path = tmp_path / "recipe.yaml"
    recipe.write(path)
    code = (
        "import sys, pathlib; from mien.training.fit import train; from mien.training.recipe import Recipe\n"
        "train(Recipe.read(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), threads=1)"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(killed)], env=dict(os.environ))
    wait_for_epochs(killed, 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Run.read(killed).status == "running"
    resumed = train(recipe, killed)
    assert [e.epoch for e in resumed.history] == [1, 2, 3, 4]
    same(tmp_path / "whole", killed)


HEARING = """
import signal
from mien.cli.main import run
signal.signal(signal.SIGINT, signal.default_int_handler)
run()
"""
"""mien, heeding Ctrl-C also where the tests were started in the background and ignore it."""


def test_ctrl_c_leaves_a_run_that_goes_on(recipe, tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = replace(recipe, epochs=3)
    recipe.write(path)
    run = tmp_path / "run"
    command = [sys.executable, "-c", HEARING, "train", str(path), "--out", str(run), "--threads", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for_epochs(run, 1, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "goes on from the last whole epoch" in said
    assert "Traceback" not in said
    train(recipe, run)
    train(recipe, tmp_path / "whole")
    same(tmp_path / "whole", run)


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
def test_a_stop_between_any_two_writes_loses_no_epoch(recipe, tmp_path, monkeypatch, patience):
    def numbers(run):
        return [replace(epoch, seconds=0.0) for epoch in run.history]

    monkeypatch.setattr("mien.training.fit.draw_curves", lambda *_: None)
    rate = 1e-2 if patience is None else 1e-12  # which never betters the first epoch
    recipe = replace(recipe, epochs=3, patience=patience, optimiser=Optimiser(rate=rate))
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


def test_a_record_from_before_rows_were_identified_goes_on(begun):
    recipe, folder, (fitted, chosen) = begun
    record = json.loads((folder / "run.json").read_text())
    assert record.pop("data") == [fitted.identity, chosen.identity]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"now 139 and 56"):
        fit(recipe, folder, fitted.take(np.arange(139)), chosen)
    assert fit(recipe, folder, fitted, chosen).status == "finished"


def test_early_stopping_ends_a_run_that_does_not_improve(recipe, tmp_path):
    still = replace(recipe, epochs=20, patience=2, optimiser=Optimiser(rate=1e-12), averaging=None)
    run = train(still, tmp_path / "run")
    assert run.status == "finished"
    assert len(run.history) == run.best.epoch + 2


def test_patience_counts_epochs_without_a_higher_accuracy(finished):
    run = Run.read(finished)
    after = replace(run, recipe=replace(run.recipe, epochs=20, patience=2), history=(), status="running")
    for number, accuracy in enumerate((0.5, 0.4, 0.5), start=1):
        assert after.status == "running"
        epoch = replace(run.history[0], epoch=number, validation_accuracy=accuracy, validation_loss=1 / number)
        after = after.with_epoch(epoch)
    assert after.status == "finished"
    assert after.best.epoch == 1


def test_an_epoch_that_is_computed_once_more_keeps_its_entry(finished):
    run = replace(Run.read(finished), status="running")
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
