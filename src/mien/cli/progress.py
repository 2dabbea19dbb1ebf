"""What a long command says while it works: lines on standard error, so that its output can be piped."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from mien.core.safe_text import printable


def say(line: str) -> None:
    """Print a line at once."""
    print(printable(line, keep="\n"), file=sys.stderr, flush=True)


def interrupted(folder: Path) -> typer.Exit:
    """Say that the same command goes on with the runs of a folder; the command's end."""
    say(f"interrupted: the same command goes on from the last whole epoch in {folder}")
    return typer.Exit(130)
