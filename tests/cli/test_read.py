"""``mien read`` as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import typer
from typer.testing import CliRunner, Result

from mien.cli import read
from mien.core.errors import MienError
from mien.runtime.inference.pull import pull
from runtime.toys import png_header, write_model, yunet_file

HINT = (
    "mien: OpenCV's Haar cascade finds the faces. YuNet finds more of them, and their landmarks: mien models pull yunet"
)
"""Said once where YuNet was never pulled."""


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder: the portrait, the portrait in a folder below, and a picture without a face."""
    portrait = pytest.importorskip("skimage.data").astronaut()[..., ::-1]
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), portrait)
    cv2.imwrite(str(folder / "below" / "b.jpg"), portrait)
    cv2.imwrite(str(folder / "c.png"), portrait * 0)
    return folder


@pytest.fixture
def mien(toy: Path):
    app = typer.Typer()
    app.callback()(lambda: None)
    read.register(app)

    def run(*arguments: object, model: bool = True) -> Result:
        options = ["--model", str(toy)] if model else []
        threads = cv2.getNumThreads()
        try:
            return CliRunner().invoke(app, ["read", *map(str, arguments), *options])
        finally:
            cv2.setNumThreads(threads)

    return run


def test_a_folder_as_a_table(mien, pictures):
    result = mien(pictures)
    assert result.exit_code == 0, result.output
    assert "3 pictures · 2 faces · 1 without a face" in result.stdout
    assert "detector haar · model toy" in result.stdout
    assert result.stderr == f"{HINT}\n"


def test_json(mien, pictures):
    result = mien(pictures, "--json")
    document = json.loads(result.stdout)
    assert [Path(f["source"]).name for f in document["frames"]] == ["a.png", "b.jpg", "c.png"]
    assert [len(f["faces"]) for f in document["frames"]] == [1, 1, 0]
    assert document["errors"] == []


@pytest.mark.parametrize("name", ["", "https://example.org/a.jpg"])
def test_what_names_no_file_is_refused_in_words(mien, name):
    result = mien(name)
    assert result.exit_code == 1
    assert "picture" in result.stderr


def test_a_small_picture_without_a_face_may_be_one_that_was_cut_out(mien, pictures, tmp_path):
    cut = tmp_path / "cut.png"
    cv2.imwrite(str(cut), cv2.imread(str(pictures / "a.png"))[85:121, 200:260])  # the eyes
    found = mien(cut, "--detector", "haar")
    assert found.stderr.count("1 picture of less than 150 pixels") == 1
    assert "--detector whole" in found.stderr
    read = mien(cut, "--detector", "whole", "--json")
    (frame,) = json.loads(read.stdout)["frames"]
    assert frame["faces"][0]["box"] == [0, 0, 60, 36]
    assert (frame["detector"], read.stderr) == ("whole", "")
    assert "150 pixels" not in mien(pictures / "c.png", "--detector", "haar").stderr  # large, and black
    refused = mien(cut, "--detector", "whole", "--min-size", "20")
    assert "min_size: the detector 'whole' searches nothing" in str(refused.exception)


def test_every_output_at_once(mien, pictures, tmp_path):
    result = mien(
        pictures, "--csv", tmp_path / "f.csv", "--annotate", tmp_path / "drawn", "--report", tmp_path / "r.html"
    )
    assert result.exit_code == 0, result.output
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(r["source"]).name, r["status"], r["detector"], r["model"]) for r in rows] == [
        ("a.png", "read", "haar", "toy"),
        ("b.jpg", "read", "haar", "toy"),
        ("c.png", "no face", "haar", ""),
    ]
    drawn = sorted(path for path in (tmp_path / "drawn").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "drawn").as_posix() for path in drawn] == [
        "a-mien.jpg",
        "below/b-mien.jpg",
        "c-mien.jpg",
    ]
    assert [r["annotated"] for r in rows] == [str(path) for path in drawn]
    assert (tmp_path / "r.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_two_models(mien, pictures, tmp_path, toy):
    other = write_model(tmp_path / "other", "second", seed=3)
    result = mien(pictures / "a.png", "--model", toy, "--model", other, "--json", model=False)
    (frame,) = json.loads(result.stdout)["frames"]
    assert [r["model"] for r in frame["faces"][0]["readings"]] == ["toy", "second"]


def test_explain_lays_maps_over_the_faces(mien, pictures, tmp_path):
    portrait = pictures / "a.png"
    plain = mien(portrait, "--model", "tiny", "--annotate", tmp_path / "plain", model=False)
    page = tmp_path / "page.html"
    options = ("--model", "tiny", "--explain", "--annotate", tmp_path / "drawn", "--report", page)
    drawn = mien(portrait, *options, model=False)
    assert plain.exit_code == drawn.exit_code == 0, drawn.output
    before, after = (cv2.imread(str(tmp_path / name / "a-mien.jpg")).astype(int) for name in ("plain", "drawn"))
    changed = (abs(after - before).max(axis=2) > 25).nonzero()
    assert len(changed[0]) > 100
    assert 60 < changed[0].min() < changed[0].max() < 180  # the portrait's face
    assert 160 < changed[1].min() < changed[1].max() < 290
    assert "class activation map" in page.read_text()


def test_explain_needs_a_picture_to_draw_into_and_a_model_with_maps(mien, pictures, tmp_path):
    nowhere = mien(pictures / "a.png", "--explain")
    assert nowhere.exit_code == 2
    assert "--annotate" in nowhere.output
    without = mien(pictures / "a.png", "--explain", "--annotate", tmp_path / "out")
    assert isinstance(without.exception, MienError)
    assert "gives no feature map" in str(without.exception)


def test_yunet_is_preferred_once_pulled(mien, pictures):
    pull("yunet", source=str(yunet_file()))
    assert "detector yunet" in mien(pictures).stdout
    assert "detector haar" in mien(pictures, "--detector", "haar").stdout


@pytest.fixture
def broken(pictures: Path) -> dict[str, Path]:
    """Every kind of broken input, among good pictures."""
    bad = pictures / "bad"
    bad.mkdir()
    (pictures / "empty").mkdir()
    whole = (pictures / "below" / "b.jpg").read_bytes()
    contents = {
        "text.jpg": b"this is text, no picture\n",
        "cut.jpg": whole[: len(whole) // 2],
        "nothing.png": b"",
        "huge.png": png_header(20_000, 20_000),
    }
    for name, content in contents.items():
        (bad / name).write_bytes(content)
    return {name: bad / name for name in contents} | {
        "gone.jpg": pictures / "gone.jpg",
        "empty": pictures / "empty",
    }


def test_broken_files_are_told_one_by_one_and_the_rest_is_read(mien, pictures, broken):
    result = mien(pictures, broken["gone.jpg"], broken["empty"], "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [len(f["faces"]) for f in document["frames"]] == [1, 1, 0]
    assert {Path(e["source"]).name for e in document["errors"]} == set(broken)
    hint, *lines = result.stderr.splitlines()
    assert hint == HINT
    assert len(lines) == len(broken)
    for name in broken:
        assert any(line.startswith("mien: ") and name in line for line in lines)


def test_strict_stops_at_the_first(mien, pictures, broken):
    result = mien(pictures / "a.png", broken["cut.jpg"], pictures / "c.png", "--strict", "--json")
    assert isinstance(result.exception, MienError)
    assert "cut.jpg" in str(result.exception)
    document = json.loads(result.stdout)
    assert [Path(f["source"]).name for f in document["frames"]] == ["a.png"]
    assert len(document["errors"]) == 1


def test_the_limit_of_pixels_can_be_moved(mien, pictures):
    result = mien(pictures / "a.png", "--max-pixels", 1000)
    assert result.exit_code == 1
    assert "--max-pixels 262144" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--provider", "abacus"], "'abacus' is not available"),
        (["--detector", "yunet"], "mien models pull yunet"),
        (["--detector", "yunett"], "did you mean 'yunet'"),
    ],
)
def test_what_cannot_be_used_is_said(options, message, mien, pictures):
    result = mien(pictures, *options)
    assert isinstance(result.exception, MienError)
    assert message in str(result.exception)


def test_a_wrong_option_is_a_wrong_usage(mien, pictures):
    assert mien(pictures, "--threads", "none").exit_code == 2
    assert mien().exit_code == 2


def test_a_cold_process_is_small_and_loads_no_torch(pictures, toy):
    """One picture in a new process: below 300 MB, without anything of the research chain."""
    program = f"""
import pathlib, re, sys, typer
from mien.cli import read
app = typer.Typer()
app.callback()(lambda: None)
read.register(app)
app(["read", {str(pictures / "a.png")!r}, "--model", {str(toy)!r}], standalone_mode=False)
assert not {{"torch", "matplotlib", "jinja2", "fastapi", "onnx"}} & set(sys.modules), "something heavy was imported"
status = pathlib.Path("/proc/self/status")  # ru_maxrss would hold the memory of the process that started this one
peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
print(peak, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 picture · 1 face" in done.stdout
    assert int(done.stderr.split()[-1]) / 1024 < 300


@pytest.mark.parametrize(("option", "value"), [("--min-size", 300), ("--search-size", 32), ("--min-score", 1)])
def test_the_search_is_set_by_options(mien, pictures, option, value):
    picture = pictures / "a.png"
    assert len(json.loads(mien(picture, "--json").stdout)["frames"][0]["faces"]) == 1
    assert json.loads(mien(picture, "--json", option, value).stdout)["frames"][0]["faces"] == []


def test_outputs_are_never_replaced_unasked(mien, pictures, tmp_path):
    outputs = {"--csv": tmp_path / "f.csv", "--jsonl": tmp_path / "f.jsonl", "--report": tmp_path / "r.html"}
    for option, path in outputs.items():
        path.write_text("kept")
        refused = mien(pictures, option, path)
        assert str(refused.exception) == (
            f"{path}: exists already; choose another name, or allow it to be replaced (--overwrite)"
        )
        assert path.read_text() == "kept"
        assert mien(pictures, option, path, "--overwrite").exit_code == 0
        assert path.read_text(encoding="utf-8") != "kept"


def test_annotated_pictures_of_an_earlier_run_are_kept(mien, pictures, tmp_path):
    drawn = tmp_path / "drawn"
    for _ in range(2):
        assert mien(pictures / "a.png", "--annotate", drawn).exit_code == 0
    assert sorted(path.name for path in drawn.iterdir()) == ["a-2-mien.jpg", "a-mien.jpg"]
    assert mien(pictures / "a.png", "--annotate", drawn, "--overwrite").exit_code == 0
    assert len(list(drawn.iterdir())) == 2


def test_the_tree_is_mirrored_and_names_stay_apart(mien, pictures, tmp_path):
    portrait = (pictures / "a.png").read_bytes()
    for name in ("one/x/p.png", "one/x/p.jpg", "two/x/p.png", f"two/{'é' * 120}.png", f"two/{'é' * 119}e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(portrait)
    result = mien(tmp_path / "one", tmp_path / "two", "--annotate", tmp_path / "drawn", "--csv", tmp_path / "f.csv")
    assert result.exit_code == 0, result.output
    found = sorted(path.relative_to(tmp_path / "drawn") for path in (tmp_path / "drawn").rglob("*.jpg"))
    assert [path.as_posix() for path in found if "é" not in path.name] == [
        "one/x/p-2-mien.jpg",
        "one/x/p-mien.jpg",
        "two/x/p-mien.jpg",
    ]
    long = [path for path in found if "é" in path.name]
    assert len(long) == 2
    assert all(len(os.fsencode(path.name)) < 140 for path in long)
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        written = [Path(row["annotated"]) for row in csv.DictReader(file)]
    assert sorted(written) == [tmp_path / "drawn" / path for path in found]


def test_a_picture_that_cannot_be_written_does_not_end_the_batch(mien, pictures, tmp_path):
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "below").touch()  # where a folder has to be made
    result = mien(pictures, "--annotate", tmp_path / "drawn", "--jsonl", "-")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(Path(line["source"]).name, Path(line.get("annotated", "-")).name) for line in lines] == [
        ("a.png", "a-mien.jpg"),
        ("b.jpg", "-"),
        ("c.png", "c-mien.jpg"),
    ]
    assert "b-mien.jpg: cannot be written" in result.stderr


def test_the_runs_own_output_is_no_input(mien, pictures):
    options = ["--annotate", pictures / "drawn", "--csv", pictures / "f.csv", "--overwrite"]
    first = mien(pictures, *options)
    again = mien(pictures, *options)
    for result in (first, again):
        assert result.exit_code == 0, result.output
        assert "3 pictures" in result.stdout
    assert "left out" not in first.stderr
    assert "mien: 3 files left out: 3 written by mien" in again.stderr
    refused = mien(pictures, "--annotate", pictures)
    assert "that folder is read" in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--csv", "x", "--report", "./x"], "--csv and --report both name x"),
        (["--csv", "pictures/a.png", "--overwrite"], "--csv names pictures/a.png, which is read"),
        (["--csv", "-", "--json"], "--json and --csv - would both print"),
        (["--csv", "-", "--jsonl", "-"], "--csv - and --jsonl - would both print"),
        (["--csv", "pictures"], "it is a folder"),
    ],
)
def test_outputs_that_contradict_each_other_are_refused_first(mien, pictures, monkeypatch, options, says):
    monkeypatch.chdir(pictures.parent)
    before = (pictures / "a.png").read_bytes()
    refused = mien("pictures/a.png", *options)
    assert refused.exit_code != 0
    words = f"{refused.stderr} {refused.exception}".replace("│", " ")
    assert says in " ".join(words.split())
    assert refused.stdout == ""
    assert (pictures / "a.png").read_bytes() == before


def test_what_is_left_out_is_said(mien, pictures):
    (pictures / "notes.txt").touch()
    (pictures / ".hidden.png").touch()
    (pictures / "no-ending").write_bytes((pictures / "c.png").read_bytes())
    result = mien(pictures)
    assert "4 pictures" in result.stdout
    assert "mien: 2 files left out: 1 .txt, 1 hidden" in result.stderr.splitlines()
    (pictures / "a.png").rename(pictures / "a.jfif")
    assert "2 faces" in mien(pictures).stdout


def test_every_input_has_a_row_and_a_line(mien, pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    result = mien(pictures, "gone.jpg", "--csv", "-", "--jsonl", tmp_path / "f.jsonl")
    assert result.exit_code == 1
    rows = list(csv.DictReader(result.stdout.splitlines()))
    states = [(Path(row["source"]).name, row["status"]) for row in rows]
    assert states == [
        ("a.png", "read"),
        ("b.jpg", "read"),
        ("broken.png", "unreadable"),
        ("c.png", "no face"),
        ("gone.jpg", "unreadable"),
    ]
    assert rows[-1]["reason"] == "gone.jpg: no such file"
    lines = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [Path(line["source"]).name for line in lines] == [name for name, _ in states]
    assert ["error" in line for line in lines] == [state == "unreadable" for _, state in states]
    (reading,) = lines[0]["faces"][0]["readings"]
    numbers = [*reading["probabilities"].values(), *lines[0]["faces"][0]["box"], reading["energy"]]
    assert all(len(repr(number)) <= 9 for number in numbers), numbers


def test_a_picture_from_standard_input(pictures, toy, tmp_path):
    command = [sys.executable, "-m", "mien", "read", "--model", str(toy), "--detector", "haar"]
    portrait = (pictures / "a.png").read_bytes()
    for name in ["-"] + (["/dev/stdin"] if Path("/dev/stdin").exists() else []):
        drawn = tmp_path / name.strip("/").replace("/", "_")
        given = [name, "--json", "--annotate", str(drawn), "--report", str(drawn / "r.html")]
        piped = subprocess.run([*command, *given], input=portrait, capture_output=True, check=False)
        assert piped.returncode == 0, piped.stderr
        (frame,) = json.loads(piped.stdout)["frames"]
        assert frame["source"] == ("standard input" if name == "-" else name)
        assert len(frame["faces"]) == 1
        assert Path(frame["annotated"]).is_file()
    with (pictures / "a.png").open("rb") as file:
        redirected = subprocess.run([*command, "-"], stdin=file, capture_output=True, check=False)
    assert "1 picture · 1 face" in redirected.stdout.decode()
    empty = subprocess.run([*command, "-"], input=b"", capture_output=True, check=False)
    assert empty.returncode == 1
    assert "mien: standard input: the file is empty (0 bytes)" in empty.stderr.decode().splitlines()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_pipe_without_an_end_is_refused(mien, pictures):
    assert "not a picture that mien knows" in mien("/dev/zero").stderr
    program = (
        f"import sys; sys.stdout.buffer.write(open({str(pictures / 'a.png')!r}, 'rb').read())\n"
        "while True: sys.stdout.buffer.write(bytes(99999))"
    )
    endless = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    command = [sys.executable, "-m", "mien", "read", "-", "--detector", "haar", "--max-pixels", "300000"]
    ended = subprocess.run(command, stdin=endless.stdout, capture_output=True, check=False)
    endless.stdout.close()
    endless.wait()
    assert ended.returncode == 1
    assert "standard input: is still not at its end after 3 MB" in ended.stderr.decode()


def test_of_an_animation_the_first_picture_is_read_and_that_is_said(pictures, mien):
    portrait = cv2.imread(str(pictures / "a.png"))
    still, moving = pictures / "still.gif", pictures / "moving.gif"
    for path, count in ((still, 1), (moving, 3)):
        animation = cv2.Animation()
        animation.frames = [portrait, portrait // 2, portrait // 4][:count]
        animation.durations = [100] * count
        assert cv2.imwriteanimation(str(path), animation)
    said = "is animated: the first picture was read. For all of them: mien watch"
    assert f"mien: {moving} {said} {moving}" in mien(moving).stderr
    assert "animated" not in mien(still, pictures / "a.png").stderr


def test_quiet_prints_nothing_but_errors(mien, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    result = mien(pictures, tmp_path / "broken.png", "--quiet", "--csv", tmp_path / "f.csv")
    assert result.stdout == ""
    assert [line for line in result.stderr.splitlines() if "broken.png" not in line] == []
    assert (tmp_path / "f.csv").read_text(encoding="utf-8").count("\n") > 2
