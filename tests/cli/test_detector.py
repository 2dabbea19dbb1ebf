"""The detector that commands hand to datasets."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mien.cli.detector import LazyDetector, say_if_haar
from mien.core.errors import DownloadError, ModelError
from mien.runtime.inference.library import PULLABLE

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


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """A fresh install on a terminal; records what was asked and pulled, and answers what it is told to."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    seen = SimpleNamespace(answer=True, asked=[], pulled=[], tty=True, error=None)

    def pull(name):
        seen.pulled.append(name)
        if seen.error:
            raise seen.error

    def say(wanted, **options):
        for name in ("stdin", "stdout", "stderr"):  # here, because pytest changes the streams after a fixture
            monkeypatch.setattr(getattr(sys, name), "isatty", lambda: seen.tty, raising=False)
        say_if_haar(wanted, **options)

    seen.say = say
    monkeypatch.setattr("typer.confirm", lambda text, **_: seen.asked.append(text) or seen.answer)
    monkeypatch.setattr("mien.runtime.inference.pull.pull", pull)
    return seen


def test_yunet_is_offered_on_a_terminal_and_pulled(terminal, capsys):
    terminal.say("auto", offer=True)
    assert (terminal.asked, terminal.pulled) == (["Pull it now (230 kB)?"], ["yunet"])
    assert capsys.readouterr().err.endswith("mien models pull yunet\n")


def test_a_refusal_is_remembered_and_the_command_still_told(terminal, capsys):
    terminal.answer = False
    terminal.say("auto", offer=True)
    terminal.say("auto", offer=True)
    assert (len(terminal.asked), terminal.pulled) == (1, [])
    assert capsys.readouterr().err.count("mien models pull yunet") == 2


def test_nobody_is_asked_without_a_terminal_or_an_offer(terminal):
    terminal.say("auto")
    terminal.tty = False
    terminal.say("auto", offer=True)
    assert terminal.asked == []


def test_where_it_cannot_be_pulled_the_cascade_is_used(terminal, capsys):
    terminal.error = DownloadError("no network")
    terminal.say("auto", offer=True)
    assert capsys.readouterr().err.endswith("mien: no network. The Haar cascade is used\n")


@pytest.mark.parametrize("wanted", ["haar", "whole", "yunet"])
def test_who_named_a_detector_is_told_nothing(terminal, capsys, wanted):
    terminal.say(wanted, offer=True)
    assert (capsys.readouterr().err, terminal.asked) == ("", [])


def test_once_it_was_pulled_nothing_is_said(terminal, capsys):
    PULLABLE["yunet"].path.parent.mkdir(parents=True)
    PULLABLE["yunet"].path.touch()
    terminal.say("auto", offer=True)
    assert (capsys.readouterr().err, terminal.asked) == ("", [])
