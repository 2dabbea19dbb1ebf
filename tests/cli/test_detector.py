"""The detector that commands hand to datasets."""

import sys

import numpy as np
import pytest

from mien.cli.detector import LazyDetector
from mien.core.errors import ModelError

PICTURE = np.zeros((40, 40, 3), dtype=np.uint8)


def test_nothing_is_made_before_it_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "mien.runtime.inference.detect", None)
    lazy = LazyDetector("haar")
    with pytest.raises(ImportError):
        lazy.detect(PICTURE)


def test_it_is_the_runtimes_detector_and_made_once(monkeypatch):
    made = []

    class Toy:
        name = "toy"

        def detect(self, picture):
            return []

    monkeypatch.setattr("mien.runtime.inference.detect.make_detector", lambda name: made.append(name) or Toy())
    detector = LazyDetector("auto")
    assert (detector.name, detector.detect(PICTURE), detector.detect(PICTURE)) == ("toy", [], [])
    assert made == ["auto"]


def test_auto_never_is_a_name():
    assert LazyDetector().name in ("haar", "yunet")
    assert LazyDetector("haar").name == "haar"


def test_an_unknown_detector():
    with pytest.raises(ModelError, match=r"unknown detector 'har': did you mean 'haar'"):
        _ = LazyDetector("har").name


def test_a_long_search_is_told(monkeypatch, capsys):
    monkeypatch.setattr("mien.cli.detector._TOLD", 2)
    detector = LazyDetector("haar")
    for _ in range(5):
        detector.detect(PICTURE)
    assert capsys.readouterr().err.splitlines() == [
        "looked for faces in 2 pictures",
        "looked for faces in 4 pictures",
    ]
