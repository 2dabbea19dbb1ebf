"""The command itself: its version, and mistakes that are told before anything heavy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import av
import numpy as np
import pytest

import mien


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "mien", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def test_the_version_is_printed_at_once():
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"mien {mien.__version__}\n")
    assert "onnxruntime" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "missing.yaml"), "no recipe at missing.yaml"),
        (("export", "missing"), "no run in missing: there is no run.json"),
    ],
)
def test_mistakes_are_told_before_torch_is_loaded(arguments, message):
    result = run(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert "| torch\n" not in result.stderr


def test_a_shell_completes_commands():
    program = "import sys; sys.argv[0] = 'mien'; from mien.cli.main import run; run()"
    asked = {"_MIEN_COMPLETE": "complete_bash", "COMP_WORDS": "mien gal", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | asked, check=False
    )
    assert result.stdout.split() == ["gallery"]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_read_names_watch_where_it_is_given_a_video(tmp_path, ending):
    path = tmp_path / f"film.{ending}"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        film.mux([*stream.encode(frame), *stream.encode()])
    result = run("read", path)
    assert result.returncode == 1
    assert f"{path}: a video, not a picture: read it with mien watch" in result.stderr
