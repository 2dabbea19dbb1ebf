"""``mien data``: what a dataset holds, and which of its pictures stand in it more than once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.detector import LazyDetector
from mien.cli.options import AsJson, DataRoot, DatasetClasses, DatasetCounts, DatasetName, DetectorName
from mien.core.files import write_whole
from mien.core.safe_text import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from mien.data.dataset import Dataset
    from mien.data.fer2013 import Counts
    from mien.data.leaks import Leaks
    from mien.data.numbered_classes import Classes


_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the group ``mien data`` to the command line."""
    group = typer.Typer(name="data", help="Look into datasets.", no_args_is_help=True)
    group.command("show")(show)
    group.command("leaks")(leaks)
    app.add_typer(group)


def show(
    dataset: DatasetName,
    *,
    data: DataRoot = None,
    as_json: AsJson = False,
    png: Annotated[
        Path | None,
        typer.Option(help="Draw class counts and faces here; the licence says who may see it.", metavar="FILE"),
    ] = None,
    detector: DetectorName = "auto",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
) -> None:
    """Print the pictures of each split and class, the licence, and how many are blank, doubled or leaked."""
    rows, found = _load(dataset, data, detector, counts, classes)
    splits = {name: rows.split(name).counts for name in rows.split_names}
    persons = len(set(rows.metadata["subject"].tolist())) if "subject" in rows.metadata else None
    if png is not None:
        from mien.data.dataset_figure import draw

        write_whole(png, draw(rows).png)
    if as_json:
        summary = {
            "name": rows.name,
            "licence": rows.licence,
            "pictures": len(rows),
            "labels": [str(label) for label in rows.labels],
            "splits": splits,
            "persons": persons,
            "detector": rows.detector or None,
            "left_out": dict(rows.left_out),
            "distinct": found.distinct,
            "blank": len(found.blank),
            "duplicate_groups": len(found.duplicates),
            "conflicting_groups": len(found.conflicts),
            "conflicting_pictures": sum(map(len, found.conflicts)),
            "leaks": [{"split": c.split, "against": c.against, "pictures": len(c.rows)} for c in found.crossings],
        }
        typer.echo(json_text(summary, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    columns = {**splits, "all": rows.counts} if len(splits) > 1 else {"all": rows.counts}
    table.add_column("expression")
    for name in columns:
        table.add_column(name, justify="right")
    for label in rows.labels:
        table.add_row(str(label), *(f"{counts[label]:,}" for counts in columns.values()))
    table.add_section()
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in columns.values()))
    console = Console(markup=False, highlight=False)
    console.print(f"{rows.name}: {len(rows):,} pictures")
    console.print(table)
    console.print(f"licence: {rows.licence}")
    if persons is not None:
        console.print(f"persons: {persons:,}")
    _print_origin(console, rows)
    _print_facts(console, found)
    for crossing in found.crossings:
        console.print(f"pictures of {crossing.split} that also stand in {crossing.against}: {len(crossing.rows):,}")
    if png is not None:
        console.print(f"wrote {png}")


def leaks(
    dataset: DatasetName,
    *,
    data: DataRoot = None,
    as_json: AsJson = False,
    detector: DetectorName = "auto",
    counts: DatasetCounts = "published",
    classes: DatasetClasses = None,
) -> None:
    """List the rows whose exact pixels stand in another split, that contradict each other, or that are blank."""
    from dataclasses import asdict

    whole, found = _load(dataset, data, detector, counts, classes)
    files = dict(zip(whole.rows.tolist(), whole.metadata.get("file", whole.rows).tolist(), strict=True))
    if as_json:
        named = {row for rows in (*(c.rows for c in found.crossings), *found.conflicts, found.blank) for row in rows}
        known = {"files": {row: files[row] for row in sorted(named)}} if "file" in whole.metadata else {}
        typer.echo(json_text(asdict(found) | known, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="pictures of one split that also stand in another", caption="rows are counted from 0")
    for column in ("split", "also in", "pictures", "rows"):
        table.add_column(column, justify="right" if column == "pictures" else "left")
    for crossing in found.crossings:
        table.add_row(crossing.split, crossing.against, str(len(crossing.rows)), _some(crossing.rows, files))
    console = Console(markup=False, highlight=False)
    console.print(table)
    _print_facts(console, found)
    console.print(f"blank rows: {_some(found.blank, files) or 'none'}")
    console.print(f"contradicting rows: {_some(tuple(r for g in found.conflicts for r in g), files) or 'none'}")
    console.print("every row: --json", style="dim")


def _load(
    name: str, root: Path | None, detector: str, counts: Counts, classes: Classes | None
) -> tuple[Dataset, Leaks]:
    from mien.core.preprocess import InputSpec
    from mien.data.leaks import find_leaks
    from mien.data.load import load_dataset

    finder = LazyDetector(detector)
    rows = load_dataset(name, InputSpec(), root=root, counts=counts, classes=classes, detector=finder)
    return rows, find_leaks(rows)


def _print_origin(console: Console, rows: Dataset) -> None:
    from mien.core.picture_files import say_left_out
    from mien.data.load import LAYOUTS

    if rows.detector:
        console.print(f"whole pictures, cropped by the largest face that {rows.detector} finds")
    if rows.left_out:
        console.print(say_left_out(rows.left_out))
    layout = LAYOUTS.get(rows.name.partition(" ")[0])
    if layout is None:
        return
    console.print(f"{layout.title}; layout: {layout.documented}")
    if layout.notes:
        console.print(layout.notes)
    if not layout.checked:
        console.print("This reader has not yet been run on the original, but on generated files in its layout.")


def _print_facts(console: Console, found: Leaks) -> None:
    contradicting = sum(map(len, found.conflicts))
    console.print(
        f"{found.distinct:,} of {found.pictures:,} pictures are distinct; {len(found.duplicates):,} stand there more "
        f"than once, {len(found.conflicts):,} of them under different labels ({contradicting:,} rows); "
        f"{len(found.blank):,} are blank"
    )


def _some(rows: tuple[int, ...], files: Mapping[int, str | int]) -> str:
    """The first of the rows, with their files where they have any."""
    shown = (f"{row}" if files[row] == row else f"{row} ({files[row]})" for row in rows[:_SHOWN])
    return ", ".join(shown) + (" …" if len(rows) > _SHOWN else "")
