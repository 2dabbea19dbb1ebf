"""Where a number comes from: the commit, the machine and the versions behind it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path


def commit(*, apart_from: Path | None = None) -> str | None:
    """Commit of the git repository around the working directory; None without one, or without git.

    It ends in ``-dirty`` where a tracked file has changed. The file ``apart_from`` does not count: a ledger that is
    itself tracked changes with every line.
    """
    head = _git("rev-parse", "HEAD")
    top = _git("rev-parse", "--show-toplevel")
    changes = _git("status", "--porcelain", "--untracked-files=no", "--no-renames", "-z")
    if head is None or top is None or changes is None:
        return None
    changed = {(Path(top.strip()) / change[3:]).resolve() for change in changes.split("\0") if change}
    if apart_from is not None:
        changed.discard(apart_from.resolve())
    return f"{head.strip()}-dirty" if changed else head.strip()


def describe_machine() -> str:
    """Processor and core count in words."""
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"


def describe_versions(*packages: str) -> dict[str, str]:
    """Versions of what decides a run's numbers: of Python, mien and these further ``packages``."""
    names = ("mien", *packages, "numpy", "opencv-python-headless")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
