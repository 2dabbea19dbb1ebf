"""The package as a whole: what it shows, and that importing it does nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import mien

HEAVY = ("torch", "lightning", "onnxruntime", "fastapi", "matplotlib", "sklearn", "av", "typer", "rich")

SURVEY = """
import cv2  # its own import extends LD_LIBRARY_PATH, and NumPy's the filters of warnings
import json, logging, os, sys, threading, warnings
before = dict(os.environ), list(logging.root.handlers), logging.root.level, list(warnings.filters), os.getcwd()
import mien
after = dict(os.environ), list(logging.root.handlers), logging.root.level, list(warnings.filters), os.getcwd()
print(json.dumps({"modules": sorted(sys.modules), "same": before == after, "threads": threading.active_count()}))
"""


@pytest.fixture(scope="module")
def survey():
    done = subprocess.run([sys.executable, "-c", SURVEY], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_importing_loads_nothing_heavy(survey):
    assert set(HEAVY).isdisjoint(survey["modules"])


def test_importing_does_nothing(survey):
    assert survey["same"]
    assert survey["threads"] == 1


def test_the_public_names_are_these():
    assert mien.__all__ == [
        "Box",
        "Event",
        "Expression",
        "Face",
        "Frame",
        "Manifest",
        "MienError",
        "PictureFrame",
        "Polarity",
        "Reading",
        "Recognizer",
        "Track",
        "__version__",
        "annotate",
        "open_recording",
        "to_pandas",
        "to_polars",
    ]
    assert mien.__all__ == sorted(mien.__all__)
    assert dir(mien) == mien.__all__


@pytest.mark.parametrize("name", [name for name in mien.__all__ if name != "__version__"])
def test_every_public_name_is_there_and_explained(name):
    assert getattr(mien, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        mien.Recogniser  # noqa: B018


def test_the_version_is_the_installed_one():
    assert mien.__version__ == version("mien")


def test_python_m_mien_is_the_command():
    done = subprocess.run([sys.executable, "-m", "mien", "--help"], capture_output=True, text=True, check=True)
    assert "read" in done.stdout
    assert "train" in done.stdout
