"""``mien models``: what is at hand, what can be pulled, and whether it is whole."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import AsJson
from mien.core.errors import ConfigError

if TYPE_CHECKING:
    from mien.core.manifest import Manifest
    from mien.evaluation.card import Card
    from mien.runtime.inference.library import Entry

group = typer.Typer(help="List, show, pull and verify models.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.add_typer(group, name="models")


@group.command("list")
def list_models(json_: AsJson = False) -> None:
    """List the models that are bundled, pulled, or can be pulled."""
    from mien.runtime.inference.library import entries

    found = list(entries())
    if json_:
        print(json.dumps([_to_dict(entry) for entry in found], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    from mien.runtime.output.terminal import columns_that_fit

    rows = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "state": entry.state,
            "size": _size(entry.bytes),
            "licence": entry.licence,
            "what it is": entry.summary,
        }
        for entry in found
    ]
    console = Console()
    widths = {head: max(len(row[head]) for row in rows) for head in rows[0]} | {"licence": 22, "what it is": 24}
    order = ["name", "state", "size", "what it is", "kind", "licence"]
    shown = columns_that_fit(widths, order, console.width) or ["name"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in rows[0]:
        if head in shown:
            folds = head in ("licence", "what it is")
            table.add_column(head, no_wrap=not folds, min_width=widths[head] if folds else None)
    for row in rows:
        table.add_row(*(row[head] for head in rows[0] if head in shown))
    console.print(table)
    if len(shown) < len(order):
        print("more of each, in the width of any terminal: mien models show NAME")


@group.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `mien models list` prints.")],
    json_: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the model card as Markdown.")] = False,
) -> None:
    """Show a model's card: origin, measurements by expression and under corruption, limits, licences, uses."""
    from mien.runtime.inference.library import entry

    if json_ and markdown:
        raise ConfigError("--json and --markdown are two forms of one card: choose one")
    found = entry(name)
    card = None if found.manifest is None else _card(found.manifest)
    if json_:
        print(json.dumps(_to_dict(found) | ({} if card is None else {"card": card.to_dict()}), indent=2))
        return
    from rich.console import Console

    console = Console()
    if card is not None:
        if markdown:
            print(card.markdown(), end="")
            return
        from rich.markdown import Markdown

        console.print(Markdown(card.markdown()))
        console.print(f"{found.state}: {found.path}", style="dim", markup=False)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for key, value in _to_dict(found).items():
        table.add_row(Text(key.replace("_", " "), style="dim"), Text(_plain(value)))
    console.print(table)


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

    from mien.runtime.inference.library import PULLABLE
    from mien.runtime.inference.pull import pull as fetch

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
    from mien.runtime.inference.library import verify as check

    damaged = False
    for name, error in check():
        if error is None:
            print(f"{name}: ok")
        else:
            damaged = True
            print(f"mien: {name}: {error}", file=sys.stderr)
    if damaged:
        raise typer.Exit(1)


def _card(manifest: Manifest) -> Card:
    from mien.core.policy import HIGH_RISK, PROHIBITION, RECITAL_44, TRANSPARENCY
    from mien.evaluation import ledger
    from mien.evaluation.card import make, results_folder
    from mien.evaluation.model_record import ModelRecord

    results = results_folder()
    book, record = results / "private_test.jsonl", results / "models" / f"{manifest.name}.json"
    law = tuple((one.name, one.says, one.url) for one in (PROHIBITION, RECITAL_44, TRANSPARENCY, HIGH_RISK))
    return make(manifest, ModelRecord.read(record), ledger.read(book) if book.is_file() else [], law)


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
