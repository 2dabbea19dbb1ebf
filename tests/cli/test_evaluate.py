import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from evaluation.fakes import LinearPredictor, faces
from mien.cli import evaluate as commands
from mien.core.errors import ConfigError, DatasetError, LabelError, MissingExtraError
from mien.core.expression import THREE
from mien.core.fitted import Fitted, Folds
from mien.data.dataset import text_column
from mien.data.folds import in_folds
from mien.evaluation import ledger, results_log

PREDICTORS = {
    "linear": LinearPredictor(),
    "other": LinearPredictor(name="other", seed=1),
    "copy.onnx": LinearPredictor(seed=2),
    "/home/me/runs/copy-0": LinearPredictor(seed=3),
    "three": LinearPredictor(name="three", labels=THREE),
}


@pytest.fixture
def run(monkeypatch):
    app = typer.Typer()
    commands.register(app)
    monkeypatch.setattr(commands, "open_predictor", PREDICTORS.__getitem__)
    monkeypatch.setattr(commands, "load_for", lambda name, predictor, root, detector, **_: faces(name=name))
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_json_holds_the_promised_keys_and_nothing_else_is_printed(run):
    result = run("evaluate", "linear", "faces", "--json", "--slice", "subject", "--slice", "age")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert content["split"] == "private"
    assert content["accuracy_interval"][0] <= content["accuracy"] <= content["accuracy_interval"][1]
    assert content["accuracy_without_leaks"] is not None
    assert 0 <= content["expected_calibration_error"] <= 1
    assert {"subject", "age"} <= {part["column"] for part in content["slices"]}


def test_table_and_files(run, tmp_path):
    png, page, book = tmp_path / "new" / "a.png", tmp_path / "a.html", tmp_path / "a.jsonl"
    result = run("evaluate", "linear", "faces", "--split", "public", "--png", png, "--html", page, "--ledger", book)
    assert result.exit_code == 0
    assert "linear on faces/public" in result.stdout
    assert f"wrote {png}".replace("\n", "") in result.stdout
    assert png.read_bytes().startswith(b"\x89PNG")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [entry.split for entry in ledger.read(book)] == ["public"]


def test_robustness_is_measured_beside(run, tmp_path):
    plain = json.loads(run("evaluate", "linear", "faces", "--split", "public", "--json").stdout)
    content = json.loads(run("evaluate", "linear", "faces", "--split", "public", "--json", "--robustness").stdout)
    harmed = content.pop("robustness")
    assert content == plain
    assert harmed["accuracy"]["value"] == plain["accuracy"]
    assert len(harmed["conditions"]) == 21
    text = run("evaluate", "linear", "faces", "--split", "public", "--robustness").stdout
    assert "linear under corruption" in text
    assert f"mean corruption accuracy {100 * harmed['mean_corruption']['value']:.2f} %" in text


def test_robustness_on_private_is_written_down_or_refused(run, tmp_path):
    refused = run("evaluate", "linear", "faces", "--robustness")
    assert isinstance(refused.exception, ConfigError)
    assert "add --ledger" in str(refused.exception)
    book = tmp_path / "book.jsonl"
    assert run("evaluate", "linear", "faces", "--robustness", "--ledger", book).exit_code == 0
    assert [entry.split for entry in ledger.read(book)] == ["private"]
    both = run("evaluate", "linear", "faces", "--split", "public", "--robustness", "--mirror")
    assert isinstance(both.exception, ConfigError)


def test_the_mirror_is_told(run):
    content = json.loads(run("evaluate", "linear", "faces", "--mirror", "--json").stdout)
    assert content["protocol"].startswith("averaged with the mirrored face")
    assert content["views"] == "mirror"


def test_a_broken_ledger_is_refused_before_measuring(run, tmp_path):
    book = tmp_path / "a.jsonl"
    book.write_text("{}\n")
    result = run("evaluate", "no such model", "faces", "--ledger", book)
    assert isinstance(result.exception, ConfigError)


def test_a_model_whose_labels_do_not_fit_is_refused_until_told_to_drop(run):
    result = run("evaluate", "three", "faces")
    assert isinstance(result.exception, LabelError)
    assert "--drop-unknown" in str(result.exception)
    content = json.loads(run("evaluate", "three", "faces", "--drop-unknown", "--json").stdout)
    assert content["dropped"] > 0


def test_an_unknown_split_lists_those_there_are(run):
    result = run("evaluate", "linear", "faces", "--split", "privat")
    assert isinstance(result.exception, DatasetError)
    assert "Valid: private, public, train" in str(result.exception)


def test_compare_prints_every_pair(run):
    result = run("compare", "linear", "other", "copy.onnx", "faces", "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert list(content["accuracies"]) == ["linear", "other", "copy.onnx"]
    assert len(content["pairs"]) == 3
    same = json.loads(run("compare", "copy.onnx", "linear", "faces", "--json").stdout)  # both call themselves linear
    assert list(same["accuracies"]) == ["copy.onnx", "linear"]
    table = run("compare", "linear", "other", "faces")
    assert "First less second" in table.stdout


def test_compare_appends_to_the_results_log(run, tmp_path):
    book = tmp_path / "path.jsonl"
    words = ("--change", "another seed", "--log", book)
    assert run("compare", "linear", "other", "faces", "--split", "public", *words).exit_code == 0
    (step,) = results_log.read(book)
    pair = json.loads(run("compare", "linear", "other", "faces", "--split", "public", "--json").stdout)["pairs"][0]
    assert (step.model, step.change, step.against, step.split) == ("linear", "another seed", "other", "public")
    assert step.gain == pair["difference"]
    assert (step.views, step.members) == ("one", 1)
    assert run("compare", "linear", "other", "faces", "--split", "public", "--mirror", *words).exit_code == 0
    assert [one.views for one in results_log.read(book)] == ["one", "mirror"]
    for arguments in (
        ("linear", "other", "faces", "--split", "private", *words),
        ("linear", "other", "three", "faces", "--split", "public", *words),
        ("linear", "other", "faces", "--split", "public", "--log", book),
    ):
        assert isinstance(run("compare", *arguments).exception, ConfigError)
    assert len(results_log.read(book)) == 2


def test_the_results_log_holds_no_path(run, tmp_path):
    book = tmp_path / "path.jsonl"
    arguments = ("linear", "/home/me/runs/copy-0", "faces", "--split", "public", "--change", "a", "--log", book)
    assert run("compare", *arguments).exit_code == 0
    (step,) = results_log.read(book)
    assert (step.model, step.against) == ("linear", "copy-0")


@pytest.mark.parametrize("models", [["linear"], ["linear", "linear"]])
def test_compare_needs_two_different_models(run, models):
    result = run("compare", *models, "faces")
    assert result.exit_code == 2
    assert "two or more different models" in result.stderr


def test_compare_refuses_models_that_answer_other_rows(run):
    result = run("compare", "linear", "three", "faces", "--drop-unknown")
    assert isinstance(result.exception, DatasetError)
    assert "give the same expressions" in str(result.exception)


def test_a_run_is_opened_with_torch_and_a_name_without(monkeypatch, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    runs = SimpleNamespace(open_run=lambda path: ("run", path))
    monkeypatch.setitem(sys.modules, "mien.training.run_as_model", runs)
    monkeypatch.setitem(
        sys.modules, "mien.runtime.inference.library", SimpleNamespace(open_model=lambda name: ("onnx", name))
    )
    assert commands.open_predictor(str(tmp_path)) == ("run", tmp_path)
    assert commands.open_predictor("tiny") == ("onnx", "tiny")


def test_a_run_without_torch_names_the_extra(monkeypatch, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "mien.training.run_as_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[train\]'"):
        commands.open_predictor(str(tmp_path))


def test_the_dataset_is_loaded_for_the_models_input(monkeypatch, tmp_path):
    seen = {}

    def load(name, spec, *, root, detector, counts, classes):
        seen.update(name=name, spec=spec, root=root, counts=counts, classes=classes)
        assert "mien.runtime" not in str(vars(detector))  # no detector is made before a whole picture asks for it

    monkeypatch.setitem(sys.modules, "mien.data.load", SimpleNamespace(load_dataset=load))
    commands.load_for("fer2013", PREDICTORS["linear"], tmp_path, counts="any", classes="raf-db")
    assert seen == {
        "name": "fer2013",
        "spec": PREDICTORS["linear"].input,
        "root": tmp_path,
        "counts": "any",
        "classes": "raf-db",
    }


@pytest.mark.parametrize(("splits", "expected"), [(["train", "test"], "test"), (["all"], "all"), (["only"], "only")])
def test_the_split_that_is_reported_where_none_is_named(run, monkeypatch, splits, expected):
    rows = faces()
    renamed = replace(rows, splits=text_column([splits[i % len(splits)] for i in range(len(rows))]))
    monkeypatch.setattr(commands, "load_for", lambda name, predictor, root, detector, **_: renamed)
    assert json.loads(run("evaluate", "linear", "faces", "--json").stdout)["split"] == expected
    assert f"linear on faces/{expected}" in run("evaluate", "linear", "faces").stdout


def test_splits_that_leave_open_what_is_reported(run, monkeypatch):
    rows = faces()
    renamed = replace(rows, splits=text_column(["a", "b"] * (len(rows) // 2)))
    monkeypatch.setattr(commands, "load_for", lambda name, predictor, root, detector, **_: renamed)
    assert "faces has the splits a, b: name the one" in str(run("evaluate", "linear", "faces").exception)


def test_a_fold_is_measured_on_its_own_persons(run):
    rows = faces()
    shares = []
    for test in range(3):
        content = json.loads(run("evaluate", "linear", "faces", "--fold", f"{test}/3", "--json").stdout)
        assert content["split"] == "test"
        shares.append(content["n"])
    assert sum(shares) == len(rows)


@pytest.mark.parametrize("fold", ["3", "a/b", "5/3", "1/2"])
def test_an_impossible_fold(run, fold):
    result = run("evaluate", "linear", "faces", "--fold", fold)
    assert isinstance(result.exception, ConfigError)
    assert f"--fold {fold}: expected I/K" in str(result.exception)


FITTED = Fitted("faces", Folds(3, 2, seed=4), ("train", "validation"))


@pytest.fixture
def fitted(monkeypatch):
    """Two models that were fitted on one fold of the rows, and one that was fitted on the next."""
    following = replace(FITTED, folds=replace(FITTED.folds, test=0))
    monkeypatch.setitem(PREDICTORS, "fitted", LinearPredictor(name="fitted", seed=3, seen=(FITTED,)))
    monkeypatch.setitem(PREDICTORS, "again", LinearPredictor(name="again", seed=4, seen=(FITTED,)))
    monkeypatch.setitem(PREDICTORS, "following", LinearPredictor(name="following", seed=5, seen=(following,)))


@pytest.mark.parametrize("options", [(), ("--fold", "2/3"), ("--ten-crop",), ("--mirror",)])
def test_a_model_is_measured_on_the_fold_that_it_did_not_see(run, fitted, options):
    expected = len(in_folds(faces(), FITTED.folds).split("test"))
    content = json.loads(run("evaluate", "fitted", "faces", "--json", *options).stdout)
    assert (content["split"], content["n"]) == ("test", expected)
    assert "measured on fold 2 of 3, no subject on both sides (seed 4)" in content["protocol"]
    assert json.loads(run("evaluate", "fitted", "others", "--json").stdout)["split"] == "private"


@pytest.mark.parametrize("options", [("--fold", "0/3"), ("--fold", "1/3"), ("--fold", "1/3", "--ten-crop")])
def test_another_fold_is_refused_and_the_right_one_named(run, fitted, options):
    error = run("evaluate", "fitted", "faces", *options).exception
    assert isinstance(error, DatasetError)
    assert "fold 2 of 3, no subject on both sides (seed 4)" in str(error)
    assert "--fold 2/3, or with no --fold" in str(error)


def test_models_are_compared_on_the_fold_that_none_of_them_saw(run, fitted):
    for models in (("linear", "fitted"), ("fitted", "again"), ("again", "linear")):
        content = json.loads(run("compare", *models, "faces", "--json").stdout)
        assert content["split"] == "test"
    assert isinstance(run("compare", "linear", "fitted", "faces", "--fold", "1/3").exception, DatasetError)
    for further in ((), ("--fold", "0/3"), ("--fold", "2/3")):
        assert "was fitted on a part of faces" in str(
            run("compare", "fitted", "following", "faces", *further).exception
        )
