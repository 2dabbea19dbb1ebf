"""Write the generated parts of docs/app.md.

python benchmarks/app_tables.py [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tables
from mien.reporting.tables import markdown as table

DOCUMENT = Path("docs/app.md")
_MISSING = "Nothing has been measured yet; `python benchmarks/app_speed.py` does it."


def main() -> None:
    tables.GENERATORS.update(GENERATORS)
    path = tables.ROOT / DOCUMENT
    text = path.read_text(encoding="utf-8")
    current = tables.updated(text, tables.ROOT)
    if current == text:
        return
    if "--check" in sys.argv[1:]:
        sys.exit(f"out of date: {DOCUMENT}")
    path.write_text(current, encoding="utf-8")


def goals(root: Path) -> str:
    """Each goal beside what was measured."""
    found = _read(root)
    if found is None:
        return _MISSING
    wanted, pages = found["goals"], found["pages"]
    frame = {one["detector"]: one for one in found["frame"]}
    held = [one["streams"] for one in found["loads"] if one["held"]]
    most = max(held, default=0)
    limit = f"p95 ≤ {wanted['latency_p95_ms']:.0f} ms"
    rows = [
        (
            "CPU of a live frame, from its JPEG to what the page draws",
            f"≤ {wanted['cpu_ms_per_frame']:.0f} ms",
            f"{frame['yunet']['cpu_ms']:.1f} ms",
        ),
        ("… of which decoding the JPEG", "", f"{frame['yunet']['decoding_ms']:.1f} ms"),
        ("… with Haar instead of YuNet", "", f"{frame['haar']['cpu_ms']:.1f} ms"),
        (
            f"browsers that one process holds at {found['fps']:.0f} frames/s, {limit}",
            f"≥ {wanted['streams']}",
            str(most),
        ),
        ("memory of one more browser", "", f"{found['memory_per_stream_mb']:.1f} MB"),
        ("live page as sent, with all that it loads", "", f"{_kilobytes(pages)} kB"),
    ]
    if pages["interactive_ms"]:
        rows.append(("live page on loopback, until it can be used", "", f"{pages['interactive_ms']['p50']:.0f} ms"))
    machine = found["machine"]
    named = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; load {machine['load']} when it was written"
    )
    return f"{table(('', 'goal', 'measured'), rows)}\n\nMeasured on {named}."


def loads(root: Path) -> str:
    """Latency, share answered, CPU and memory by number of browsers."""
    found = _read(root)
    if found is None:
        return _MISSING
    heads = ("browsers", "median", "p95", "frames answered", "CPU of the app per frame", "memory of the app")
    rows = [
        (
            str(one["streams"]),
            f"{one['latency_ms']['p50']:.0f} ms",
            f"{one['latency_ms']['p95']:.0f} ms",
            f"{100 * one['answered']:.1f} %",
            f"{one['server_cpu_ms_per_frame']:.1f} ms",
            f"{one['resident_mb']:.0f} MB",
        )
        for one in found["loads"]
    ]
    return table(heads, rows)


def _kilobytes(pages: dict[str, Any]) -> str:
    return f"{(pages['live_html_bytes'] + pages['live_assets_bytes']) / 1000:.0f}"


def _read(root: Path) -> dict[str, Any] | None:
    path = root / tables.RESULTS / "app.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


GENERATORS: dict[str, Callable[[Path], str]] = {"app_goals": goals, "app_loads": loads}

if __name__ == "__main__":
    main()
