"""How a model reads a dataset of other people and other pictures than those that it was made with."""

from __future__ import annotations

from dataclasses import dataclass

from mien.core.predictor import Predictor
from mien.data.base import Dataset
from mien.data.layout import WHOLE, Layout
from mien.data.pictures import NO_FACE
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.metrics import grouped_interval
from mien.evaluation.protocol import evaluate, predict
from mien.evaluation.robustness import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossDataset:
    """One dataset's results.

    Attributes:
        time: when it was measured, UTC, ISO 8601.
        commit: of mien.
        about: what the dataset is, in words.
        persons: whom the measured faces belong to.
        detector: who found the faces.
        faceless: pictures in which no face was found; they are not among the measured ones.
        accuracy: share correct; its interval draws whole persons, whose pictures are alike.
        evaluation: all else that was measured; its intervals draw rows.
    """

    time: str
    commit: str | None = None
    about: str
    persons: int
    detector: str
    faceless: int
    accuracy: Estimate
    evaluation: Evaluation

    @property
    def pictures(self) -> int:
        """How many were looked at."""
        return self.evaluation.n + self.evaluation.dropped + self.faceless


def measure(
    predictor: Predictor, layout: Layout, dataset: Dataset, *, time: str, commit: str | None, seed: int = 0
) -> CrossDataset:
    """Measure a predictor on the whole of a published dataset; rows whose expression it cannot give are left out.

    Args:
        predictor: a torch network, an ONNX file, an ensemble.
        layout: what is known of the dataset.
        dataset: all its rows, cropped to ``predictor.input``.
        time: now, UTC, ISO 8601.
        commit: of mien.
        seed: of the bootstrap.

    Raises:
        DatasetError: the predictor was fitted on a part of it, or crops of another shape.
        LabelError: the two share no expression.
    """
    evaluation = evaluate(predictor, dataset, split=WHOLE, unknown="drop", seed=seed)
    answers = predict(predictor, dataset, split=WHOLE, unknown="drop")
    persons = answers.dataset.metadata["subject"]
    return CrossDataset(
        time=time,
        commit=commit,
        about="; ".join(part for part in (layout.title, layout.notes) if part),
        persons=len(set(persons.tolist())),
        detector=dataset.detector,
        faceless=dataset.left_out.get(NO_FACE, 0),
        accuracy=Estimate(evaluation.accuracy, grouped_interval(answers.hits, persons, seed=seed)),
        evaluation=evaluation,
    )
