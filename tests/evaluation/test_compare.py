import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mien.evaluation.compare import compare, mcnemar_exact, paired_bootstrap


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (1, 5, 2 * (1 + 6) / 64),
        (5, 1, 2 * (1 + 6) / 64),
        (3, 3, 1.0),
        (0, 10, 2 / 1024),
        (121, 59, 4.4344492637551645e-06),  # scipy.stats.binomtest(59, 180)
    ],
)
def test_mcnemar_of_known_tables(first, second, p):
    assert mcnemar_exact(first, second) == pytest.approx(p, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(first=st.integers(0, 1500), second=st.integers(0, 1500))
def test_mcnemar_is_the_binomial_test(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected, rel=1e-8, abs=1e-280)  # where SciPy underflows


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="0 or more"):
        mcnemar_exact(-1, 3)


def test_bootstrap_equals_one_of_row_pairs():
    generator = np.random.default_rng(0)
    a, b = generator.random(400) < 0.7, generator.random(400) < 0.63
    slow = []
    for _ in range(5000):
        rows = generator.integers(0, 400, 400)
        slow.append(a[rows].mean() - b[rows].mean())
    interval, p = paired_bootstrap(int((a & ~b).sum()), int((b & ~a).sum()), 400)
    np.testing.assert_allclose(interval, np.quantile(slow, [0.025, 0.975]), atol=0.006)
    assert p == pytest.approx(2 * np.mean(np.array(slow) <= 0), abs=0.02)


def test_equal_models_do_not_differ():
    hits = np.arange(50) < 30
    (pair,) = compare({"a": hits, "b": hits.copy()})
    assert (pair.difference, pair.difference_interval, pair.bootstrap_p, pair.mcnemar_p) == (0, (0, 0), 1, 1)


def test_every_pair_in_order_with_its_discordant_rows():
    a = np.array([True, True, True, False])
    b = np.array([True, False, False, True])
    c = np.zeros(4, dtype=bool)
    pairs = compare({"a": a, "b": b, "c": c})
    assert [(p.first, p.second) for p in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert (pairs[0].n, pairs[0].only_first, pairs[0].only_second, pairs[0].difference) == (4, 2, 1, 0.25)
    assert pairs[0].difference_interval[0] <= 0.25 <= pairs[0].difference_interval[1]


@pytest.mark.parametrize(
    "hits",
    [
        {"a": np.ones(3, dtype=bool)},
        {"a": np.ones(3, dtype=bool), "b": np.ones(4, dtype=bool)},
        {"a": np.ones(0, dtype=bool), "b": np.ones(0, dtype=bool)},
    ],
)
def test_what_cannot_be_paired_is_refused(hits):
    with pytest.raises(ValueError, match="two or more models on the same rows"):
        compare(hits)


def test_more_discordant_rows_than_rows_are_refused():
    with pytest.raises(ValueError, match="do not fit 5 rows"):
        paired_bootstrap(3, 3, 5)
