"""``mien occlusion``: what a model loses when a part of the face is covered, and the study of paper 004."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mien.cli.options import (
    AsJson,
    DataRoot,
    DatasetClasses,
    DatasetCounts,
    DatasetName,
    DropUnknown,
    ModelName,
    ReportedSplit,
    Threads,
)
from mien.cli.predictors import load_for, open_predictor
from mien.cli.progress import interrupted, say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mien.core.preprocess import Image

_DEFAULT = "measure"


class _Group(TyperGroup):
    """A group whose first command is meant where none is named: ``mien occlusion MODEL DATASET``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the group ``mien occlusion`` to the command line."""
    group = typer.Typer(
        name="occlusion",
        help="Cover parts of the face and see what a model loses: mien occlusion MODEL DATASET.",
        no_args_is_help=True,
        cls=_Group,
    )
    group.command(_DEFAULT)(measure)
    group.command("study")(study)
    app.add_typer(group)


def measure(
    model: ModelName,
    dataset: DatasetName,
    *,
    split: ReportedSplit = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            help="A region's name, or rows of a 48-row crop as 'rows 10:20'; may be repeated. All named ones if not "
            "given.",
            metavar="NAME",
        ),
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Let regions follow each face's landmarks, found by YuNet.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise and of the intervals.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report (HTML), the figures (PNG, SVG) and the numbers (JSON).")
    ] = None,
    as_json: AsJson = False,
    drop_unknown: DropUnknown = False,
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
    data: DataRoot = None,
) -> None:
    """Test a model with parts of the face covered: accuracy, and the recall that each expression loses."""
    from mien.core.schema import to_mapping
    from mien.evaluation.fitted_rows import parted
    from mien.evaluation.protocol import reported_split
    from mien.evaluation.regions import REGIONS, region
    from mien.explain import occlusion

    regions = [region(name) for name in names] if names else list(REGIONS.values())
    predictor = open_predictor(model)
    rows = parted(load_for(dataset, predictor, data, counts=counts, classes=classes), [predictor])
    split = split or reported_split(rows)
    result = occlusion.measure(
        predictor,
        rows,
        split=split,
        regions=regions,
        landmarks=_landmarks(rows.images, rows.splits == split) if landmarks else None,
        unknown="drop" if drop_unknown else "refuse",
        seed=seed,
    )
    written: list[Path] = []
    if out is not None:
        from mien.explain import occlusion_report

        written = occlusion_report.write(result, out)
    if as_json:
        print(json.dumps(to_mapping(result), indent=2, allow_nan=False))
        return
    from mien.explain.occlusion_report import print_occlusion

    print_occlusion(result)
    for path in written:
        print(f"wrote {path}")


def study(
    recipes: Annotated[
        list[Path], typer.Argument(help="Recipes, one for each kind of network.", metavar="RECIPE", exists=True)
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the runs; a study that was stopped goes on there.")] = Path(
        "runs/occlusion"
    ),
    results: Annotated[
        Path | None, typer.Option(help="Write the result here; OUT/occlusion.json if not given.", metavar="FILE")
    ] = None,
    pretraining: Annotated[
        Path | None,
        typer.Option(
            help="Recipe of all expressions, trained first on rows that the study does not report; recipes with "
            "weights.source 'pretraining' start from it.",
            metavar="RECIPE",
            exists=True,
        ),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of every recipe, or of one: NAME.KEY=VALUE."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the parts, the noise and the intervals.")] = 0,
    data: DataRoot = None,
    threads: Threads = None,
) -> None:
    """Run paper 004's occlusion study: one network for each condition, and each tested under every condition.

    The same command again goes on with a study that was interrupted.
    """
    from mien.cli.train import need_torch, settings_of

    need_torch("the occlusion study")
    from mien.studies.occlusion_study import run_study
    from mien.studies.occlusion_study_report import print_study, write
    from mien.training.recipe import Recipe
    from mien.training.runner import Runner

    chosen = [Recipe.read(path) for path in recipes]
    first = None if pretraining is None else Recipe.read(pretraining)
    names = [recipe.name for recipe in chosen]
    chosen = [recipe.override(own_settings(settings_of(change), recipe.name, names)) for recipe in chosen]
    path = results or out / "occlusion.json"
    runner = Runner(root=data, threads=threads, say=say)
    try:
        found = run_study(chosen, out, path, pretraining=first, seed=seed, runner=runner)
    except KeyboardInterrupt:
        raise interrupted(out) from None
    print_study(found)
    for made in (path, *write(found, out)):
        print(f"wrote {made}")


def own_settings(settings: dict[str, Any], name: str, names: Sequence[str]) -> dict[str, Any]:
    """What ``--set`` changes of one recipe: keys with its name before them, and those without any recipe's."""
    others = tuple(f"{other}." for other in names if other != name)
    return {key.removeprefix(f"{name}."): value for key, value in settings.items() if not key.startswith(others)}


def _landmarks(crops: Image, wanted: NDArray[Any]) -> NDArray[Any]:
    """Landmarks ``(n, 5, 2)`` of the wanted crops by YuNet, NaN where it finds no face."""
    import cv2
    import numpy as np

    from mien.runtime.inference.detect import make_detector

    detector = make_detector("yunet")
    enlarged = 4
    points = np.full((len(crops), 5, 2), np.nan, dtype=np.float32)
    for row in np.flatnonzero(wanted):
        crop = crops[row] if crops.ndim == 4 else cv2.cvtColor(crops[row], cv2.COLOR_GRAY2RGB)
        picture = cv2.resize(np.asarray(crop), None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        faces = detector.detect(np.asarray(picture, dtype=np.uint8))
        if faces and faces[0].landmarks is not None:
            points[row] = faces[0].landmarks / enlarged
    return points
