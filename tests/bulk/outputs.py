"""A run as a program of its own, and the rows that it leaves."""

from __future__ import annotations

import sys

import pyarrow.parquet as pq

from mien.bulk import BulkOptions, Output, run_bulk
from mien.core import Place, Purpose


def bulk(inputs, out, toy, **more):
    options = BulkOptions(models=(toy,), detector="haar", **more.pop("options", {}))
    return run_bulk([str(inputs)], out, options=options, purpose=Purpose.RESEARCH, place=Place.EU, **more)


def command(inputs, out, toy, *more):
    arguments = ["--purpose", "research", "--place", "eu", "--model", toy, "--detector", "haar", "--workers", "2"]
    return [sys.executable, "-m", "mien", "bulk", "run", str(inputs), "--out", str(out), *arguments, *more]


def rows_of(out, folder):
    """Each table without what differs from run to run, in one order."""
    Output(out).export(folder)
    found = {}
    for name in ("faces", "events", "recordings", "items"):
        table = pq.read_table(folder / f"{name}.parquet")
        table = table.drop_columns([c for c in ("batch", "seconds", "worker") if c in table.column_names])
        by = [
            (column, "ascending")
            for column in ("item", "frame", "face", "time", "track")
            if column in table.column_names
        ]
        found[name] = table.sort_by(by).to_pylist()
    return found
