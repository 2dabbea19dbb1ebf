"""Scores against scikit-learn, intervals against a direct bootstrap, and the rule for the turn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_score, recall_score

from mien.core.expression import SIX
from mien.core.predictor import softmax
from mien.studies.scoring import WINDOW, score, turning_epoch
from studies.making import random_answers


def test_a_score_is_what_scikit_learn_computes():
    logits, truth = random_answers()
    said = logits.argmax(1)
    leaked = np.arange(len(truth)) % 5 == 0
    found = score(logits, truth, SIX, parts=np.arange(120) // 60, groups=np.arange(120), leaked=leaked)
    assert found.n == found.groups == 120
    assert found.accuracy == pytest.approx(accuracy_score(truth, said))
    assert found.accuracy_without_leaks == pytest.approx(accuracy_score(truth[~leaked], said[~leaked]))
    for name, function in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert getattr(found, name) == pytest.approx(function(truth, said, average="macro"))
        each = function(truth, said, average=None)
        assert [getattr(c, name) for c in found.classes] == pytest.approx(each.tolist())
    shares = softmax(logits).astype(float)
    assert found.log_loss == pytest.approx(log_loss(truth, shares / shares.sum(1, keepdims=True)), abs=1e-5)
    assert np.array_equal(found.confusion, confusion_matrix(truth, said))
    assert found.parts == pytest.approx((accuracy_score(truth[:60], said[:60]), accuracy_score(truth[60:], said[60:])))


def test_an_svm_has_no_log_loss():
    logits, truth = random_answers()
    zeros = np.zeros(120, dtype=int)
    assert score(logits, truth, SIX, parts=zeros, groups=np.arange(120), probabilities=False).log_loss is None


def test_the_turn_of_a_valley_is_its_floor():
    losses = [abs(epoch - 30) / 30 + 1 for epoch in range(1, 101)]
    assert turning_epoch(losses) == 30


def test_one_lucky_epoch_is_no_turn():
    losses = [abs(epoch - 30) / 30 + 1 for epoch in range(1, 101)]
    losses[79] = 1.2  # far below its neighbours, above the valley's floor of 1
    assert turning_epoch(losses) == 30


@pytest.mark.parametrize("losses", [[], [1.0], [1 / e for e in range(1, 60)], [2.0, 1.5, 1.0, 0.9, 0.8, 0.9]])
def test_a_loss_that_only_falls_does_not_turn(losses):
    assert turning_epoch(losses) is None


def test_a_window_has_a_middle():
    with pytest.raises(ValueError, match="must be odd, got 4"):
        turning_epoch([1.0, 2.0], window=4)


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=60), st.floats(0.5, 3))
def test_the_turn_leaves_a_window_behind_it_and_knows_no_unit(losses, scale):
    turn = turning_epoch(losses)
    assert turn is None or 1 <= turn <= len(losses) - WINDOW
    if len(set(losses)) == len(losses):
        again = turning_epoch([scale * loss for loss in losses])
        smooth = [np.mean(losses[max(0, i - 2) : i + 3]) for i in range(len(losses))]
        if len({round(s, 9) for s in smooth}) == len(smooth):
            assert again == turn
