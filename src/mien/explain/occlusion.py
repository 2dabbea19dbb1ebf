"""What a model loses when a part of the face is covered: accuracy, and the recall of each expression.

Nothing here needs torch: any :class:`mien.core.predictor.Predictor` can be measured. The study of paper 004, which
trains networks of its own, is :mod:`mien.studies.occlusion_study`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.expression import Labels
from mien.core.predictor import Predictor
from mien.core.preprocess import Image
from mien.data.dataset import Dataset
from mien.evaluation.compare import paired_difference
from mien.evaluation.metrics import accuracy_interval
from mien.evaluation.protocol import predict
from mien.evaluation.regions import FILLS, Fill, Region, cover

OPEN = "none"
"""Name of the condition in which nothing is covered."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ClassLoss:
    """What one expression loses.

    Attributes:
        label: the expression.
        n: rows that show it.
        recall: share of them found under the cover.
        lost: recall on the reference less this recall.
        lost_interval: 95 % paired bootstrap interval of what is lost.
    """

    label: str
    n: int
    recall: float
    lost: float
    lost_interval: Interval


@dataclass(frozen=True, slots=True)
class Covered:
    """One condition's scores, against a reference on the same rows.

    Attributes:
        region: name of what was covered; ``"none"`` for the open face.
        n: rows.
        accuracy: share correct, 0 to 1.
        accuracy_interval: 95 % bootstrap interval of it.
        lost: accuracy of the reference less this accuracy.
        lost_interval: 95 % paired bootstrap interval of what is lost.
        classes: one entry for each expression that has rows.
        fill: what it was covered with; None for the open face.
        n_without_leaks: rows whose pixels stand in no earlier split; None where there is no such split.
        accuracy_without_leaks: on those rows.
        accuracy_without_leaks_interval: 95 % bootstrap interval of it.
    """

    region: str
    n: int
    accuracy: float
    accuracy_interval: Interval
    lost: float
    lost_interval: Interval
    classes: tuple[ClassLoss, ...]
    fill: Fill | None = None
    n_without_leaks: int | None = None
    accuracy_without_leaks: float | None = None
    accuracy_without_leaks_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Occlusion:
    """What a model loses under each region.

    Attributes:
        model: the predictor's name.
        identity: sha256 of its weights.
        dataset: what it was measured on.
        split: which part.
        labels: the predictor's outputs.
        protocol: in words: where the regions lie, which rows were left out.
        noise_seed: of the noise.
        bootstrap_seed: of the intervals.
        n: rows measured.
        dropped: rows left out because the predictor cannot give their class.
        covered: the open face first, which is every other's reference.
    """

    model: str
    identity: str
    dataset: str
    split: str
    labels: Labels
    protocol: str
    noise_seed: int
    bootstrap_seed: int
    n: int
    dropped: int
    covered: tuple[Covered, ...]

    def __post_init__(self) -> None:
        """Check that the reference is there."""
        if not self.covered or self.covered[0].region != OPEN:
            raise ValueError("the open face comes first: what is lost is lost against it")

    @property
    def open(self) -> Covered:
        """The reference."""
        return self.covered[0]


def measure(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    regions: Sequence[Region],
    fills: Sequence[Fill] = FILLS,
    landmarks: NDArray[np.floating] | None = None,
    unknown: Literal["refuse", "drop"] = "refuse",
    batch: int = 512,
    seed: int = 0,
) -> Occlusion:
    """Measure a predictor on one split with the face open, and with each region covered in each way.

    Args:
        predictor: a torch network, an ONNX file, an ensemble.
        dataset: all its splits, cropped to ``predictor.input``.
        split: which part to measure on.
        regions: what is covered, one at a time.
        fills: what with.
        landmarks: ``(len(dataset), 5, 2)`` positions in each crop, NaN where they are not known; regions follow them.
        unknown: what becomes of rows whose class the predictor cannot give.
        batch: faces a call.
        seed: of noise and bootstrap.

    Raises:
        DatasetError: no such split, crops of another shape, or no region.
        LabelError: the labels do not fit.
    """
    if not regions or not fills:
        raise DatasetError("name one region or more to cover, and what with")
    if landmarks is not None and len(landmarks) != len(dataset):
        raise DatasetError(f"{len(dataset)} crops need landmarks each, got {len(landmarks)}")
    answers = predict(predictor, dataset, split=split, unknown=unknown, batch=batch)
    rows = answers.dataset
    points = None
    if landmarks is not None:
        points = landmarks[np.isin(dataset.rows, rows.rows)]
    scores = [score(answers.hits, answers.hits, rows, region=OPEN, fill=None, leaked=answers.leaked, seed=seed)]
    for hidden in regions:
        for fill in fills:
            logits = covered_logits(
                predictor, rows.images, hidden, fill=fill, rows=rows.rows, landmarks=points, batch=batch, seed=seed
            )
            hits = logits.argmax(axis=1) == rows.indices
            scores.append(
                score(hits, answers.hits, rows, region=hidden.name, fill=fill, leaked=answers.leaked, seed=seed)
            )
    return Occlusion(
        model=predictor.name,
        identity=predictor.identity,
        dataset=rows.name,
        split=split,
        labels=predictor.labels,
        protocol=_protocol(points, answers.dropped),
        noise_seed=seed,
        bootstrap_seed=seed,
        n=len(rows),
        dropped=answers.dropped,
        covered=tuple(scores),
    )


def covered_logits(
    predictor: Predictor,
    crops: Image,
    hidden: Region | None,
    *,
    fill: Fill,
    rows: NDArray[np.int64],
    landmarks: NDArray[np.floating] | None = None,
    batch: int = 512,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Logits ``(n, K)`` of crops with a region covered; only one batch of covered copies is held at a time."""
    parts = []
    for start in range(0, len(crops), batch):
        some = slice(start, start + batch)
        at = None if landmarks is None else landmarks[some]
        parts.append(predictor.logits(cover(crops[some], hidden, fill=fill, seed=seed, rows=rows[some], landmarks=at)))
    return np.concatenate(parts) if parts else np.empty((0, len(predictor.labels)), dtype=np.float32)


def score(
    hits: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    rows: Dataset,
    *,
    region: str,
    fill: Fill | None,
    leaked: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Covered:
    """Scores of one condition.

    Args:
        hits: ``(n,)`` whether each row was answered correctly.
        reference: ``(n,)`` the same of what it is compared with.
        rows: the n rows.
        region: name of what was covered.
        fill: what with.
        leaked: ``(n,)`` whether each row's pixels stand in an earlier split.
        seed: of the bootstrap.
    """
    lost, lost_interval = paired_difference(reference, hits, seed=seed)
    classes = []
    for index, label in enumerate(rows.labels):
        of = rows.indices == index
        if of.any():
            less, interval = paired_difference(reference[of], hits[of], seed=seed)
            classes.append(ClassLoss(str(label), int(of.sum()), float(hits[of].mean()), less, interval))
    clean = None if leaked is None or leaked.all() else hits[~leaked]
    return Covered(
        region=region,
        fill=fill,
        n=len(hits),
        accuracy=float(hits.mean()),
        accuracy_interval=accuracy_interval(hits, seed=seed),
        lost=lost,
        lost_interval=lost_interval,
        classes=tuple(classes),
        n_without_leaks=None if clean is None else len(clean),
        accuracy_without_leaks=None if clean is None else float(clean.mean()),
        accuracy_without_leaks_interval=None if clean is None else accuracy_interval(clean, seed=seed),
    )


def _protocol(landmarks: NDArray[np.floating] | None, dropped: int) -> str:
    parts = ["regions on the average face of aligned crops"]
    if landmarks is not None:
        known = int(np.isfinite(landmarks).all(axis=(1, 2)).sum())
        parts = [f"regions by the landmarks of {known:,} of {len(landmarks):,} faces, on the average face for the rest"]
    parts.append("noise uniform from 0 to 255 for each pixel, fresh for each face; grey of level 128")
    if dropped:
        parts.append(f"{dropped} rows left out whose class the model cannot give")
    return "; ".join(parts)
