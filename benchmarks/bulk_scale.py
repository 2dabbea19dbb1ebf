"""What a bulk run's driver does with millions of inputs: finding them, going on, and committing. Nothing is read.

python benchmarks/bulk_scale.py [--inputs N] [--done N]

The inputs are rows of a manifest with addresses on a bucket that does not exist, as a manifest's addresses are not
asked for. What simulated workers hand in are the rows of 1,000 pictures with a face each, all alike but for the items.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

import harness
from mien.bulk import Item, Output, find_items
from mien.bulk.run import _units
from mien.bulk.tables import TABLES, table_of
from mien.bulk.worker import UnitResult

_KEY = "0" * 64
_UNIT = 1000
_UNITS = (1, 10, 100)
"""Units that a commit holds: what 1 to 100 workers hand in at the same time, or 20 to 2,000 that need 100 s for one."""


def result(items: list[Item]) -> UnitResult:
    """What a worker hands in for pictures with a face each."""
    ids = [item.identity(_KEY).hex() for item in items]
    tables = {name: table_of(columns, []) for name, columns in TABLES.items()}
    face: dict[str, object] = {
        "width": 320,
        "height": 240,
        "detector": "yunet",
        "face": 1,
        "expression": "happy",
        "model": "small",
    }
    face |= dict.fromkeys(("angry", "happy", "box_x", "box_y", "box_width", "box_height", "score"), 0.5)
    row: dict[str, object] = {
        "status": "read",
        "bytes": 20_000,
        "frames": 1,
        "faces": 1,
        "seconds": 0.02,
        "worker": "node/1",
    }
    for name, cells in (("faces", face), ("items", row)):
        columns: dict[str, list[object]] = {"item": [*ids], "id": [item.id for item in items]}
        columns |= {key: [value] * len(items) for key, value in cells.items()}
        columns |= {"uri": [item.uri for item in items]} if name == "items" else {}
        schema = tables[name].schema
        arrays = [
            pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(items), field.type)
            for field in schema
        ]
        tables[name] = pa.table(arrays, schema=schema)
    return UnitResult(tables, len(items), len(items), 20_000 * len(items), Counter())


def write_manifest(path: Path, inputs: int) -> None:
    """A CSV of addresses."""
    with path.open("w", encoding="utf-8") as file:
        file.write("uri\n")
        file.writelines(f"s3://bucket/faces/{index // 10_000:04}/{index:08}.jpg\n" for index in range(inputs))


def plan(manifest: Path) -> None:
    """Find all inputs, know each, and put them into units, as a run does before it starts."""
    items = list(find_items([str(manifest)]))
    left = [item for item in items if item.identity(_KEY)]
    print(len(_units(left, _UNIT, 1000)))


def resume(manifest: Path, out: Path) -> None:
    """What a run does on an output that has most inputs already."""
    items = list(find_items([str(manifest)]))
    output = Output(out)
    output.claim()
    done = output.identities()
    left = [item for item in items if item.identity(_KEY) not in done]
    print(len(_units(left, _UNIT, 1000)))


def fill(manifest: Path, out: Path, count: int) -> None:
    """Commit the first inputs, 20 units at a time."""
    output = Output.create(out, {"options": {}, "columns": []})
    output.claim()
    items = list(find_items([str(manifest)]))[:count]
    step = 20 * _UNIT
    for start in range(0, count, step):
        output.commit([result(items[at : at + _UNIT]) for at in range(start, min(start + step, count), _UNIT)])


def commits(out: Path) -> list[dict[str, Any]]:
    """Seconds of a commit by the units in it."""
    output = Output.create(out, {"options": {}, "columns": []})
    output.claim()
    rows = []
    for units in _UNITS:
        made = [
            result([Item(f"{units}/{n}/{i}", f"s3://bucket/{units}/{n}/{i}.jpg", -1, "") for i in range(_UNIT)])
            for n in range(units)
        ]
        output.commit(made)
        took = [harness.seconds(lambda made=made: output.commit(made)) for _ in range(5)]  # type: ignore[misc]
        median = harness.percentiles(took)["p50"]
        rows.append({"units": units, "seconds": harness.percentiles(took), "items_per_second": units * _UNIT / median})
    return rows


def main() -> None:
    """Measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2_000_000)
    parser.add_argument("--done", type=int, default=1_900_000)
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step, *paths = given.step
        if step == "plan":
            plan(Path(paths[0]))
        else:
            resume(Path(paths[0]), Path(paths[1]))
        return
    with tempfile.TemporaryDirectory() as place:
        manifest, out = Path(place) / "list.csv", Path(place) / "out"
        write_manifest(manifest, given.inputs)
        measured: dict[str, Any] = {"inputs": given.inputs, "done": given.done, "unit": _UNIT}
        fill(manifest, out, given.done)
        me: list[str | Path] = [sys.executable, __file__, "--step"]
        for name, command in (("plan", [*me, "plan", manifest]), ("resume", [*me, "resume", manifest, out])):
            usage = harness.child(command)
            measured[name] = {"cpu_seconds": usage.cpu_seconds, "peak_mb": usage.peak_mb}
        measured["commits"] = commits(Path(place) / "journal")
    harness.write("bulk_scale", measured)


if __name__ == "__main__":
    main()
