"""``mien train``, ``export``, ``networks``, and a result recorded in a manifest, through the command line."""

import json
import sys

import pytest

from mien.cli import main
from mien.core.manifest import Manifest
from mien.models import registry
from mien.training import cost as costs
from mien.training.cost import Cost


@pytest.fixture
def mien(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def recipe(tmp_path, face_folder):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\nnetwork: tiny\ndata: {{dataset: {face_folder}, validation: validation, limit: 40}}\n"
        "epochs: 2\nbatch: 20\n"
    )
    return path


def test_from_recipe_to_a_recorded_result(mien, recipe, tmp_path, face_folder):
    run = tmp_path / "run"
    code, out, _ = mien("train", recipe, "--out", run, "--set", "optimiser.rate=0.01", "--seed", "3", "--threads", "1")
    assert code == 0
    assert f"next: mien export {run}" in out
    assert json.loads((run / "run.json").read_text())["recipe"]["optimiser"]["rate"] == 0.01
    code, out, _ = mien("export", run, "--name", "ours")
    assert code == 0
    assert "52,063 values" in out
    for _ in range(2):  # the second takes the first one's place
        code, out, _ = mien("evaluate", run / "ours.onnx", face_folder, "--split", "test", "--record", "--json")
        assert code == 0
    manifest = Manifest.read(run / "ours.json")
    assert manifest.seed == 3
    assert [metric.split for metric in manifest.metrics] == ["test"]
    assert manifest.metrics[0].accuracy == json.loads(out)["accuracy"]
    code, _, err = mien("train", recipe, "--out", run)
    assert code == 1
    assert "another recipe" in err


def test_a_run_is_measured_like_its_export(mien, drawn_run, face_folder):
    figures = []
    for model in (drawn_run, drawn_run / "drawn.onnx"):
        code, out, _ = mien("evaluate", model, face_folder, "--split", "validation", "--json")
        assert code == 0
        figures.append(json.loads(out)["accuracy"])
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [("epoch=3", "unknown key 'epoch': did you mean 'epochs'"), ("epochs", "expected KEY=VALUE")],
)
def test_a_wrong_change_is_named(mien, recipe, change, message):
    code, _, err = mien("train", recipe, "--set", change)
    assert code == 1
    assert message in err


@pytest.fixture(scope="module")
def counted():
    """All networks, counted once for the tests that only look at the list."""
    return {record.name: registry.count(record) for record in registry.networks().values()}


def test_networks_are_listed(mien, monkeypatch, counted):
    monkeypatch.setattr(registry, "count", lambda record: counted[record.name])
    code, out, _ = mien("networks", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["resezap"]["trained"] + rows["resezap"]["running"] == 54_480
    assert rows["resezap"]["multiplications"] == 16_909_540
    assert rows["resezap"]["bytes"] == 217_920
    assert rows["vgg16"]["planes"] == 3
    assert all(row["paper"] and row["multiplications"] > 0 for row in rows.values())


def test_the_networks_are_whole_on_a_narrow_terminal(mien, monkeypatch, counted):
    monkeypatch.setattr(registry, "count", lambda record: counted[record.name])
    assert "resezap" in mien("networks")[1]
    monkeypatch.setenv("COLUMNS", "80")
    shown = mien("networks")[1]
    assert "…" not in shown
    for word in ("mobilenet-v3-large", "resezap-residual", "13,367,367"):
        assert word in shown


def test_a_named_network_is_measured(mien):
    code, out, err = mien("networks", "resezap", "--json")
    assert (code, err) == (0, "resezap: counting and timing 'resezap'\n")
    [row] = json.loads(out)
    assert (row["name"], row["network"], row["side"]) == ("resezap", "resezap", 48)
    assert (row["trained"], row["running"], row["multiplications"]) == (53_136, 1_344, 16_909_540)
    assert 0 < row["milliseconds"] <= row["milliseconds_p95"]


def test_measured_networks_and_recipes_fit_a_narrow_terminal(mien, recipe, monkeypatch):
    asked = []

    def measure(chosen):
        asked.append((chosen.name, chosen.network, chosen.epochs))
        return Cost(
            chosen.network, 138_357_544, 105_344, 15_346_630_656, 553_430_176, 224, 1234.567, 2345.678, 5, "m", 1
        )

    monkeypatch.setattr(costs, "measure_cost", measure)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = mien("networks", "tiny", recipe)
    assert code == 0
    assert asked == [("tiny", "tiny", 50), ("mine", "tiny", 2)]
    lines = out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert "…" not in out
    words = ["224", "138,357,544", "105,344", "15,346,630,656", "553,430", "1234.57", "2345.68"]
    assert [line.split() for line in lines if "224" in line] == [["tiny", *words], ["mine", *words]]
    assert lines[-1] == "ms: processor time for one face, one thread, fresh weights, on m, under a load of 1 processes"


def test_nothing_is_measured_before_every_name_is_known(mien, recipe, monkeypatch):
    monkeypatch.setattr(costs, "measure_cost", pytest.fail)
    for name, message in (
        ("reszap", "unknown network 'reszap': did you mean 'resezap'?"),
        (recipe.with_name("gone.yaml"), "no recipe at"),
    ):
        code, _, err = mien("networks", "tiny", name)
        assert code == 1
        assert message in err


def test_a_backbone_without_torchvision_names_the_extra(mien, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    code, _, err = mien("networks", "vgg16")
    assert code == 1
    assert "pip install 'mien[backbones]'" in err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--strategy", "dpp", "did you mean 'ddp'?"), ("--devices", "many", "expected a number or auto")],
)
def test_impossible_workers_are_named(mien, recipe, option, value, message):
    code, _, err = mien("train", recipe, option, value)
    assert code == 1
    assert message in err


def test_a_face_detector_is_trained_on_one_machine_and_names_what_it_lacks(mien, tmp_path, monkeypatch):
    path = tmp_path / "eye.yaml"
    path.write_text("kind: face-detector\nname: eye\nportraits: heads\nbackgrounds: grounds\n")
    code, _, err = mien("train", path, "--devices", "2")
    assert code == 1
    assert "trains a face detector, on one machine's processor: leave --devices out" in err
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    code, _, err = mien("train", path, "--out", tmp_path / "run", "--data", tmp_path)
    assert code == 1
    assert "mien models pull yunet" in err  # the teacher
    code, _, err = mien("train", path, "--set", "stesp=3")
    assert code == 1
    assert "did you mean 'steps'" in err
