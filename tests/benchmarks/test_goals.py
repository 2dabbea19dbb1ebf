"""The page of goals says what was reached and what was not, and why small is the default holds today."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import goals
import model_pages
from mien.core.ensemble import Ensemble
from mien.core.manifest import Manifest
from mien.evaluation import ledger
from mien.evaluation.ensemble_weights import make_ensemble
from mien.evaluation.model_record import ModelRecord
from mien.runtime.library import DEFAULT_MODEL, open_model

ROOT = Path(model_pages.__file__).parents[1]
MANIFESTS = {path.stem: Manifest.read(path) for path in (ROOT / model_pages.WEIGHTS).glob("*.json")}
RECORDS = {name: ModelRecord.read(ROOT / model_pages.RECORDS / f"{name}.json") for name in MANIFESTS}
BOOK = ledger.read(ROOT / model_pages.LEDGER)
OURS = ("base", "small", "tiny")
SPEEDS = json.loads((ROOT / model_pages.FRONTIER).read_text(encoding="utf-8"))


def open_pair():
    """What ``mien ensemble base-and-small base small`` makes."""
    members = tuple(open_model(name) for name in ("base", "small"))
    names = tuple(member.name for member in members)
    return Ensemble(members, make_ensemble(members, names), name=goals.ENSEMBLE)


def row(page, start):
    (found,) = [line for line in page.splitlines() if line.startswith(f"| {start}")]
    return found.split(" | ")


@pytest.mark.parametrize(("accuracy", "words"), [(0.71, ["1.00 points short", "reached |"]), (0.72, ["reached"] * 2)])
def test_gaps_are_counted_in_points(accuracy, words):
    ours = MANIFESTS["small"].sha256
    book = [replace(entry, accuracy=accuracy) if entry.identity == ours else entry for entry in BOOK]
    page = goals.page(MANIFESTS, {}, book, SPEEDS)
    cells = row(page, "`small` | an accelerator")
    assert [cell.removesuffix(" |") for cell in cells[-2:]] == [word.removesuffix(" |") for word in words]


@pytest.mark.parametrize(("calibration", "words"), [(0.03, "3.00 %, met"), (0.0301, "3.01 %, missed")])
def test_reliability_is_met_or_missed(calibration, words):
    record = RECORDS["small"]
    measured = tuple(
        replace(
            one,
            robustness=replace(
                one.robustness,
                expected_calibration_error=replace(one.robustness.expected_calibration_error, value=calibration),
            ),
        )
        for one in record.measured
    )
    page = goals.page(MANIFESTS, {"small": replace(record, measured=measured)}, BOOK, SPEEDS)
    assert words in page.split("## Reliability")[1]


@pytest.mark.parametrize(
    ("accuracy", "words"), [(0.724, ["2.80 points short", "0.10 points short"]), (0.752, ["reached"] * 2)]
)
def test_the_ensemble_is_the_measured_mean_of_what_ships(accuracy, words):
    ours = [entry for entry in BOOK if entry.model == goals.ENSEMBLE]
    assert {entry.identity for entry in ours} == {open_pair().identity}
    book = [replace(entry, accuracy=accuracy) if entry in ours and entry.views == "one" else entry for entry in BOOK]
    cells = row(goals.page(MANIFESTS, {}, book, SPEEDS), "the mean of")
    assert cells[4].startswith(f"{100 * accuracy:.2f} (")
    assert "averaged with the mirrored face" in cells[4]
    assert [cell.removesuffix(" |") for cell in cells[-2:]] == words


def test_an_ensemble_that_was_not_measured_has_no_figure():
    page = goals.page(MANIFESTS, {}, [entry for entry in BOOK if entry.model != goals.ENSEMBLE], SPEEDS)
    assert row(page, "the mean of")[4] == "–"


def test_why_small_is_the_default_still_holds():
    assert DEFAULT_MODEL == "small"
    public, private = (
        {name: one for name in OURS for one in RECORDS[name].measured if one.evaluation.split == split}
        for split in ("public", "private")
    )
    accuracy = {name: one.evaluation.accuracy for name, one in public.items()}
    assert abs(accuracy["base"] - accuracy["small"]) < 0.008
    assert 0.015 < accuracy["small"] - accuracy["tiny"] < 0.025
    kept = {name: one.robustness.mean_corruption.value for name, one in public.items()}
    assert abs(kept["base"] - kept["small"]) < 0.005 < kept["small"] - kept["tiny"]
    covered = {
        name: [c.accuracy.value for c in one.robustness.conditions if c.severity.endswith(("the nose", "the eyes"))]
        for name, one in public.items()
    }
    assert all(b < s for b, s in zip(covered["base"], covered["small"], strict=True))
    assert 0.01 < private["base"].evaluation.accuracy - private["small"].evaluation.accuracy < 0.02
    size = {name: (ROOT / model_pages.WEIGHTS / f"{name}.onnx").stat().st_size for name in ("base", "small")}
    assert 3.5 < size["base"] / size["small"] < 4.5
    rate = {one["name"]: one["faces_per_second"] for one in SPEEDS["rows"]}
    assert 2.5 < rate["small"] / rate["base"] < 3.1
