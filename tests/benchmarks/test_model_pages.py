"""Pages of models: made from results alone, and those in docs/ are the ones that the results give now."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import frontier_figure
import model_pages
import reliability
from mien.core.manifest import Manifest
from mien.core.places import BUNDLED
from mien.evaluation import results_log
from mien.evaluation.model_record import ModelRecord
from mien.runtime.library import open_model
from mien.studies.cell_results import Reproduction

ROOT = Path(model_pages.__file__).parents[1]
PAGES = model_pages.pages(ROOT)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_the_repository_is_up_to_date(name):
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name], "make tables"


def test_every_bundled_model_has_a_card_and_a_record_of_its_own_weights():
    bundled = sorted((ROOT / model_pages.WEIGHTS).glob("*.json"))
    assert [f"docs/models/{path.stem}.md" for path in bundled] == [n for n in PAGES if n.startswith("docs/models/")]
    for path in bundled:
        record = ModelRecord.read(ROOT / model_pages.RECORDS / path.name)
        assert record is not None, "python benchmarks/reliability.py NAME"
        assert record.identity == Manifest.read(path).sha256, "python benchmarks/reliability.py NAME"


@pytest.mark.parametrize("name", PAGES)
def test_tables_are_whole_and_pictures_are_there(name):
    lines = PAGES[name].splitlines()
    for first, second in itertools.pairwise(lines):
        if first.startswith("|") and second.startswith("|"):
            assert first.count("|") == second.count("|"), (first, second)
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGES[name]):
        assert (ROOT / name).parent.joinpath(target).is_file(), target


def test_nothing_measured_makes_no_page(tmp_path):
    assert model_pages.pages(tmp_path) == {}


def test_every_step_of_the_log_stands_in_its_part():
    log = results_log.read(ROOT / model_pages.PATH)
    page = model_pages.what_helped(log)
    for step in log:
        assert step.change.replace("|", "&#124;") in page
    parts = page.split("\n## ")
    hurt = next(part for part in parts if part.startswith("What cost accuracy"))
    seen = next(part for part in parts if part.startswith("What was seen without an interval"))
    for step in log:
        assert (step.change in seen) is step.indicative
        assert (step.change in hurt) is (step.outcome == "hurt" and not step.indicative)


def test_new_records_of_the_same_weights_keep_what_was_known_of_other_splits():
    old = ModelRecord.read(ROOT / model_pages.RECORDS / "tiny.json")
    (public,) = (one for one in old.measured if one.evaluation.split == "public")
    private = replace(
        public,
        evaluation=replace(public.evaluation, split="private"),
        robustness=replace(public.robustness, split="private"),
    )
    both = ModelRecord(old.identity, (public, private))
    again = ModelRecord(old.identity, (replace(public, time="2027-01-01"),))
    assert [one.time for one in reliability.merged(both, again).measured] == ["2027-01-01", private.time]
    other = replace(again, identity="ff" * 32)
    assert reliability.merged(both, other) == other
    page = model_pages.reliability({"tiny": both})
    assert page.count("### Under corruption") == 2


def test_other_datasets_are_kept_and_shown():
    old = ModelRecord.read(ROOT / model_pages.RECORDS / "tiny.json")
    (jaffe,) = (one for one in old.cross_dataset if one.evaluation.dataset == "jaffe")
    ckplus = replace(jaffe, faceless=7, evaluation=replace(jaffe.evaluation, dataset="ckplus", dropped=54))
    record = reliability.merged(replace(old, cross_dataset=(jaffe,)), ModelRecord(old.identity, (), (ckplus,)))
    assert record == replace(old, cross_dataset=(ckplus, jaffe))
    again = replace(jaffe, time="2027-01-01")
    assert reliability.merged(record, ModelRecord(old.identity, (), (again,))).cross_dataset == (again, ckplus)
    heading = "## Other datasets"
    assert heading not in model_pages.reliability({"tiny": replace(record, cross_dataset=())})
    page = model_pages.reliability({"tiny": record}).partition(heading)[2]
    angry = next(c.recall for c in jaffe.evaluation.classes if c.label == "angry")
    row = next(line for line in page.splitlines() if line.startswith("| `tiny` | ckplus | "))
    assert f"| {jaffe.evaluation.n} | {jaffe.persons} | 7 of {jaffe.evaluation.n + 54 + 7} | " in row
    assert f" | {100 * angry:.2f} % | " in row
    assert "54 left out whose expression it cannot give" in page


def test_a_dataset_that_is_not_there_is_not_measured(tmp_path, capsys):
    assert reliability.elsewhere(open_model("tiny"), tmp_path) == ()
    assert capsys.readouterr().out.count("is not there") == len(reliability.OTHERS)


@pytest.mark.real_data
def test_jaffe_is_measured_as_a_whole():
    if "MIEN_DATA" not in os.environ:
        pytest.skip("MIEN_DATA is not set: it names the folder that holds jaffe/")
    found = reliability.elsewhere(open_model("tiny"), None)[0]
    assert found.evaluation.dataset == "jaffe"
    assert (found.pictures, found.persons) == (213, 10)  # as published
    assert found.evaluation.n > 200


def test_the_ledger_goes_before_what_a_paper_states(tmp_path):
    accuracy, words, measured = frontier_figure.known_accuracy("resezap", tmp_path / "none.jsonl")
    assert (accuracy, measured) == (0.6974, False)
    assert "paper 002" in words
    shutil.copy(ROOT / model_pages.LEDGER, tmp_path / "book.jsonl")
    accuracy, words, measured = frontier_figure.known_accuracy("tiny", tmp_path / "book.jsonl")
    entries = [json.loads(line) for line in (tmp_path / "book.jsonl").read_text().splitlines()]
    recipe = Manifest.read(BUNDLED / "tiny.json").recipe
    ours = {e["identity"]: e["accuracy"] for e in entries if e.get("recipe") == recipe and e.get("mirror") is not True}
    assert accuracy == pytest.approx(sum(ours.values()) / len(ours))
    assert measured
    assert frontier_figure.known_accuracy("nobody", tmp_path / "book.jsonl") is None


def test_a_study_goes_before_what_a_paper_states_once_it_is_whole(tmp_path):
    book = tmp_path / "none.jsonl"
    study = Reproduction.read(ROOT / "results" / "000.json")
    result = study.result("wu-chen")
    study.write(tmp_path / "000.json")
    assert frontier_figure.known_accuracy("wu-chen", book) == (result.score.accuracy, "study 000", True)
    cut = replace(result, asked=result.epochs + 1)
    replace(study, results=(cut,)).write(tmp_path / "000.json")
    assert frontier_figure.known_accuracy("wu-chen", book)[2] is False


def _row(name: str, **changes) -> dict:
    times = {"p50": 0.5, "p95": 0.6}
    row = {"name": name, "ours": name == "tiny", "parameters": 50_000, "milliseconds": {"1": times, "8": times}}
    return row | {"faces_per_second": 16_000.0} | changes


def test_the_figure_is_drawn_the_same_each_time_and_names_its_networks():
    rows = [_row("tiny"), _row("mini-xception"), _row("unheard-of")]
    svg = frontier_figure.render(rows, "svg")
    assert svg == frontier_figure.render(rows, "svg")
    assert frontier_figure.render(rows, "png").startswith(b"\x89PNG")
    assert b"<svg" in svg


def test_the_table_says_what_is_only_stated():
    _, (tiny, stated) = frontier_figure.table({"rows": [_row("tiny"), _row("mobilenet-v2")], "goals": {"tiny": 3000}})
    assert "mean of" in tiny[2]
    assert tiny[-1] == "16,000 (goal 3,000)"
    assert stated[2].startswith("53.00 (stated: ")
