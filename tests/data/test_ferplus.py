from collections import Counter

import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.core.expression import FERPLUS, FERPLUS_COLUMNS
from mien.core.preprocess import InputSpec
from mien.data import fer2013, ferplus
from mien.data.load import load_dataset

HEADER = "Usage,Image name," + ",".join(FERPLUS_COLUMNS)
ROWS = [  # columns: neutral happiness surprise sadness anger disgust fear contempt unknown NF
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",  # 4 of 9 left: nobody wins
    "Training,fer0000001.png,6,0,1,1,0,0,0,0,2,0",  # neutral with 6 of 8 left
    "Training,,0,0,0,0,0,0,0,0,0,10",  # removed
    "PublicTest,fer0000003.png,0,0,0,0,0,0,2,8,0,0",  # contempt
    "PrivateTest,fer0000004.png,0,5,5,0,0,0,0,0,0,0",  # half is no majority
    "PrivateTest,fer0000005.png,0,0,1,0,0,0,2,0,7,0",  # unknown wins
    "Training,fer0000006.png,1,1,1,1,1,1,4,0,0,0",  # fear: the only votes left
]


@pytest.fixture
def pair(fer2013_lines, write):
    faces = fer2013.read_csv(write(fer2013_lines), InputSpec(), counts="any")
    return write([HEADER, *ROWS], "fer2013new.csv"), faces


def test_joined_by_row_position(pair, faces):
    dataset = ferplus.with_majority(*pair)
    assert dataset.rows.tolist() == [1, 3, 6]
    np.testing.assert_array_equal(dataset.images, faces[[1, 3, 6]])
    assert [str(dataset.labels[i]) for i in dataset.indices] == ["neutral", "contempt", "fear"]
    assert dataset.splits.tolist() == ["train", "public", "train"]
    assert dataset.metadata["file"].tolist() == ["fer0000001.png", "fer0000003.png", "fer0000006.png"]
    assert dataset.labels == FERPLUS
    np.testing.assert_allclose(
        dataset.votes, [[0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0.2, 0, 0, 0, 0, 0.8], [0, 0, 1, 0, 0, 0, 0, 0]]
    )


def test_faces_and_what_is_none(write):
    more = [
        "Training,fer0000007.png,4,3,0,0,0,0,0,0,3,0",  # three do not know: neither
        "Training,fer0000008.png,2,2,0,0,0,0,0,0,0,6",  # six of ten say that it is no face
        "Training,fer0000009.png,5,4,0,0,0,0,0,0,0,1",  # one says so: neither
        "Training,fer0000010.png,5,4,0,0,0,0,0,0,1,0",  # one does not know: a face
    ]
    faces, others = ferplus.faces_and_others(write([HEADER, *ROWS[1:5], *more], "fer2013new.csv"))
    assert faces.tolist() == [False, False, True, True, False, False, False, True]
    assert others.tolist() == [False, True, False, False, False, True, False, False]


def microsoft(votes):
    """The rule once more, one vote count after the other, as Microsoft's reader goes about it."""
    left = [count if count > 1 else 0 for count in votes]
    best = max(left)
    if best <= 0.5 * sum(left) or left.index(best) >= 8:
        return None
    return FERPLUS_COLUMNS[left.index(best)]


def test_majority_of_random_votes():
    table = np.random.default_rng(0).multinomial(10, [0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.02, 0.05, 0.03], 2000)
    words = dict(zip(("happiness", "sadness", "anger"), ("happy", "sad", "angry"), strict=True))
    indices, soft = ferplus.majority(table.astype(np.int64))
    expected = [microsoft(row.tolist()) for row in table]
    assert [None if i < 0 else str(FERPLUS[i]) for i in indices] == [words.get(w, w) for w in expected]
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Training,a.png,1,2", r"line 3: expected 12 values, found 4: the file is cut"),
        ("Test,a.png,10,0,0,0,0,0,0,0,0,0", "line 3: expected a Usage of .* found 'Test'"),
        ("Training,a.png,10,0,0,0,0,0,0,0,0,-1", "line 3: expected counts of votes, found '-1'"),
        ("Training,a.png,10,0,0,0,0,0,0,0,0,x", "line 3: expected counts of votes, found 'x'"),
        ("PrivateTest,a.png,10,0,0,0,0,0,0,0,0,0", "line 3: expected the split train as in .* found private"),
    ],
)
def test_damaged_votes(row, message, pair, write):
    votes = write([HEADER, ROWS[0], row, *ROWS[2:]], "fer2013new.csv")
    with pytest.raises(DatasetError, match=message):
        ferplus.with_majority(votes, pair[1])


def test_votes_cut_short(pair, write):
    votes = write([HEADER, *ROWS[:-1]], "fer2013new.csv")
    with pytest.raises(DatasetError, match=r"expected 7 rows, one for each of .*, found 6"):
        ferplus.with_majority(votes, pair[1])


def test_missing_column(pair, write):
    votes = write([HEADER.removesuffix(",NF"), *ROWS], "fer2013new.csv")
    with pytest.raises(DatasetError, match=r"line 1: expected Usage,Image name,.* found"):
        ferplus.with_majority(votes, pair[1])


def test_votes_are_missing_or_no_text(pair, tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        ferplus.with_majority(tmp_path / "none.csv", pair[1])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="is not the CSV file of FER"):
        ferplus.with_majority(tmp_path / "binary.csv", pair[1])


@pytest.mark.real_data
def test_real_rows(real_root, real_cache, real_fer2013):
    dataset = load_dataset("ferplus", InputSpec(), root=real_root, cache=real_cache)
    # what everyone gets who runs Microsoft's reader in its majority mode
    assert Counter(dataset.splits.tolist()) == {"train": 25060, "public": 3199, "private": 3153}
    assert (dataset.metadata["file"] != "").all()
    np.testing.assert_array_equal(dataset.images, real_fer2013.images[dataset.rows])
    np.testing.assert_allclose(dataset.votes.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(dataset.votes.argmax(axis=1), dataset.indices)
    theirs = [real_fer2013.labels[index] for index in real_fer2013.indices[dataset.rows]]
    same = [dataset.labels[index] is label for index, label in zip(dataset.indices, theirs, strict=True)]
    assert (len(same), round(np.mean(same), 4)) == (31_412, 0.6755)  # what the cards say
