import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.core.expression import Expression
from mien.data.picture_index import PictureIndex


def test_grey_keeps_its_values(picture, spec):
    grey = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48).astype(np.uint8)
    file = picture("grey.png", grey)
    index = PictureIndex(name="one", origin=file, files=[file], expressions=[Expression.SAD], splits=["train"])
    np.testing.assert_array_equal(index.read(spec).images[0], grey)


def test_all_unreadable_pictures_are_named(picture, tmp_path, spec):
    files = [picture("good.png"), tmp_path / "text.jpg", tmp_path / "missing.png"]
    files[1].write_text("no picture")
    index = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=[Expression.SAD] * 3)
    with pytest.raises(DatasetError, match=r"2 of 3 pictures cannot be read") as caught:
        index.read(spec)
    assert f"{files[1]}: not a picture that mien knows" in str(caught.value)
    assert f"{files[2]}: no such file" in str(caught.value)


def test_long_lists_are_cut(tmp_path, spec):
    files = [tmp_path / f"{n}.png" for n in range(25)]
    index = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=[Expression.SAD] * 25)
    with pytest.raises(DatasetError, match="25 of 25 pictures") as caught:
        index.read(spec)
    assert str(caught.value).endswith("19.png: no such file\n  and 5 more")


def test_labels_in_canonical_order_and_own_splits(picture, tmp_path, spec):
    files = [picture(f"{n}.png") for n in range(40)]
    expressions = [Expression.SURPRISE, Expression.ANGRY] * 20
    dataset = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=expressions).read(spec)
    assert dataset.labels == (Expression.ANGRY, Expression.SURPRISE)
    assert dataset.indices.tolist() == [1, 0] * 20
    assert set(dataset.splits) == {"train", "validation", "test"}
