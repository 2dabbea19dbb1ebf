"""What an evaluation finds: one frozen record, which tables, figures, JSON and the ledger are made from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from mien.core.expression import Labels
from mien.core.manifest import Metric
from mien.core.predictor import Views
from mien.evaluation.calibration import SetQuality
from mien.evaluation.metrics import ClassScores
from mien.evaluation.slices import Slice


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One expression's scores; None where a score is undefined for want of rows or of predictions."""

    label: str
    support: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    coverage: float | None = None
    mean_candidates: float | None = None


def class_results(scores: ClassScores, labels: Labels, sets: SetQuality | None = None) -> tuple[ClassResult, ...]:
    """One entry for each of the labels, with what candidate sets do where there are some."""
    return tuple(
        ClassResult(
            label=str(label),
            support=int(scores.support[i]),
            precision=defined(scores.precision[i]),
            recall=defined(scores.recall[i]),
            f1=defined(scores.f1[i]),
            coverage=None if sets is None else defined(sets.class_coverage[i]),
            mean_candidates=None if sets is None else defined(sets.class_size[i]),
        )
        for i, label in enumerate(labels)
    )


def defined(value: float) -> float | None:
    """A number, or None for NaN."""
    return None if math.isnan(value) else float(value)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Confidence against accuracy of ``n`` rows of like confidence."""

    confidence: float
    accuracy: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The figures over all rows, and how they came about: what a ledger keeps of an evaluation.

    Attributes:
        model: the predictor's name.
        identity: sha256 of its weights.
        parameters: trained plus running values.
        dataset: what it was measured on.
        split: which part.
        protocol: in words: how the faces were shown, what the model was trained on, which rows were left out.
        views: what of each face the probabilities were averaged over.
        members: networks that were averaged; more than one for an ensemble.
        recipe: that trained the model, where its manifest says.
        training_seed: of the model, where its manifest says.
        bootstrap_seed: of the intervals.
        n: rows measured.
        accuracy: share correct, 0 to 1.
        accuracy_interval: 95 % bootstrap interval of it.
        accuracy_without_leaks: without the rows whose pixels stand in an earlier split; None where there is none.
        macro_f1: mean F1 over the classes that have rows.
        log_loss: mean negative log probability of the truth, nats.
        expected_calibration_error: 15 equal-mass bins.
    """

    model: str
    identity: str
    parameters: int
    dataset: str
    split: str
    protocol: str
    views: Views = "one"
    members: int = 1
    recipe: str | None = None
    training_seed: int | None = None
    bootstrap_seed: int
    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    accuracy_without_leaks: float | None = None
    macro_f1: float
    log_loss: float
    expected_calibration_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Measurement):
    """All that was measured, and how.

    Attributes:
        labels: the predictor's outputs, in order.
        dropped: rows left out because the predictor cannot give their class.
        n_without_leaks: rows behind the accuracy without leaks.
        top_2_accuracy: share of rows whose truth is among the two most probable.
        balanced_accuracy: mean recall over the classes that have rows.
        temperature: what the logits were divided by.
        coverage: share of candidate sets that hold the truth; None without conformal thresholds.
        mean_candidates: mean number of expressions in a candidate set; None without conformal thresholds.
        classes: scores of each expression.
        confusion_matrix: counts; rows are the truth, columns what was predicted.
        confusion_vector: rate correct of each expression, the normalised confusion matrix's diagonal (Rodrigues et
            al., paper 001); None for one without rows.
        reliability: the bins behind the calibration error, least confident first.
        slices: accuracy on parts of the rows.
    """

    labels: Labels
    dropped: int
    n_without_leaks: int | None = None
    top_2_accuracy: float
    balanced_accuracy: float
    temperature: float
    coverage: float | None = None
    mean_candidates: float | None = None
    classes: tuple[ClassResult, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    confusion_vector: tuple[float | None, ...]
    reliability: tuple[ReliabilityBin, ...]
    slices: tuple[Slice, ...]

    @property
    def metric(self) -> Metric:
        """What a manifest keeps of it."""
        return Metric(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Metric)})

    def to_dict(self) -> dict[str, Any]:
        """Every field under its own name, ready for JSON; what is undefined is None."""
        return dataclasses.asdict(self)
