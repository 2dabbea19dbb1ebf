"""Parts of a cell: official splits with their leaks, and folds that test each picture once."""

from collections import Counter

import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.core.preprocess import InputSpec
from mien.studies.cell_rows import QUICK_FOLDS, load, parts, spread
from mien.studies.paper_cells import SplitProtocol
from studies.making import WholePicture


def rows_of(protocol, root):
    return load(protocol, InputSpec(), root=root, detector=WholePicture(), quick=True)


def test_the_official_parts_know_what_leaks(drawn_root):
    protocol = SplitProtocol()
    [part] = parts(rows_of(protocol, drawn_root), protocol)
    assert (len(part.fitted), len(part.chosen), len(part.tested)) == (84, 35, 42)
    seen = {image.tobytes() for image in np.concatenate([part.fitted.images, part.chosen.images])}
    assert part.leaked.tolist() == [image.tobytes() in seen for image in part.tested.images]
    assert part.leaked.sum() == 3


@pytest.mark.parametrize("kind", ["random", "persons"])
def test_folds_test_each_picture_once(drawn_root, kind):
    protocol = SplitProtocol("jaffe", kind, "six", folds=5)
    rows = rows_of(protocol, drawn_root)
    assert len(rows) == 183
    found = list(parts(rows, protocol))
    assert Counter(row for part in found for row in part.tested.rows.tolist()) == Counter(rows.rows.tolist())
    for part in found:
        three = [set(side.rows.tolist()) for side in (part.fitted, part.chosen, part.tested)]
        assert sum(map(len, three)) == len(set().union(*three)) == 183
        fitted = set(part.fitted.metadata["subject"].tolist())
        tested = set(part.tested.metadata["subject"].tolist())
        assert (fitted & tested == set()) == (kind == "persons")
        assert set(part.groups.tolist()) == tested


def test_ten_folds_of_ten_persons_leave_one_out(drawn_root):
    protocol = SplitProtocol("jaffe", "persons", "six", folds=10)
    found = list(parts(rows_of(protocol, drawn_root), protocol))
    assert sorted(part.tested.metadata["subject"][0] for part in found) == sorted(
        {name for part in found for name in part.tested.metadata["subject"].tolist()}
    )


def test_whole_fits_nothing(drawn_root):
    protocol = SplitProtocol("jaffe", "whole")
    [part] = parts(rows_of(protocol, drawn_root), protocol)
    assert (part.fitted, part.chosen, len(part.tested), part.leaked) == (None, None, 213, None)


def test_quick_takes_fewer_folds(drawn_root):
    protocol = SplitProtocol("jaffe", "random", "six", folds=5)
    assert len(list(parts(rows_of(protocol, drawn_root), protocol, quick=True))) == QUICK_FOLDS
    assert spread(1000, 4).tolist() == [0, 333, 666, 999]
    assert spread(3, 8).tolist() == [0, 1, 2]


def test_a_dataset_that_is_missing_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=f"jaffe is not there; looked for .* in {tmp_path}"):
        rows_of(SplitProtocol("jaffe", "whole"), tmp_path)


def test_a_full_study_wants_the_published_fer2013(drawn_root):
    with pytest.raises(DatasetError):
        load(SplitProtocol(), InputSpec(), root=drawn_root, detector=None)


@pytest.mark.parametrize(("kind", "folds"), [("random", 1), ("persons", 2), ("official", 5), ("whole", 3)])
def test_folds_go_with_folds(kind, folds):
    with pytest.raises(ValueError, match="three folds or more go with random or persons"):
        SplitProtocol("jaffe", kind, folds=folds)
