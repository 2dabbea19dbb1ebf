"""What a long command says while it works: lines on standard error, so that its output can be piped."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print a line at once."""
    print(line, file=sys.stderr, flush=True)
