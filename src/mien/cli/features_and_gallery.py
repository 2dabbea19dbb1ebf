"""``mien features`` and ``mien gallery``: what a network makes of a face, and faces with what a model makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mien.cli.detector import face_crops
from mien.cli.options import (
    DataRoot,
    DatasetClasses,
    DatasetCounts,
    DatasetName,
    DetectorName,
    DropUnknown,
    ModelName,
    ReportedSplit,
)
from mien.cli.predictors import load_for, open_in_torch, open_predictor


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("features")(features)
    app.command("gallery")(gallery)


def features(
    model: Annotated[
        str,
        typer.Argument(
            help="A run, a bundled or pulled name, an ONNX file; or a network's name, with fresh weights.",
            metavar="MODEL",
        ),
    ],
    picture: Annotated[Path, typer.Argument(help="A picture; its largest face is shown.", metavar="PICTURE")],
    *,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="A layer's name; may be repeated. The blocks if not given.", metavar="NAME"),
    ] = None,
    shown: Annotated[int, typer.Option("--maps", min=1, max=64, help="Maps and filters of each layer.")] = 16,
    crop: Annotated[bool, typer.Option("--crop", help="The picture is a cropped face already.")] = False,
    detector: DetectorName = "auto",
    out: Annotated[Path, typer.Option(help="Folder for the page (HTML) and the figures (PNG, SVG).")] = Path(
        "features"
    ),
) -> None:
    """Draw the feature maps of each block of a network for one face, and its filters."""
    from mien.cli.train import need_torch
    from mien.core.errors import ModelError

    need_torch("drawing feature maps")
    from mien.explain import features as maps
    from mien.explain import features_report

    network = open_in_torch(model)
    face = face_crops(picture, network.input, crop=crop, detector=detector)[0]
    found = maps.feature_maps(network, face, names=layers or (), shown=shown)
    kernels: list[maps.Filters] = []
    for names in [(name,) for name in layers] if layers else [()]:
        try:
            kernels += maps.filters(network, names=names, shown=shown)
        except ModelError:  # a pool or an activation has maps, but no filters
            continue
    for one in found:
        print(one.words)
    for path in features_report.write(network.name, face, found, kernels, out):
        print(f"wrote {path}")


def gallery(
    model: ModelName,
    dataset: DatasetName,
    *,
    kind: Annotated[
        Literal["random", "mistakes", "uncertain"],
        typer.Option(help="Random faces, the most confident mistakes, or the most uncertain faces."),
    ] = "random",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=240, help="How many faces.")] = 24,
    expression: Annotated[str | None, typer.Option(help="Of this expression alone.")] = None,
    split: ReportedSplit = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random draw.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the page (HTML) and the picture (PNG, SVG).")] = Path("gallery"),
    drop_unknown: DropUnknown = False,
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Show faces of a dataset with truth and reading below each. The files show its faces: keep them to yourself."""
    from mien.evaluation.fitted_rows import parted
    from mien.evaluation.protocol import reported_split
    from mien.explain import gallery as pictures

    predictor = open_predictor(model)
    rows = parted(load_for(dataset, predictor, data, counts=counts, classes=classes), [predictor])
    found = pictures.gallery(
        predictor,
        rows,
        split=split or reported_split(rows),
        kind=kind,
        count=count,
        expression=expression,
        unknown="drop" if drop_unknown else "refuse",
        seed=seed,
    )
    if found.shortage:
        print(found.shortage)
    for path in pictures.write(found, out):
        print(f"wrote {path}")
