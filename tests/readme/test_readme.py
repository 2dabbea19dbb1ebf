"""README.md: its examples run, its tables are current, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from readme.blocks import ROOT, Block, blocks

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def _params() -> list[object]:
    found = [block for block in blocks("README.md") if not block.note.startswith("not run: ")]
    marks = {"needs real data": (pytest.mark.real_data, pytest.mark.slow), "": ()}
    return [pytest.param(block, marks=marks[block.note], id=f"line-{block.line}") for block in found]


@pytest.mark.parametrize("block", _params())
def test_an_example_runs(block: Block, desk, request):
    if request.node.get_closest_marker("real_data") and "MIEN_DATA" not in os.environ:
        pytest.skip("MIEN_DATA is not set: it names the folder that holds fer2013/fer2013.csv")
    block.run(desk)


def test_the_python_example_finds_the_face(desk):
    first = next(block for block in blocks("README.md") if block.language == "python")
    assert re.search(r"^\w+ \d+% (positive|neutral|negative)\ncould be \w+", first.run(desk))


def test_the_shell_example_writes_what_it_names(desk):
    first = next(block for block in blocks("README.md") if "--annotate" in block.code)
    first.run(desk)
    for name in ("readings.json", "out/photo-mien.jpg", "out/report.html", "out/faces.csv"):
        assert (desk / name).stat().st_size > 100


def test_generated_tables_match_the_measurements():
    command = [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("https://") and not (path.parent / link).exists()]
    assert missing == []
