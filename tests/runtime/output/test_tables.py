"""A stream's rows on disk: one schema, and valid whatever ends the program."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError, MissingExtraError
from mien.core.expression import FERPLUS, Expression
from mien.core.face import Box, Face, Track
from mien.runtime.output.columns import RECORDING_COLUMNS
from mien.runtime.output.tables import CsvStreamSink, JsonLinesSink, ParquetSink, journal_of
from mien.runtime.recordings.read import read_recording
from runtime.stream_toys import face, frame, lesson, picture, reading

SINKS = {"csv": CsvStreamSink, "jsonl": JsonLinesSink, "parquet": ParquetSink}


def write(sink, frames=None) -> None:
    for one in frames or lesson():
        sink.write(one, picture)
    sink.close()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_each_face_each_empty_frame_and_each_event(tmp_path):
    path = tmp_path / "made" / "here" / "r.csv"
    write(CsvStreamSink(path))
    rows = rows_of(path)
    assert list(rows[0]) == list(RECORDING_COLUMNS)
    assert [row["row"] for row in rows] == [
        *("face", "event", "face", "face", "face", "event", "face", "face"),
        *("empty", "empty", "face", "face", "face", "face"),
    ]
    first = rows[0]
    assert (first["schema"], first["frame"], first["time"], first["track"]) == ("3", "0", "0.000000", "1")
    assert (first["held"], first["polarity"], first["detected"], first["model"]) == ("happy", "positive", "true", "toy")
    assert (first["candidates"], first["coverage"], first["unmeasurable"]) == ("happy", "0.9", "")
    assert float(first["happy"]) == pytest.approx(0.6, abs=1e-6)
    assert float(first["smoothed_happy"]) == pytest.approx(0.7, abs=1e-6)
    assert first["contempt"] == first["smoothed_contempt"] == "", "the model does not know it"
    assert [float(first[f"box_{side}"]) for side in ("x", "y", "width", "height")] == [20, 10, 24, 24]
    dark = rows[7]
    assert (dark["unmeasurable"], dark["happy"], dark["held"]) == ("dark", "", "")
    event = rows[5]
    assert (event["event"], event["event_expression"], event["event_time"]) == ("ended", "happy", "3.000000")
    assert (event["frame"], event["track"], event["smoothed_happy"]) == ("3", "1", "")


def test_csv_and_parquet_hold_the_same_cells(tmp_path):
    import pyarrow.parquet as pq

    write(CsvStreamSink(tmp_path / "r.csv"))
    write(ParquetSink(tmp_path / "r.parquet"))
    table = pq.read_table(tmp_path / "r.parquet")
    assert {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)} == {
        name: kind.replace("float64", "double") for name, kind in RECORDING_COLUMNS.items()
    }
    assert table.schema.metadata[b"mien_recording"] == b"3"
    for text, typed in zip(rows_of(tmp_path / "r.csv"), table.to_pylist(), strict=True):
        for name, cell in text.items():
            if cell == "":
                assert typed[name] is None
            elif RECORDING_COLUMNS[name] == "bool":
                assert cell == str(typed[name]).lower()
            else:
                assert type(typed[name])(cell) == typed[name]
    assert not journal_of(tmp_path / "r.parquet").exists()
    assert not list(tmp_path.glob("*.part"))


def test_json_lines_keep_every_model_and_every_key(tmp_path):
    models = ("toy", "second")
    one = frame(0.5, face(models=models), models=models)
    write(JsonLinesSink(tmp_path / "r.jsonl"), [one])
    assert json.loads((tmp_path / "r.jsonl").read_text()) == {"schema": 3, "frame": 0, **one.to_dict()}
    stream = io.StringIO()
    write(JsonLinesSink(stream), [one, frame(0.6)])
    assert [json.loads(line)["frame"] for line in stream.getvalue().splitlines()] == [0, 1]
    assert not stream.closed


def test_a_row_of_eight_expressions_has_contempt(tmp_path):
    eight = reading("contempt", labels=FERPLUS)
    one = Face(Box(1, 1, 9, 9), 0.5, readings=(eight,), track=Track(7, 0.0, False, eight, Expression.CONTEMPT))
    write(CsvStreamSink(tmp_path / "r.csv"), [frame(0.0, one)])
    (row,) = rows_of(tmp_path / "r.csv")
    assert (row["held"], row["polarity"], row["detected"]) == ("contempt", "negative", "false")
    assert float(row["contempt"]) == pytest.approx(0.7, abs=1e-6)


@pytest.mark.parametrize("kind", SINKS)
def test_every_frame_is_on_disk_before_the_next(kind, tmp_path):
    path = tmp_path / f"r.{kind}"
    sink = SINKS[kind](path)
    for number, one in enumerate(lesson(), start=1):
        sink.write(one, picture)
        assert len(read_recording(path).times) == number
    sink.close()
    assert read_recording(path).notes == ()


@pytest.mark.parametrize("kind", SINKS)
def test_a_file_that_exists_is_refused(kind, tmp_path):
    path = tmp_path / f"r.{kind}"
    path.write_text("precious")
    with pytest.raises(MienError, match=r"exists already.*--overwrite"):
        SINKS[kind](path)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    write(SINKS[kind](path, overwrite=True))
    assert len(read_recording(path).times) == 10


def test_the_rows_of_a_killed_parquet_run_are_not_overwritten(tmp_path):
    sink = ParquetSink(tmp_path / "r.parquet")
    sink.write(next(lesson()), picture)
    with pytest.raises(MienError, match=r"r\.parquet\.csv: exists already"):
        ParquetSink(tmp_path / "r.parquet")
    sink.close()


@pytest.mark.parametrize("kind", SINKS)
def test_places_that_cannot_be_written_say_so(kind, tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / f"r.{kind}", Path("/proc/none") / f"r.{kind}"):
        with pytest.raises(MienError, match=rf"r\.{kind}.*(cannot be written|cannot be made)"):
            SINKS[kind](path)


@pytest.mark.parametrize("kind", SINKS)
def test_frames_of_no_stream_are_refused(kind, tmp_path):
    sink = SINKS[kind](tmp_path / f"r.{kind}")
    untracked = Face(Box(1, 1, 9, 9), 0.5, readings=(reading("sad"),))
    for wrong in (frame(None), frame(0.0, untracked)):
        with pytest.raises(ValueError, match="needs a time, and each of its faces a track"):
            sink.write(wrong, picture)
    write(sink)
    assert len(read_recording(tmp_path / f"r.{kind}").times) == 10


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[parquet\]'"):
        ParquetSink(tmp_path / "r.parquet")
    assert not list(tmp_path.iterdir())


PROGRAM = """
import resource, sys
from pathlib import Path
from mien.core.errors import MienError
from mien.runtime.output.tables import CsvStreamSink, JsonLinesSink, ParquetSink
from runtime.stream_toys import face, frame, picture
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
kinds = {"csv": CsvStreamSink, "jsonl": JsonLinesSink, "parquet": ParquetSink}
sinks = {kind: make(folder / f"r.{kind}") for kind, make in kinds.items()}
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for number in range(10**9):
    for kind, sink in list(sinks.items()):
        try:
            sink.write(frame(number / 25, face(), face(2)), picture)
        except MienError as error:
            print(kind, number, error, flush=True)
            del sinks[kind]
            try:
                sink.close()
            except MienError as error:
                print("close", kind, error, flush=True)
    if not sinks:
        break
    if not limit:
        print(number, flush=True)
"""


def run(folder: Path, limit: int) -> subprocess.Popen[str]:
    tests = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tests)!r})\n{PROGRAM}"]
    return subprocess.Popen([*command, str(folder), str(limit)], stdout=subprocess.PIPE, text=True)


def test_a_kill_loses_no_frame_that_was_taken(tmp_path):
    with run(tmp_path, 0) as process:
        for line in process.stdout:
            if int(line) == 200:
                process.send_signal(signal.SIGKILL)
                break
        said = [int(line) for line in process.stdout]
    last = max([200, *said])
    for kind in SINKS:
        recording = read_recording(tmp_path / f"r.{kind}")
        assert len(recording.times) >= last + 1
        assert (np.bincount(recording.frames)[: last + 1] == 2).all()
    assert "ended before r.parquet was finished" in read_recording(tmp_path / "r.parquet").notes[0]


def test_a_full_disk_leaves_whole_rows_and_a_clear_error(tmp_path):
    with run(tmp_path, 50_000) as process:
        said = process.stdout.read().splitlines()
    assert process.returncode == 0
    written = {line.split()[0]: int(line.split()[1]) for line in said if not line.startswith("close")}
    assert set(written) == set(SINKS)
    for line in said:
        assert "File too large" in line or "all its rows are in" in line
    for kind, frames in written.items():
        recording = read_recording(tmp_path / f"r.{kind}")
        assert len(recording.times) == frames > 10
        assert len(recording.frames) == 2 * frames, "no row of a frame without the others"
        assert not any("cut" in note for note in recording.notes)


def test_a_parquet_file_that_cannot_be_finished_keeps_its_rows(tmp_path):
    sink = ParquetSink(tmp_path / "r.parquet")
    for one in lesson():
        sink.write(one, picture)
    (tmp_path / "r.parquet.part").mkdir()
    with pytest.raises(MienError, match=r"r\.parquet: cannot be written .*all its rows are in .*r\.parquet\.csv"):
        sink.close()
    assert len(read_recording(tmp_path / "r.parquet").times) == 10


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_stream(kind, tmp_path):
    sink = SINKS[kind](tmp_path / f"r.{kind}")
    one = frame(1.0, face(), face(2))
    for _ in range(50):
        sink.write(one, picture)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        sink.write(one, picture)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    sink.close()
    assert grown < 20_000
