import numpy as np
import pytest

from mien.core.errors import DatasetError, LabelError
from mien.data.csv_manifest import index_manifest


def test_columns(write, picture, tmp_path, spec):
    picture("set/a.png"), picture("set/b é.png")
    file = write(
        ["Path, label,split,subject,age", "a.png,Joy,train,KA,31", '"b é.png",surprised,test,KL,7.5', ""],
        "set/list.csv",
    )
    index = index_manifest(file)
    assert index.files == [tmp_path / "set/a.png", tmp_path / "set/b é.png"]
    assert index.name == "list"
    dataset = index.read(spec)
    assert [str(dataset.labels[i]) for i in dataset.indices] == ["happy", "surprise"]
    assert dataset.splits.tolist() == ["train", "test"]
    assert set(dataset.metadata) == {"file", "subject", "age"}
    assert dataset.metadata["subject"].tolist() == ["KA", "KL"]
    np.testing.assert_array_equal(dataset.metadata["age"], [31, 7.5])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["path,emotion", "a.png,sad"],
            r"list\.csv, line 1: expected columns path,label.* found path,emotion: lacks label",
        ),
        (["name,word", "a.png,sad"], "lacks path and label"),
        (["path,label,label", "a.png,sad,sad"], "repeats a column"),
        (["path,label", "a.png"], "line 2: expected 2 values, found 1"),
        (["path,label,split", "a.png,sad,train", "b.png,sad,"], "line 3: the split is empty"),
        (["path,label"], "holds no pictures"),
        (["path,label", '"a.png,sad'], "is not a CSV file in UTF-8"),
    ],
)
def test_wrong_manifest(lines, message, write):
    with pytest.raises(DatasetError, match=message):
        index_manifest(write(lines, "list.csv"))


def test_unknown_label(write):
    with pytest.raises(LabelError, match=r"list\.csv, line 3: unknown expression 'suprise': did you mean 'surprise'\?"):
        index_manifest(write(["path,label", "a.png,sad", "b.png,suprise"], "list.csv"))


def test_not_text(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"path,label\n\xff.png,sad\n")
    with pytest.raises(DatasetError, match="save it as one"):
        index_manifest(tmp_path / "list.csv")


def test_missing_manifest(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.csv: No such file"):
        index_manifest(tmp_path / "none.csv")
