"""README.md: its examples run, its tables are current, its links lead somewhere."""

from __future__ import annotations

import os
import re

import pytest

import tables
from readme.blocks import ROOT, Block, blocks

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
PRINTED = {"reading.describe()": r"^\w+ \d+% (positive|neutral|negative)\ncould be \w+"}
"""What a block with such words in it prints."""

WRITTEN = {"--annotate": ("readings.json", "out/photo-mien.jpg", "out/report.html", "out/faces.csv")}
"""Files that a block with such words in it leaves."""


def _params() -> list[object]:
    found = [block for block in blocks("README.md") if not block.note.startswith("not run: ")]
    marks = {"needs real data": (pytest.mark.real_data, pytest.mark.slow), "": ()}
    return [pytest.param(block, marks=marks[block.note], id=f"line-{block.line}") for block in found]


@pytest.mark.parametrize("block", _params())
def test_an_example_runs_and_does_what_it_says(block: Block, desk, request):
    if request.node.get_closest_marker("real_data") and "MIEN_DATA" not in os.environ:
        pytest.skip("MIEN_DATA is not set: it names the folder that holds fer2013/fer2013.csv")
    printed = block.run(desk)
    for words, pattern in PRINTED.items():
        assert words not in block.code or re.search(pattern, printed)
    for words, names in WRITTEN.items():
        if words in block.code:
            assert {name: (desk / name).stat().st_size > 100 for name in names} == dict.fromkeys(names, True)


def test_what_the_examples_do_is_looked_at():
    for words in (*PRINTED, *WRITTEN):
        assert sum(words in param.values[0].code for param in _params()) == 1, words


def test_generated_tables_match_the_measurements(capsys):
    assert tables.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("https://") and not (path.parent / link).exists()]
    assert missing == []
