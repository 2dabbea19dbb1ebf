"""The command as a whole: its version, completion, and films that are given for pictures."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from rich.console import Console

import mien
from mien.core.errors import PictureError
from mien.core.face import Box, Face, Frame
from mien.core.pictures import decode_picture
from mien.runtime.output.terminal import TableSink
from runtime.stream_toys import reading


def test_the_version_is_told():
    done = subprocess.run([sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"mien {mien.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "missing.yaml"), "no recipe at missing.yaml"),
        (("export", "missing"), "no run in missing: there is no run.json"),
    ],
)
def test_mistakes_are_told_before_torch_is_loaded(arguments, message):
    command = [sys.executable, "-X", "importtime", "-m", "mien", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert message in result.stderr
    assert "| torch\n" not in result.stderr


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01",
        b"RIFF\0\0\0\0AVI LIST",
    ],
    ids=["mp4", "quicktime", "webm", "avi"],
)
def test_a_film_given_for_a_picture_names_the_command(head):
    with pytest.raises(PictureError, match=r"x: is a film and no picture: mien watch x"):
        decode_picture(head.ljust(100, b"\0"), "x")


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
def test_tables_of_every_width_keep_the_expression(width, tmp_path):
    path = tmp_path / "out.txt"
    with path.open("w", encoding="utf-8") as file:
        sink = TableSink(Console(file=file, width=width), detector="haar", models=["small"])
        face = Face(Box(0, 0, 9, 9), 0.9, None, (reading("surprise", 0.6, model="small"),))
        sink.write(Frame(20, 10, (face,), "haar", ("small",), source="a/long/way/to/a/picture.jpg"), lambda: None)
        sink.close()
    shown = path.read_text(encoding="utf-8")
    assert re.search(r"\bsurprise\b", shown)
    assert "60 %" in shown
    assert max(map(len, shown.splitlines())) <= width
