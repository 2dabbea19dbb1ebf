"""How the members of an ensemble are weighted, fitted on rows that are not reported."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.core.ensemble import Combine, EnsembleSpec, member_logs
from mien.core.errors import DatasetError, MissingExtraError
from mien.core.fitted import Fitted
from mien.core.predictor import Floats, Predictor
from mien.data.base import Dataset
from mien.evaluation.fitted_rows import is_learnt

_STEPS = 10_000
_STILL = 1e-9


def make_ensemble(
    members: tuple[Predictor, ...],
    names: tuple[str, ...],
    *,
    combine: Combine = "mean",
    rows: Dataset | None = None,
    fitted_on: str = "",
    fitted: Fitted | None = None,
    penalty: float = 1.0,
) -> EnsembleSpec:
    """Put M members together.

    Args:
        members: the predictors, which must give the same expressions from the same crops.
        names: how each can be opened again.
        combine: see :class:`~mien.core.ensemble.EnsembleSpec`.
        rows: what ``weighted`` and ``stacked`` are fitted on: rows that chose nothing else and are not reported.
        fitted_on: these rows in words.
        fitted: these rows, for the checks of what the ensemble is measured on.
        penalty: strength of the stacked layer's L2 regularisation, scikit-learn's 1 / C.

    Raises:
        DatasetError: rows are needed and missing, fitted a member's weights, or are of other labels.
        MissingExtraError: ``stacked`` without scikit-learn.
    """
    identities = tuple(member.identity for member in members)
    if combine == "mean":
        return EnsembleSpec(names, identities)
    if rows is None or not len(rows):
        raise DatasetError(f"combining as '{combine}' is fitted: name a dataset and a split that is not reported")
    if learnt := [name for name, member in zip(names, members, strict=True) if is_learnt(member, rows)]:
        raise DatasetError(
            f"combining as '{combine}' on rows that {' and '.join(learnt)} learnt from would favour whichever member "
            "remembers them best: fit it on rows that chose the epochs, such as FER2013's public"
        )
    if rows.labels != members[0].labels:
        raise DatasetError(f"{rows.name} is labelled {', '.join(rows.labels)}, not as the members answer")
    logs = member_logs(members, rows.images)
    if combine == "weighted":
        weights = tuple(mixture_weights(logs, rows.indices).tolist())
        return EnsembleSpec(names, identities, combine, weights=weights, fitted_on=fitted_on, fitted=fitted)
    matrix, bias = stack(logs, rows.indices, penalty=penalty)
    return EnsembleSpec(
        names,
        identities,
        combine,
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        bias=tuple(bias.tolist()),
        fitted_on=fitted_on,
        fitted=fitted,
    )


def mixture_weights(logs: Floats, indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """The shares ``(M,)`` under which the mixture of members is most likely to give the truth.

    ``logs`` are log probabilities ``(n, M, K)``. The log likelihood is concave in the shares; each step of
    expectation-maximisation raises it (Dempster, Laird & Rubin 1977).
    """
    truth = np.exp(logs[np.arange(len(logs)), :, indices].astype(np.float64))
    shares: NDArray[np.float64] = np.full(logs.shape[1], 1 / logs.shape[1])
    for _ in range(_STEPS):
        mixed = truth * shares
        new: NDArray[np.float64] = (mixed / mixed.sum(1, keepdims=True)).mean(0)
        if np.abs(new - shares).max() < _STILL:
            break
        shares = new
    total: NDArray[np.float64] = shares / shares.sum()
    return total


def stack(
    logs: Floats, indices: NDArray[np.int64], *, penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression ``(K, M * K)``, ``(K,)`` on joined log probabilities ``(n, M, K)``.

    Raises:
        DatasetError: a class has no row.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "report", "stacking models") from None
    classes = logs.shape[2]
    absent = sorted(set(range(classes)) - set(indices.tolist()))
    if absent:
        raise DatasetError(f"class {absent[0]} has no row that the stacked layer could be fitted on")
    model = LogisticRegression(C=1 / penalty, max_iter=2_000).fit(logs.reshape(len(logs), -1), indices)
    matrix, bias = model.coef_, model.intercept_
    if classes == 2:  # scikit-learn keeps the odds of the second class alone
        matrix, bias = np.concatenate([np.zeros_like(matrix), matrix]), np.concatenate([np.zeros_like(bias), bias])
    return matrix, bias
