import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mien.core.errors import ConfigError, ModelError
from mien.core.files import append_line, read_json, read_lines, read_record, replacing, write_json, write_whole


@dataclass(frozen=True)
class Weighed:
    name: str
    grams: float = 1.0


def test_a_record_comes_back_from_the_file_that_was_written(tmp_path: Path):
    path = tmp_path / "new" / "weighed.json"

    write_json(Weighed("apple", 182.5), path)

    assert read_record(Weighed, path, remedy="weigh it again") == Weighed("apple", 182.5)


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "weighed.json"
    write_whole(path, "old")

    def write_half():
        with replacing(path) as part:
            part.write_text("half of")
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        write_half()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_raises_what_the_caller_says(tmp_path: Path):
    with pytest.raises(ModelError, match="buy one"):
        read_json(tmp_path / "none.json", missing=ModelError("no scales: buy one"), remedy="weigh it again")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[" * 100_000])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path, content: bytes):
    path = tmp_path / "weighed.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"weighed\.json is not JSON .*: weigh it again"):
        read_json(path, remedy="weigh it again")


def test_a_log_gives_its_lines_back_in_order_whatever_their_text_holds(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    records = [Weighed("a\nb"), Weighed("line\u2028separator", 2), Weighed("Äpfel", 3)]

    for record in records:
        append_line(path, record)

    assert read_lines(Weighed, path, what="log", start="weigh") == records


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"name": "a"}\n{"name"', "last line is cut short"),
        ('{"name": "a"}\n{"nam": "b"}\n', r"log\.jsonl:2: unknown key 'nam'"),
        ('{"name": "a"}\n{\n', r"log\.jsonl:2 is not JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_its_number(tmp_path: Path, content: str, words: str):
    path = tmp_path / "log.jsonl"
    path.write_text(content)

    with pytest.raises(ConfigError, match=words):
        read_lines(Weighed, path, what="log", start="weigh")


def test_a_log_that_is_missing_says_what_starts_one(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no log at .*none\.jsonl: `weigh` starts one"):
        read_lines(Weighed, tmp_path / "none.jsonl", what="log", start="weigh")


def test_numbers_that_are_none_do_not_get_into_a_log(tmp_path: Path):
    path = tmp_path / "log.jsonl"

    with pytest.raises(ValueError, match="not JSON compliant"):
        append_line(path, Weighed("a", float("nan")))

    assert not path.exists()


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path):
    old, young, other = (tmp_path / name for name in ("a[1].json.7-8.part", "a[1].json.9-9.part", "b.json.7-8.part"))
    for left in (old, young, other):
        left.write_text("half")
    for left in (old, other):
        os.utime(left, (time.time() - 90_000,) * 2)
    write_whole(tmp_path / "a[1].json", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].json", young.name, other.name}
