"""A linear head on a face-recognition network, whose features are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError, TrainingError
from mien.core.predictor import Floats
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.models.onnx_embedding import HeadedEmbedding, OnnxEmbedding
from mien.training.svm import fit_converging, fit_linear
from mien.training.tensor_cache import cached_tensor

Kind = Literal["logistic", "svm"]


def embed(embedding: OnnxEmbedding, crops: Image) -> Floats:
    """Vectors ``(n, width)`` of uint8 crops ``(n, *input.shape)``, computed once and kept."""

    def follows_from() -> Iterator[bytes]:
        yield embedding.graph.SerializeToString(deterministic=True)
        yield repr(crops.shape).encode()
        yield crops.tobytes()

    vectors: Floats = cached_tensor(
        "features", follows_from(), lambda: torch.from_numpy(embedding.features(crops))
    ).numpy()
    return vectors


def fit_head(
    embedding: OnnxEmbedding,
    fitted: Dataset,
    *,
    name: str,
    head: Kind = "logistic",
    components: int | None = None,
    penalty: float = 1.0,
    seed: int = 0,
) -> HeadedEmbedding:
    """A linear head, fitted on the vectors of ``fitted``.

    Args:
        embedding: the network.
        fitted: rows that fit the head.
        name: of the model that comes out.
        head: multinomial logistic regression on standardised vectors, or a linear SVM on principal components.
        components: of the SVM.
        penalty: C of either, scikit-learn's.
        seed: of scikit-learn's solvers.

    Raises:
        TrainingError: a class has no row, or the solver does not converge.
        MissingExtraError: scikit-learn is not installed.
    """
    vectors = embed(embedding, fitted.images)
    classes = len(fitted.labels)
    absent = [str(label) for label, count in fitted.counts.items() if not count]
    if absent:
        raise TrainingError(f"{fitted.name}: no picture of {', '.join(absent)} to fit a head on")
    if head == "svm":
        weight, bias = fit_linear(vectors, fitted.indices, classes, components=components, penalty=penalty, seed=seed)
    else:
        weight, bias = _logistic(vectors, fitted.indices, penalty)
    return HeadedEmbedding(embedding, weight, bias, fitted.labels, name=name, features=partial(embed, embedding))


def _logistic(vectors: Floats, indices: NDArray[np.int64], penalty: float) -> tuple[Floats, Floats]:
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "stats", "fitting a head") from None
    mean, deviation = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
    model = LogisticRegression(C=penalty, max_iter=2_000)
    refusal = f"the head does not converge at penalty {penalty:g}: lower it"
    fit_converging(model, (vectors - mean) / deviation, indices, refusal)
    planes, offsets = model.coef_, model.intercept_
    if len(offsets) == 1:  # scikit-learn keeps the odds of the second class alone
        planes, offsets = np.concatenate([0 * planes, planes]), np.concatenate([0 * offsets, offsets])
    weight: Floats = (planes / deviation).astype(np.float32)
    bias: Floats = (offsets - planes @ (mean / deviation)).astype(np.float32)
    return weight, bias
