"""The results log: what it takes, what it refuses, and the tables made from it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mien.core.errors import ConfigError
from mien.evaluation import results_log
from mien.evaluation.compare import compare
from mien.evaluation.results_log import LoggedStep

STEP = LoggedStep(
    date="2026-11-21",
    model="tiny",
    change="a stride in the stem",
    against="the tiny layout",
    dataset="fer2013",
    split="public",
    evidence="one seed, 12 epochs",
    outcome="hurt",
    gain=-0.016,
)
REFERENCE = replace(STEP, change="the layout", against=None, outcome="reference", gain=None, accuracy=0.611)


def test_survives_writing_in_order(tmp_path):
    book = tmp_path / "new" / "path.jsonl"
    for step in (STEP, REFERENCE):
        results_log.append(book, step)
    assert results_log.read(book) == [STEP, REFERENCE]
    assert len(book.read_text().splitlines()) == 2


def test_a_paired_comparison_becomes_a_step():
    rng = np.random.default_rng(0)
    old = rng.random(2000) < 0.6
    new = old | (rng.random(2000) < 0.1)
    (pair,) = compare({"new": new, "old": old})
    step = results_log.of_pair(
        pair, date="2026-11-21", change="x", dataset="fer2013", split="public", accuracy=float(new.mean())
    )
    assert (step.model, step.against, step.outcome) == ("new", "old", "helped")
    assert step.gain == pytest.approx(new.mean() - old.mean())
    assert step.interval[0] > 0
    assert not step.indicative
    assert (
        results_log.of_pair(
            compare({"a": old, "b": old})[0], date="d", change="x", dataset="d", split="public", accuracy=0.5
        ).outcome
        == "no gain"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "private"}, "only reports"),
        ({"split": "test"}, "only reports"),
        ({"accuracy": 61.1}, "share of 0 to 1"),
        ({"gain": 1.6}, "difference of shares"),
        ({"against": None}, "compared with nothing"),
        ({"outcome": "reference"}, "compared with nothing"),
        ({"outcome": "reference", "against": None}, "gains nothing"),
        ({"interval": (-0.01, 0.0)}, "a gain within it"),
        ({"interval": (-0.03, 0.01)}, "says 'no gain', not 'hurt'"),
        ({"gain": None, "interval": (-0.03, -0.01)}, "needs a gain"),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(STEP, **change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n", ":1 is not JSON"),
        ('{"model": "tiny"}\n', ":1: the key 'date' is missing"),
        ("{}", "cut short"),
        (json.dumps({"outcom": 1}) + "\n", "unknown key 'outcom': did you mean 'outcome'"),
    ],
    ids=str,
)
def test_a_broken_log_is_refused_and_kept(tmp_path, text, message):
    book = tmp_path / "path.jsonl"
    book.write_text(text)
    with pytest.raises(ConfigError, match=message):
        results_log.append(book, STEP)
    assert book.read_text() == text


def test_no_log(tmp_path):
    with pytest.raises(ConfigError, match="no results log at"):
        results_log.read(tmp_path / "path.jsonl")


def test_tables_put_the_largest_first_and_say_what_they_rest_on():
    small = replace(STEP, change="less | much", gain=-0.002)
    sure = replace(STEP, change="certain", gain=-0.03, interval=(-0.04, -0.02), cost="half the speed")
    unknown = replace(STEP, change="unknown", gain=None)
    log = [unknown, small, STEP, sure, REFERENCE]
    (row,) = results_log.markdown(log, "hurt").splitlines()[2:]
    assert row.split(" | ")[3] == "-3.00 (-4.00 to -2.00)"
    assert "certain; half the speed" in row
    rows = results_log.markdown(log, "indicative").splitlines()[2:]
    assert [row.split(" | ")[3:5] for row in rows] == [["to hurt", "-1.60"], ["to hurt", "-0.20"], ["to hurt", "–"]]
    assert "one seed, 12 epochs; fer2013 public, 2026-11-21" in rows[0]
    assert "less &#124; much" in rows[1]
    assert "61.10" in results_log.markdown([REFERENCE, STEP], "reference")
    assert results_log.markdown([STEP], "helped") == "None so far."
