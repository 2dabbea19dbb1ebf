from __future__ import annotations

import json
from pathlib import Path

import pytest

import tables


def _entry(**changes) -> str:
    entry = {
        "time": "2026-01-01T00:00:00+00:00",
        "mien": "0.1.0",
        "model": "tiny",
        "identity": "a" * 64,
        "parameters": 52063,
        "dataset": "fer2013",
        "split": "private",
        "protocol": "single crop",
        "mirror": False,
        "n": 3589,
        "accuracy": 0.66,
        "accuracy_interval": [0.645, 0.675],
        "macro_f1": 0.6,
        "log_loss": 0.9,
        "expected_calibration_error": 0.01,
        "bootstrap_seed": 0,
        "accuracy_without_leaks": 0.65,
        "recipe": "tiny",
        "training_seed": 0,
    }
    return json.dumps(entry | changes) + "\n"


@pytest.fixture
def root(tmp_path) -> Path:
    for name in tables.DOCUMENTS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((tables.ROOT / name).read_text())
    return tmp_path


def _run(root, *options):
    return tables.main(["--root", str(root), *options])


def test_without_measurements_the_documents_say_so(root):
    assert _run(root) == 0
    assert _run(root, "--check") == 0
    for name in set(tables.DOCUMENTS) - {"docs/networks.md"}:  # its tables come from the registry
        assert "Nothing has been measured yet" in (root / name).read_text()


def test_a_document_that_is_out_of_date_is_named_and_kept(root, capsys):
    _run(root)
    capsys.readouterr()
    (root / "results").mkdir()
    (root / tables.LEDGER).write_text(_entry())
    before = (root / "README.md").read_text()
    assert _run(root, "--check") == 1
    assert capsys.readouterr().out == "out of date, make tables: README.md, docs/measuring.md\n"
    assert (root / "README.md").read_text() == before
    assert _run(root) == 0
    assert "| `tiny` | 52,063 | 1 | 66.00 % | – | 65.00 % |" in (root / "README.md").read_text()


def test_runs_of_one_recipe_are_averaged(root):
    (root / "results").mkdir()
    lines = [
        _entry(),
        _entry(identity="b" * 64, accuracy=0.68, accuracy_without_leaks=0.67, training_seed=1),
        _entry(accuracy=0.67, mirror=True),
        _entry(identity="c" * 64, recipe=None, model="other", accuracy=0.7, members=2),
        _entry(identity="d" * 64, dataset="jaffe", accuracy=0.99),
    ]
    (root / tables.LEDGER).write_text("".join(lines))
    rows = tables.accuracy(root).splitlines()[2:]
    assert rows == [
        "| `other`, an ensemble | 52,063 | 1 | 70.00 % | – | 65.00 % |",
        "| `tiny` | 52,063 | 2 | 67.00 % (66.00–68.00) | 67.00 % | 66.00 % (65.00–67.00) |",
    ]


def test_the_last_measurement_of_the_same_weights_counts(root):
    (root / "results").mkdir()
    (root / tables.LEDGER).write_text(_entry(accuracy=0.1) + _entry(accuracy=0.66))
    assert "66.00 %" in tables.accuracy(root)
    assert "10.00" not in tables.accuracy(root)


def test_a_document_may_only_ask_for_what_is_generated(tmp_path):
    with pytest.raises(KeyError, match="weather"):
        tables.updated("<!-- generated: weather -->\n<!-- end -->", tmp_path)
