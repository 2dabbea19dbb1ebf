"""``mien bulk``: millions of pictures and thousands of hours into one dataset of Parquet."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import AsJson, FaceDetector, MinScore, MinSize, Models, SearchSize, parse_seconds
from mien.core.picture_files import say_left_out
from mien.core.pictures import MAX_PIXELS
from mien.core.policy import Place, Purpose
from mien.core.safe_text import json_text

if TYPE_CHECKING:
    from mien.bulk import BulkOptions, Expressed, Progress, Status

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Folders, globs, files, manifests (.csv, .parquet) or tar shards; paths or addresses."
    ),
]
OutputFolder = Annotated[str, typer.Argument(metavar="OUT", help="The output of a run; a path or an address.")]


def register(app: typer.Typer) -> None:
    """Add the group ``mien bulk`` to the command line."""
    group = typer.Typer(name="bulk", help="Read very many pictures and videos into one dataset.", no_args_is_help=True)
    for command in (run, plan, status, report, compact, export):
        group.command()(command)
    app.add_typer(group)


def _every(text: str) -> float:
    """Seconds from one picture of a video to the next; 0 for all pictures."""
    if text == "all":
        return 0.0
    rate = re.fullmatch(r"(\d+(?:\.\d+)?)\s*fps", text)
    if rate is None:
        return parse_seconds(text)
    if float(rate[1]) <= 0:
        raise typer.BadParameter(f"a rate is above 0, such as 5fps, not '{text}'")
    return 1 / float(rate[1])


Every = Annotated[
    Any, typer.Option(parser=_every, metavar="TIME|RATE|all", help="Pictures of a video: 1s apart, 5fps, or all.")
]
VideoRowsOption = Annotated[
    str,
    typer.Option("--rows", metavar="frame|second", help="A row of a video: a face in a frame, or a track in a second."),
]


def _share(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text)
    if not match or float(match[1]) > 100:
        raise typer.BadParameter(f"it is a share of all inputs from 0% to 100%, such as 1%, not '{text}'")
    return float(match[1]) / 100


def run(
    inputs: Inputs,
    *,
    out: Annotated[
        str, typer.Option(help="Folder of the output, a path or an address; the same again goes on.", metavar="DIR")
    ],
    purpose: Annotated[Purpose, typer.Option(help="What it is done for; the law decides by it.")],
    place: Annotated[Place, typer.Option(help="Where the people are whose faces are read.")],
    model: Models = None,
    detector: FaceDetector = "auto",
    min_size: MinSize = None,
    search_size: SearchSize = None,
    min_score: MinScore = None,
    every: Every = "1s",
    rows: VideoRowsOption = "frame",
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = MAX_PIXELS,
    on: Annotated[str, typer.Option(help="Where it is read: local, or ray.", metavar="local|ray")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core if not given.")] = None,
    max_bad: Annotated[
        Any, typer.Option(parser=_share, metavar="SHARE", help="Stop once more of all inputs are bad, such as 1%.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=1, help="End a worker without progress for so long.")] = 120.0,
    max_memory: Annotated[float, typer.Option(min=0.1, help="End a worker that takes more, GB.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Read all inputs into one dataset. Run again, it does what is left and nothing twice.

    Ends with 1 if an input could not be read; the others are read all the same.
    """
    from mien.bulk import Limits, run_bulk

    if on not in ("local", "ray"):
        raise typer.BadParameter(f"it is local or ray, not '{on}'", param_hint="--on")
    options = _options(
        model,
        detector,
        min_size=min_size,
        search_size=search_size,
        min_score=min_score,
        every=every,
        rows=rows,
        max_pixels=max_pixels,
    )
    done = run_bulk(
        inputs,
        out,
        purpose=purpose,
        place=place,
        options=options,
        on="ray" if on == "ray" else "local",
        workers=workers,
        limits=Limits(seconds=max_seconds, memory=int(max_memory * 2**30), max_bad=max_bad),
        progress=_say_json if as_json else _say,
    )
    _print_status(done, as_json=as_json)
    if done.bad:
        raise typer.Exit(1)


def plan(
    inputs: Inputs,
    *,
    purpose: Annotated[Purpose | None, typer.Option(help="What it is done for; with it some inputs are read.")] = None,
    place: Annotated[Place | None, typer.Option(help="Where the people are whose faces are read.")] = None,
    model: Models = None,
    detector: FaceDetector = "auto",
    min_size: MinSize = None,
    every: Every = "1s",
    rows: VideoRowsOption = "frame",
    as_json: AsJson = False,
) -> None:
    """Say what there is to read, before anything is; with --purpose and --place also what reading it takes.

    For that some 50 inputs are read, drawn by chance, the same ones each time.
    """
    from mien.bulk import plan_bulk
    from mien.runtime.output.terminal import counted

    if (purpose is None) != (place is None):
        raise typer.BadParameter("--purpose and --place go together: the law decides by both")
    options = _options(model, detector, min_size=min_size, every=every, rows=rows)
    made = plan_bulk(inputs, purpose=purpose, place=place, options=options)
    if as_json:
        print(json_text(asdict(made)))
        return
    print(f"{counted(made.pictures, 'picture')} and {counted(made.videos, 'video')}, {_bytes(made.bytes)}")
    if made.without_size:
        print(f"{made.without_size:,} of them of unknown size: missing, or at an address that was not asked")
    _print_left_out(made.left_out)
    if made.cost is None:
        print("with --purpose and --place it says what reading them takes")
        return
    low, high = made.cost.interval
    print(
        f"{made.cost.core_hours:.3g} hours of one core (95 %: {low:.3g} to {high:.3g}) and {_bytes(made.cost.disk)} of "
        f"output, by {counted(made.cost.sampled, 'input')} that were read"
    )


def _options(model: list[str] | None, detector: str, *, every: float, rows: str, **more: Any) -> BulkOptions:
    from mien.bulk import BulkOptions
    from mien.runtime import DEFAULT_MODEL

    if rows not in ("frame", "second"):
        raise typer.BadParameter(f"it is frame or second, not '{rows}'", param_hint="--rows")
    return BulkOptions(
        models=tuple(model or [DEFAULT_MODEL]),
        detector=detector,
        every=every or None,
        rows="second" if rows == "second" else "frame",
        **more,
    )


def status(out: OutputFolder, *, as_json: AsJson = False) -> None:
    """Say what an output holds, also while a run writes it."""
    from mien.bulk import Output

    _print_status(Output(out).status(), as_json=as_json)


def report(out: OutputFolder, *, as_json: AsJson = False) -> None:
    """Say what the faces of an output show, also while a run writes it."""
    from mien.bulk import Output, summarise

    made = summarise(Output(out))
    if as_json:
        print(json_text(asdict(made)))
        return
    _print_status(made.status, as_json=False)
    for model, pictures in made.pictures.items():
        _print_expressed(f"faces of pictures, by {model}", pictures)
    if made.videos:
        _print_expressed("faces in sampled frames of videos", made.videos)
    if made.videos or made.pictures:
        print("it is what a face looked like, not what a person felt")


def _print_expressed(title: str, expressed: Expressed) -> None:
    print(f"{title}: {expressed.faces:,}")
    for name, count in expressed.shown.items():
        mean = f", mean probability {expressed.means[name]:.3f}" if name in expressed.means else ""
        print(f"  {name}: {count:,} ({count / expressed.faces:.1%}){mean}")


def compact(out: OutputFolder) -> None:
    """Merge the small files of an output. No run may be writing it; one that is, stops."""
    from mien.bulk import Output

    for name, (before, after) in Output(out).compact().items():
        print(f"{name}: {before} files became {after}")


def export(
    out: OutputFolder,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Where the Parquet files go.")],
) -> None:
    """Write each table of an output as one plain Parquet file."""
    from mien.bulk import Output

    for name, rows in Output(out).export(target).items():
        print(f"{target / name}.parquet: {rows:,} rows")


def _say(progress: Progress) -> None:
    done = progress.before + progress.done
    rate = progress.done / progress.seconds if progress.seconds else 0.0
    left = "" if progress.left is None else f", {progress.left / 60:.1f} minutes left"
    print(
        f"{done:,} of {progress.inputs:,}, {rate:.1f}/s, {progress.faces:,} faces, {progress.bad:,} bad{left}",
        file=sys.stderr,
    )


def _say_json(progress: Progress) -> None:
    print(json_text({**asdict(progress), "left": progress.left}), flush=True)


def _print_status(status: Status, *, as_json: bool) -> None:
    if as_json:
        print(json_text(asdict(status)))
        return
    of = "" if status.inputs is None else f" of {status.inputs:,}"
    print(
        f"{status.items:,}{of} inputs done: {status.read:,} read, {status.bad:,} bad; "
        f"{status.faces:,} faces, {_bytes(status.bytes)}"
    )
    for reason, count in status.reasons:
        print(f"  {count:,} x {reason}")
    _print_left_out(status.left_out)


def _print_left_out(left_out: dict[str, int]) -> None:
    if left_out:
        print(f"{say_left_out(left_out)}, neither picture nor video")


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
