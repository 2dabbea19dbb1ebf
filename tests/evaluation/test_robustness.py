"""Robustness: every figure against a computation by hand on the same probabilities."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from evaluation.fakes import THRESHOLDS, DescribedPredictor, LinearPredictor, faces
from mien.core.errors import DatasetError
from mien.core.predictor import softmax
from mien.evaluation.corruptions import Corruption
from mien.evaluation.robustness import Estimate, kept_accuracy, measure

NOTHING = Corruption("nothing", "none", lambda crop, _: crop)
INVERTED = Corruption("inverted", "whole", lambda crop, _: 255 - crop)
SHUFFLED = Corruption("shuffled", "rows", lambda crop, rng: rng.permutation(crop))
MIRRORED = Corruption("shuffled", "mirrored", lambda crop, _: crop[:, ::-1])


@pytest.fixture(scope="module")
def measured():
    return measure(
        DescribedPredictor(), faces(each=300), split="public", corruptions=(NOTHING, INVERTED, SHUFFLED, MIRRORED)
    )


@pytest.fixture(scope="module")
def rows():
    return faces(each=300).split("public")


def _answers(crops):
    model = DescribedPredictor()
    return softmax(model.logits(crops), model.temperature)


def test_clean_figures_are_scikit_learns(measured, rows):
    p = _answers(rows.images)
    assert measured.n == 300
    assert measured.accuracy.value == pytest.approx(accuracy_score(rows.indices, p.argmax(axis=1)))
    floored = np.maximum(p, np.finfo(np.float32).eps).astype(float)
    exact = floored / floored.sum(axis=1, keepdims=True)
    assert measured.log_loss.value == pytest.approx(log_loss(rows.indices, exact, labels=range(7)), rel=1e-5)
    for figure in (measured.accuracy, measured.log_loss, measured.mean_corruption, measured.kept_accuracy):
        assert figure.interval[0] < figure.value < figure.interval[1]


def test_what_a_corruption_costs(measured, rows):
    nothing, inverted, _, mirrored = measured.conditions
    assert nothing.accuracy == measured.accuracy
    assert nothing.lost == Estimate(0.0, (0.0, 0.0))
    expected = accuracy_score(rows.indices, _answers(255 - rows.images).argmax(axis=1))
    assert inverted.accuracy.value == pytest.approx(expected)
    assert inverted.lost.value == pytest.approx(measured.accuracy.value - expected)
    assert inverted.lost.interval[0] > 0
    flipped = accuracy_score(rows.indices, _answers(rows.images[:, :, ::-1]).argmax(axis=1))
    assert mirrored.accuracy.value == pytest.approx(flipped)


def test_the_mean_is_over_kinds_not_over_conditions(measured):
    nothing, inverted, shuffled, mirrored = (c.accuracy.value for c in measured.conditions)
    kinds = {kind.kind: kind.accuracy.value for kind in measured.kinds}
    assert kinds["shuffled"] == pytest.approx((shuffled + mirrored) / 2)
    assert measured.mean_corruption.value == pytest.approx((nothing + inverted + kinds["shuffled"]) / 3)


def test_the_interval_of_a_mean_corruption_accuracy_is_the_normal_one(measured):
    alone = measure(LinearPredictor(), faces(each=300), split="public", corruptions=(INVERTED,))
    value, (low, high) = alone.mean_corruption.value, alone.mean_corruption.interval
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(value * (1 - value) / 300), rel=0.15)


def test_candidate_sets(measured, rows):
    p = _answers(rows.images)
    masks = (p >= np.float32(THRESHOLDS)) | (p == p.max(axis=1, keepdims=True))
    covered, sizes = masks[np.arange(300), rows.indices], masks.sum(axis=1)
    assert measured.promised == 0.9
    assert measured.coverage.value == pytest.approx(covered.mean())
    assert measured.mean_candidates.value == pytest.approx(sizes.mean())
    for one in measured.classes:
        of = rows.indices == list(rows.labels).index(one.label)
        assert (one.n, one.coverage.value) == (of.sum(), pytest.approx(covered[of].mean()))
        assert one.mean_candidates == pytest.approx(sizes[of].mean())


def test_without_a_manifest_there_are_no_sets():
    bare = measure(LinearPredictor(), faces(), split="public", corruptions=(NOTHING,))
    assert bare.promised is bare.coverage is bare.mean_candidates is None
    assert bare.classes == ()
    assert bare.to_dict()["coverage"] is None


def test_the_surest_are_kept():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.55, 0.45], [0.7, 0.3]])
    truth = np.array([0, 1, 0, 1, 0])
    assert kept_accuracy(p, truth, kept=0.6) == 1.0  # 0.9, 0.8, 0.7
    assert kept_accuracy(p, truth, kept=0.8) == 0.75
    assert kept_accuracy(p, truth, kept=1.0) == 0.6
    for share in (0.0, 1.2):
        with pytest.raises(ValueError, match="kept must lie"):
            kept_accuracy(p, truth, kept=share)


def test_the_risk_coverage_curve_ends_at_the_accuracy(measured, rows):
    p = _answers(rows.images)
    assert len(measured.risk_coverage) == 10
    assert measured.risk_coverage[-1] == pytest.approx(measured.accuracy.value)
    assert measured.risk_coverage[7] == pytest.approx(measured.kept_accuracy.value)
    threshold = np.sort(p.max(axis=1))[::-1][239]
    assert measured.kept_confidence == pytest.approx(threshold)


def test_the_same_seed_gives_the_same_result(measured):
    again = measure(
        DescribedPredictor(),
        faces(each=300),
        split="public",
        corruptions=(NOTHING, INVERTED, SHUFFLED, MIRRORED),
        batch=77,
    )
    assert again == measured


def test_something_must_be_done_to_the_faces():
    with pytest.raises(DatasetError, match="one corruption or more"):
        measure(LinearPredictor(), faces(), split="public", corruptions=())


@pytest.mark.parametrize("figure", [(float("nan"), (0.0, 1.0)), (0.5, (0.6, 0.4))])
def test_a_figure_is_checked(figure):
    with pytest.raises(ValueError, match="from low to high"):
        Estimate(*figure)
