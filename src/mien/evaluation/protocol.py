"""One way to measure any predictor on any dataset, with the protocol in the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DatasetError, LabelError, ModelError
from mien.core.manifest import Manifest
from mien.core.predictor import (
    VIEW_WORDS,
    Floats,
    FromRecipe,
    Mirrored,
    Predictor,
    Shown,
    Views,
    members_of,
    softmax,
)
from mien.data.dataset import STAGES, Dataset
from mien.data.leaks import leaked_rows
from mien.evaluation import metrics
from mien.evaluation.calibration import set_quality
from mien.evaluation.evaluation_result import Evaluation, ReliabilityBin, class_results, defined
from mien.evaluation.fitted_rows import check_unseen, seen_rows
from mien.evaluation.slices import require_columns, slice_accuracy


def reported_split(dataset: Dataset) -> str:
    """The split to report on where none is named: FER2013's ``private``, else ``test``, else the only one there is.

    Raises:
        DatasetError: none of these.
    """
    splits = sorted(set(dataset.splits.tolist()))
    for name in ("private", "test"):
        if name in splits:
            return name
    if len(splits) > 1:
        raise DatasetError(f"{dataset.name} has the splits {', '.join(splits)}: name the one to measure on")
    return str(splits[0])


@runtime_checkable
class Described(Protocol):
    """A predictor with a manifest, which knows its conformal thresholds and how it was trained."""

    @property
    def manifest(self) -> Manifest: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Predictions:
    """A predictor's answers on one split.

    Attributes:
        dataset: the n rows that were answered, labelled as the predictor's outputs.
        probabilities: ``(n, K)`` float32, calibrated by the predictor's temperature.
        leaked: ``(n,)`` whether a row's pixels stand in an earlier split; None where there is no earlier split.
        against: the earlier splits.
        known: answered rows whose person, by the column ``subject``, stands in an earlier split too.
        dropped: rows left out because the predictor cannot give their class.
        views: what of each face the answers are averaged over.
        members: networks that they are averaged over.
    """

    dataset: Dataset
    probabilities: Floats
    leaked: NDArray[np.bool_] | None
    against: tuple[str, ...]
    known: int
    dropped: int
    views: Views
    members: int

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each row was answered correctly, ``(n,)``."""
        return metrics.correct(self.probabilities, self.dataset.indices)


def evaluate(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    mirror: bool = False,
    columns: Sequence[str] = (),
    unknown: Literal["refuse", "drop"] = "refuse",
    batch: int = 512,
    seed: int = 0,
) -> Evaluation:
    """Measure a predictor on one split.

    Args:
        predictor: a torch network, an ONNX file, an ensemble.
        dataset: all its splits, cropped to ``predictor.input``; earlier splits are looked at for leaks only.
        split: which part to measure on.
        mirror: average the probabilities of each face and its mirror image.
        columns: metadata columns to slice by, beside brightness and contrast.
        unknown: what becomes of rows whose class the predictor cannot give.
        batch: faces a call.
        seed: of the bootstrap.

    Raises:
        DatasetError: no such split or column, crops of another shape, or splits that mix the rows that fitted the
            predictor with others (:func:`mien.evaluation.fitted_rows.check_unseen`).
        LabelError: the labels do not fit.
        ModelError: the predictor's answer has another shape or is not finite.
    """
    require_columns(dataset, columns)
    answers = predict(predictor, dataset, split=split, mirror=mirror, unknown=unknown, batch=batch)
    probabilities, indices, hits = answers.probabilities, answers.dataset.indices, answers.hits
    scores = metrics.class_scores(probabilities, indices)
    curve = metrics.reliability(probabilities, indices)
    manifest = predictor.manifest if isinstance(predictor, Described) else None
    origin = predictor if manifest is None and isinstance(predictor, FromRecipe) else manifest
    sets = None
    if manifest is not None and not mirror:  # thresholds fitted on single crops promise nothing for averaged ones
        sets = set_quality(probabilities, indices, thresholds=manifest.conformal_thresholds)
    kept = None if answers.leaked is None else hits[~answers.leaked]
    return Evaluation(
        model=predictor.name,
        identity=predictor.identity,
        parameters=predictor.parameters,
        dataset=dataset.name,
        split=split,
        labels=predictor.labels,
        protocol=_protocol(answers, predictor, mirror=mirror),
        views=answers.views,
        members=answers.members,
        recipe=None if origin is None else origin.recipe,
        training_seed=None if origin is None else origin.seed,
        bootstrap_seed=seed,
        n=len(indices),
        dropped=answers.dropped,
        accuracy=float(hits.mean()),
        accuracy_interval=metrics.accuracy_interval(hits, seed=seed),
        accuracy_without_leaks=float(kept.mean()) if kept is not None and len(kept) else None,
        n_without_leaks=None if kept is None else len(kept),
        top_2_accuracy=metrics.top_k_accuracy(probabilities, indices, k=2),
        macro_f1=scores.macro_f1,
        balanced_accuracy=scores.balanced_accuracy,
        log_loss=metrics.log_loss(probabilities, indices),
        expected_calibration_error=curve.error,
        temperature=predictor.temperature,
        coverage=None if sets is None else sets.coverage,
        mean_candidates=None if sets is None else sets.mean_size,
        classes=class_results(scores, predictor.labels, sets),
        confusion_matrix=tuple(
            tuple(int(cell) for cell in row) for row in metrics.confusion_matrix(probabilities, indices)
        ),
        confusion_vector=tuple(defined(value) for value in scores.recall.tolist()),
        reliability=tuple(
            ReliabilityBin(float(confidence), float(right), int(count))
            for confidence, right, count in zip(curve.confidence, curve.accuracy, curve.count, strict=True)
        ),
        slices=slice_accuracy(hits, answers.dataset, columns=columns, seed=seed),
    )


def predict(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    mirror: bool = False,
    unknown: Literal["refuse", "drop"] = "refuse",
    batch: int = 512,
) -> Predictions:
    """A predictor's probabilities on one split, with the rows that leak; options and errors as for :func:`evaluate`."""
    rows = dataset.split(split)
    check_unseen(predictor, dataset)
    rows, fits = _fit_labels(predictor, rows, unknown)
    against = _earlier(split, set(dataset.splits.tolist()))
    leaked = leaked_rows(dataset, split, against=against)[fits] if against else None
    shape = rows.images.shape[1:]
    if shape != predictor.input.shape:
        raise DatasetError(
            f"{dataset.name} holds crops of shape {shape}, {predictor.name} takes {predictor.input.shape}: "
            "load the dataset with the model's own input spec"
        )
    shown = Mirrored(predictor) if mirror else predictor
    blocks = [_logits(shown, rows.images[start : start + batch]) for start in range(0, len(rows), batch)]
    return Predictions(
        dataset=rows,
        probabilities=softmax(np.concatenate(blocks), shown.temperature),
        leaked=leaked,
        against=against,
        known=_known(dataset, rows, against),
        dropped=int((~fits).sum()),
        views=_views(predictor, mirror=mirror),
        members=members_of(predictor),
    )


def _known(dataset: Dataset, rows: Dataset, against: tuple[str, ...]) -> int:
    if "subject" not in dataset.metadata:
        return 0
    before = dataset.metadata["subject"][np.isin(dataset.splits, against)]
    return int(np.isin(rows.metadata["subject"], before).sum())


def _fit_labels(predictor: Predictor, rows: Dataset, unknown: str) -> tuple[Dataset, NDArray[np.bool_]]:
    foreign = [label for label, count in rows.counts.items() if count and label not in predictor.labels]
    fits = ~np.isin(np.array(rows.labels)[rows.indices], foreign)
    ours, theirs = ", ".join(predictor.labels), ", ".join(rows.labels)
    if not fits.any():
        raise LabelError(
            f"{predictor.name} and {rows.name} share no expression: the model gives {ours}; the dataset's rows are "
            f"{theirs}. Choose a model trained on the dataset's labels"
        )
    if foreign and unknown == "refuse":
        raise LabelError(
            f"{rows.name} has {int((~fits).sum())} of {len(rows)} rows of {', '.join(foreign)}, which "
            f"{predictor.name} cannot give (it gives {ours}): choose a model that knows them, or leave these rows "
            "out with --drop-unknown (unknown='drop')"
        )
    return rows.take(fits).relabel(predictor.labels), fits


def _earlier(split: str, splits: set[str]) -> tuple[str, ...]:
    stage = next((number for number, names in enumerate(STAGES) if split in names), None)
    if stage is None:
        return tuple(sorted(splits - {split}))
    return tuple(name for names in STAGES[:stage] for name in names if name in splits)


def _logits(predictor: Predictor | Mirrored, crops: NDArray[np.uint8]) -> Floats:
    logits = predictor.logits(crops)
    expected = (len(crops), len(predictor.labels))
    if logits.shape != expected or not np.isfinite(logits).all():
        raise ModelError(
            f"{predictor.name} gave logits of shape {logits.shape} for {len(crops)} crops, expected finite ones of "
            f"shape {expected}: its file does not fit its manifest; export or pull it again"
        )
    return logits


def _views(predictor: Predictor, *, mirror: bool) -> Views:
    own: Views = "one"
    if isinstance(predictor, Shown):
        own = predictor.views
    elif isinstance(predictor, Described):
        own = predictor.manifest.views
    return "mirror" if mirror and own == "one" else own


def _protocol(answers: Predictions, predictor: Predictor, *, mirror: bool) -> str:
    manifest = predictor.manifest if isinstance(predictor, Described) else None
    parts = [VIEW_WORDS["mirror"]] if mirror else []
    if isinstance(predictor, Shown):
        parts.append(predictor.shown)
    elif not mirror or _views(predictor, mirror=False) != "one":
        parts.append(VIEW_WORDS[_views(predictor, mirror=False)])
    if manifest is not None:
        parts.append(f"trained on {manifest.trained_on}")
    elif predictor.seen:
        parts.append(f"trained on {' and '.join(fitted.describe() for fitted in predictor.seen)}")
    seen = seen_rows(predictor, answers.dataset)
    if seen != "none":
        which = "these rows" if seen == "all" else "some of these rows"
        parts.append(f"{which} fitted it or chose its epoch, so that this is no test")
    if answers.dataset.folds is not None:
        parts.append(f"measured on {answers.dataset.folds.describe()}")
    if answers.leaked is not None:
        parts.append(
            f"the figure without leaks leaves out {int(answers.leaked.sum())} rows whose pixels stand in "
            f"{' or '.join(answers.against)}"
        )
    if answers.known:
        parts.append(f"{answers.known} rows show persons who stand in {' or '.join(answers.against)} too")
    if answers.dropped:
        parts.append(f"{answers.dropped} rows left out whose class the model cannot give")
    if answers.dataset.detector:
        parts.append(f"faces found by {answers.dataset.detector}")
    parts += [f"{count} left out of {answers.dataset.name}: {why}" for why, count in answers.dataset.left_out.items()]
    empty = [str(label) for label, count in answers.dataset.counts.items() if count == 0]
    if empty:
        parts.append(f"no rows of {', '.join(empty)}, left out of means over classes")
    return "; ".join(parts)
