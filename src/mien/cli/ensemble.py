"""``mien ensemble``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import DataRoot, DatasetClasses, DatasetCounts
from mien.cli.predictors import load_for, open_predictor
from mien.core.errors import ConfigError

if TYPE_CHECKING:
    from mien.core.ensemble import Combine

COMBINATIONS = ("mean", "weighted", "stacked")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("ensemble")(ensemble)


def ensemble(
    out: Annotated[str, typer.Argument(help="Name or path of the file to write, NAME.ensemble.json.", metavar="OUT")],
    members: Annotated[list[str], typer.Argument(help="Two or more models: names, ONNX files, runs.", metavar="MODEL")],
    *,
    combine: Annotated[
        str, typer.Option(help="mean, weighted (shares fitted by likelihood) or stacked (a fitted linear layer).")
    ] = "mean",
    dataset: Annotated[
        str | None, typer.Option(help="What weighted and stacked are fitted on.", metavar="DATASET")
    ] = None,
    split: Annotated[str, typer.Option(help="Its part; never one that is reported.", metavar="NAME")] = "public",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Put models together into one, which 'mien evaluate' and 'mien compare' take like any other."""
    from mien.core.ensemble import SUFFIX, Ensemble
    from mien.core.fitted import Fitted
    from mien.evaluation.ensemble_weights import make_ensemble
    from mien.evaluation.fitted_rows import parted
    from mien.evaluation.results_log import REPORTING

    if combine not in COMBINATIONS:
        raise typer.BadParameter(f"'{combine}' is not one of {', '.join(COMBINATIONS)}", param_hint="--combine")
    if len(set(members)) < max(2, len(members)):
        raise typer.BadParameter("name two or more different models", param_hint="MODEL")
    if (combine == "mean") != (dataset is None):
        raise ConfigError("--dataset is what 'weighted' and 'stacked' are fitted on, and 'mean' is not fitted")
    if dataset is not None and split in REPORTING:
        raise ConfigError(f"--split {split}: it reports, and an ensemble fitted on it has seen the answers")
    path = Path(out if out.endswith(SUFFIX) else out + SUFFIX)
    predictors = tuple(open_predictor(member) for member in members)
    rows, fitted = None, None
    if dataset is not None:
        whole = parted(load_for(dataset, predictors[0], data, counts=counts, classes=classes), predictors)
        rows = whole.split(split).relabel(predictors[0].labels)
        fitted = Fitted(whole.name, whole.folds, (split,))
    chosen: Combine = "mean" if combine == "mean" else "weighted" if combine == "weighted" else "stacked"
    names = tuple(_from(path.parent, member) for member in members)
    fitted_on = "" if rows is None else f"{len(rows):,} rows of {rows.name}, {split}"
    spec = make_ensemble(predictors, names, combine=chosen, rows=rows, fitted_on=fitted_on, fitted=fitted)
    made = Ensemble(predictors, spec, name=path.name.removesuffix(SUFFIX))
    path.parent.mkdir(parents=True, exist_ok=True)
    spec.write(path)
    shares = "".join(f"\n  {share:.3f}  {member}" for share, member in zip(spec.weights, members, strict=False))
    print(f"{path}: {made.shown}, {made.parameters:,} values; next: mien evaluate {path} DATASET{shares}")


def _from(folder: Path, member: str) -> str:
    """How a member is called from the ensemble's folder: a path relative to it where it is one, else its name."""
    path = Path(member)
    if not path.exists():
        return member
    import os

    return os.path.relpath(path.resolve(), folder.resolve())
