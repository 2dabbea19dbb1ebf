"""Numbers as classes: what they mean is asked for, never guessed."""

from __future__ import annotations

import shutil

import pytest

from mien.core.errors import LabelError
from mien.core.expression import Expression
from mien.data.load import load_dataset, name_of
from mien.data.numbered_classes import NUMBERS, parse_label


def test_each_owner_numbers_in_a_way_of_its_own():
    assert [str(NUMBERS["raf-db"][n]) for n in range(1, 8)] == [
        *("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
    ]
    assert [str(NUMBERS["affectnet"][n]) for n in range(8)] == [
        *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
    ]
    assert [str(NUMBERS["fer2013"][n]) for n in range(7)] == [
        *("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    ]


@pytest.mark.parametrize("word", ["3", "03", " 3 ", "3.0"])
def test_how_a_number_may_be_written(word):
    assert parse_label(word, "raf-db") is Expression.DISGUST
    assert parse_label("Happiness", "raf-db") is Expression.HAPPY
    with pytest.raises(LabelError, match=r"is a number, .* --classes fer2013, raf-db, affectnet \(data\.classes in"):
        parse_label(word, None)


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_folders_of_numbers(prefix, picture, spec, tmp_path):
    for number in (1, 4, 8):
        picture(f"mine/{prefix}{number}/x.png")
    with pytest.raises(LabelError, match=r"mine/.*1: the class '1' is a number.*--classes"):
        load_dataset(tmp_path / "mine", spec)
    with pytest.raises(LabelError, match=r"the class '8' is none of raf-db's numbers: 1 \(surprise\)"):
        load_dataset(tmp_path / "mine", spec, classes="raf-db")
    dataset = load_dataset(tmp_path / "mine", spec, classes="affectnet")
    assert dataset.counts == {"fear": 1, "happy": 1}
    assert dataset.left_out == {"of class 8, which is no expression": 1}
    shutil.rmtree(tmp_path / "mine" / prefix / "8")
    assert load_dataset(tmp_path / "mine", spec, classes="raf-db").counts == {"happy": 1, "surprise": 1}
    assert name_of(tmp_path / "mine", classes="raf-db") == "mine"


def test_a_manifest_of_numbers(picture, write, spec):
    picture("a.png"), picture("b.png"), picture("c.png")
    file = write(["path,label", "a.png,1", "b.png,7", "c.png,10"], "list.csv")
    with pytest.raises(LabelError, match=r"list\.csv, line 2: the class '1' is a number"):
        load_dataset(file, spec)
    dataset = load_dataset(file, spec, classes="affectnet")
    assert dataset.counts == {"happy": 1, "contempt": 1}
    assert dataset.left_out == {"of class 10, which is no expression": 1}
