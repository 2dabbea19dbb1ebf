from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from mien.core.errors import DatasetError
from mien.core.expression import FER2013, SIX
from mien.core.fitted import Folds
from mien.data.folds import check_apart, fold_of, in_folds


@pytest.fixture
def posed(toy):
    """Ten persons with 2 to 4 pictures of each of 7 classes, as JAFFE has them."""
    random = np.random.default_rng(3)
    persons, indices = [], []
    for person in range(10):
        for label in range(7):
            for _ in range(int(random.integers(2, 5))):
                persons.append(f"P{person}")
                indices.append(label)
    return toy(list(range(len(indices))), indices, ["all"] * len(indices), subject=persons)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=12, max_size=80),
    st.integers(3, 6),
    st.integers(0, 5),
)
def test_groups_stay_whole_and_every_fold_is_filled(rows, count, seed):
    indices, groups = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    folds = fold_of(indices, groups, count=count, seed=seed)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups.tolist()))
    assert set(folds.tolist()) <= set(range(count))
    if len(set(groups.tolist())) >= count:
        assert len(set(folds.tolist())) == count
    np.testing.assert_array_equal(folds, fold_of(indices, groups, count=count, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_as_even_as_scikit_learn_makes_them(posed, seed):
    indices, groups = posed.indices, posed.metadata["subject"]

    def spread(folds):
        table = np.array([np.bincount(indices[folds == fold], minlength=7) for fold in range(5)])
        return (table / table.sum(axis=0)).std(axis=0).mean()

    theirs = np.zeros(len(indices), dtype=np.int64)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(indices, indices, groups)):
        theirs[test] = fold
    assert spread(fold_of(indices, groups, count=5, seed=seed)) <= spread(theirs) + 0.01


def test_each_row_is_reported_once_and_nobody_is_on_both_sides(posed):
    reported = []
    for test in range(5):
        parted = in_folds(posed, Folds(count=5, test=test))
        assert Counter(parted.splits.tolist()).keys() == {"train", "validation", "test"}
        persons = {name: set(parted.split(name).metadata["subject"].tolist()) for name in set(parted.splits.tolist())}
        assert sum(map(len, persons.values())) == 10
        check_apart(parted)
        reported += parted.split("test").rows.tolist()
        # what chooses in this fold is what the next one reports
        following = in_folds(posed, Folds(count=5, test=(test + 1) % 5))
        assert set(parted.split("validation").rows.tolist()) == set(following.split("test").rows.tolist())
    assert sorted(reported) == posed.rows.tolist()


def test_random_folds_keep_copies_together_but_not_persons(posed):
    images = posed.images.copy()
    images[1::2] = images[: len(images) - 1 : 2][: len(images[1::2])]  # every second picture is a copy
    copied = replace(posed, images=images)
    parted = in_folds(copied, Folds(count=5, apart="picture"))
    splits = parted.splits
    even = len(splits) // 2 * 2
    assert (splits[0:even:2] == splits[1:even:2]).all()
    with pytest.raises(DatasetError, match=r"persons stand in 'train' and in '(test|validation)' \(P0, P1"):
        check_apart(parted)


def test_the_seed_makes_other_folds(posed):
    first, second = (in_folds(posed, Folds(seed=seed)).splits.tolist() for seed in (0, 1))
    assert first != second


def test_a_label_set_that_is_chosen_first_makes_folds_of_its_rows_alone(posed):
    seven = replace(posed, labels=FER2013)
    first = in_folds(seven, Folds(apart="picture", labels="six"))
    same = in_folds(seven.relabel(SIX), Folds(apart="picture"))
    assert (first.rows.tolist(), first.splits.tolist()) == (same.rows.tolist(), same.splits.tolist())
    afterwards = in_folds(seven, Folds(apart="picture")).relabel(SIX)
    assert first.splits.tolist() != afterwards.splits.tolist()
    assert first.folds.describe() == "fold 0 of 5 of the rows of 'six', no picture on both sides (seed 0)"


def test_too_few_persons(posed):
    with pytest.raises(DatasetError, match="toy has 10 subjects, too few for 11 folds: ask for fewer"):
        in_folds(posed, Folds(count=11))


def test_no_persons(toy):
    with pytest.raises(DatasetError, match=r"toy has no column 'subject'.*set folds\.apart to 'picture'"):
        in_folds(toy([1, 2, 3], [0, 1, 2]), Folds())


def test_a_class_that_a_split_lacks(toy):
    rows = toy(list(range(12)), [0] * 8 + [1] * 2 + [0, 1], subject=list("aabbccddeeff"))
    with pytest.raises(
        DatasetError, match=r"fold 0 of 6, no subject .*the split '(validation|test)' has no picture of"
    ):
        in_folds(rows, Folds(count=6))


@pytest.mark.parametrize("values", [{"count": 2}, {"count": 5, "test": 5}, {"test": -1}])
def test_impossible_folds(values):
    with pytest.raises(ValueError, match="folds need a count of 3 or more"):
        Folds(**values)


def test_persons_on_both_sides_of_given_splits(toy):
    rows = toy([1, 2, 3], [0, 1, 2], ["train", "train", "validation"], subject=["ann", "bob", "ann"])
    with pytest.raises(DatasetError, match=r"toy: 1 persons stand in 'train' and in 'validation' \(ann\)"):
        check_apart(rows)
    check_apart(toy([1, 2], [0, 1], ["train", "validation"]))
