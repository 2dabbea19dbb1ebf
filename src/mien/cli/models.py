"""``mien models``: what is at hand, what can be pulled, and whether it is whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from mien.core.manifest import Metric
    from mien.runtime.library import Entry

group = typer.Typer(help="List, show, pull and verify models.", no_args_is_help=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(group, name="models")


@group.command("list")
def list_models(json_: JsonFlag = False) -> None:
    """List the models that are bundled, pulled, or can be pulled."""
    from mien.runtime.library import entries

    found = list(entries())
    if json_:
        print(json.dumps([_to_dict(entry) for entry in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "kind", "state", "size", "licence", "what it is", box=None, pad_edge=False)
    for entry in found:
        table.add_row(entry.name, entry.kind, entry.state, _size(entry.bytes), entry.licence, entry.summary)
    Console().print(table)


@group.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `mien models list` prints.")],
    json_: JsonFlag = False,
) -> None:
    """Show everything known about a model: origin, licences, labels and measurements."""
    from mien.runtime.library import entry

    found = entry(name)
    facts = _to_dict(found)
    if json_:
        print(json.dumps(facts, indent=2))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    manifest = facts.pop("manifest", {})
    manifest.pop("metrics", None)
    if head := manifest.pop("head", None):
        manifest["activation maps"] = f"yes: {head['pooling']} pool of {head['channels']} channels"
    for key, value in (facts | manifest).items():
        table.add_row(Text(key.replace("_", " "), style="dim"), Text(_plain(value)))
    console = Console()
    console.print(table)
    if found.manifest and found.manifest.metrics:
        console.print(_measurements(found.manifest.metrics))


@group.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to fetch, such as yunet.")],
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|URL", help="Take it from a file or a mirror, not from its publisher."),
    ] = None,
) -> None:
    """Fetch a model; its sha256 is checked before it is kept."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from mien.runtime.library import PULLABLE
    from mien.runtime.pull import pull as fetch

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(name, total=None)
        path = fetch(name, source=from_, progress=lambda done, total: bar.update(task, completed=done, total=total))
    record = PULLABLE[name]
    print(f"{name}: {_size(record.bytes)}, sha256 verified, licence {record.licence}\n{path}")


@group.command()
def verify() -> None:
    """Hash every model at hand again; ends with 1 if one is damaged."""
    from mien.runtime.library import verify as check

    damaged = False
    for name, error in check():
        if error is None:
            print(f"{name}: ok")
        else:
            damaged = True
            print(f"mien: {name}: {error}", file=sys.stderr)
    if damaged:
        raise typer.Exit(1)


def _measurements(metrics: tuple[Metric, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="measured", title_justify="left", title_style="dim")
    for column in ("on", "how", "n", "accuracy", "95 % interval", "without leaks", "macro F1", "log loss", "ECE"):
        table.add_column(column, justify="left" if column in ("on", "how") else "right")
    for metric in metrics:
        low, high = metric.accuracy_interval
        table.add_row(
            f"{metric.dataset} {metric.split}",
            metric.protocol.partition(";")[0],
            f"{metric.n:,}",
            f"{metric.accuracy:.1%}",
            f"{low:.1%} to {high:.1%}",
            _known(metric.accuracy_without_leaks, ".1%"),
            _known(metric.macro_f1, ".3f"),
            _known(metric.log_loss, ".3f"),
            _known(metric.expected_calibration_error, ".1%"),
        )
    return table


def _known(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _to_dict(entry: Entry) -> dict[str, Any]:
    from mien.core.schema import to_mapping

    facts: dict[str, Any] = to_mapping(entry) | {"path": str(entry.path)}
    return facts


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
