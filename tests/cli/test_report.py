"""``mien report``: from recordings to tables, a page, a picture and JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mien.cli import report
from mien.core.errors import MienError
from mien.runtime.output.tables import CsvStreamSink, JsonLinesSink, ParquetSink
from runtime.stream_toys import face, frame, lesson, picture


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    app = typer.Typer()
    report.register(app)
    app.callback()(lambda: None)

    def call(*words: object, code: int = 0):
        result = CliRunner().invoke(app, ["report", *map(str, words)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


def record(path, frames=None, make=CsvStreamSink):
    sink = make(path)
    for one in frames or lesson():
        sink.write(one, picture)
    sink.close()
    return path


@pytest.fixture
def cohorts(tmp_path):
    """Six recordings each, sad before and happy after."""
    words = []
    for name, held in (("before", "sad"), ("after", "happy")):
        frames = [[frame(t, face(held=held if t % (3 + i) else "neutral")) for t in range(30)] for i in range(6)]
        paths = [record(tmp_path / f"{name}{i}.csv", f) for i, f in enumerate(frames)]
        words += ["--cohort", f"{name}={','.join(map(str, paths))}"]
    return words


@pytest.mark.parametrize("make", [CsvStreamSink, JsonLinesSink, ParquetSink])
def test_a_recording_in_the_terminal(make, run, tmp_path):
    output = run(record(tmp_path / "lesson", make=make)).stdout
    assert "10.0 s watched · 10.0 s of face time · 2.0 s without a face in view · face tracks: 2" in output
    rows = {line.split("  ")[0]: line.split() for line in output.splitlines() if line}
    assert rows["happy"] == ["happy", "30", "%", "3.0", "s", "24", "%", "70", "%"]
    assert rows["uncertain"][:5] == ["uncertain", "20", "%", "2.0", "s"]
    assert rows["not measurable"][2:6] == ["10", "%", "1.0", "s"]
    assert "not measurable: dark (1.0 s)" in output
    assert "not what a person felt" in output


def test_a_recording_of_nobody_says_so(run, tmp_path):
    output = run(record(tmp_path / "r.csv", [frame(0.0), frame(1.0)])).stdout
    assert "0.0 s of face time · 2.0 s without a face in view" in output


def test_json_is_one_document(run, tmp_path, cohorts):
    found = json.loads(run(record(tmp_path / "r.csv"), *cohorts, "--json").stdout)
    assert [recording["name"] for recording in found["recordings"]] == ["r.csv"]
    assert found["comparisons"][0]["units"] == ["6 recordings", "6 recordings"]


def test_page_and_picture_are_written_with_their_folders(run, tmp_path, cohorts):
    html, png = tmp_path / "out" / "r.html", tmp_path / "out" / "r.png"
    run(record(tmp_path / "r.csv"), *cohorts, "--html", html, "--png", png)
    assert html.read_text().startswith("<!doctype html>")
    assert png.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MienError, match="cannot be written"):
        run(tmp_path / "r.csv", "--html", tmp_path / "r.csv" / "x.html")


def test_cohorts_in_the_terminal(run, cohorts):
    output = run(*cohorts).stdout
    assert "before and after compared" in output
    assert "before: only 6 recordings" in output
    (happy,) = [line for line in output.splitlines() if line.startswith("happy") and "+1.00" in line]
    assert "0 %" in happy


def test_one_recording_each_is_compared_by_blocks(run, tmp_path):
    frames = [frame(float(t), face()) for t in range(120)]
    a, b = record(tmp_path / "a.csv", frames), record(tmp_path / "b.csv", frames)
    output = run("--cohort", f"a={a}", "--cohort", f"b={b}", "--block", 10).stdout
    assert "a: 12 blocks of 10 s · b: 12 blocks of 10 s" in output
    assert "the interval speaks for it and for no other" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a recording, or cohorts"),
        (["--cohort", "a=x.csv"], "one cohort has nothing to be compared with"),
        (["--cohort", "a", "--cohort", "b=x.csv"], "is not NAME=FILES"),
        (["--cohort", "a=,", "--cohort", "b=x.csv"], "is not NAME=FILES"),
    ],
)
def test_wrong_use_is_said(words, message, run):
    assert message in " ".join(run(*words, code=2).stderr.replace("│", " ").split())


def test_a_folder_stands_for_its_recordings(run, tmp_path, cohorts):
    folders = []
    for name, paths in zip(("before", "after"), (cohorts[1], cohorts[3]), strict=True):
        folder = tmp_path / name
        folder.mkdir()
        for path in map(Path, paths.partition("=")[2].split(",")):
            shutil.copy(path, folder)
        folders += ["--cohort", f"{name}={folder}"]
    of_folders, of_files = (json.loads(run(*words, "--json").stdout) for words in (folders, cohorts))
    assert of_folders["comparisons"] == of_files["comparisons"]


def test_a_recording_in_several_formats_counts_once(run, tmp_path):
    for name, make in (("r.csv", CsvStreamSink), ("r.jsonl", JsonLinesSink), ("r.parquet", ParquetSink)):
        record(tmp_path / name, make=make)
    assert len(json.loads(run(tmp_path, "--json").stdout)["recordings"]) == 1


def test_a_folder_without_recordings_is_said(run, tmp_path):
    with pytest.raises(MienError, match="no recording in this folder"):
        run(tmp_path)


def test_names_of_cohorts_are_distinct(run, tmp_path):
    path = record(tmp_path / "a.csv")
    result = run("--cohort", f"a={path}", "--cohort", f"a={path}", code=2)
    assert "two cohorts have the same name" in result.stderr


def test_what_cannot_be_read_or_compared_is_an_error(run, tmp_path):
    with pytest.raises(MienError, match="no such file"):
        run(tmp_path / "none.csv")
    path, nobody = record(tmp_path / "a.csv"), record(tmp_path / "b.csv", [frame(0.0)])
    with pytest.raises(MienError, match="cohort 'b' has no face"):
        run("--cohort", f"a={path}", "--cohort", f"b={nobody}")


@pytest.fixture
def sessions(tmp_path):
    """Six recordings of 40 s: each face smiles from one to three seconds after every second stimulus."""
    for person in range(6):
        frames = []
        for index in range(400):
            time = index / 10
            smiles = any(onset + 1 <= time < onset + 3 for onset in (5, 25)) and (index + person) % 7
            frames.append(frame(time, face(seen="happy" if smiles else "neutral")))
        record(tmp_path / f"sub-0{person}_task-film.csv", frames)
    events = tmp_path / "events.tsv"
    events.write_text("onset\tduration\ttrial_type\n5\t2\tfunny\n15\t2\tdull\n25\t2\tfunny\n35\t2\tdull\n")
    return sorted(tmp_path.glob("sub-*.csv")), events


def test_an_experiment_from_recordings_and_a_stimulus_file_to_tables(run, sessions, tmp_path):
    recordings, events = sessions
    page, long = tmp_path / "out.html", tmp_path / "epochs.csv"
    shown = run(*recordings, "--events", events, "--epoch", "-1:4", "--html", page, "--epochs", long).stdout
    assert "epochs from -1 to +4 s, less the mean before the onset" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith("funny ")]
    assert rows[0][1:4] == ["6", "12", "0"]
    assert next(row for row in rows if row[1] == "happy")[-4:] == ["1.0", "s", "2.0", "s"]
    assert "dull less funny" in shown
    assert "Around the stimuli" in page.read_text()
    lines = long.read_text().splitlines()
    assert len(lines) == 1 + 6 * 4 * 50
    assert lines[1].startswith("sub-00,funny,1,5,2,1.000,,-0.95,")


def test_an_experiment_as_json_and_picture(run, sessions, tmp_path):
    recordings, events = sessions
    png = tmp_path / "out.png"
    found = json.loads(run(*recordings, "--events", events, "--epoch", "1:4", "--json", "--png", png).stdout)
    study = found["experiment"]
    assert study["participants"] == [f"sub-0{i}" for i in range(6)]
    assert len(study["times"]) == 50
    happy = next(c for c in study["contrasts"] if c["quantity"] == "happy")
    assert happy["p"] == pytest.approx(2 / 64)  # all alike: only the two flips of all are as far from 0
    assert png.read_bytes()[:4] == b"\x89PNG"


def test_each_recording_can_have_its_own_events_and_groups_are_compared(run, sessions, tmp_path):
    recordings, events = sessions
    folder = tmp_path / "events"
    folder.mkdir()
    for recording in recordings[1:]:
        shutil.copy(events, folder / f"{recording.stem}_events.tsv")
    groups = [f"--cohort={name}={','.join(map(str, recordings[a : a + 3]))}" for name, a in (("a", 0), ("b", 3))]
    with pytest.raises(MienError, match=r"no events for sub-00_task-film\.csv"):
        run(*groups, "--events", folder, "--epoch", "1:4")
    shutil.copy(events, folder / f"{recordings[0].stem}.csv")
    assert "b less a, funny" in run(*groups, "--events", folder, "--epoch", "1:4").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epoch", "5"], "BEFORE:AFTER in seconds"),
        (["--epoch", "0:4"], "a baseline needs time"),
        (["--cohort", "a=x.csv", "--cohort", "b=y.csv"], "not both"),
    ],
)
def test_options_of_an_experiment_that_contradict_one_another(words, said, run, sessions, tmp_path):
    record(tmp_path / "x.csv")
    record(tmp_path / "y.csv")
    words = [w.replace("x.csv", str(tmp_path / "x.csv")).replace("y.csv", str(tmp_path / "y.csv")) for w in words]
    assert said in " ".join(
        run(sessions[0][0], "--events", sessions[1], *words, code=2).stderr.replace("│", "").split()
    )


def test_options_of_an_experiment_need_events(run, tmp_path):
    result = run(record(tmp_path / "r.csv"), "--tier", "x", code=2)
    assert "belong to --events" in " ".join(result.stderr.replace("│", "").split())


def test_outputs_of_one_name_or_of_an_input_are_refused(run, tmp_path, cohorts):
    recording = record(tmp_path / "lesson.csv")
    before = recording.read_bytes()
    with pytest.raises(MienError, match="--html and --png both name"):
        run(recording, "--html", tmp_path / "out", "--png", tmp_path / "out")
    with pytest.raises(MienError, match=r"--png names .*lesson\.csv, which is read"):
        run(recording, "--png", recording)
    with pytest.raises(MienError, match=r"--html names .*before0\.csv, which is read"):
        run(*cohorts, "--html", tmp_path / "before0.csv")
    assert recording.read_bytes() == before
    assert not (tmp_path / "out").exists()
