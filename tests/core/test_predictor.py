"""What follows from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.core.expression import FER2013
from mien.core.predictor import Mirrored, candidate_set, energy, softmax
from mien.core.preprocess import InputSpec

logits = arrays(np.float32, (3, 7), elements=st.floats(-80, 80, width=32))


@given(logits, st.floats(0.1, 10))
def test_softmax_gives_probabilities_that_ignore_a_shift(values, temperature):
    p = softmax(values, temperature)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(softmax(values + 3, temperature), p, atol=1e-4)


def test_softmax_and_energy_of_known_values():
    values = np.log(np.array([[1.0, 2.0, 5.0]], dtype=np.float32))
    np.testing.assert_allclose(softmax(values), [[0.125, 0.25, 0.625]], rtol=1e-6)
    np.testing.assert_allclose(energy(values), np.log(8), rtol=1e-6)
    np.testing.assert_allclose(softmax(values, 0.5), np.array([[1, 4, 25]]) / 30, rtol=1e-5)


def test_no_rows_give_no_rows():
    assert softmax(np.empty((0, 7), np.float32)).shape == (0, 7)
    assert energy(np.empty((0, 7), np.float32)).shape == (0,)


def test_candidates_reach_their_own_threshold_and_the_top_is_always_one():
    p = np.array([0.05, 0.3, 0.05, 0.1, 0.4, 0.05, 0.05], dtype=np.float32)
    assert candidate_set(p, FER2013, (0.2,) * 7) == ("sad", "disgust")
    assert candidate_set(p, FER2013, (0.2, 0.31, 0.01, 0.1, 0.2, 0.2, 0.2)) == ("sad", "happy", "fear")
    assert candidate_set(p, FER2013, (0.9,) * 7) == ("sad",)
    assert len(candidate_set(p, FER2013, (0.0,) * 7)) == 7


def test_each_label_needs_its_threshold():
    with pytest.raises(ValueError, match="one threshold for each of 7 labels, got 6"):
        candidate_set(np.full(7, 1 / 7, np.float32), FER2013, (0.1,) * 6)


class Left:
    """Says happy by how bright the left half is."""

    name, identity, labels, input, temperature, parameters = "left", "0", FER2013, InputSpec(), 2.0, 1
    seen = ()

    def logits(self, crops):
        values = np.zeros((len(crops), 7), np.float32)
        values[:, 3] = crops[:, :, :24].mean((1, 2)) / 50
        return values


def test_mirrored_averages_both_views():
    crops = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
    crops[:, :, 24:] //= 4
    mirrored = Mirrored(Left())
    p = softmax(mirrored.logits(crops), mirrored.temperature)
    expected = (softmax(Left().logits(crops), 2.0) + softmax(Left().logits(crops[:, :, ::-1]), 2.0)) / 2
    np.testing.assert_allclose(p, expected, atol=1e-6)
    np.testing.assert_allclose(softmax(mirrored.logits(crops[:, :, ::-1])), p, atol=1e-6)
    assert mirrored.name == "left+mirror"


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 1.0])
def test_candidate_sets_shrink_with_the_threshold(threshold):
    p = softmax(np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32))
    for row in p:
        assert len(candidate_set(row, FER2013, (threshold,) * 7)) == max(1, (row >= threshold).sum())
