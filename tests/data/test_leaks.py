import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.data.leaks import Crossing, blank_rows, find_leaks, leaked_rows, picture_groups

VALUES = (1, 2, 3, 1, 1, 2, 9)
INDICES = (0, 1, 2, 0, 3, 1, 5)
SPLITS = ("train", "train", "train", "public", "private", "private", "private")


def test_groups_are_numbered_by_first_appearance(toy):
    assert picture_groups(toy(VALUES, INDICES).images).tolist() == [0, 1, 2, 0, 0, 1, 3]


def test_blank():
    images = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    images[0] = (10, 20, 30)
    images[1, 3, 3, 0] = 1
    assert blank_rows(images).tolist() == [True, False, True]


def test_leaked_rows(toy):
    dataset = toy(VALUES, INDICES, SPLITS)
    assert leaked_rows(dataset, "private", against=("train",)).tolist() == [True, True, False]
    assert leaked_rows(dataset, "private", against=("public",)).tolist() == [True, False, False]
    assert leaked_rows(dataset, "private").tolist() == [True, True, False]
    assert leaked_rows(dataset, "train").tolist() == [True, True, False]


def test_unknown_split(toy):
    dataset = toy(VALUES, INDICES, SPLITS)
    with pytest.raises(DatasetError, match="no split 'privat': did you mean 'private'"):
        leaked_rows(dataset, "privat")
    with pytest.raises(DatasetError, match="no split 'trains': did you mean 'train'"):
        leaked_rows(dataset, "private", against=("trains",))


def test_find_leaks(toy):
    found = find_leaks(toy(VALUES, INDICES, SPLITS))
    assert (found.pictures, found.distinct) == (7, 4)
    assert found.duplicates == ((0, 3, 4), (1, 5))
    assert found.conflicts == ((0, 3, 4),)
    assert found.blank == ()
    assert found.crossings == (
        Crossing("public", "train", (3,)),
        Crossing("private", "train", (4, 5)),
        Crossing("private", "public", (4,)),
    )


def test_nothing_to_find(toy):
    found = find_leaks(toy([1, 2], [0, 0]))
    assert (found.duplicates, found.conflicts, found.crossings) == ((), (), ())


@pytest.mark.real_data
def test_real_leaks(real_fer2013):
    found = find_leaks(real_fer2013)
    assert found.distinct == 34034
    assert len(found.conflicts) == 57
    assert sum(map(len, found.conflicts)) == 160
    assert found.blank == (6458, 7629, 10423, 11286, 13148, 13402, 13988, 15894, 22198, 22927, 28601, 30002)
    crossings = {(c.split, c.against): len(c.rows) for c in found.crossings}
    assert crossings["private", "train"] == 288
    assert crossings["public", "train"] == 280
    assert crossings["private", "public"] == 44


@pytest.mark.real_data
def test_real_leaked_rows(real_fer2013):
    assert leaked_rows(real_fer2013, "private", against=("train",)).sum() == 288
    assert leaked_rows(real_fer2013, "public", against=("train",)).sum() == 280
    assert leaked_rows(real_fer2013, "private", against=("public",)).sum() == 44
    assert leaked_rows(real_fer2013, "private", against=("train", "public")).sum() == 314
