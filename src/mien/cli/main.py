"""The ``mien`` command: its groups, and how errors end it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mien.core.errors import MienError

app = typer.Typer(
    name="mien",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
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
    try:
        app()
    except MienError as error:
        print(f"mien: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
