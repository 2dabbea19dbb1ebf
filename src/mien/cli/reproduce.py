"""``mien reproduce``: a paper's experiments, the paper's figures beside what is measured here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import DataRoot, DetectorName, Threads
from mien.cli.progress import interrupted, say
from mien.core.files import write_whole

if TYPE_CHECKING:
    from mien.studies.paper_cells import PaperStudy


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("reproduce")(reproduce)


def reproduce(
    name: Annotated[str, typer.Argument(help="A paper's number: 000, 001, 002, 003 or 004.", metavar="STUDY")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs, results and page; runs/STUDY if not given.", metavar="FOLDER")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Results file to go on with; OUT/STUDY.json if not given.", metavar="FILE"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run this cell alone; may be repeated.", metavar="CELL")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few epochs on a few rows, in minutes: to see that everything runs.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train no network for more epochs than this; the tables say which were cut short.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0, help="Begin no cell after so many hours; 0 counts and times the networks alone.", metavar="HOURS"
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            help="Pretrained weights: NETWORK=imagenet (torchvision's download) or NETWORK=FILE[:own|torch|tf|caffe]; "
            "may be repeated.",
            metavar="NETWORK=WEIGHTS",
        ),
    ] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(
            "--known",
            help="Figures measured before: a ledger (.jsonl) or the result of mien occlusion study (.json).",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    cells: Annotated[bool, typer.Option("--cells", help="List the study's cells and end.")] = False,
    detector: DetectorName = "auto",
    data: DataRoot = None,
    threads: Threads = None,
) -> None:
    """Run a paper's experiments, and write its tables with the paper's figures beside ours.

    What is done is kept: the same command again goes on where it was interrupted. A cell that cannot be run says why,
    and how to run it.
    """
    from mien.cli.train import need_torch

    need_torch("reproducing a study")
    from mien.runtime.inference.detect import make_detector
    from mien.studies import study_page
    from mien.studies.catalogue import study_named
    from mien.studies.cell_recipes import StudyOptions, parse_weights
    from mien.studies.reproduction import reproduce as run
    from mien.training.runner import Runner

    study = study_named(name)
    if cells:
        _list(study)
        return
    folder = out or Path("runs") / (f"{study.name}-quick" if quick else study.name)
    options = StudyOptions(
        detector=make_detector(detector),
        weights=dict(parse_weights(text) for text in weights or ()),
        known=tuple(known or ()),
        quick=quick,
        epochs=epochs,
    )
    runner = Runner(root=data, threads=threads, hours=budget, say=say)
    try:
        found = run(study, folder, results or folder / f"{study.name}.json", options, only=only or (), runner=runner)
    except KeyboardInterrupt:
        raise interrupted(folder) from None
    study_page.print_tables(study, found)
    for suffix, text in ((".md", study_page.markdown(study, found)), (".html", study_page.html(study, found))):
        path = folder / f"{study.name}{suffix}"
        write_whole(path, text)
        print(f"wrote {path}")


def _list(study: PaperStudy) -> None:
    for cell in study.cells:
        if not cell.is_quoted:
            print(f"{cell.name:40} {cell.title}")
