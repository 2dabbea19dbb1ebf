"""``mien reproduce`` from the outside."""

import json
import sys
from types import SimpleNamespace

import pytest

from mien.cli import main
from studies.making import make_fer2013


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["mien", "reproduce", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return SimpleNamespace(returncode=ended.value.code or 0, stdout=said.out, stderr=said.err)

    return call


def test_an_unknown_study_is_named(run):
    done = run("006")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mien: there is no study '006': did you mean")
    assert done.stderr.rstrip().endswith("Valid: 000, 001, 002, 003, 004")


def test_cells_are_listed(run):
    done = run("001", "--cells")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "resnet50-random",
        "resnet50-imagenet",
        "custom-cnn",
    ]


def test_wrong_weights_and_missing_data_are_one_line_each(run, tmp_path):
    done = run("003", "--weights", "vgg6=imagenet", "--out", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "unknown network 'vgg6': did you mean 'vgg16'" in done.stderr
    done = run("000", "--only", "tiny-jaffe", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"mien: jaffe is not there; looked for JAFFE's pictures (KA.AN1.39.tiff) in {tmp_path}" in done.stderr


@pytest.mark.slow
def test_quick_runs_a_cell_and_writes_its_page(run, tmp_path):
    make_fer2013(tmp_path / "fer2013")
    out = tmp_path / "out"
    options = ("002", "--quick", "--only", "resezap", "--data", tmp_path, "--out", out, "--threads", "1")
    done = run(*options)
    assert done.returncode == 0, done.stderr
    [result] = json.loads((out / "002.json").read_text())["results"]
    assert (result["cell"], result["status"], result["score"]["n"]) == ("resezap", "measured", 42)
    assert "quick results" in (out / "002.md").read_text()
    assert "Confusion matrices" not in (out / "002.html").read_text()  # study 002 shows none
    again = run(*options)
    assert "resezap: done before" in again.stderr
    full = run("002", "--only", "resezap", "--out", out)
    assert "holds quick results, these would be full ones" in full.stderr
