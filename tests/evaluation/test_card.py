"""Model cards: every figure in them is the manifest's, the record's or the ledger's."""

import json
from dataclasses import replace

import pytest

from evaluation.fakes import DescribedPredictor, faces
from mien.core.errors import ConfigError
from mien.data.base import text_column
from mien.data.posed import JAFFE
from mien.evaluation import ledger
from mien.evaluation.card import make
from mien.evaluation.corruptions import CORRUPTIONS
from mien.evaluation.cross_dataset import measure as measure_elsewhere
from mien.evaluation.model_record import ModelRecord, SplitRecord
from mien.evaluation.protocol import evaluate
from mien.evaluation.robustness import measure

LAW = (("Art. 5(1)(f)", "No emotions at work.", "https://example.org/law"),)


@pytest.fixture(scope="module")
def measured():
    model, rows = DescribedPredictor(trained_on="fer2013: fitted on train"), faces(name="fer2013")
    evaluation = evaluate(model, rows, split="public")
    robustness = measure(model, rows, split="public", corruptions=CORRUPTIONS[:6])
    return SplitRecord(time="2026-11-21T16:00:00+00:00", commit="abcdef1", evaluation=evaluation, robustness=robustness)


@pytest.fixture(scope="module")
def elsewhere():
    """On another dataset, with 3 faces of an expression that the model cannot give."""
    rows = faces(name="jaffe", seed=2)
    whole = replace(rows, splits=text_column(["all"] * len(rows)), left_out={"no face found": 5}, detector="marked")
    found = measure_elsewhere(DescribedPredictor(), JAFFE, whole, time="2026-11-21T16:00:00+00:00", commit="abcdef1")
    return replace(found, evaluation=replace(found.evaluation, dropped=3))


@pytest.fixture
def manifest(measured):
    known = DescribedPredictor(trained_on="fer2013: fitted on train").manifest
    return replace(known, metrics=(measured.evaluation.metric,))


@pytest.fixture
def record(measured, manifest):
    return ModelRecord(manifest.sha256, (measured,))


def _text(*arguments):
    return make(*arguments, LAW).markdown()


def test_a_record_survives_writing(record, elsewhere, tmp_path):
    record = replace(record, cross_dataset=(elsewhere,))
    path = tmp_path / "models" / "linear.json"
    record.write(path)
    assert ModelRecord.read(path) == record
    assert ModelRecord.read(tmp_path / "gone.json") is None


@pytest.mark.parametrize("text", ["{", '{"identity": "a"}', '{"identity": "a", "measured": [{}]}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    path = tmp_path / "linear.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"linear\.json"):
        ModelRecord.read(path)


def test_evaluation_and_robustness_are_of_the_same_rows(measured):
    with pytest.raises(ValueError, match="different weights or rows"):
        replace(measured, robustness=replace(measured.robustness, split="private"))


def test_the_card_holds_what_was_measured(manifest, record, measured):
    text, e, r = _text(manifest, record, ()), measured.evaluation, measured.robustness
    assert text.startswith("# linear\n\nA random projection.\n")
    for one in e.classes:
        assert f"| {one.label} | {one.support} | " in text
        assert f"| {100 * one.recall:.2f} % |" in text
    for value in (e.accuracy, e.macro_f1, e.expected_calibration_error, r.kept_accuracy.value, r.mean_corruption.value):
        assert f"{100 * value:.2f} %" in text
    for condition in r.conditions:
        assert f"{condition.severity} {100 * condition.accuracy.value:.1f}" in text
    for fact in ("made up", "Art. 5(1)(f): No emotions at work. <https://example.org/law>", manifest.sha256[:12]):
        assert fact in text


def test_the_weakest_expression_and_the_worst_corruption_are_named_as_limits(manifest, record, measured):
    limits = next(section for section in make(manifest, record, (), LAW).sections if section.title == "Limits")
    worst = min((c for c in measured.evaluation.classes if c.recall is not None), key=lambda c: c.recall)
    hardest = min(measured.robustness.kinds, key=lambda k: k.accuracy.value)
    assert limits.points[0].startswith(f"{worst.label} is found least often")
    assert limits.points[1].startswith(f"{hardest.kind} costs it most")
    assert any("age, sex, skin" in point for point in limits.points)


def test_the_card_tells_of_another_dataset(manifest, record, elsewhere):
    card = make(manifest, replace(record, cross_dataset=(elsewhere,)), (), LAW)
    section = next(part for part in card.sections if part.title == "On another dataset (jaffe, 180 faces)")
    low, high = (100 * bound for bound in elsewhere.accuracy.interval)
    e = elsewhere.evaluation
    assert section.paragraphs[0].startswith("JAFFE (Lyons")
    assert [(row[0], row[1], row[3]) for row in section.table[1:]] == [
        (c.label, str(c.support), f"{100 * c.recall:.2f} %") for c in e.classes
    ]
    assert section.points == (
        f"accuracy {100 * e.accuracy:.2f} % ({low:.2f}–{high:.2f}) over 3 persons",
        f"macro F1 {100 * e.macro_f1:.2f} %, expected calibration error {100 * e.expected_calibration_error:.2f} %",
        f"candidate sets hold the truth for {100 * e.coverage:.2f} %; their mean size is {e.mean_candidates:.2f}",
        "faces found by marked; in 5 of 188 pictures it found none",
        "3 faces left out whose expression it cannot give",
    )
    worst = min(e.classes, key=lambda c: c.recall)
    limits = next(part for part in card.sections if part.title == "Limits")
    shown = f"{100 * worst.recall:.2f} % of {worst.support} (jaffe all)"
    assert f"{worst.label} is found least often: {shown}" in limits.points


def test_a_record_of_other_weights_tells_nothing(manifest, record, elsewhere):
    record = replace(record, cross_dataset=(elsewhere,))
    bare = _text(manifest, None, ())
    assert _text(manifest, replace(record, identity="cd" * 32), ()) == bare
    assert "Under corruption" not in bare


def test_runs_of_the_recipe_are_averaged_once_each(manifest, record, measured, tmp_path):
    book = tmp_path / "book.jsonl"
    base = replace(measured.evaluation, split="private", recipe="exact")
    for seed, accuracy, identity in ((0, 0.5, "a"), (1, 0.6, "b"), (1, 0.7, "c")):  # the same run, exported again
        ledger.append(book, replace(base, accuracy=accuracy, training_seed=seed, identity=identity * 64))
    ledger.append(book, replace(base, recipe="other", training_seed=9, accuracy=0.1))
    text = _text(manifest, record, ledger.read(book))
    assert "single crop: 60.00 % (mean of 2 seeds, 50.00–70.00 among them)" in text


def test_nothing_is_said_of_fer2013_to_a_model_that_never_saw_it(manifest):
    own = replace(manifest, trained_on="my-faces: fitted on train", metrics=())
    assert "FER2013" not in _text(own, None, ())
    assert "Nothing is recorded in its manifest" in _text(own, None, ())
    started = replace(manifest, trained_on="fer2013: fitted on train; started from imagenet")
    assert "No other pictures were used" not in _text(started, None, ())
    assert "No other pictures were used" in _text(manifest, None, ())


def test_the_card_is_ready_for_json_and_tables_are_whole(manifest, record):
    card = make(manifest, record, (), LAW)
    json.dumps(card.to_dict(), allow_nan=False)
    for section in card.sections:
        assert len({len(row) for row in section.table}) <= 1, section.title
