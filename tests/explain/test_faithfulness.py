"""Deletion and insertion on a model whose curves can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import Expression
from mien.core.preprocess import InputSpec
from mien.explain.faithfulness import RANDOM, area, compare, curves, random_maps

LABELS = (Expression.HAPPY, Expression.SAD)


class Corner:
    """Happy by the brightness of the top left 4 x 4 of 16 x 16 pixels above grey, and by nothing else."""

    name, identity, labels, temperature, parameters = "corner", "0", LABELS, 2.0, 1
    input = InputSpec(size=16, mean=(100.0,), std=(50.0,))

    def logits(self, crops):
        assert crops.dtype == np.uint8
        evidence = (crops[:, :4, :4].astype(np.float64).mean((1, 2)) - 100) / 25
        return np.stack([evidence, np.zeros(len(crops))], axis=1).astype(np.float32)


@pytest.fixture
def crops():
    return np.full((3, 16, 16), 200, dtype=np.uint8)


@pytest.fixture
def corner():
    """A perfect map."""
    maps = np.zeros((3, 16, 16), dtype=np.float32)
    maps[:, :4, :4] = 1
    return maps


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_curves_are_those_worked_out_by_hand(crops, corner):
    # 16 of 256 pixels matter: the first of 16 steps deletes all of them, so that 4 logits become 0
    deletion = curves(Corner(), crops, corner, "happy", kind="deletion", steps=16)
    assert deletion.shape == (3, 17)
    np.testing.assert_allclose(deletion[:, 0], sigmoid(4 / 2), atol=1e-6)
    np.testing.assert_allclose(deletion[:, 1:], 0.5, atol=1e-6)
    np.testing.assert_allclose(area(deletion), (15 * 0.5 + (sigmoid(2) + 0.5) / 2) / 16, atol=1e-6)
    # the opposite order keeps them until the last step
    last = curves(Corner(), crops, -corner, "happy", kind="deletion", steps=16)
    np.testing.assert_allclose(last[:, :-1], sigmoid(2), atol=1e-6)
    np.testing.assert_allclose(last[:, -1], 0.5, atol=1e-6)
    sad = curves(Corner(), crops, corner, ["sad"] * 3, kind="deletion", steps=16)
    np.testing.assert_allclose(sad, 1 - deletion, atol=1e-6)


def test_insertion_ends_in_the_crop_and_starts_from_a_blurred_one(corner):
    crops = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    crops[:, :4, :4] = 255
    insertion = curves(Corner(), crops, corner, "happy", kind="insertion", steps=16)
    whole = sigmoid(Corner().logits(crops)[:, 0] / 2)
    np.testing.assert_allclose(insertion[:, 1:], np.repeat(whole[:, None], 16, axis=1), atol=1e-6)
    assert (insertion[:, 0] < whole).all()
    assert (insertion[:, 0] > 0.5).all()


def test_half_of_the_pixels_at_half_of_the_steps(crops):
    ordered = -np.arange(256, dtype=np.float32).reshape(1, 16, 16).repeat(3, axis=0)
    deletion = curves(Corner(), crops, ordered, "happy", kind="deletion", steps=8)
    # rows of 16 from the top: after step s the first 2 s rows are grey, of which 4 rows matter
    left = [16, 8, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(deletion[0], sigmoid(np.array(left) / 16 * 4 / 2), atol=1e-6)


def test_smaller_maps_and_colours_are_taken(crops):
    class Colour(Corner):
        input = InputSpec(size=16, channels=3, mean=(100.0,) * 3, std=(50.0,) * 3)

        def logits(self, crops):
            assert crops.shape[1:] == (16, 16, 3)
            return super().logits(crops.mean(axis=3).astype(np.uint8))

    coarse = np.zeros((3, 4, 4), dtype=np.float32)
    coarse[:, 0, 0] = 1
    grey = curves(Corner(), crops, coarse, "happy", kind="deletion")
    colour = curves(Colour(), np.stack([crops] * 3, axis=3), coarse, "happy", kind="deletion")
    np.testing.assert_allclose(grey, colour, atol=1e-6)
    assert area(grey).mean() < 0.6


def test_the_perfect_map_beats_chance_and_its_opposite_loses(corner):
    crops = np.random.default_rng(0).integers(60, 256, (40, 16, 16), dtype=np.uint8)
    crops[:, :4, :4] = 255
    perfect = corner[:1].repeat(40, axis=0)
    scores = {s.method: s for s in compare(Corner(), crops, {"perfect": perfect, "opposite": -perfect}, "happy")}
    assert list(scores) == ["perfect", "opposite", *RANDOM]
    best, worst = scores["perfect"], scores["opposite"]
    assert best.n == 40
    assert best.deletion < min(scores[name].deletion for name in RANDOM) < worst.deletion
    assert best.insertion > max(scores[name].insertion for name in RANDOM) > worst.insertion
    assert best.gain_interval[0] > 0 > worst.gain_interval[1]
    assert 0 in {scores[name].gain for name in RANDOM}
    for score in scores.values():
        assert score.deletion_interval[0] <= score.deletion <= score.deletion_interval[1]
        assert score.insertion_interval[0] <= score.insertion <= score.insertion_interval[1]


def test_the_seed_decides_everything(crops):
    flat = {"flat": np.zeros((3, 16, 16), np.float32)}
    assert compare(Corner(), crops, flat, "happy", seed=1) == compare(Corner(), crops, flat, "happy", seed=1)
    assert compare(Corner(), crops, flat, "happy", seed=1) != compare(Corner(), crops, flat, "happy", seed=2)
    assert random_maps(2, 6, seed=3).shape == (2, 6, 6)


def test_wrong_input_is_refused(crops, corner):
    with pytest.raises(DatasetError, match="no crop"):
        compare(Corner(), crops[:0], {}, "happy")
    with pytest.raises(LabelError, match="corner does not know the expression 'angry'"):
        curves(Corner(), crops, corner, "angry", kind="deletion")
    with pytest.raises(ValueError, match="3 crops need as many maps, got 2"):
        curves(Corner(), crops, corner[:2], "happy", kind="deletion")
