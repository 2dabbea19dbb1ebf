import io
import json
import subprocess
import sys
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from rich.console import Console

from evaluation.fakes import DescribedPredictor, LinearPredictor, faces
from mien.core.errors import MissingExtraError
from mien.core.expression import SIX
from mien.evaluation import evaluation_report as report
from mien.evaluation import ledger
from mien.evaluation.compare import compare
from mien.evaluation.protocol import evaluate


@pytest.fixture(scope="module")
def result():
    return evaluate(DescribedPredictor(), faces(labels=SIX), split="private", columns=["subject"])


def printed(function, *arguments):
    buffer = io.StringIO()
    function(*arguments, Console(file=buffer, width=160))
    return buffer.getvalue()


def test_the_tables_hold_the_numbers(result):
    text = printed(report.print_evaluation, result)
    assert f"{100 * result.accuracy:.2f} %" in text
    assert f"{100 * result.accuracy_without_leaks:.2f} % of {result.n_without_leaks}" in text
    assert "hold the truth" in text
    for word in (*SIX, "person 2", "brightness", "contrast", "leaves out 8 rows"):
        assert word in text


def test_the_tables_do_without_sets_and_leaks():
    text = printed(report.print_evaluation, evaluate(LinearPredictor(), faces(), split="train"))
    assert "no earlier split to leak from" in text
    assert "hold the truth" not in text


def test_the_comparison_holds_the_numbers():
    a, b = np.arange(40) < 30, np.arange(40) < 20
    text = printed(report.print_comparison, compare({"a": a, "b": b}), {"a": 0.75, "b": 0.5})
    assert "+25.00" in text
    assert "75.00 %" in text
    assert "40 rows" in text


def test_the_figure_is_a_picture_with_three_panels(result):
    drawn = report.draw(result).figure
    titles = [axes.get_title() for axes in drawn.axes]
    assert titles[:2] == ["Confusion matrix", "Confusion vector"]
    assert titles[2].startswith("Reliability")
    assert "faces/private, n = 60" in drawn.get_suptitle()
    picture = cv2.imdecode(np.frombuffer(report.draw(result).png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] > 1500
    assert picture.std() > 20


def test_the_page_stands_alone_and_escapes(result):
    page = report.html(replace(result, model="<b>bold</b>"))
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert "data:image/png;base64,iVBOR" in page
    assert "http" not in page
    assert all(label in page for label in SIX)


@pytest.mark.parametrize(("module", "package"), [("matplotlib", "matplotlib"), ("jinja2", "jinja2")])
def test_a_missing_extra_is_named(result, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{package}, which is not installed: pip install 'mien\[plots\]'"):
        report.html(result)


def test_importing_loads_neither_torch_nor_matplotlib():
    modules = "mien.evaluation.evaluation_report, mien.evaluation.protocol, mien.cli.evaluate"
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "matplotlib", "jinja2", "sklearn", "scipy"} & set(loaded)


def test_the_ledgers_table(tmp_path, result):
    path = tmp_path / "ledger.jsonl"
    entry = ledger.append(path, result)
    newer = replace(entry, time="2030-01-02T00:00:00+00:00", commit="0123456789-dirty")
    better = replace(entry, model="a|b", accuracy=0.99, views="mirror", accuracy_without_leaks=None, commit=None)
    with path.open("a") as file:
        for line in (newer, better):
            file.write(json.dumps({k: v for k, v in asdict(line).items() if v is not None}) + "\n")
    lines = ledger.table(ledger.read(path)).markdown.splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert lines[2].startswith(
        "| a&#124;b | averaged with the mirrored face | faces/private | exact | 7 | 448 | 60 | 99.00 ("
    )
    assert "| – |" in lines[2]
    assert lines[3].startswith("| linear | single crop |")
    assert lines[3].endswith("| 2030-01-02 at 0123456-dirty |")
