"""``mien train``, ``mien export`` and ``mien networks``."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mien.cli.detector import LazyDetector
from mien.cli.options import DataRoot, DetectorName, RecipeFile
from mien.core.errors import ConfigError, MissingExtraError, TrainingError
from mien.core.model_reference import RUN_RECORD, no_run

if TYPE_CHECKING:
    from mien.training.recipe import Recipe


_NUMBERS = 91
"""Columns of the terminal that the table of networks needs beside the papers."""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(train)
    app.command()(export)
    app.command()(networks)


def train(
    recipe: RecipeFile,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/NAME-SEED if not given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Replace the recipe's seed.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key, such as optimiser.rate=0.01.")
    ] = None,
    detector: DetectorName = "auto",
    data: DataRoot = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads, of each worker.")] = None,
    devices: Annotated[
        str, typer.Option(help="Accelerators (or CPU processes) that share each batch: a number, or auto.", metavar="N")
    ] = "1",
    nodes: Annotated[int, typer.Option(min=1, help="Machines that share each batch, each with so many devices.")] = 1,
    strategy: Annotated[
        str, typer.Option(help="How they do, by Lightning's name: auto, ddp ...", metavar="NAME")
    ] = "auto",
) -> None:
    """Train a network by a recipe. The same command again goes on with a run that was interrupted."""
    need_torch("training")
    from mien.training.face_detector_recipe import FaceDetectorRecipe

    if FaceDetectorRecipe.describes(recipe):
        alone = {"--devices": devices != "1", "--nodes": nodes != 1, "--strategy": strategy != "auto"}
        given = [option for option, is_given in alone.items() if is_given]
        if given:
            raise ConfigError(f"{recipe} trains a face detector, on one machine's processor: leave {given[0]} out")
        _train_face_detector(recipe, out, settings_of(change) | ({} if seed is None else {"seed": seed}), data, threads)
        return
    from mien.data.load import find_faces
    from mien.training.recipe import Recipe
    from mien.training.workers import Workers, is_first

    workers = Workers(devices=_devices(devices), nodes=nodes, strategy=strategy)
    chosen = Recipe.read(recipe)
    settings = settings_of(change)
    if seed is not None:
        settings["seed"] = seed
    chosen = chosen.override(settings) if settings else chosen
    find_faces(chosen.data.dataset, LazyDetector(detector), root=data, classes=chosen.data.classes)
    folder = out or Path("runs") / f"{chosen.name}-{chosen.seed}"
    from mien.training.fit import train as fit  # torch takes seconds to load: mistakes above are told before

    try:
        run = fit(chosen, folder, root=data, threads=threads, workers=workers)
    except KeyboardInterrupt:
        print(f"interrupted: the same command goes on from the last whole epoch in {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    if not is_first():
        return
    best = run.best
    print(
        f"{folder}: kept epoch {best.epoch} of {len(run.history)}, "
        f"{best.validation_accuracy:.2%} of {run.validation_rows:,} validation rows correct; next: mien export {folder}"
    )


def export(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where to; the run's folder if not given.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; the recipe's if not given.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="In eight bits: smaller and faster for ordinary convolutions.")
    ] = False,
    data: DataRoot = None,
) -> None:
    """Export a run to ONNX with its manifest, calibrated on the validation split and checked against torch."""
    need_torch("exporting")
    from mien.core.manifest import FaceDetectorManifest, Manifest
    from mien.training.face_detector_recipe import RECIPE_FILE, FaceDetectorRecipe

    detects = (run / RECIPE_FILE).is_file() and FaceDetectorRecipe.describes(run / RECIPE_FILE)
    if not detects and not (run / RUN_RECORD).is_file():
        raise TrainingError(no_run(run))
    from mien.training.run_as_model import export_run

    folder = out or run
    manifest: FaceDetectorManifest | Manifest
    if detects:
        if int8:
            raise ConfigError(f"{run} is a face detector: its weights are stored in 16 bits, leave --int8 out")
        from mien.runtime.inference.library import detector_path
        from mien.training.face_detector_export import export_face_detector_run

        manifest = export_face_detector_run(run, folder, detector_path("yunet"), name=name, root=data)
        following = "next: mien.runtime.OwnDetector finds faces with it"
    else:
        manifest = export_run(run, folder, name=name, root=data, int8=int8)
        following = "next: mien read"
    print(f"{folder / manifest.file}: {manifest.bytes:,} bytes, {manifest.parameters:,} values; {following}")


def _train_face_detector(
    file: Path, out: Path | None, settings: dict[str, Any], data: Path | None, threads: int | None
) -> None:
    from mien.runtime.inference.library import detector_path
    from mien.training.face_detector_fit import train_face_detector
    from mien.training.face_detector_recipe import FaceDetectorRecipe

    recipe = FaceDetectorRecipe.read(file)
    recipe = recipe.override(settings) if settings else recipe
    folder = out or Path("runs") / f"{recipe.name}-{recipe.seed}"
    teacher = detector_path("yunet")
    try:
        train_face_detector(recipe, folder, teacher, root=data, threads=threads, say=_say)
    except KeyboardInterrupt:
        print(f"interrupted: the same command goes on from the last checkpoint in {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"{folder}: {recipe.steps:,} steps; next: mien export {folder}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def networks(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            help="Count and time these: names of networks, or recipes (YAML) with their options, input and labels.",
            metavar="[NAME|RECIPE]...",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the networks that recipes can name, or count and time some of them on this machine."""
    need_torch("listing networks")
    if which:
        _measure([_recipe_named(text) for text in which], as_json=as_json)
    else:
        _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from mien.models.registry import count, networks

    rows = [count(record) for record in networks().values()]
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
        return
    console = Console()
    wide = console.width >= _NUMBERS + 16  # papers have no room on a narrow terminal; --json has them
    table = Table() if wide else Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("network", no_wrap=True)
    if wide:
        table.add_column("paper", no_wrap=True, overflow="ellipsis", max_width=console.width - _NUMBERS)
    for head in ("input", "trained", "running", "multiplications", "MB"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        name, paper, *numbers = row.cells()
        table.add_row(name, *([paper] if wide else []), *numbers)
    console.print(table)
    if any(row.multiplications is None for row in rows):
        print("backbones are counted, and can be trained, with: pip install 'mien[backbones]'")


def _measure(recipes: list[Recipe], *, as_json: bool) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from mien.core.schema import to_mapping
    from mien.training.cost import conditions, measure_cost

    costs = []
    for recipe in recipes:
        print(f"{recipe.name}: counting and timing '{recipe.network}'", file=sys.stderr, flush=True)
        costs.append(measure_cost(recipe))
    if as_json:
        rows = [{"name": recipe.name, **to_mapping(cost)} for recipe, cost in zip(recipes, costs, strict=True)]
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("network", overflow="fold")
    for head in ("side", "trained", "running", "multi-\nplications", "ONNX kB", "ms", "95th"):
        table.add_column(head, justify="right", no_wrap=True)
    for recipe, cost in zip(recipes, costs, strict=True):
        table.add_row(
            recipe.name,
            str(cost.side),
            f"{cost.trained:,}",
            f"{cost.running:,}",
            f"{cost.multiplications:,}",
            f"{cost.bytes / 1000:,.0f}",
            f"{cost.milliseconds:.2f}",
            f"{cost.milliseconds_p95:.2f}",
        )
    Console().print(table)
    print(f"ms: processor time for one face, one thread, fresh weights, on {conditions(costs)}")


def _recipe_named(text: str) -> Recipe:
    """The recipe of a file, or one that says no more than the name of a network."""
    from mien.models.registry import network
    from mien.training.recipe import Recipe

    path = Path(text)
    if path.suffix in (".yaml", ".yml") or path.name != text:
        return Recipe.read(path)
    return Recipe(name=network(text).name, network=text)


def _devices(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"--devices {text}: expected a number or auto") from None


def settings_of(change: list[str] | None) -> dict[str, Any]:
    """The keys and values of ``--set KEY=VALUE``, values read as YAML."""
    import yaml

    settings = {}
    for item in change or []:
        key, separator, value = item.partition("=")
        if not separator:
            raise ConfigError(f"--set {item}: expected KEY=VALUE")
        settings[key] = yaml.safe_load(value)
    return settings


def need_torch(purpose: str) -> None:
    """Refuse with the install command where what training needs is missing; nothing is imported yet."""
    for package in ("torch", "lightning", "yaml"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "train", purpose)
