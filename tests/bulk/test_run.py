"""Bulk runs: what they write, what they refuse, and what killing them leaves."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from bulk.outputs import bulk, command, rows_of
from mien.bulk import Limits, Output, run_bulk, summarise
from mien.core import BulkError, Place, PolicyError, Purpose
from mien.runtime import Recognizer


def test_it_reads_what_the_recognizer_reads(undisturbed, inputs, toy):
    status, out = undisturbed
    assert (status.items, status.read, status.bad, status.inputs) == (10, 9, 1, 10)
    faces = DeltaTable(out / "faces").to_pyarrow_table()
    picture = str(inputs / "3.png")
    frame = Recognizer(toy, detector="haar").read(picture)
    rows = faces.filter(pc.equal(faces["source"], picture)).to_pylist()
    assert len(rows) == len(frame) > 0
    for row, face in zip(rows, frame.faces, strict=True):
        assert row["happy"] == pytest.approx(face.reading.to_dict()["probabilities"]["happy"], abs=1e-6)
    film = faces.filter(pc.equal(faces["source"], str(inputs / "film.mp4")))
    assert sorted(set(film["time"].to_pylist())) == [0.0, 1.0, 2.0]


def test_each_input_has_one_row(undisturbed, inputs):
    _, out = undisturbed
    items = DeltaTable(out / "items").to_pyarrow_table().to_pylist()
    assert len({row["id"] for row in items}) == len(items) == 10
    (bad,) = (row for row in items if row["status"] == "bad")
    assert bad["reason"].startswith(str(inputs / "damaged.jpg"))
    assert {row["frames"] for row in items if row["uri"].endswith("mp4")} == {3}


def test_again_does_nothing_twice_and_a_changed_input_once_more(inputs, toy, tmp_path):
    folder = shutil.copytree(inputs, tmp_path / "in")
    first = bulk(folder, tmp_path / "out", toy)
    told = []
    assert bulk(folder, tmp_path / "out", toy, progress=told.append) == first
    assert told == []
    (folder / "new.png").write_bytes((folder / "0.png").read_bytes())
    assert bulk(folder, tmp_path / "out", toy, progress=told.append).items == 11
    assert told[-1].done == 1


def test_a_shard_reads_like_its_files(inputs, toy, tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for name in ("0.png", "damaged.jpg", "film.mp4"):
            tar.add(inputs / name, name)
    status = bulk(tmp_path / "shard.tar", tmp_path / "out", toy)
    assert (status.read, status.bad) == (2, 1)
    items = DeltaTable(tmp_path / "out" / "items").to_pyarrow_table().to_pylist()
    (reason,) = (row["reason"] for row in items if row["reason"])
    assert reason.startswith(f"{tmp_path / 'shard.tar'}#damaged.jpg: ")


def test_a_row_for_each_second_is_the_mean_of_its_frames(inputs, toy, tmp_path):
    film = inputs / "film.mp4"
    bulk(film, tmp_path / "frames", toy, options={"every": None})
    bulk(film, tmp_path / "seconds", toy, options={"every": None, "rows": "second"})
    faces = rows_of(tmp_path / "frames", tmp_path / "a")
    seconds = rows_of(tmp_path / "seconds", tmp_path / "b")
    assert seconds["faces"] == []
    assert [row["event"] for row in seconds["events"]] == [row["event"] for row in faces["events"]]
    assert [row["time"] for row in seconds["recordings"]] == [0.0, 1.0, 2.0]
    for row in seconds["recordings"]:
        mine = [one for one in faces["faces"] if row["time"] <= one["time"] < row["time"] + 1]
        assert row["frames"] == len(mine) == 10
        for name in ("happy", "smoothed_happy", "box_x"):
            assert row[name] == pytest.approx(np.mean([one[name] for one in mine]), abs=2e-6)
        assert row["track"] == mine[0]["track"]


def test_the_report_counts_what_the_rows_say(undisturbed, inputs, toy, tmp_path):
    made = summarise(Output(undisturbed[1]))
    faces = rows_of(undisturbed[1], tmp_path / "rows")["faces"]
    pictures = [row for row in faces if row["track"] is None]
    (expressed,) = made.pictures.values()
    assert expressed.faces == len(pictures)
    assert expressed.shown == dict(Counter(row["expression"] for row in pictures).most_common())
    assert expressed.means["happy"] == pytest.approx(np.mean([row["happy"] for row in pictures]))
    assert made.videos.faces == len(faces) - len(pictures) == 3
    bulk(inputs / "film.mp4", tmp_path / "out", toy, options={"rows": "second"})
    seconds = summarise(Output(tmp_path / "out")).videos
    assert seconds.shown == made.videos.shown
    assert seconds.means == pytest.approx(made.videos.means, abs=1e-6)


def test_mien_report_says_how_an_output_is_reported(undisturbed):
    report = [sys.executable, "-m", "mien", "report", str(undisturbed[1])]
    done = subprocess.run(report, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"`mien bulk report {undisturbed[1]}` adds it up" in done.stderr


def test_rows_of_an_unfinished_commit_do_not_count(undisturbed, inputs, tmp_path):
    """A driver was killed after it had written faces, and before it wrote their items."""
    out = shutil.copytree(undisturbed[1], tmp_path / "out")
    whole = rows_of(out, tmp_path / "whole")
    table = DeltaTable(out / "faces")
    rows = table.to_pyarrow_table()
    late = rows.set_column(0, "batch", pa.array([10**6] * len(rows), pa.int64()))
    write_deltalake(table, late, mode="append")
    assert rows_of(out, tmp_path / "killed") == whole


def test_compacting_leaves_only_its_files_also_after_the_clock_went_back(inputs, toy, tmp_path):
    """The log of an earlier compaction says that it was made a day from now."""
    out = tmp_path / "out"
    bulk(inputs / "0.png", out, toy)
    bulk(inputs / "[01].png", out, toy)
    table = DeltaTable(out / "items")
    table.optimize.compact()
    log = out / "items" / "_delta_log" / f"{table.version():020d}.json"
    made = re.search(r'"deletionTimestamp":(\d+)', log.read_text())[1]
    log.write_text(log.read_text().replace(made, str(int(made) + 86_400_000)))
    Output(out).compact()
    assert len(pq.read_table(sorted((out / "items").glob("*.parquet")))) == 2


def test_compacting_keeps_the_rows(inputs, toy, tmp_path):
    bulk(inputs / "0.png", tmp_path / "out", toy)
    bulk(inputs, tmp_path / "out", toy)
    before = rows_of(tmp_path / "out", tmp_path / "before")
    counts = Output(tmp_path / "out").compact()
    assert counts["items"][0] >= 2  # a commit comes every few seconds too
    assert counts["items"][1] == 1
    assert rows_of(tmp_path / "out", tmp_path / "after") == before
    told = []
    bulk(inputs, tmp_path / "out", toy, progress=told.append)
    assert told == []


def test_other_options_are_refused_with_what_differs(inputs, toy, undisturbed):
    _, out = undisturbed
    with pytest.raises(BulkError, match=r"option 'every' was 1.0 and is 2.0"):
        bulk(inputs, out, toy, options={"every": 2.0})


def test_the_law_decides_before_anything_is_written(inputs, tmp_path):
    with pytest.raises(PolicyError, match="Art"):
        run_bulk([str(inputs)], tmp_path / "out", purpose=Purpose.WORKPLACE, place=Place.EU)
    assert not (tmp_path / "out").exists()


def test_too_many_bad_inputs_stop_it_and_are_kept(inputs, toy, tmp_path):
    with pytest.raises(BulkError, match=r"1 of 10 inputs could not be read, .*not a picture"):
        bulk(inputs, tmp_path / "out", toy, limits=Limits(max_bad=0.05))
    assert Output(tmp_path / "out").status().bad == 1


def test_an_item_that_takes_too_much_is_a_row_and_the_others_are_read(inputs, toy, tmp_path):
    """A worker needs more than 1 MB: each item in turn is what ends it."""
    status = bulk(inputs / "[01].png", tmp_path / "out", toy, limits=Limits(memory=1 << 20))
    assert (status.read, status.bad) == (0, 2)
    assert status.reasons == (("took more than 0.000977 GB of memory", 2),)


def test_a_second_driver_ends_the_first(inputs, toy, tmp_path, undisturbed):
    out = shutil.copytree(undisturbed[1], tmp_path / "out")
    first = Output(out)
    first.claim()
    second = Output(out)
    second.claim()
    with pytest.raises(BulkError, match="another run has taken this output over"):
        first.commit([_empty()])
    second.commit([_empty()])


def _empty():
    from collections import Counter

    from mien.bulk.tables import TABLES, table_of
    from mien.bulk.worker import UnitResult

    return UnitResult({name: table_of(columns, []) for name, columns in TABLES.items()}, 0, 0, 0, Counter())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda out: out.write_text("x"), "is a file: name a folder"),
        (lambda out: (out.mkdir(), (out / "thesis.doc").write_text("x")), "holds other files, such as 'thesis.doc'"),
        (lambda out: (out.mkdir(), (out / "run.json").write_text("{}")), "not of schema 2"),
        (lambda out: (out.mkdir(), (out / "run.json").write_text("{")), "is not JSON"),
    ],
)
def test_an_output_that_cannot_be_used_is_one_sentence(inputs, toy, tmp_path, make, says):
    make(tmp_path / "out")
    with pytest.raises(BulkError, match=says) as error:
        bulk(inputs / "0.png", tmp_path / "out", toy)
    assert "\n" not in str(error.value)


def _on_a_small_disk(inputs, toy, tmp_path, size):
    """A run whose output lies on a file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    line = shlex.join(command(inputs, disk / "out", toy))
    script = f"mount -t tmpfs -o {size} tmpfs {shlex.quote(str(disk))} && {line}; code=$?; ls {disk}; exit $code"
    return subprocess.run(["unshare", "-Urm", "sh", "-c", script], check=False, capture_output=True, text=True)


@pytest.fixture(scope="session")
def _own_mounts():
    done = subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("this user may not mount a file system of its own")


@pytest.mark.slow
@pytest.mark.usefixtures("_own_mounts")
@pytest.mark.parametrize(
    ("size", "says"),
    [
        ("size=60k", "the disk is full: make room and run the same command again"),
        ("size=8k", "the disk is full: make room and run the same command again"),
        ("ro", "is read-only for this user: name another folder"),
    ],
)
def test_a_disk_that_fills_or_cannot_be_written_is_one_sentence(inputs, toy, tmp_path, size, says):
    done = _on_a_small_disk(inputs / "[0-7].png", toy, tmp_path, size)
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("mien: "))
    assert says in line
    assert "Traceback" not in done.stderr


def _children(pid):
    import psutil

    return [
        child for child in psutil.Process(pid).children(recursive=True) if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_starts_is_started_again(inputs, toy, tmp_path):
    driver = subprocess.Popen(command(inputs, tmp_path / "out", toy), stderr=subprocess.PIPE)
    while not (starting := _children(driver.pid)):
        time.sleep(0.01)
    starting[0].kill()
    _, said = driver.communicate()
    assert driver.returncode == 1, said  # one input is damaged
    assert Output(tmp_path / "out").status().read == 9


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["driver", "worker"])
def test_killing_it_anywhere_leaves_a_readable_output_and_resuming_ends_it(inputs, toy, tmp_path, undisturbed, whom):
    import psutil

    chance = random.Random(whom)
    out = tmp_path / "out"
    for _ in range(4):
        driver = subprocess.Popen(command(inputs, out, toy), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 5.0))
        try:
            victims = [driver.pid] if whom == "driver" else [child.pid for child in _children(driver.pid)][:1]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        except (psutil.Error, ProcessLookupError):
            pass
        if whom == "driver":
            driver.wait()
        else:
            assert driver.wait() == 1
        if (out / "run.json").exists():
            Output(out).status()
    last = subprocess.run(command(inputs, out, toy), check=False, capture_output=True)
    assert last.returncode == 1  # one input is damaged
    assert rows_of(out, tmp_path / "killed") == rows_of(undisturbed[1], tmp_path / "whole")


def test_names_that_are_no_text_are_rows_too(inputs, toy, tmp_path):
    picture = (inputs / "0.png").read_bytes()
    names = [b"caf\xe9.png", b"line\nend.png", b"broken\xff.png"]
    folder = tmp_path / "named"
    folder.mkdir()
    try:
        for name in names:
            (folder / os.fsdecode(name)).write_bytes(b"none" if b"broken" in name else picture)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert bulk(folder, tmp_path / "out", toy).read == 2
    found = rows_of(tmp_path / "out", tmp_path / "flat")
    shown = {str(folder / name) for name in ("caf\\xe9.png", "line\nend.png", "broken\\xff.png")}
    assert {row["uri"] for row in found["items"]} == shown
    assert {row["source"] for row in found["faces"]} == {name for name in shown if "broken" not in name}
