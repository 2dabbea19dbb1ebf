from collections import Counter

import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.data.splits import held_out, hold_out, with_splits


def test_stratified():
    indices = np.repeat([0, 1, 2], [1000, 100, 10])
    mask = held_out(indices, np.arange(len(indices)), fraction=0.2, seed=3)
    assert Counter(indices[mask].tolist()) == {0: 200, 1: 20, 2: 2}


def test_seed():
    indices, groups = np.zeros(100, dtype=np.int64), np.arange(100)
    first, again, other = (held_out(indices, groups, fraction=0.3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_small_classes_stand_on_both_sides():
    indices = np.repeat([0, 1, 2], [50, 2, 1])
    mask = held_out(indices, np.arange(53), fraction=0.1, seed=0)
    assert Counter(indices[mask].tolist()) == {0: 5, 1: 1}


@pytest.mark.parametrize("seed", range(5))
def test_nobody_on_both_sides(seed):
    random = np.random.default_rng(seed)
    subjects = random.choice(list("ABCDEFGHIJ"), 300)
    indices = random.integers(0, 7, 300)
    mask = held_out(indices, subjects, fraction=0.2, seed=seed)
    assert not set(subjects[mask]) & set(subjects[~mask])
    assert 0.1 < mask.mean() < 0.3


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2])
def test_share_out_of_range(fraction):
    with pytest.raises(DatasetError, match="must lie between 0 and 1"):
        held_out(np.zeros(4, dtype=np.int64), np.arange(4), fraction=fraction, seed=0)


def test_hold_out_moves_rows_of_one_split(toy):
    dataset = toy(range(120), [0, 1] * 60, ["train"] * 100 + ["test"] * 20)
    changed = hold_out(dataset, into="validation", fraction=0.1, within="train")
    assert Counter(changed.splits.tolist()) == {"train": 90, "validation": 10, "test": 20}
    assert (changed.splits[100:] == "test").all()
    assert changed.split("validation").counts["angry"] == 5


def test_hold_out_by_subject(toy):
    subjects = [f"S{n // 10}" for n in range(100)]
    changed = hold_out(toy(range(100), [0, 1] * 50, subject=subjects), into="test", fraction=0.2, group="subject")
    assert len(changed.split("test")) == 20
    assert not set(changed.split("test").metadata["subject"]) & set(changed.split("train").metadata["subject"])


def test_hold_out_refuses(toy):
    dataset = toy(range(4), [0, 0, 1, 1], subject=["A"] * 4)
    with pytest.raises(DatasetError, match="4 rows in 1 groups are too few to hold out 50%"):
        hold_out(dataset, into="test", fraction=0.4999, group="subject")
    with pytest.raises(DatasetError, match=r"no column 'subjct': did you mean 'subject'\?"):
        hold_out(dataset, into="test", fraction=0.5, group="subjct")
    with pytest.raises(DatasetError, match="no split 'trian'"):
        hold_out(dataset, into="test", fraction=0.5, within="trian")


def test_eight_to_one_to_one(toy):
    dataset = with_splits(toy(range(1000), [n % 5 for n in range(1000)]))
    assert Counter(dataset.splits.tolist()) == {"train": 800, "validation": 100, "test": 100}
    assert set(dataset.split("test").counts.values()) == {20, 0}


def test_copies_of_a_picture_stay_together(toy):
    dataset = with_splits(toy([n // 3 for n in range(600)], [n // 3 % 2 for n in range(600)]))
    assert len(set(dataset.splits)) == 3
    for value in range(200):
        assert len(set(dataset.splits[3 * value : 3 * value + 3])) == 1


def test_subjects_stay_together(toy):
    subjects = [f"S{n % 20}" for n in range(400)]
    dataset = with_splits(toy(range(400), [n % 7 for n in range(400)], subject=subjects))
    people = [set(dataset.split(name).metadata["subject"]) for name in ("train", "validation", "test")]
    assert sum(map(len, people)) == 20


def test_one_picture_is_training(toy):
    assert with_splits(toy([1], [0])).splits.tolist() == ["train"]
