import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from mien.evaluation import metrics


def draw(seed: int, n: int = 400, classes: int = 7, dtype=np.float64):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.4), size=n).astype(dtype)
    sampled = np.array([generator.choice(classes, p=row / row.sum()) for row in probabilities.astype(np.float64)])
    return probabilities, sampled.astype(np.int64)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), classes=st.integers(2, 8))
def test_equal_scikit_learn(seed, n, classes):
    probabilities, indices = draw(seed, n, classes)
    predicted = probabilities.argmax(axis=1)
    names = list(range(classes))
    present = sorted(set(indices.tolist()))
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        indices, predicted, labels=names, zero_division=np.nan
    )
    scores = metrics.class_scores(probabilities, indices)

    assert metrics.accuracy(probabilities, indices) == pytest.approx(reference.accuracy_score(indices, predicted))
    np.testing.assert_array_equal(
        metrics.confusion_matrix(probabilities, indices), reference.confusion_matrix(indices, predicted, labels=names)
    )
    np.testing.assert_array_equal(scores.support, support)
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_allclose(scores.f1[present], f1[present])
    assert scores.macro_f1 == pytest.approx(
        reference.f1_score(indices, predicted, labels=present, average="macro", zero_division=0)
    )
    assert scores.balanced_accuracy == pytest.approx(recall[present].mean())


def test_balanced_accuracy_and_top_2_equal_scikit_learn():
    probabilities, indices = draw(3)
    assert metrics.class_scores(probabilities, indices).balanced_accuracy == pytest.approx(
        reference.balanced_accuracy_score(indices, probabilities.argmax(axis=1))
    )
    assert metrics.top_k_accuracy(probabilities, indices, k=2) == pytest.approx(
        reference.top_k_accuracy_score(indices, probabilities, k=2, labels=range(7))
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_log_loss_equals_scikit_learn(dtype, tolerance):
    probabilities, indices = draw(4, dtype=dtype)
    expected = reference.log_loss(indices, probabilities, labels=range(7))
    assert metrics.log_loss(probabilities, indices) == pytest.approx(expected, rel=tolerance)


def test_log_loss_of_an_impossible_truth_is_large_and_finite():
    probabilities = np.array([[1, 0], [1, 0]], dtype=np.float32)
    expected = -np.log(np.finfo(np.float32).eps) / 2
    assert metrics.log_loss(probabilities, np.array([0, 1])) == pytest.approx(expected)


def test_classes_without_rows_or_predictions_are_undefined_and_left_out():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.9, 0.1, 0.0]])
    scores = metrics.class_scores(probabilities, np.array([0, 0, 0]))
    np.testing.assert_array_equal(scores.recall, [2 / 3, np.nan, np.nan])
    np.testing.assert_array_equal(scores.precision, [1, 0, np.nan])
    np.testing.assert_array_equal(scores.f1, [0.8, np.nan, np.nan])
    assert scores.macro_f1 == 0.8


def test_a_class_that_is_never_predicted_has_an_f1_of_zero():
    scores = metrics.class_scores(np.array([[0.8, 0.2], [0.7, 0.3]]), np.array([0, 1]))
    assert np.isnan(scores.precision[1])
    assert scores.f1[1] == 0
    assert scores.macro_f1 == pytest.approx((2 / 3) / 2)


def test_calibration_error_derived_by_hand():
    # two bins of two rows: confidences .5 and .6 with one hit, .8 and .9 with two
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6], [0.8, 0.2]])
    indices = np.array([0, 0, 0, 0])
    curve = metrics.reliability(probabilities, indices, bins=2)
    np.testing.assert_allclose(curve.confidence, [0.55, 0.85])
    np.testing.assert_allclose(curve.accuracy, [0.5, 1.0])
    np.testing.assert_array_equal(curve.count, [2, 2])
    assert curve.error == pytest.approx((0.05 * 2 + 0.15 * 2) / 4)


@pytest.mark.parametrize("n", [15, 20, 400, 3589])
def test_calibration_error_equals_a_slow_loop(n):
    probabilities, indices = draw(n, n)
    ordered = sorted(range(n), key=lambda i: max(probabilities[i]))
    total = 0.0
    for number in range(15):
        members = [row for place, row in enumerate(ordered) if place * 15 // n == number]
        confidence = sum(max(probabilities[row]) for row in members) / len(members)
        right = sum(probabilities[row].argmax() == indices[row] for row in members) / len(members)
        total += len(members) / n * abs(confidence - right)
    assert metrics.expected_calibration_error(probabilities, indices) == pytest.approx(total)


def test_bins_hold_equally_many_rows():
    counts = metrics.reliability(*draw(5, 3589)).count
    assert len(counts) == 15
    assert counts.max() - counts.min() <= 1


def test_equal_confidences_share_a_bin():
    probabilities = np.tile([0.7, 0.3], (100, 1))
    indices = np.repeat([0, 1], 50)
    curve = metrics.reliability(probabilities, indices)
    assert len(curve.count) == 1
    assert curve.error == pytest.approx(0.2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seed, order):
    probabilities, indices = draw(seed, 50, 3)
    probabilities = probabilities.round(1)
    shuffled = np.array(order.sample(range(50), 50))
    once = metrics.expected_calibration_error(probabilities, indices)
    again = metrics.expected_calibration_error(probabilities[shuffled], indices[shuffled])
    assert again == pytest.approx(once)


def test_interval_equals_a_bootstrap_of_rows():
    generator = np.random.default_rng(0)
    hits = generator.random(300) < 0.65
    slow = [hits[generator.integers(0, 300, 300)].mean() for _ in range(10_000)]
    np.testing.assert_allclose(metrics.accuracy_interval(hits), np.quantile(slow, [0.025, 0.975]), atol=0.0051)


def test_interval_nears_the_normal_one_for_many_rows():
    hits = np.arange(3589) < 2400
    share = hits.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 3589)
    np.testing.assert_allclose(metrics.accuracy_interval(hits), [share - half, share + half], atol=5e-4)


def test_interval_is_the_same_for_the_same_seed_and_safe_for_one_row():
    hits = np.arange(40) < 30
    assert metrics.accuracy_interval(hits, seed=3) == metrics.accuracy_interval(hits, seed=3)
    assert metrics.accuracy_interval(np.array([True])) == (1.0, 1.0)
    assert metrics.accuracy_interval(np.array([False])) == (0.0, 0.0)
    with pytest.raises(ValueError, match="one row"):
        metrics.accuracy_interval(np.zeros(0, dtype=bool))


@pytest.mark.parametrize(
    ("probabilities", "indices", "words"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=np.int64), "n of 1 or more"),
        (np.ones((2, 3)), np.zeros(3, dtype=np.int64), r"\(2, 3\) and \(3,\)"),
        (np.ones((2, 3)), np.array([0, 3]), "outside the 3 classes"),
        (np.ones((2, 3)), np.array([0, -1]), "outside the 3 classes"),
        (np.full((2, 3), np.nan), np.array([0, 1]), "not a finite"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities, indices, words):
    with pytest.raises(ValueError, match=words):
        metrics.accuracy(probabilities, indices)


def test_rows_that_stand_alone_have_the_usual_interval():
    hits = np.random.default_rng(1).random(200) < 0.7
    assert metrics.grouped_interval(hits, np.arange(200)) == metrics.accuracy_interval(hits)


def test_persons_are_drawn_whole():
    rng = np.random.default_rng(2)
    person = np.repeat(np.arange(10), 18)
    hits = rng.random(180) < np.linspace(0.2, 1, 10)[person]
    low, high = metrics.grouped_interval(hits, person, seed=3)
    shares = []
    for _ in range(4000):
        drawn = np.concatenate([hits[person == p] for p in rng.integers(0, 10, 10)])
        shares.append(drawn.mean())
    assert (low, high) == pytest.approx(np.quantile(shares, [0.025, 0.975]), abs=0.02)
    narrow = metrics.accuracy_interval(hits)
    assert high - low > 1.5 * (narrow[1] - narrow[0])  # people differ more than pictures of one do
