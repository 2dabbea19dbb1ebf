"""Weights of ensembles against independent optimisers."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from mien.core.ensemble import combine, member_logs
from mien.core.errors import DatasetError
from mien.core.expression import FER2013, SIX
from mien.core.fitted import Fitted
from mien.core.predictor import softmax
from mien.data.base import Dataset, text_column
from mien.evaluation.ensemble_weights import make_ensemble, mixture_weights, stack


def logs_and_truth(n=400, members=3, classes=7, seed=0):
    """Members of which the first is the best."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    hot = np.eye(classes)[truth]
    logits = np.stack([rng.normal(size=(n, classes)) + s * hot for s in np.linspace(2.5, 0.5, members)], 1)
    return np.log(softmax(logits.reshape(-1, classes).astype(np.float32))).reshape(logits.shape), truth


def test_shares_are_the_most_likely_ones():
    logs, truth = logs_and_truth()
    found = mixture_weights(logs, truth)
    p = np.exp(logs[np.arange(len(logs)), :, truth].astype(float))

    def loss(free):
        shares = np.exp(free) / np.exp(free).sum()
        return -np.log(p @ shares).mean()

    best = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 5_000})
    assert -np.log(p @ found).mean() == pytest.approx(best.fun, abs=1e-6)
    assert found.sum() == pytest.approx(1)
    assert found[0] == found.max()


def test_a_useless_member_gets_nothing():
    logs, truth = logs_and_truth(members=2)
    wrong = np.log(np.full((len(logs), 1, 7), 1e-3, dtype=np.float32))
    wrong[:, 0, :][np.arange(len(logs)), (truth + 1) % 7] = np.log(0.994)
    assert mixture_weights(np.concatenate([logs, wrong], 1), truth)[2] < 1e-3


@pytest.mark.parametrize("classes", [2, 7])
def test_the_stacked_layer_is_logistic_regression(classes):
    logs, truth = logs_and_truth(classes=classes)
    matrix, bias = stack(logs, truth, penalty=2.0)
    reference = LogisticRegression(C=0.5, max_iter=2_000).fit(logs.reshape(len(logs), -1), truth)
    found = softmax((logs.reshape(len(logs), -1) @ matrix.T + bias).astype(np.float32))
    np.testing.assert_allclose(found, reference.predict_proba(logs.reshape(len(logs), -1)), atol=1e-5)


class Member:
    """A predictor that reads its answers out of the crops' first pixels."""

    temperature, parameters, labels = 1.0, 1, FER2013

    def __init__(self, place, name, seen=()):
        self._place, self.name, self.identity, self.seen = place, name, name * 64, seen

    def logits(self, crops):
        return crops[:, self._place, :7].astype(np.float32) / 40


def rows(n=140):
    rng = np.random.default_rng(3)
    indices = np.arange(n) % 7
    images = rng.integers(0, 120, (n, 8, 8), dtype=np.uint8)
    images[np.arange(n), 0, indices] += 80
    images[np.arange(n), 1, indices] += 30
    columns = {"splits": text_column(["public"] * n), "rows": np.arange(n), "licence": ""}
    return Dataset(name="toys", images=images, indices=indices, labels=FER2013, **columns)


@pytest.mark.parametrize("how", ["mean", "weighted", "stacked"])
def test_every_combination_beats_its_worse_member(how):
    members, data = (Member(0, "a"), Member(1, "b")), rows()
    made = make_ensemble(members, ("a", "b"), combine=how, rows=None if how == "mean" else data, fitted_on="toys")
    logs = member_logs(members, data.images)
    right = (combine(logs, made).argmax(1) == data.indices).mean()
    alone = (logs.argmax(2) == data.indices[:, None]).mean(0)
    assert right > alone.min()
    assert made.fitted_on == ("" if how == "mean" else "toys")


def test_rows_that_cannot_be_fitted_on_are_refused():
    members, data = (Member(0, "a"), Member(1, "b")), rows()
    with pytest.raises(DatasetError, match="name a dataset and a split"):
        make_ensemble(members, ("a", "b"), combine="weighted")
    with pytest.raises(DatasetError, match="not as the members answer"):
        make_ensemble(members, ("a", "b"), combine="weighted", rows=data.relabel(SIX))
    with pytest.raises(DatasetError, match="class 6 has no row"):
        make_ensemble(members, ("a", "b"), combine="stacked", rows=data.take(data.indices < 6))


@pytest.mark.parametrize("how", ["weighted", "stacked"])
def test_rows_that_a_member_learnt_from_are_refused(how):
    data = rows()
    learnt = Member(1, "b", (Fitted("toys", None, ("public", "private"), ("private",)),))
    chosen = Member(1, "b", (Fitted("toys", None, ("train", "public"), ("public",)),))
    with pytest.raises(DatasetError, match="on rows that b learnt from would favour"):
        make_ensemble((Member(0, "a"), learnt), ("a", "b"), combine=how, rows=data)
    assert make_ensemble((Member(0, "a"), chosen), ("a", "b"), combine=how, rows=data).combine == how
    assert make_ensemble((Member(0, "a"), learnt), ("a", "b")).combine == "mean"
