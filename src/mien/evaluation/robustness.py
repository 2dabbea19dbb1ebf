"""How far a model can be relied on: under corruptions, when it may keep silent, and in what its sets promise.

Every figure comes with a 95 % bootstrap interval over the rows (percentile; pivotal for the calibration error). Rows
are drawn together for all conditions, so the mean corruption accuracy keeps what a face's copies have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError
from mien.core.predictor import Predictor, softmax
from mien.data.dataset import Dataset
from mien.evaluation import metrics
from mien.evaluation.calibration import candidate_masks
from mien.evaluation.compare import paired_difference
from mien.evaluation.corruptions import CORRUPTIONS, Corruption
from mien.evaluation.protocol import Described, predict

Interval = tuple[float, float]
KEPT = 0.8
"""Share of the faces on which the selective accuracy is taken."""

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % bootstrap interval."""

    value: float
    interval: Interval

    def __post_init__(self) -> None:
        """Check that both are numbers in their order."""
        low, high = self.interval
        if not (math.isfinite(self.value) and low <= high):
            raise ValueError(f"a figure is a number with an interval from low to high, got {self.value}, {low}, {high}")


@dataclass(frozen=True, slots=True)
class CorruptionScore:
    """One corruption's scores on the same rows as the clean ones.

    Attributes:
        kind: of the corruption.
        severity: in words.
        accuracy: share correct.
        lost: accuracy on clean faces less this, with its paired interval.
        log_loss: nats.
        expected_calibration_error: 15 equal-mass bins.
    """

    kind: str
    severity: str
    accuracy: Estimate
    lost: Estimate
    log_loss: float
    expected_calibration_error: float


@dataclass(frozen=True, slots=True)
class CorruptionKind:
    """The mean accuracy over a kind's severities."""

    kind: str
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ClassSets:
    """How candidate sets fare on one expression's rows."""

    label: str
    n: int
    coverage: Estimate
    mean_candidates: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """All of it, for one model on one split.

    Attributes:
        model: the predictor's name.
        identity: sha256 of its weights.
        dataset: what it was measured on.
        split: which part.
        n: rows.
        seed: of corruptions and bootstrap.
        accuracy: share correct on clean faces.
        mean_corruption: accuracy under corruption: the mean over the kinds of the mean over their severities.
        kept_accuracy: share correct among the :data:`KEPT` of the faces that the model is surest of.
        kept_confidence: confidence of the least sure of these.
        log_loss: nats, clean.
        expected_calibration_error: clean, 15 equal-mass bins.
        risk_coverage: accuracy among the surest tenth, two tenths … all of the faces.
        promised: share of each expression's candidate sets that is to hold the truth; None without conformal
            thresholds.
        coverage: share of all candidate sets that does.
        mean_candidates: mean number of expressions in a set.
        classes: the sets on each expression that has rows.
        kinds: mean accuracy of each kind of corruption.
        conditions: each corruption alone.
    """

    model: str
    identity: str
    dataset: str
    split: str
    n: int
    seed: int
    accuracy: Estimate
    mean_corruption: Estimate
    kept_accuracy: Estimate
    kept_confidence: float
    log_loss: Estimate
    expected_calibration_error: Estimate
    risk_coverage: tuple[float, ...]
    promised: float | None = None
    coverage: Estimate | None = None
    mean_candidates: Estimate | None = None
    classes: tuple[ClassSets, ...]
    kinds: tuple[CorruptionKind, ...]
    conditions: tuple[CorruptionScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """Every field under its own name, ready for JSON; what is undefined is None."""
        return asdict(self)


def measure(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    unknown: Literal["refuse", "drop"] = "refuse",
    batch: int = 512,
    seed: int = 0,
) -> Robustness:
    """Measure a predictor on one split, clean and under each corruption.

    Args:
        predictor: a torch network, an ONNX file, an ensemble.
        dataset: all its splits, cropped to ``predictor.input``.
        split: which part.
        corruptions: what is done to the crops, one at a time.
        unknown: what becomes of rows whose class the predictor cannot give.
        batch: faces a call.
        seed: of corruptions and bootstrap.

    Raises:
        DatasetError: no such split, crops of another shape, or no corruption.
        LabelError: the labels do not fit.
    """
    if not corruptions:
        raise DatasetError("robustness needs one corruption or more")
    answers = predict(predictor, dataset, split=split, unknown=unknown, batch=batch)
    rows, clean = answers.dataset, answers.probabilities
    hits, right = {}, answers.hits
    conditions = []
    for corruption in corruptions:
        probabilities = np.concatenate(
            [
                softmax(predictor.logits(corruption.to(part.images, part.rows, seed=seed)), predictor.temperature)
                for part in (rows.take(np.arange(s, min(s + batch, len(rows)))) for s in range(0, len(rows), batch))
            ]
        )
        hits[corruption] = metrics.correct(probabilities, rows.indices)
        conditions.append(_condition(corruption, probabilities, rows.indices, right, seed))
    kinds = {c.kind: [hits[d] for d in corruptions if d.kind == c.kind] for c in corruptions}
    by_kind = np.stack([np.mean(of, axis=0) for of in kinds.values()], axis=1)
    draws = _draws(len(rows), seed)
    kind_means = draws @ by_kind / len(rows)
    thresholds = predictor.manifest.conformal_thresholds if isinstance(predictor, Described) else None
    covered, sizes = _sets(clean, rows.indices, thresholds)
    surest = np.argsort(-clean.max(axis=1), kind="stable")
    return Robustness(
        model=predictor.name,
        identity=predictor.identity,
        dataset=rows.name,
        split=split,
        n=len(rows),
        seed=seed,
        accuracy=Estimate(float(right.mean()), metrics.accuracy_interval(right, seed=seed)),
        mean_corruption=Estimate(float(by_kind.mean()), metrics.percentiles(kind_means.mean(axis=1))),
        kept_accuracy=_resampled(lambda which: _kept(clean[which], rows.indices[which]), len(rows), seed),
        kept_confidence=float(clean.max(axis=1)[surest[_count(KEPT, len(rows)) - 1]]),
        log_loss=_resampled(lambda which: metrics.log_loss(clean[which], rows.indices[which]), len(rows), seed),
        expected_calibration_error=_pivoted(
            _resampled(
                lambda which: metrics.expected_calibration_error(clean[which], rows.indices[which]), len(rows), seed
            )
        ),
        risk_coverage=tuple(float(right[surest[: _count(t / 10, len(rows))]].mean()) for t in range(1, 11)),
        promised=predictor.manifest.coverage if isinstance(predictor, Described) else None,
        coverage=None if covered is None else Estimate(float(covered.mean()), metrics.accuracy_interval(covered)),
        mean_candidates=None
        if sizes is None
        else Estimate(float(sizes.mean()), metrics.percentiles(draws @ sizes / len(rows))),
        classes=_by_class(covered, sizes, rows),
        kinds=tuple(
            CorruptionKind(kind, Estimate(float(by_kind[:, i].mean()), metrics.percentiles(kind_means[:, i])))
            for i, kind in enumerate(kinds)
        ),
        conditions=tuple(conditions),
    )


def kept_accuracy(probabilities: metrics.Probabilities, indices: metrics.Indices, *, kept: float = KEPT) -> float:
    """Accuracy among the ``ceil(kept n)`` rows of the highest confidence: a point of the risk-coverage curve.

    El-Yaniv & Wiener (2010), Geifman & El-Yaniv (2017): the selective risk at coverage ``kept`` is one less it.

    Raises:
        ValueError: no rows, disagreeing shapes, or a share that is not above 0 and at most 1.
    """
    if not 0 < kept <= 1:
        raise ValueError(f"kept must lie above 0 and be at most 1, got {kept}")
    metrics.check_rows(probabilities, indices)
    return _kept(probabilities, indices, kept)


def _kept(probabilities: metrics.Probabilities, indices: metrics.Indices, kept: float = KEPT) -> float:
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")[: _count(kept, len(indices))]
    return float(metrics.correct(probabilities[surest], indices[surest]).mean())


def _count(share: float, n: int) -> int:
    return math.ceil(share * n - 1e-9)  # 0.7 of 10 and its like must not round up past the whole number


def _condition(
    corruption: Corruption,
    probabilities: metrics.Probabilities,
    indices: metrics.Indices,
    clean: NDArray[np.bool_],
    seed: int,
) -> CorruptionScore:
    hits = metrics.correct(probabilities, indices)
    return CorruptionScore(
        kind=corruption.kind,
        severity=corruption.severity,
        accuracy=Estimate(float(hits.mean()), metrics.accuracy_interval(hits, seed=seed)),
        lost=Estimate(*paired_difference(clean, hits, seed=seed)),
        log_loss=metrics.log_loss(probabilities, indices),
        expected_calibration_error=metrics.expected_calibration_error(probabilities, indices),
    )


def _sets(
    probabilities: metrics.Probabilities, indices: metrics.Indices, thresholds: Sequence[float] | None
) -> tuple[NDArray[np.bool_], NDArray[np.int64]] | tuple[None, None]:
    if thresholds is None:
        return None, None
    masks = candidate_masks(probabilities, thresholds)
    return masks[np.arange(len(indices)), indices], masks.sum(axis=1)


def _by_class(
    covered: NDArray[np.bool_] | None, sizes: NDArray[np.int64] | None, rows: Dataset
) -> tuple[ClassSets, ...]:
    if covered is None or sizes is None:
        return ()
    found = []
    for index, label in enumerate(rows.labels):
        of = rows.indices == index
        if of.any():
            coverage = Estimate(float(covered[of].mean()), metrics.accuracy_interval(covered[of]))
            found.append(ClassSets(str(label), int(of.sum()), coverage, float(sizes[of].mean())))
    return tuple(found)


def _draws(n: int, seed: int) -> NDArray[np.float64]:
    """How often each of n rows is drawn, ``(resamples, n)``."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=_RESAMPLES).astype(np.float64)


def _resampled(statistic: Callable[[NDArray[np.int64]], float], n: int, seed: int) -> Estimate:
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(0, n, n)) for _ in range(_RESAMPLES)])
    return Estimate(statistic(np.arange(n)), metrics.percentiles(values))


def _pivoted(figure: Estimate) -> Estimate:
    """The same with its pivotal interval, ``2 value - high`` to ``2 value - low``.

    A calibration error is biased upwards by chance alone, in a resample about as much again as in the rows, so that a
    percentile interval would lie above the value itself.
    """
    low, high = figure.interval
    return Estimate(figure.value, (max(0.0, 2 * figure.value - high), max(0.0, 2 * figure.value - low)))
