"""Expressions, polarity, and maps between label sets."""

from typing import get_args

import numpy as np
import pytest

from mien.core.errors import LabelError
from mien.core.expression import (
    FER2013,
    FERPLUS,
    FERPLUS_COLUMNS,
    LABEL_SETS,
    SIX,
    THREE,
    Expression,
    LabelMap,
    LabelSet,
    Polarity,
    check_labels,
    label_indices,
)


def test_the_seven_stand_in_fer2013s_order():
    assert FER2013 == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def test_every_label_set_has_a_name_for_recipes():
    assert set(LABEL_SETS) == set(get_args(LabelSet))


def test_polarity_is_that_of_paper_000():
    groups = {p: {e for e in FER2013 if e.polarity is p} for p in Polarity}
    assert groups == {
        "positive": {"happy", "surprise"},
        "neutral": {"neutral"},
        "negative": set(FER2013) - {"happy", "surprise", "neutral"},
    }


@pytest.mark.parametrize(
    ("word", "meant"),
    [("Happiness", "happy"), ("AN", "angry"), (" surprised ", "surprise"), ("fearful", "fear"), ("neutral", "neutral")],
)
def test_datasets_words_are_understood(word, meant):
    assert Expression.parse(word) == meant


def test_an_unknown_word_names_the_nearest():
    with pytest.raises(LabelError, match="unknown expression 'hapy': did you mean 'happy'"):
        Expression.parse("hapy")


@pytest.mark.parametrize("labels", [["happy", "angry"], ["angry", "angry"], ["angry"], []])
def test_labels_out_of_order_or_repeated_are_refused(labels):
    with pytest.raises(LabelError, match=r"model\.json: labels"):
        check_labels(labels, "model.json")


@pytest.mark.parametrize("labels", LABEL_SETS.values(), ids=LABEL_SETS)
def test_every_label_set_is_valid(labels):
    assert check_labels(labels, "here") == labels


def test_ferplus_votes_map_to_the_seven():
    table = LabelMap.between(FERPLUS_COLUMNS, FER2013).table
    assert table.tolist() == [6, 3, 5, 4, 0, 1, 2, -1, -1, -1]


def test_seven_map_to_six_three_and_polarity():
    assert LabelMap.between(FER2013, SIX).table.tolist() == [0, 1, 2, 3, 4, 5, -1]
    assert LabelMap.between(FER2013, THREE).labels(np.array([0, 3, 6, 1])).tolist() == [0, 1, 2, -1]
    polarities = tuple(Polarity)
    assert LabelMap.between(FER2013, polarities).table.tolist() == [2, 2, 2, 0, 2, 0, 1]


def test_probabilities_are_gathered_and_sum_to_one():
    source = np.array([[0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.2]], dtype=np.float32)
    gathered = LabelMap.between(FERPLUS, tuple(Polarity)).probabilities(source)
    np.testing.assert_allclose(gathered, [[0.3, 0.1, 0.6]], atol=1e-6)
    kept = LabelMap.between(FERPLUS, THREE).probabilities(source)
    np.testing.assert_allclose(kept, [[0.25, 0.5, 0.25]], atol=1e-6)


def test_all_mass_on_dropped_classes_becomes_uniform():
    source = np.array([[0, 0, 0, 0, 0, 0, 0, 1]], dtype=np.float32)
    np.testing.assert_allclose(LabelMap.between(FERPLUS, FER2013).probabilities(source), 1 / 7, atol=1e-6)


def test_label_sets_that_share_nothing_are_refused():
    with pytest.raises(LabelError, match="share an expression"):
        LabelMap.between(("contempt", "NF"), SIX)


def test_indices_of_one_expression_or_of_one_each():
    assert label_indices(SIX, "surprise", 3, "m").tolist() == [5, 5, 5]
    assert label_indices(FER2013, ["sad", Expression.ANGRY], 2, "m").tolist() == [4, 0]
    assert label_indices(FER2013, [], 0, "m").dtype == np.int64
    with pytest.raises(LabelError, match="m does not know the expression 'neutral'"):
        label_indices(SIX, "neutral", 0, "m")
    with pytest.raises(LabelError, match="2 expressions for 3 crops"):
        label_indices(SIX, ["sad", "sad"], 3, "m")
