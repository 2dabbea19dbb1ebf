"""A linear SVM on the principal components of joined features, folded into one linear layer."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mien.core.errors import MissingExtraError, TrainingError
from mien.data.dataset import Dataset
from mien.models.tapped import Tapped
from mien.training.recipe import Recipe
from mien.training.run import Epoch

Floats = NDArray[np.float32]


def fit_svm(
    body: nn.Module, recipe: Recipe, fitted: tuple[Tensor, Dataset], validation: tuple[Tensor, Dataset]
) -> Epoch:
    """Fit the head of a :class:`Tapped` network on features ``(n, d)`` and rows; what it reaches is its one epoch.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        TrainingError: a class has no row, or the SVM does not converge.
    """
    started = time.perf_counter()
    assert isinstance(body, Tapped)  # noqa: S101  # transfer.start made it
    transfer, (seen, rows) = recipe.transfer, fitted
    weight, bias = fit_linear(
        seen.numpy(),
        rows.indices,
        len(rows.labels),
        widths=body.widths,
        components=transfer.components,
        penalty=transfer.penalty,
        seed=recipe.seed,
    )
    with torch.no_grad():
        body.head.weight.copy_(torch.from_numpy(weight))
        body.head.bias.copy_(torch.from_numpy(bias))
        train_loss, train_accuracy = _reached(body, *fitted)
        validation_loss, validation_accuracy = _reached(body, *validation)
    return Epoch(
        epoch=1,
        rate=0.0,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        seconds=time.perf_counter() - started,
    )


def _reached(body: Tapped, seen: Tensor, rows: Dataset) -> tuple[float, float]:
    logits, indices = body.head(seen), torch.tensor(rows.indices)
    loss = functional.cross_entropy(logits, indices).item()
    return loss, (logits.argmax(1) == indices).float().mean().item()


def fit_linear(
    features: Floats,
    indices: NDArray[np.int64],
    classes: int,
    *,
    widths: tuple[int, ...] = (),
    components: int | None = None,
    penalty: float = 1.0,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Weight ``(classes, d)`` and bias ``(classes,)`` that give an SVM's decision values for raw features ``(n, d)``.

    Each group of features (``widths`` of them; one group if empty) is scaled to a mean squared length of 1, so that no
    layer drowns another; then PCA, then a linear SVM, one class against the rest. All three are affine, so they are one
    linear layer in the end: what is fitted by scikit-learn is exported like any network.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        TrainingError: a class has no row, or the SVM does not converge.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.svm import LinearSVC
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "stats", "fitting an SVM") from None
    absent = sorted(set(range(classes)) - set(indices.tolist()))
    if absent:
        raise TrainingError(f"class {absent[0]} has no row that an SVM could be fitted on")
    scale = _scale(features, widths or (features.shape[1],))
    pca = PCA(None if components is None else min(components, *features.shape), random_state=seed)
    reduced = pca.fit_transform(features * scale)
    svm = LinearSVC(C=penalty, random_state=seed, max_iter=20_000)
    refusal = f"the SVM does not converge at penalty {penalty:g}: lower transfer.penalty or transfer.components"
    fit_converging(svm, reduced, indices, refusal)
    planes, offsets = svm.coef_, svm.intercept_
    if classes == 2:  # scikit-learn keeps one plane for two classes
        planes, offsets = np.concatenate([-planes, planes]), np.concatenate([-offsets, offsets])
    rotated = planes @ pca.components_
    weight: Floats = (rotated * scale).astype(np.float32)
    bias: Floats = (offsets - rotated @ pca.mean_).astype(np.float32)
    return weight, bias


def fit_converging(model: Any, features: Floats, indices: NDArray[np.int64], refusal: str) -> None:
    """Fit a scikit-learn model.

    Raises:
        TrainingError: it does not converge; ``refusal`` says so.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(features, indices)
        except ConvergenceWarning:
            raise TrainingError(refusal) from None


def _scale(features: Floats, widths: tuple[int, ...]) -> Floats:
    parts = np.split(features, np.cumsum(widths)[:-1], axis=1)
    lengths = [float(np.sqrt(max(np.square(part, dtype=np.float64).sum(1).mean(), 1e-12))) for part in parts]
    return np.concatenate(
        [np.full(part.shape[1], 1 / length, np.float32) for part, length in zip(parts, lengths, strict=True)]
    )
