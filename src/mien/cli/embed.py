"""``mien embed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.cli.detector import LazyDetector
from mien.cli.options import DataRoot, DatasetClasses, DatasetCounts, DatasetName, DetectorName
from mien.cli.train import need_torch
from mien.core.errors import ConfigError

if TYPE_CHECKING:
    from mien.training.embedding_head import Kind


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("embed")(embed)


def embed(
    network: Annotated[Path, typer.Argument(help="An ONNX network from a face to a vector.", metavar="FILE")],
    dataset: DatasetName,
    *,
    size: Annotated[int, typer.Option(help="Side of the crops, pixels; the graph resizes them to the network.")] = 160,
    grey: Annotated[bool, typer.Option("--grey", help="Grey crops, shown to the network as RGB.")] = False,
    mean: Annotated[str, typer.Option(help="Subtracted, 0 to 255: one number, or R,G,B.", metavar="M")] = "127.5",
    std: Annotated[str, typer.Option(help="Divided by, likewise.", metavar="S")] = "127.5",
    bgr: Annotated[bool, typer.Option("--bgr", help="The network's planes are blue, green, red.")] = False,
    head: Annotated[str, typer.Option(help="logistic (regression) or svm (linear, on principal components).")] = "svm",
    components: Annotated[int | None, typer.Option(min=1, help="Principal components; all if not given.")] = None,
    penalty: Annotated[float, typer.Option(help="C of the head: smaller is smoother.")] = 1.0,
    train: Annotated[str, typer.Option(help="Split that fits the head.", metavar="NAME")] = "train",
    validation: Annotated[str, typer.Option(help="Split that calibrates.", metavar="NAME")] = "validation",
    out: Annotated[Path, typer.Option(help="Folder for the model.", metavar="FOLDER")] = Path("models"),
    name: Annotated[
        str | None, typer.Option(help="The model's name; the network's with the head's if not given.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the network's weights.")] = "as the network's own licence allows",
    detector: DetectorName = "auto",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Make a face-recognition network read expressions: a linear head on its vectors, as one ordinary model."""
    need_torch("fitting a head")
    from mien.core.fitted import Fitted
    from mien.core.preprocess import InputSpec
    from mien.data.folds import check_apart
    from mien.data.load import load_dataset
    from mien.models.export import Provenance, export_graph
    from mien.models.onnx_embedding import OnnxEmbedding
    from mien.training.embedding_head import fit_head

    if head not in ("logistic", "svm"):
        raise typer.BadParameter(f"'{head}' is not one of logistic, svm", param_hint="--head")
    if train == validation:
        raise ConfigError(f"--train and --validation are both '{train}': calibrate on rows that were not fitted")
    chosen: Kind = "svm" if head == "svm" else "logistic"
    channels: Literal[1, 3] = 1 if grey else 3
    try:
        spec = InputSpec(size=size, channels=channels, mean=_three(mean, "--mean"), std=_three(std, "--std"))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    embedding = OnnxEmbedding(network, spec, order="bgr" if bgr else "rgb")
    rows = load_dataset(dataset, spec, root=data, counts=counts, classes=classes, detector=LazyDetector(detector))
    check_apart(rows)
    fitted, chosen_on = rows.split(train), rows.split(validation)
    label = name or f"{network.stem}-{head}"
    found = fit_head(embedding, fitted, name=label, head=chosen, components=components, penalty=penalty)
    accuracy = (found.logits(chosen_on.images).argmax(1) == chosen_on.indices).mean()
    provenance = Provenance(
        network=network.stem,
        summary=f"{network.stem}'s features with a {'linear SVM' if head == 'svm' else 'logistic head'}.",
        trained_on=f"{rows.name}: head fitted on {len(fitted):,} rows of {train}, calibrated on {len(chosen_on):,} of "
        f"{validation}; features of {network.name} (sha256 {embedding.sha256[:12]}), trained elsewhere",
        data_licence=rows.licence,
        weights_licence=licence,
        fitted=Fitted(rows.name, rows.folds, (train, validation), (validation,)),
    )
    manifest = export_graph(found.to_onnx(), found, chosen_on, out, provenance)
    print(
        f"{out / manifest.file}: {embedding.width} features, {manifest.parameters:,} values, {accuracy:.2%} of "
        f"{len(chosen_on):,} {validation} rows correct; next: mien evaluate {out / manifest.file} {dataset}"
    )


def _three(text: str, option: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise ConfigError(f"{option} {text}: expected one number, or three for R,G,B")
    return values * 3 if len(values) == 1 else values
