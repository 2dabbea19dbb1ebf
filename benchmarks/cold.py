"""What one picture costs from a standing start: CPU seconds and peak memory of ``mien read`` in a fresh process.

python benchmarks/cold.py [--model MODEL]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
from mien.runtime.inference.library import DEFAULT_MODEL

GOALS = {"mien read": (1.0, 300), "import mien": (0.3, None)}
"""CPU seconds and peak MB that each must stay below."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a bundled name or a path")
    parser.add_argument("--runs", type=int, default=20, help="timed processes of each kind")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for cold.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "photo.jpg"
        harness.save_jpeg(picture, harness.portrait())
        python = [sys.executable]
        read = [*python, "-m", "mien", "read", str(picture), "--model", options.model, "--detector", "haar"]
        commands = {
            "mien read": read,
            "mien read --json": [*read, "--json"],
            "import mien": [*python, "-c", "import mien"],
            "python alone": [*python, "-c", "pass"],
        }
        rows = _measure(commands, options.runs)
    harness.write(
        "cold", {"model": options.model, "threads": 1, "runs": options.runs, "rows": rows}, folder=options.out
    )


def _measure(commands: dict[str, list[str]], runs: int) -> list[dict[str, Any]]:
    """The commands take turns; the first round, which fills the file cache, is not counted."""
    usages: dict[str, list[harness.Usage]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            usage = harness.child(command)
            if turn:
                usages[name].append(usage)
    rows = []
    for name, found in usages.items():
        cpu_goal, memory_goal = GOALS.get(name, (None, None))
        rows.append(
            {
                "command": name,
                "cpu_seconds": harness.percentiles([usage.cpu_seconds for usage in found]),
                "cpu_seconds_goal": cpu_goal,
                "peak_mb": harness.percentiles([usage.peak_mb for usage in found]),
                "peak_mb_goal": memory_goal,
            }
        )
    return rows


if __name__ == "__main__":
    main()
