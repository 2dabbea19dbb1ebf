import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import gmean

from mien.core.expression import FER2013
from mien.core.predictor import candidate_set, energy, softmax
from mien.evaluation import calibration
from mien.evaluation.metrics import log_loss


def draw(n: int, *, seed: int, sharpness: float = 1.0):
    """Logits whose softmax is the truth's law once they are divided by ``sharpness``."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2.0, size=(n, 7))
    indices = (logits + generator.gumbel(size=(n, 7))).argmax(axis=1)
    return (logits * sharpness).astype(np.float32), indices


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_recovered(true):
    logits, indices = draw(20_000, seed=1, sharpness=true)
    assert calibration.fit_temperature(logits, indices) == pytest.approx(true, rel=0.03)


def test_temperature_equals_a_general_minimiser():
    logits, indices = draw(800, seed=2, sharpness=1.7)
    found = minimize_scalar(
        lambda t: log_loss(softmax(logits, t).astype(np.float64), indices), bounds=(0.05, 20), method="bounded"
    )
    assert calibration.fit_temperature(logits, indices) == pytest.approx(found.x, rel=1e-3)


def test_temperature_of_separable_logits_stops_at_the_bound():
    logits = np.array([[5, 0], [0, 5]], dtype=np.float32)
    assert calibration.fit_temperature(logits, np.array([0, 1])) == pytest.approx(calibration.TEMPERATURES[0])
    assert calibration.fit_temperature(logits, np.array([1, 0])) == pytest.approx(calibration.TEMPERATURES[1])


def imbalanced(n: int, *, seed: int):
    """Probabilities and truths of four classes, to which 70, 24, 4 and 2 % of the rows belong."""
    generator = np.random.default_rng(seed)
    indices = generator.choice(4, size=n, p=[0.7, 0.24, 0.04, 0.02])
    logits = generator.normal(size=(n, 4)) + np.log([0.7, 0.24, 0.04, 0.02])
    logits[np.arange(n), indices] += 0.5
    return softmax(logits.astype(np.float32)), indices


def test_conformal_thresholds_by_hand():
    first, second = np.arange(1, 20) / 20, np.arange(1, 10) / 10  # 0.05, 0.10 … 0.95 and 0.1, 0.2 … 0.9
    truth = np.concatenate([first, second])
    indices = np.repeat([0, 1], [19, 9])
    probabilities = np.where(np.arange(3) == indices[:, None], truth[:, None], 1 - truth[:, None])
    # of the first class the ceil(20 * 0.9) = 18th largest of 19, the second smallest; of the second class the
    # ceil(10 * 0.9) = 9th largest of 9, the smallest; of the third, which has no rows, none
    assert calibration.conformal_thresholds(probabilities, indices, coverage=0.9) == (0.10, 0.1, 0.0)
    assert calibration.conformal_thresholds(probabilities, indices, coverage=0.5) == (0.50, 0.5, 0.0)
    assert calibration.conformal_thresholds(probabilities, indices, coverage=0.95) == (0.05, 0.0, 0.0)
    assert calibration.conformal_thresholds(probabilities, indices, coverage=0.96) == (0.0, 0.0, 0.0)


def test_whole_numbers_are_not_rounded_up():
    # (99 + 1) * 0.55 is 55.00000000000001 in floating point
    truth = np.arange(1, 100) / 100
    probabilities = np.column_stack([truth, 1 - truth])
    thresholds = calibration.conformal_thresholds(probabilities, np.zeros(99, dtype=np.int64), coverage=0.55)
    assert thresholds == (0.45, 0.0)


@pytest.mark.parametrize("sharpness", [1.0, 2.5])
def test_coverage_holds_over_many_draws(sharpness):
    coverages = []
    for seed in range(150):
        logits, indices = draw(2600, seed=seed, sharpness=sharpness)
        probabilities = softmax(logits)
        thresholds = calibration.conformal_thresholds(probabilities[:2300], indices[:2300], coverage=0.9)
        coverages.append(calibration.set_quality(probabilities[2300:], indices[2300:], thresholds=thresholds).coverage)
    assert 0.885 <= np.mean(coverages) <= 0.915


@pytest.mark.parametrize("coverage", [0.7, 0.9])
def test_coverage_holds_on_fresh_rows_of_each_class_however_rare(coverage):
    excess = []
    for seed in range(100):
        fitted, (probabilities, indices) = imbalanced(1000, seed=seed), imbalanced(2000, seed=1000 + seed)
        thresholds = calibration.conformal_thresholds(*fitted, coverage=coverage)
        reached = (probabilities >= np.float32(thresholds))[np.arange(2000), indices]
        shares = np.bincount(indices, weights=reached) / np.bincount(indices)
        quality = calibration.set_quality(probabilities, indices, thresholds=thresholds)
        assert (quality.class_coverage >= shares).all()  # the most probable class is always in
        n = np.bincount(fitted[1], minlength=4)
        # the place of a fresh row among n others of its class is uniform, so this is what to expect exactly
        excess.append(shares - np.ceil((n + 1) * coverage - 1e-9) / (n + 1))
    np.testing.assert_allclose(np.mean(excess, axis=0), 0, atol=0.02)


def test_one_threshold_for_all_would_not_cover_the_rare_classes():
    fitted, (probabilities, indices) = imbalanced(20_000, seed=1), imbalanced(20_000, seed=2)
    truth = np.sort(fitted[0][np.arange(20_000), fitted[1]])
    single = calibration.set_quality(probabilities, indices, thresholds=(float(truth[2000]),) * 4)
    own = calibration.set_quality(
        probabilities, indices, thresholds=calibration.conformal_thresholds(*fitted, coverage=0.9)
    )
    assert single.coverage == pytest.approx(0.9, abs=0.01)
    assert single.class_coverage[3] < 0.5
    np.testing.assert_allclose(own.class_coverage, 0.9, atol=0.04)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), thresholds=st.lists(st.floats(0, 1), min_size=7, max_size=7))
def test_masks_are_those_of_the_core(seed, thresholds):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(7, 0.5), size=5).astype(np.float32)
    probabilities[0] = np.float32(1 / 7)
    for row, mask in zip(probabilities, calibration.candidate_masks(probabilities, thresholds), strict=True):
        assert {FER2013[i] for i in np.flatnonzero(mask)} == set(candidate_set(row, FER2013, thresholds))


@given(seed=st.integers(0, 10_000), threshold=st.floats(0, 1))
def test_equal_thresholds_are_one_threshold(seed, threshold):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(7, 0.5), size=5).astype(np.float32)
    expected = (probabilities >= threshold) | (probabilities == probabilities.max(axis=1, keepdims=True))
    np.testing.assert_array_equal(calibration.candidate_masks(probabilities, (threshold,) * 7), expected)


def test_set_quality_by_hand():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.35, 0.25]])
    quality = calibration.set_quality(probabilities, np.array([1, 0, 0]), thresholds=(0.3, 0.3, 0.3))
    assert quality.coverage == pytest.approx(2 / 3)
    assert quality.mean_size == 2
    np.testing.assert_array_equal(quality.class_coverage, [0.5, 1, np.nan])
    np.testing.assert_array_equal(quality.class_size, [2, 2, np.nan])
    own = calibration.set_quality(probabilities, np.array([1, 0, 0]), thresholds=(0.2, 0.4, 0.1))
    # angry and fear; all three; angry, and fear
    np.testing.assert_array_equal(own.class_coverage, [1, 0, np.nan])
    np.testing.assert_array_equal(own.class_size, [2.5, 2, np.nan])


def test_energy_threshold_drops_the_wanted_share():
    energies = energy(draw(1000, seed=3)[0])
    threshold = calibration.energy_threshold(energies, drop=0.05)
    assert (energies < threshold).sum() == 50


def test_calibrate_fits_each_on_the_calibrated_logits():
    logits, indices = draw(3000, seed=4, sharpness=2.0)
    fitted = calibration.calibrate(logits, indices, coverage=0.8)
    probabilities = softmax(logits, fitted.temperature)
    assert fitted.coverage == 0.8
    assert fitted.conformal_thresholds == calibration.conformal_thresholds(probabilities, indices, coverage=0.8)
    quality = calibration.set_quality(probabilities, indices, thresholds=fitted.conformal_thresholds)
    np.testing.assert_allclose(quality.class_coverage, 0.8, atol=0.005)
    assert (energy(logits, fitted.temperature) < fitted.energy_threshold).mean() == pytest.approx(0.01)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 1.5])
def test_a_coverage_outside_0_to_1_is_refused(coverage):
    with pytest.raises(ValueError, match="coverage must lie between 0 and 1"):
        calibration.conformal_thresholds(np.full((4, 2), 0.5), np.zeros(4, dtype=np.int64), coverage=coverage)


def test_no_energies_are_refused():
    with pytest.raises(ValueError, match="one energy or more"):
        calibration.energy_threshold(np.zeros(0, dtype=np.float32))


def test_the_neutral_profile_is_the_normalised_geometric_mean():
    logits, indices = draw(4000, seed=5)
    fitted = calibration.calibrate(logits, indices, neutral=6)
    rows = softmax(logits, fitted.temperature)[indices == 6].astype(np.float64)
    assert (rows > 1e-6).all()
    expected = gmean(rows, axis=0)
    assert fitted.neutral_profile == pytest.approx(expected / expected.sum(), abs=2e-6)
    assert sum(fitted.neutral_profile) == pytest.approx(1, abs=1e-5)


def test_too_few_neutral_faces_give_no_profile():
    logits, indices = draw(400, seed=6)
    indices[indices == 6] = 0
    assert calibration.calibrate(logits, indices, neutral=6).neutral_profile is None
    assert calibration.calibrate(logits, indices).neutral_profile is None
