from dataclasses import replace

import numpy as np
import pytest

from evaluation.fakes import faces
from mien.core.errors import DatasetError
from mien.evaluation.slices import picture_statistics, slice_accuracy


def test_statistics_are_numpys():
    images = faces(each=700).images
    measured = picture_statistics(images)
    np.testing.assert_allclose(measured["brightness"], images.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(measured["contrast"], images.std(axis=(1, 2)), rtol=1e-5)


def test_colour_crops_are_measured_over_all_channels():
    images = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    images[1, ..., 0] = 90
    np.testing.assert_allclose(picture_statistics(images)["brightness"], [0, 30])


def test_thirds_of_brightness_hold_the_rows_they_name():
    dataset = faces(each=30)
    dataset = replace(dataset, images=np.arange(90, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2))
    hits = np.arange(90) < 30  # the dark third alone is right
    parts = {part.value: part for part in slice_accuracy(hits, dataset) if part.column == "brightness"}
    assert {value: (part.n, part.accuracy) for value, part in parts.items()} == {
        "0 to 29": (30, 1.0),
        "30 to 59": (30, 0.0),
        "60 to 89": (30, 0.0),
    }
    flat = [part for part in slice_accuracy(hits, dataset) if part.column == "contrast"]
    assert [(part.value, part.n) for part in flat] == [("0 to 0", 90)]


def test_text_gives_a_slice_a_value_and_many_numbers_thirds():
    dataset = faces(each=50)
    hits = np.arange(150) % 3 == 0  # right for person 0 alone
    parts = slice_accuracy(hits, dataset, columns=["subject", "age"])
    subjects = {part.value: part for part in parts if part.column == "subject"}
    assert [subjects[f"person {i}"].accuracy for i in range(3)] == [1, 0, 0]
    assert [part.value for part in parts if part.column == "age"] == ["0 to 16", "17 to 33", "34 to 49"]
    for column in ("brightness", "contrast", "subject", "age"):
        assert sum(part.n for part in parts if part.column == column) == 150
    assert all(part.accuracy_interval[0] <= part.accuracy <= part.accuracy_interval[1] for part in parts)


def test_an_unknown_column_names_the_nearest():
    with pytest.raises(DatasetError, match="no column 'subjekt' to slice by: did you mean 'subject'"):
        slice_accuracy(np.ones(180, dtype=bool), faces(), columns=["subjekt"])
    bare = replace(faces(), metadata={})
    with pytest.raises(DatasetError, match="no metadata columns"):
        slice_accuracy(np.ones(180, dtype=bool), bare, columns=["subject"])


def test_text_with_too_many_values_is_refused():
    with pytest.raises(DatasetError, match="'file' has 180 different values"):
        slice_accuracy(np.ones(180, dtype=bool), faces(), columns=["file"])
