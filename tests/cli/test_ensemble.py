"""``mien ensemble`` and ``mien evaluate --ten-crop``, through the command line."""

import json
import sys

import numpy as np
import pytest

from mien.cli import main
from mien.core.predictor import softmax


@pytest.fixture
def mien(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture(scope="module")
def runs(face_folder, tmp_path_factory):
    """Two short runs, one of them exported."""
    from mien.training.fit import train
    from mien.training.publish import export_run
    from mien.training.recipe import DataConfig, Optimiser, Recipe

    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        recipe = Recipe(
            name=f"r{seed}",
            network="resezap",
            data=DataConfig(dataset=str(face_folder), validation="validation"),
            optimiser=Optimiser(rate=1e-2),
            epochs=1,
            batch=20,
            seed=seed,
        )
        train(recipe, folder / f"r{seed}")
    export_run(folder / "r1", folder / "onnx")
    return folder


def test_a_run_and_an_onnx_file_answer_together(mien, runs, face_folder, tmp_path):
    from mien.data.load import load_dataset
    from mien.runtime.library import open_model
    from mien.training.publish import open_run

    members = (runs / "r0", runs / "onnx" / "r1.onnx")
    code, out, err = mien("ensemble", tmp_path / "pair", *members)
    assert code == 0, err
    assert "pair.ensemble.json: ensemble of 2, mean, 108,960 values" in out
    file = tmp_path / "pair.ensemble.json"
    code, out, _ = mien("evaluate", file, face_folder, "--split", "test", "--json")
    assert code == 0
    found = json.loads(out)
    predictors = (open_run(members[0]), open_model(members[1]))
    rows = load_dataset(face_folder, predictors[0].input).split("test")
    mean = np.mean([softmax(p.logits(rows.images), p.temperature) for p in predictors], axis=0)
    assert found["accuracy"] == pytest.approx((mean.argmax(1) == rows.indices).mean())
    assert found["protocol"].startswith("ensemble of 2, mean; ")
    assert (found["views"], found["members"]) == ("one", 2)
    code, out, _ = mien("compare", file, members[0], face_folder, "--split", "test", "--json")
    assert code == 0
    assert set(json.loads(out)["accuracies"]) == {"pair", "r0"}


@pytest.mark.parametrize("how", ["weighted", "stacked"])
def test_shares_are_fitted_on_named_rows(mien, runs, face_folder, tmp_path, how):
    members = (runs / "r0", runs / "r1")
    file = tmp_path / "fitted.ensemble.json"
    code, out, err = mien(
        "ensemble", file, *members, "--combine", how, "--dataset", face_folder, "--split", "validation"
    )
    assert code == 0, err
    assert f"fitted on 56 rows of {face_folder.name}, validation" in out
    assert json.loads(file.read_text())["members"] == [str(path(m, tmp_path)) for m in members]
    code, out, _ = mien("evaluate", file, face_folder, "--split", "test", "--json")
    assert code == 0
    assert f"ensemble of 2, {how}, fitted on 56 rows" in json.loads(out)["protocol"]


def path(target, folder):
    import os

    return os.path.relpath(target, folder)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{r0}"], 2, "two or more different models"),
        (["{r0}", "{r0}"], 2, "two or more different models"),
        (["{r0}", "{r1}", "--combine", "median"], 2, "not one of mean, weighted, stacked"),
        (["{r0}", "{r1}", "--combine", "stacked"], 1, "--dataset is what 'weighted' and 'stacked' are fitted on"),
        (["{r0}", "{r1}", "--dataset", "x"], 1, "'mean' is not fitted"),
        (["{r0}", "nowhere"], 1, "unknown model 'nowhere'"),
        (
            ["{r0}", "{r1}", "--combine", "stacked", "--dataset", "fer2013", "--split", "private"],
            1,
            "--split private: it reports",
        ),
    ],
)
def test_wrong_ensembles_are_refused(mien, runs, tmp_path, arguments, code, message):
    import re

    given = [a.format(r0=runs / "r0", r1=runs / "r1") for a in arguments]
    found, _, err = mien("ensemble", tmp_path / "x", *given)
    assert found == code
    assert re.search(message, re.sub(r"[\s│]+", " ", err))


def test_an_ensemble_without_its_member_is_named(mien, runs, tmp_path, face_folder):
    file = tmp_path / "pair.ensemble.json"
    assert mien("ensemble", file, runs / "r0", runs / "r1")[0] == 0
    content = json.loads(file.read_text())
    content["members"][1] = "gone/r1"
    file.write_text(json.dumps(content))
    code, _, err = mien("evaluate", file, face_folder, "--split", "test")
    assert code == 1
    assert "gone/r1" in err
    code, _, err = mien("evaluate", file, face_folder, "--record")
    assert code == 1
    assert "use --ledger" in err


def test_ten_crops_are_named_in_the_protocol(mien, runs, face_folder):
    code, out, _ = mien("evaluate", runs / "r0", face_folder, "--split", "test", "--ten-crop", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["model"] == "r0+ten"
    assert found["protocol"].startswith("averaged over ten crops; ")
    code, _, err = mien("evaluate", runs / "r0", face_folder, "--ten-crop", "--mirror")
    assert code == 1
    assert "leave --mirror out" in err
