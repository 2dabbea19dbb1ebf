"""Every command on consoles of any kind: code pages, closed pipes, full disks, names that are no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.toys import write_model

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
NAMES = [b"plain.png", b"caf\xe9.png", b"esc\x1b[31m.png", b"line\nend.png", "Zoë 日本.png".encode()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with names of every kind, and one that is none."""
    folder = tmp_path_factory.mktemp("named")
    picture = cv2.imencode(".png", np.full((64, 64, 3), 120, dtype=np.uint8))[1].tobytes()
    try:
        for name in NAMES:
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(picture)
        Path(os.fsdecode(os.fsencode(folder) + b"/broken\xff\x1b.png")).write_bytes(b"no picture")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def mien(*arguments: object, encoding: str = "utf-8", **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "150"},
        stderr=subprocess.PIPE,
        check=False,
        **({"stdout": subprocess.PIPE} | options),
    )


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp936", "latin-1", "ascii"])
def test_any_name_on_any_console(folder, toy, encoding):
    ended = mien("read", folder, "--model", toy, "--detector", "haar", encoding=encoding)
    shown, said = ended.stdout.decode(encoding), ended.stderr.decode(encoding)
    assert ended.returncode == 1  # one file is no picture
    assert [line for line in shown.splitlines() if "no face" in line and ".png" in line][4:] != []
    assert "5 pictures" in shown
    assert r"caf\xe9.png" in shown
    assert r"esc\x1b[31m.png" in shown
    assert r"line\nend.png" in shown
    assert r"broken\xff\x1b.png: not a picture" in said
    assert "\x1b" not in shown + said
    assert "Traceback" not in said


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_is_valid_for_strict_readers_on_any_console(folder, toy, encoding):
    ended = mien("read", folder, "--model", toy, "--detector", "haar", "--json", encoding=encoding)
    document = json.loads(ended.stdout.decode("ascii"))
    names = [Path(frame["source"]).name for frame in document["frames"]]
    assert sorted(names) == sorted(["plain.png", "caf\\xe9.png", "esc\x1b[31m.png", "line\nend.png", "Zoë 日本.png"])
    assert len(document["errors"]) == 1
    for name in names:
        name.encode("utf-8")


@needs_full
@pytest.mark.parametrize("command", [["models", "list"], ["networks"], ["--help"], ["read", "FOLDER", "--json"]])
def test_standard_output_on_a_full_disk_is_one_sentence(folder, toy, command):
    words = [str(folder) if word == "FOLDER" else word for word in command]
    model = ["--model", toy, "--detector", "haar"] if command[0] == "read" else []
    with FULL.open("wb") as full:
        ended = mien(*words, *model, stdout=full)
    last = ended.stderr.decode().splitlines()[-1]
    assert (ended.returncode, last) == (
        1,
        "mien: standard output cannot be written any further (No space left on device)",
    )
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("command", [["models", "list"], ["networks", "--json"], ["--help"]])
def test_a_closed_pipe_is_one_sentence(command):
    reader, writer = os.pipe()
    os.close(reader)
    ended = mien(*command, stdout=writer)
    os.close(writer)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        "mien: whoever read the output closed it before its end; the rest was not written"
    ]


@needs_full
def test_a_file_on_a_full_disk_is_one_sentence(face_folder, folder, toy):
    wrote = mien("data", "show", face_folder, "--png", FULL)
    assert wrote.returncode == 1
    assert wrote.stderr.decode().splitlines()[-1].startswith("mien: /dev/full: No space left on device: make room")
    rows = mien("read", folder, "--model", toy, "--detector", "haar", "--csv", FULL)
    assert rows.returncode == 1
    assert b"Traceback" not in rows.stderr
    assert b"/dev/full: cannot be written any further (No space left on device)" in rows.stderr
    assert FULL.is_char_device()


def test_without_standard_streams():
    if os.name == "nt":
        pytest.skip("a shell of POSIX closes them")
    ended = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m mien models list >&- 2>&-"], check=False, capture_output=True
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@needs_full
@pytest.mark.parametrize("option", ["--csv", "--jsonl", "--parquet"])
def test_a_stream_on_a_full_disk_is_one_sentence_and_leaves_the_device(folder, toy, option):
    ended = mien("watch", folder, "--model", toy, "--detector", "haar", option, FULL)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1].startswith("mien: /dev/full: ")
    assert b"Traceback" not in ended.stderr
    assert FULL.is_char_device()
