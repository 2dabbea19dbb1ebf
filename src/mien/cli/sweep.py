"""``mien sweep``: a grid of changes to a recipe, a run for each, and one table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.detector import LazyDetector
from mien.cli.options import AsJson, DataRoot, DetectorName, RecipeFile, Threads
from mien.cli.progress import say
from mien.cli.train import need_torch, settings_of


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(sweep)


def sweep(
    recipe: RecipeFile,
    grid: Annotated[
        list[str],
        typer.Option(
            "--grid", metavar="KEY=A,B", help="A key of the recipe and its values, such as optimiser.rate=0.01,0.003."
        ),
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs and the table; sweeps/NAME if not given.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of every cell.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Measure each cell on this split too: to report, not to choose by.", metavar="NAME"),
    ] = None,
    detector: DetectorName = "auto",
    data: DataRoot = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe for every combination of a grid's values. The same command again does what is left."""
    need_torch("a sweep")
    from mien.core.schema import to_mapping
    from mien.data.load import find_faces
    from mien.training.recipe import Recipe
    from mien.training.runner import Runner
    from mien.training.sweep import read_grid
    from mien.training.sweep import sweep as run
    from mien.training.sweep_result import TABLE, table

    values = read_grid(grid)
    chosen = Recipe.read(recipe)
    if change:
        chosen = chosen.override(settings_of(change))
    for dataset in values.get("data.dataset", [chosen.data.dataset]):
        find_faces(dataset, LazyDetector(detector), root=data, classes=chosen.data.classes)
    folder = out or Path("sweeps") / chosen.name
    try:
        result = run(
            chosen,
            values,
            folder,
            split=split,
            runner=Runner(root=data, threads=threads, say=say),
        )
    except KeyboardInterrupt:
        print(f"interrupted: the same command goes on; so far: {folder / TABLE}", file=sys.stderr)
        raise typer.Exit(130) from None
    print(json.dumps(to_mapping(result), indent=1) if as_json else table(result))
    failed = sum(cell.status == "failed" for cell in result.cells)
    if failed:
        print(f"mien: {failed} of {len(result.cells)} cells failed; the table says why", file=sys.stderr)
        raise typer.Exit(1)
