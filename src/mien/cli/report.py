"""``mien report``: what recordings amount to, and whether cohorts of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.experiment import EventsFile, epoch_spec, experiment, parse_epoch, print_experiment, write_epochs
from mien.core.errors import MienError
from mien.core.files import write_whole
from mien.core.safe_text import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from mien.runtime.recordings.compare import Comparison
    from mien.runtime.recordings.read import Recording
    from mien.runtime.recordings.responses import Experiment


_EXPERIMENTS = "Experiments"

_KINDS = (".csv", ".jsonl", ".parquet")
"""How recordings' names end; of one that lies in a folder in several formats, the last of these is read."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(report)


def report(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RECORDING]...", help="CSV, JSON lines or Parquet of mien watch, or a folder of them."),
    ] = None,
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            help="Recordings or folders to compare, FILES joined by commas; give it twice or more.",
            metavar="NAME=FILES",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a standalone page.", metavar="FILE")] = None,
    png: Annotated[Path | None, typer.Option(help="Write the timelines as a picture.", metavar="FILE")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    block: Annotated[
        float, typer.Option(min=1.0, help="Seconds of the blocks that a cohort of one recording is cut into.")
    ] = 30.0,
    events: Annotated[
        Path | None,
        typer.Option(
            help="Stimuli of an experiment: CSV, TSV (BIDS), BORIS, PsychoPy or ELAN; or a folder with a file for each "
            "recording.",
            metavar="FILE|FOLDER",
            rich_help_panel=_EXPERIMENTS,
        ),
    ] = None,
    epoch: Annotated[
        Any,
        typer.Option(
            parser=parse_epoch,
            help="Seconds around each onset.",
            metavar="BEFORE:AFTER",
            rich_help_panel=_EXPERIMENTS,
        ),
    ] = "-1:5",
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline", help="Take off the time before the onset.", rich_help_panel=_EXPERIMENTS
        ),
    ] = True,
    min_coverage: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="Share of an epoch that must have been read.", rich_help_panel=_EXPERIMENTS),
    ] = 0.7,
    onset_column: Annotated[
        str | None, typer.Option(help="Column of onsets.", metavar="NAME", rich_help_panel=_EXPERIMENTS)
    ] = None,
    condition_column: Annotated[
        str | None, typer.Option(help="Column of conditions.", metavar="NAME", rich_help_panel=_EXPERIMENTS)
    ] = None,
    tier: Annotated[
        str | None, typer.Option(help="Tier of an ELAN file.", metavar="NAME", rich_help_panel=_EXPERIMENTS)
    ] = None,
    epochs: Annotated[
        Path | None,
        typer.Option(help="Write every epoch as a long CSV.", metavar="FILE", rich_help_panel=_EXPERIMENTS),
    ] = None,
) -> None:
    """Add up recordings: time in each expression, polarities, changes; and compare cohorts of them.

    With --events each recording is one participant, or the part of one whose name begins with sub-LABEL: what their
    faces show around each stimulus, by condition, with intervals and tests. Cohorts are then groups of participants.
    """
    from mien.runtime.output.sinks import refuse_outputs
    from mien.runtime.recordings.compare import Cohort, compare_cohorts
    from mien.runtime.recordings.page import document
    from mien.runtime.recordings.read import read_recording

    names = cohort or []
    if not recordings and not names:
        raise typer.BadParameter("give a recording, or cohorts with --cohort NAME=FILES")
    if len(names) == 1:
        raise typer.BadParameter("one cohort has nothing to be compared with: give --cohort twice or more")
    given = [_named_files(words) for words in names]
    if len({name for name, _ in given}) < len(given):
        raise typer.BadParameter("two cohorts have the same name")
    if events is None and (epochs or onset_column or condition_column or tier):
        raise typer.BadParameter("--epochs, --onset-column, --condition-column and --tier belong to --events")
    alone = _recordings(recordings or [])
    read = [*alone, *(path for _, paths in given for path in paths), *([events] if events else [])]
    refuse_outputs({"--html": html, "--png": png, "--epochs": epochs}, overwrite=True, inputs=read)
    study = None
    if events is not None:
        if alone and given:
            raise typer.BadParameter("with --events give recordings, or groups of them with --cohort, not both")
        source = EventsFile(events, onset_column, condition_column, tier)
        spec = epoch_spec(epoch, baseline=baseline, min_coverage=min_coverage)
        cut, study = experiment(dict(given) if given else {"": alone}, source, spec)
        if epochs:
            write_epochs(epochs, cut)
    found = [read_recording(path) for path in alone]
    cohorts = [Cohort(name, tuple(read_recording(path) for path in paths)) for name, paths in given]
    try:
        comparisons = compare_cohorts(cohorts, block_seconds=block) if cohorts else ()
    except ValueError as error:
        raise MienError(str(error)) from None
    if html:
        from mien.runtime.recordings.page import page

        _write(html, page(found, comparisons, study).encode("utf-8"))
    if png:
        from mien.runtime.recordings.chart import draw, draw_experiment, render
        from mien.runtime.recordings.page import alternative

        figure = draw(found, comparisons) if study is None else draw_experiment(study)
        _write(png, render(figure, alt=alternative(found, comparisons, study)))
    if json_:
        print(json_text(document(found, comparisons, study)))
    else:
        from rich.console import Console

        _print(found, comparisons, study, Console())


def _named_files(words: str) -> tuple[str, list[Path]]:
    name, _, files = words.partition("=")
    paths = [Path(file) for file in files.split(",") if file]
    if not name or not paths:
        raise typer.BadParameter(f"'{words}' is not NAME=FILES, such as before=monday.csv,tuesday.csv")
    return name, _recordings(paths)


def _recordings(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in the folders; one that lies there in several formats counts once."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        if (path / "run.json").exists() and (path / "items").is_dir():
            raise MienError(f"{path}: is an output of mien bulk: `mien bulk report {path}` adds it up")
        inside = {file.stem: file for kind in _KINDS for file in sorted(path.glob(f"*{kind}"))}
        if not inside:
            raise MienError(f"{path}: no recording in this folder: none of its files ends in {', '.join(_KINDS)}")
        found += [file for _, file in sorted(inside.items())]
    return found


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise MienError(f"{path}: cannot be written ({error.strerror})") from None


def _print(
    recordings: Sequence[Recording], comparisons: Sequence[Comparison], study: Experiment | None, console: Console
) -> None:
    for recording in recordings:
        _print_recording(recording, console)
    for comparison in comparisons:
        _print_comparison(comparison, console)
    if study is not None:
        print_experiment(study, console)
    words = "'held' is what stood by sustained evidence; it is what a face looked like, not what a person felt"
    console.print(words, style="dim", highlight=False)


def _print_recording(recording: Recording, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from mien.runtime.recordings.chart import clock
    from mien.runtime.recordings.page import shares
    from mien.runtime.recordings.totals import totals

    added = totals(recording)
    console.print(Text(recording.name, style="bold"))
    for note in recording.notes:
        console.print(Text(note, style="yellow"))
    facts = [f"{clock(added.watched)} watched", f"{clock(added.faces)} of face time"]
    facts += [f"{clock(added.empty)} without a face in view", f"face tracks: {added.tracks}"]
    console.print(" · ".join(facts), highlight=False)
    if not added.faces:
        console.print()
        return
    table = Table("", box=None, pad_edge=False)
    for heading in ("held", "time", "by prob.", "how sure"):
        table.add_column(heading, justify="right")
    for index, group in enumerate(shares(added)):
        for row in group:
            cells = [
                row.name,
                f"{row.percent:.0f} %",
                clock(row.seconds),
                _percent(row.probability),
                _percent(row.sure),
            ]
            table.add_row(*cells)
        if index == 0:
            table.add_row()
    console.print(table)
    if added.reasons:
        words = ", ".join(f"{reason} ({clock(seconds)})" for reason, seconds in added.reasons.items())
        console.print(f"not measurable: {words}", highlight=False, markup=False)
    console.print()


def _print_comparison(comparison: Comparison, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"{comparison.first} and {comparison.second} compared", style="bold"))
    console.print(Text(f"{comparison.first}: {comparison.units[0]} · {comparison.second}: {comparison.units[1]}"))
    for warning in comparison.warnings:
        console.print(Text(warning, style="yellow"))
    for measure, title in (("held", "by the expression held"), ("by_probability", "by smoothed probability")):
        table = Table(title, box=None, pad_edge=False)
        for heading in (comparison.first, comparison.second, "points", "95 % interval", "Cliff's δ", "Hedges' g"):
            table.add_column(Text(heading), justify="right")
        for d in comparison.differences:
            if d.measure == measure:
                interval = f"{100 * d.interval[0]:+.1f} to {100 * d.interval[1]:+.1f}" if d.interval else "–"
                effects = ["–" if e is None else f"{e:+.2f}" for e in (d.cliffs_delta, d.hedges_g)]
                cells = [_percent(100 * d.first), _percent(100 * d.second), f"{100 * d.difference:+.1f}"]
                table.add_row(d.quantity, *cells, interval, *effects)
        console.print(table)
        console.print()


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"
