"""``mien explain``: what a network looks at, for a picture or over a dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.detector import face_crops
from mien.cli.options import DataRoot, DatasetClasses, DatasetCounts
from mien.cli.predictors import load_for, open_predictor
from mien.cli.progress import say
from mien.core.errors import ConfigError, DatasetError, MissingExtraError, PictureError, nearest

if TYPE_CHECKING:
    from mien.core.predictor import Predictor
    from mien.core.preprocess import Image
    from mien.data.dataset import Dataset
    from mien.explain.average import Averages, MapCondition, Maps
    from mien.reporting.figures import Drawing
    from mien.reporting.tables import Table

_SHOWN, _CHECKED, _POINTS = 6, 16, 10
"""Faces that the page shows, faces that the sanity checks take, and layers after which they compare."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(explain)


def explain(
    model: Annotated[str, typer.Argument(help="A run, a bundled or pulled name, or an ONNX file.", metavar="MODEL")],
    what: Annotated[
        str,
        typer.Argument(
            help="A picture; or a dataset's name, a folder of pictures by class, or a CSV manifest.",
            metavar="PICTURE|DATASET",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the page, the figures (PNG, SVG) and the numbers.")] = Path(
        "explained"
    ),
    expression: Annotated[
        str | None, typer.Option(help="Explain this one instead of what the model reads in each face.", metavar="NAME")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Layer of Grad-CAM; the last before the global pooling if not given.", metavar="NAME"),
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="The picture is a face's crop already: search none.")] = False,
    detector: Annotated[str, typer.Option(help="Face detector for a picture: auto, haar, yunet, or another.")] = "auto",
    split: Annotated[
        str, typer.Option(help="Part of the dataset whose faces are taken; all takes every part.", metavar="NAME")
    ] = "private",
    samples: Annotated[int, typer.Option(min=1, help="Faces of each expression that are averaged.")] = 1000,
    scored: Annotated[int, typer.Option(min=1, help="Faces that score the methods by deletion and insertion.")] = 100,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            help="Another model for one column of the averages, such as eyes=RUN; may be repeated.",
            metavar="REGION=MODEL",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, noise, fresh weights and intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Show what a network looks at: maps of several methods, how far they can be trusted, and averages.

    A run has gradients: Grad-CAM, Grad-CAM++, integrated gradients and occlusion sensitivity. An ONNX model has its
    class activation map.
    """
    from mien import __version__
    from mien.core.provenance import commit
    from mien.explain import maps_report as report

    picture = _picture(what)
    predictor = open_predictor(model)
    methods = _methods(predictor, layer)
    if picture is not None and networks:
        raise typer.BadParameter("it is for the averages of a dataset", param_hint="--network")
    rows: Dataset | None = None
    notes: list[str] = []
    if picture is not None:
        crops = face_crops(picture, predictor.input, detector=detector, crop=crop)
        names = [f"face {number}" for number in range(1, len(crops) + 1)] if len(crops) > 1 else ["face"]
        subject = picture.name
    else:
        conditions = _conditions(predictor, networks or [])
        rows = load_for(what, predictor, data, counts=counts, classes=classes)
        rows = (rows if split == "all" else rows.split(split)).relabel(predictor.labels)
        subject = f"{rows.name}/{split}"
        crops, names = _sampled(rows, scored, seed)
        notes.append(f"This page shows faces of {rows.name} ({rows.licence}): keep it to yourself.")
        if len(crops) < scored:
            notes.append(f"{scored:,} faces were asked for to score the methods; there are only {len(crops):,}.")
    faces = report.Faces.read(predictor, crops, names, expression)
    shown = report.Faces.read(predictor, crops[:_SHOWN], names[:_SHOWN], expression)
    title = next(iter(methods))
    drawings = {
        "methods": report.methods_figure(
            shown, {name: method(predictor, shown.crops, shown.expressions) for name, method in methods.items()}
        ),
        "expressions": report.expressions_figure(
            predictor, _methods(predictor, layer, relu=False)[title], title, crops[0], names[0]
        ),
    }
    say(f"scoring {len(methods)} methods on {len(crops)} faces")
    scores = _scores(predictor, faces, methods, seed)
    tables = {"faithfulness": report.faithfulness_table(scores)}
    numbers: dict[str, Any] = {
        "mien": __version__,
        "commit": commit(),
        "model": predictor.name,
        "identity": predictor.identity,
        "subject": subject,
        "seed": seed,
        "layer": _layer(predictor, layer),
        "readings": [
            {"face": name, "expression": expression, "probability": probability}
            for name, expression, probability in zip(shown.names, shown.expressions, shown.probabilities, strict=True)
        ],
        "faithfulness": scores,
    }
    if len(methods) > 1:
        say("checking that the maps depend on the weights")
        sanity = _sanity(predictor, faces, layer, seed)
        drawings["sanity"] = report.sanity_figure(sanity)
        tables["sanity"] = report.sanity_table(sanity)
        numbers["sanity"] = sanity
    else:
        notes.append("An ONNX model has no gradients: the other methods and the sanity checks need its run.")
    if rows is not None:
        say(f"averaging {title} over {samples:,} faces of each expression under {len(conditions)} conditions")
        averages, panels = _averaged(title, methods[title], rows, conditions, samples=samples, seed=seed)
        drawings |= panels
        notes.append(f"Averages: {averages.sampled}; they explain the expression that the faces are labelled with.")
        numbers["averages"] = report.averages_numbers(averages)
    written = report.write(
        out,
        title=f"What {predictor.name} looks at: {subject}",
        notes=notes,
        drawings=drawings,
        tables=tables,
        numbers=numbers,
    )
    _print(numbers, tables, notes, written, as_json=as_json)


def _picture(what: str) -> Path | None:
    """The picture that is named, or None for a dataset."""
    from mien.core.picture_files import ENDINGS

    path = Path(what)
    if not path.exists() and path.suffix.lower() in ENDINGS:
        raise PictureError(f"{path}: there is no such picture")
    return path if path.is_file() and path.suffix.lower() != ".csv" else None


def _print(
    numbers: Mapping[str, Any], tables: Mapping[str, Table], notes: Sequence[str], written: list[Path], *, as_json: bool
) -> None:
    from mien.core.schema import to_mapping

    if as_json:
        print(json.dumps(to_mapping(numbers), indent=1, allow_nan=False))
        return
    for table in tables.values():
        table.print()
    for line in (*notes, *(f"wrote {path}" for path in written)):
        print(line)


def _methods(predictor: Predictor, layer: str | None, *, relu: bool = True) -> dict[str, Maps]:
    """The methods that a model allows, by their titles; the first is the one that is averaged."""
    from mien.runtime.inference.classify import OnnxClassifier

    if isinstance(predictor, OnnxClassifier):
        from mien.runtime.inference.activation import ActivationMapper

        if layer is not None:
            raise ConfigError(f"'{predictor.name}' is an ONNX file, which keeps one layer: --layer is for runs")

        def activation(network: Predictor, crops: Image, expressions: str | Sequence[str]) -> Any:
            if not isinstance(network, OnnxClassifier):
                raise ConfigError(f"'{network.name}' is a run: name runs alone, or ONNX models alone")
            return ActivationMapper(network).maps(crops, expressions, relu=relu)

        _ = ActivationMapper(predictor)  # a model without feature map is refused before anything is read
        return {"Class activation map": activation}
    return {kind.title: _made(kind, layer, relu=relu) for kind in _kinds()}


def _kinds() -> list[Any]:
    try:
        import captum  # noqa: F401
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "explain", "explaining a run") from None
    from mien.explain.attribution import METHODS
    from mien.training.fit import keep_memory

    keep_memory()
    return list(METHODS.values())


def _made(kind: Any, layer: str | None, *, relu: bool = True) -> Any:
    from mien.explain.gradcam import LayerMethod

    return kind(layer=layer, relu=relu) if issubclass(kind, LayerMethod) else kind()


def _layer(predictor: Predictor, layer: str | None) -> str | None:
    from mien.runtime.inference.classify import OnnxClassifier

    if isinstance(predictor, OnnxClassifier):
        return None
    from mien.explain.method import default_layer, graph_of

    return layer or default_layer(graph_of(predictor), predictor.input)


def _sampled(rows: Dataset, scored: int, seed: int) -> tuple[Image, list[str]]:
    """Random faces of a dataset, and each one's label and row."""
    import numpy as np

    if len(rows) == 0:
        raise DatasetError(f"{rows.name} has no face with an expression that the model knows")
    chosen = np.random.default_rng(seed).choice(len(rows), size=min(scored, len(rows)), replace=False)
    part = rows.take(chosen)
    labels = [f"row {row}: {part.labels[index]}" for row, index in zip(part.rows, part.indices, strict=True)]
    return part.images, labels


def _conditions(predictor: Predictor, networks: Sequence[str]) -> tuple[MapCondition, ...]:
    """Paper 004's conditions, each with the model that was named for it."""
    from dataclasses import replace

    from mien.explain.average import paper_conditions

    found = {condition.name.removesuffix(" covered"): condition for condition in paper_conditions(predictor)}
    for item in networks:
        name, separator, model = item.partition("=")
        if not separator or name not in found:
            raise ConfigError(f"--network {item}: expected REGION=MODEL; {nearest(name, found)}")
        found[name] = replace(found[name], network=open_predictor(model))
    return tuple(found.values())


def _averaged(
    title: str, method: Maps, rows: Dataset, conditions: Sequence[MapCondition], *, samples: int, seed: int
) -> tuple[Averages, dict[str, Drawing]]:
    """The averages of all expressions, their panel, and that of paper 004's three where there are more."""
    from mien.core.expression import THREE
    from mien.explain.average import average

    averages = average(method, rows, conditions, samples=samples, seed=seed)
    panels = {"averages": averages.draw(title=f"{title} averaged")}
    if set(THREE) < set(averages.expressions):
        three = averages.only(("happy", "angry", "neutral"))
        panels["averages-three"] = three.draw(title=f"{title} averaged: the expressions of paper 004")
    return averages, panels


def _scores(predictor: Predictor, faces: Any, methods: Mapping[str, Maps], seed: int) -> Any:
    from mien.explain.faithfulness import compare

    maps = {title: method(predictor, faces.crops, faces.expressions) for title, method in methods.items()}
    return compare(predictor, faces.crops, maps, faces.expressions, seed=seed)


def _sanity(predictor: Predictor, faces: Any, layer: str | None, seed: int) -> Any:
    from mien.explain.sanity import cascade

    crops, expressions = faces.crops[:_CHECKED], faces.expressions[:_CHECKED]
    return [
        cascade(_made(kind, layer), predictor, crops, expressions, seed=seed, points=_POINTS)  # type: ignore[arg-type]
        for kind in _kinds()
    ]
