"""``mien evaluate`` and ``mien compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.cli.options import (
    AsJson,
    DataRoot,
    DatasetClasses,
    DatasetCounts,
    DatasetName,
    DetectorName,
    DropUnknown,
    ModelName,
    ReportedSplit,
)
from mien.cli.predictors import load_for, open_predictor
from mien.core.errors import ConfigError
from mien.core.files import write_whole
from mien.core.model_reference import ModelReference
from mien.core.safe_text import json_text

if TYPE_CHECKING:
    from mien.core.fitted import Folds
    from mien.core.manifest import Metric
    from mien.evaluation.compare import Pair
    from mien.evaluation.evaluation_result import Evaluation
    from mien.evaluation.protocol import Predictions

Fold = Annotated[
    str | None,
    typer.Option("--fold", help="Part the dataset by persons first: 0/5 reports the first of five.", metavar="I/K"),
]
Mirror = Annotated[bool, typer.Option("--mirror", help="Average each face with its mirror image.")]
TenCrop = Annotated[
    bool, typer.Option("--ten-crop", help="Average each face's corners and middle, and their mirror images.")
]
RobustnessFlag = Annotated[
    bool, typer.Option("--robustness", help="Measure under blur, noise, darkness, JPEG, rotation, small faces, covers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("evaluate")(evaluate)
    app.command("compare")(compare)


def evaluate(
    model: ModelName,
    dataset: DatasetName,
    *,
    split: ReportedSplit = None,
    fold: Fold = None,
    as_json: AsJson = False,
    png: Annotated[Path | None, typer.Option(help="Write the figure here.", metavar="FILE")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with everything here.", metavar="FILE")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--slice", help="A metadata column to slice by; may be repeated.", metavar="COLUMN"),
    ] = None,
    mirror: Mirror = False,
    ten_crop: TenCrop = False,
    drop_unknown: DropUnknown = False,
    robustness: RobustnessFlag = False,
    ledger: Annotated[Path | None, typer.Option(help="Append the result to this file.", metavar="FILE")] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep the result in the model's manifest.")] = False,
    detector: DetectorName = "auto",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Measure a model on one split of a dataset: accuracy with its interval, per expression, calibration, slices."""
    from mien.evaluation import evaluation_report as report
    from mien.evaluation import ledger as book
    from mien.evaluation.fitted_rows import parted
    from mien.evaluation.protocol import evaluate as measure
    from mien.evaluation.protocol import reported_split
    from mien.evaluation.robustness import measure as measure_robustness

    _refuse(model, mirror=mirror, ten_crop=ten_crop, robustness=robustness, record=record)
    if ledger is not None and ledger.exists():
        book.read(ledger)  # a broken ledger is refused before minutes are spent
    predictor = open_predictor(model)
    if ten_crop:
        from mien.core.predictor import TenCropped

        predictor = TenCropped(predictor)
    rows = parted(
        load_for(dataset, predictor, data, detector, counts=counts, classes=classes), [predictor], _read_fold(fold)
    )
    split = split or reported_split(rows)
    if robustness and split == "private" and ledger is None:
        raise ConfigError("--robustness on 'private' must be written down: add --ledger, or choose on --split public")
    unknown: Literal["drop", "refuse"] = "drop" if drop_unknown else "refuse"
    result = measure(predictor, rows, split=split, mirror=mirror, columns=columns or (), unknown=unknown)
    harmed = measure_robustness(predictor, rows, split=split, unknown=unknown) if robustness else None
    if png is not None:
        write_whole(png, report.draw(result).png)
    if html is not None:
        write_whole(html, report.html(result))
    if ledger is not None:
        book.append(ledger, result)
    if record:
        _record(model, result)
    if as_json:
        under = {} if harmed is None else {"robustness": harmed.to_dict()}
        print(json_text(result.to_dict() | under, indent=2))
        return
    from rich.console import Console

    report.print_evaluation(result, Console())
    if harmed is not None:
        report.print_robustness(harmed, Console())
    for path in (png, html, ledger):
        if path is not None:
            print(f"wrote {path}")


def compare(
    models: Annotated[list[str], typer.Argument(help="Two or more models.", metavar="MODEL")],
    dataset: DatasetName,
    *,
    split: ReportedSplit = None,
    fold: Fold = None,
    as_json: AsJson = False,
    mirror: Mirror = False,
    drop_unknown: DropUnknown = False,
    change: Annotated[
        str | None,
        typer.Option(help="What the first model does otherwise than the second, for --log.", metavar="WORDS"),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Append what the change added to this results log.", metavar="FILE")
    ] = None,
    detector: DetectorName = "auto",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Say whether models differ on the same rows: paired bootstrap and McNemar's exact test for every pair."""
    from dataclasses import asdict

    from mien.core.errors import DatasetError
    from mien.evaluation import compare as statistics
    from mien.evaluation import evaluation_report as report
    from mien.evaluation.fitted_rows import parted
    from mien.evaluation.protocol import predict, reported_split

    if len(set(models)) < max(2, len(models)):
        raise typer.BadParameter("name two or more different models, then the dataset", param_hint="MODEL")
    if (log is None) != (change is None) or (log is not None and len(models) != 2):
        raise ConfigError("a results log takes two models and what the first does otherwise: --change WORDS --log FILE")
    predictors = {model: open_predictor(model) for model in models}
    one_name = len({predictor.name for predictor in predictors.values()}) < len(predictors)
    found: dict[str, Predictions] = {}
    for model, predictor in predictors.items():
        name = model if one_name else predictor.name
        loaded = parted(
            load_for(dataset, predictor, data, detector, counts=counts, classes=classes),
            list(predictors.values()),
            _read_fold(fold),
        )
        split = split or reported_split(loaded)
        found[name] = predict(
            predictor,
            loaded,
            split=split,
            mirror=mirror,
            unknown="drop" if drop_unknown else "refuse",
        )
    first, rows = next((name, answers.dataset.rows) for name, answers in found.items())
    for name, answers in found.items():
        if answers.dataset.rows.tolist() != rows.tolist():
            raise DatasetError(
                f"{first} was measured on {len(rows)} rows, {name} on {len(answers.dataset)} others: "
                "compare models that give the same expressions"
            )
    pairs = statistics.compare({name: answers.hits for name, answers in found.items()})
    accuracies = {name: float(answers.hits.mean()) for name, answers in found.items()}
    if log is not None and change is not None and split is not None:
        _log_step(log, pairs[0], change, dataset, split, found[first])
    if as_json:
        content = {
            "dataset": dataset,
            "split": split,
            "mirror": mirror,
            "accuracies": accuracies,
            "pairs": [asdict(p) for p in pairs],
        }
        print(json_text(content, indent=2))
        return
    from rich.console import Console

    report.print_comparison(pairs, accuracies, Console())


def _log_step(log: Path, pair: Pair, change: str, dataset: str, split: str, changed: Predictions) -> None:
    """Append a paired comparison to a results log, where models that are called by their paths have no folders."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from mien.evaluation import results_log

    try:
        step = results_log.of_pair(
            replace(pair, first=Path(pair.first).name, second=Path(pair.second).name),
            date=datetime.now(UTC).date().isoformat(),
            change=change,
            dataset=dataset,
            split=split,
            accuracy=float(changed.hits.mean()),
            views=changed.views,
            members=changed.members,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
    results_log.append(log, step)


def _refuse(model: str, *, mirror: bool, ten_crop: bool, robustness: bool, record: bool) -> None:
    """Refuse options that contradict each other."""
    if mirror and (ten_crop or robustness):
        why = "--ten-crop averages mirror images too" if ten_crop else "--robustness looks at each face once"
        raise ConfigError(f"{why}: leave --mirror out")
    if record and ModelReference.parse(model).kind == "ensemble":
        raise ConfigError("--record keeps a result in a model's manifest, an ensemble has none: use --ledger")


def _record(model: str, result: Evaluation) -> None:
    """Put a result into the model's manifest, in place of an earlier one of the same data and protocol."""
    from dataclasses import replace

    from mien.core.manifest import Manifest

    def subject(metric: Metric) -> tuple[str, str, str]:
        return metric.dataset, metric.split, metric.protocol

    path = ModelReference.parse(model).manifest_path()
    manifest = Manifest.read(path)
    new = result.metric
    others = tuple(metric for metric in manifest.metrics if subject(metric) != subject(new))
    replace(manifest, metrics=(*others, new)).write(path)


def _read_fold(text: str | None) -> Folds | None:
    """What ``--fold`` asks for.

    Raises:
        ConfigError: another form, or a fold that cannot be.
    """
    from mien.core.fitted import Folds

    if text is None:
        return None
    test, _, count = text.partition("/")
    try:
        return Folds(count=int(count), test=int(test))
    except ValueError as error:
        raise ConfigError(f"--fold {text}: expected I/K, such as 0/5 for the first of five: {error}") from None
