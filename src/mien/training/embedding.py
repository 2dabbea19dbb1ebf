"""A head on a face-recognition network: its features computed once, a linear layer fitted, one model exported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from mien.core.errors import MissingExtraError, TrainingError
from mien.core.manifest import Manifest, sha256
from mien.core.predictor import Floats
from mien.data.dataset import Dataset
from mien.evaluation.calibration import calibrate
from mien.models.embedding import OnnxEmbedding
from mien.models.export import COVERAGE, Provenance
from mien.training.keep import kept
from mien.training.svm import fit_linear

Head = Literal["logistic", "svm"]


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A linear head and what it reached.

    Attributes:
        weight: ``(K, width)``.
        bias: ``(K,)``.
        accuracy: share of the rows that chose nothing, here those that calibrate, answered correctly.
    """

    weight: Floats
    bias: Floats
    accuracy: float


def embed(embedding: OnnxEmbedding, rows: Dataset) -> Floats:
    """Vectors ``(n, width)`` of a dataset's pictures, computed once and kept."""

    def follows_from() -> Iterator[bytes]:
        yield embedding.graph.SerializeToString(deterministic=True)
        yield repr(rows.images.shape).encode()
        yield rows.images.tobytes()

    vectors: Floats = kept(
        "features", follows_from(), lambda: torch.from_numpy(embedding.features(rows.images))
    ).numpy()
    return vectors


def fit_head(
    embedding: OnnxEmbedding,
    fitted: Dataset,
    validation: Dataset,
    *,
    head: Head = "logistic",
    components: int | None = None,
    penalty: float = 1.0,
    seed: int = 0,
) -> FittedHead:
    """Fit a linear head on the vectors of ``fitted``.

    Args:
        embedding: the network.
        fitted: rows that fit the head.
        validation: rows that tell how well it does.
        head: multinomial logistic regression on standardised vectors, or a linear SVM on principal components.
        components: of the SVM.
        penalty: C of either, scikit-learn's.
        seed: of scikit-learn's solvers.

    Raises:
        TrainingError: a class has no row, or the solver does not converge.
        MissingExtraError: scikit-learn is not installed.
    """
    vectors = embed(embedding, fitted)
    classes = len(fitted.labels)
    absent = [str(label) for label, count in fitted.counts.items() if not count]
    if absent:
        raise TrainingError(f"{fitted.name}: no picture of {', '.join(absent)} to fit a head on")
    if head == "svm":
        weight, bias = fit_linear(vectors, fitted.indices, classes, components=components, penalty=penalty, seed=seed)
    else:
        weight, bias = _logistic(vectors, fitted.indices, penalty)
    answers = embed(embedding, validation) @ weight.T + bias
    return FittedHead(weight, bias, float((answers.argmax(1) == validation.indices).mean()))


def export_head(
    embedding: OnnxEmbedding,
    head: FittedHead,
    calibration: Dataset,
    folder: Path,
    *,
    name: str,
    provenance: Provenance,
) -> Manifest:
    """Write network and head as one model, ``folder/NAME.onnx`` and its manifest, calibrated on ``calibration``."""
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / f"{name}.onnx", folder / f"{name}.onnx.part"
    onnx.save(embedding.with_head(head.weight, head.bias), part)
    logits = (embed(embedding, calibration) @ head.weight.T + head.bias).astype(np.float32)
    fitted = calibrate(logits, calibration.indices, coverage=COVERAGE)
    part.replace(path)
    manifest = Manifest(
        name=name,
        summary=provenance.summary,
        network=provenance.network,
        file=path.name,
        sha256=sha256(path),
        bytes=path.stat().st_size,
        input=embedding.input,
        labels=calibration.labels,
        parameters=embedding.parameters + head.weight.size + head.bias.size,
        trained_on=provenance.trained_on,
        data_licence=provenance.data_licence,
        weights_licence=provenance.weights_licence,
        temperature=fitted.temperature,
        conformal_thresholds=fitted.conformal_thresholds,
        coverage=COVERAGE,
        energy_threshold=fitted.energy_threshold,
        paper=provenance.paper,
        commit=provenance.commit,
        fitted=provenance.fitted,
    )
    manifest.write(folder / f"{name}.json")
    return manifest


def _logistic(vectors: Floats, indices: NDArray[np.int64], penalty: float) -> tuple[Floats, Floats]:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "stats", "fitting a head") from None
    mean, deviation = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
    model = LogisticRegression(C=penalty, max_iter=2_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit((vectors - mean) / deviation, indices)
        except ConvergenceWarning:
            raise TrainingError(f"the head does not converge at penalty {penalty:g}: lower it") from None
    planes, offsets = model.coef_, model.intercept_
    if len(offsets) == 1:  # scikit-learn keeps the odds of the second class alone
        planes, offsets = np.concatenate([0 * planes, planes]), np.concatenate([0 * offsets, offsets])
    weight: Floats = (planes / deviation).astype(np.float32)
    bias: Floats = (offsets - planes @ (mean / deviation)).astype(np.float32)
    return weight, bias
