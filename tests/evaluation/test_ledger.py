import json
from dataclasses import asdict, replace

import pytest

import mien
from evaluation.fakes import LinearPredictor, faces
from mien.core.errors import ConfigError
from mien.evaluation import ledger
from mien.evaluation.protocol import evaluate


@pytest.fixture(scope="module")
def result():
    return evaluate(LinearPredictor(), faces(), split="private")


def test_lines_are_appended_and_read_back(tmp_path, result):
    path = tmp_path / "results" / "private.jsonl"
    first = ledger.append(path, result)
    before = path.read_bytes()
    second = ledger.append(path, result)
    assert path.read_bytes().startswith(before)
    assert ledger.read(path) == [first, second]
    line = json.loads(before)
    assert line["mien"] == mien.__version__
    assert line["time"].endswith("+00:00")
    same = ("accuracy", "accuracy_without_leaks", "expected_calibration_error", "protocol", "identity", "views")
    for key in (*same, "members"):
        assert line[key] == asdict(result)[key]


def test_lines_from_before_views_are_read_as_what_they_say(tmp_path, result):
    path = tmp_path / "l.jsonl"
    entry = ledger.append(path, result)
    line = json.loads(path.read_text())
    del line["views"], line["members"]
    path.write_text("".join(json.dumps(line | {"mirror": mirror}) + "\n" for mirror in (False, True)))
    assert ledger.read(path) == [entry, replace(entry, views="mirror")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{broken\n", r"l\.jsonl:1 is not JSON"),
        ("{}\n", r"l\.jsonl:1: the key 'model' is missing"),
        ('{"model": 3}\n', "expected text"),
        ('{"time": "now"', "last line is cut short"),
        (b"\xff\xfe\n", "no ledger"),
    ],
)
def test_a_malformed_ledger_is_refused_and_left_alone(tmp_path, result, content, words):
    path = tmp_path / "l.jsonl"
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=words):
        ledger.append(path, result)
    assert path.read_bytes() == raw


def test_a_missing_ledger_says_how_to_start_one(tmp_path):
    with pytest.raises(ConfigError, match="mien evaluate --ledger"):
        ledger.read(tmp_path / "none.jsonl")
