"""The ``mien`` command: its groups, and how errors end it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mien.cli.console import any_console


def _print_version(wanted: bool) -> None:
    if wanted:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="mien",
    help="Recognise facial expressions, fast and offline, and say how sure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


@app.callback()
def options(
    version: Annotated[  # typer calls what stands in it
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Recognise facial expressions, fast and offline, and say how sure."""


def run() -> None:
    """Run the command line; a mien error prints one line on stderr and exits with 1, a wrong usage with 2."""
    from mien.cli import (
        app_data,
        bulk,
        data,
        embed,
        ensemble,
        evaluate,
        explain,
        features_and_gallery,
        models,
        occlusion,
        read,
        report,
        reproduce,
        serve,
        sweep,
        train,
        watch,
    )

    groups = (
        read,
        watch,
        bulk,
        serve,
        app_data,
        report,
        train,
        sweep,
        evaluate,
        ensemble,
        embed,
        explain,
        occlusion,
        reproduce,
        features_and_gallery,
        data,
        models,
    )
    for group in groups:
        group.register(app)
    with any_console():
        try:
            app()
        except KeyboardInterrupt:
            sys.exit(130)
