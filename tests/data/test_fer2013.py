from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import FER2013
from mien.core.preprocess import InputSpec
from mien.data import fer2013
from mien.data.class_folders import index_folder


def test_reads_rows_in_order(fer2013_lines, faces, write, spec):
    dataset = fer2013.read_csv(write(fer2013_lines), spec, counts="any")
    np.testing.assert_array_equal(dataset.images, faces)
    assert dataset.indices.tolist() == list(range(7))
    assert dataset.labels == FER2013
    assert dataset.splits.tolist() == ["train", "train", "train", "public", "private", "private", "train"]
    assert dataset.rows.tolist() == list(range(7))


def test_other_crop(fer2013_lines, write):
    spec = InputSpec(size=64, channels=3, mean=(0, 0, 0), std=(1, 1, 1))
    assert fer2013.read_csv(write(fer2013_lines), spec, counts="any").images.shape == (7, 64, 64, 3)


def test_columns_may_be_quoted_and_in_another_order(fer2013_lines, faces, write, spec):
    emotion, pixels, usage = zip(*(line.split(",") for line in fer2013_lines), strict=True)
    lines = [f'{e}, {u},"{p}"' for e, u, p in zip(emotion, usage, pixels, strict=True)]
    np.testing.assert_array_equal(fer2013.read_csv(write(lines), spec, counts="any").images, faces)


def test_windows_line_ends(fer2013_lines, faces, tmp_path, spec):
    file = tmp_path / "fer2013.csv"
    file.write_bytes("\r\n".join(fer2013_lines).encode("utf-8-sig"))
    np.testing.assert_array_equal(fer2013.read_csv(file, spec, counts="any").images, faces)


def test_missing_file(tmp_path, spec):
    with pytest.raises(DatasetError, match=r"nothing\.csv: No such file"):
        fer2013.read_csv(tmp_path / "nothing.csv", spec)


@pytest.mark.parametrize("lines", [["emotion,Usage"], [""], ["emotion,pixel,Usage"]])
def test_missing_column(lines, write, spec):
    with pytest.raises(DatasetError, match=r"fer2013\.csv, line 1: expected the columns emotion,pixels,Usage, found"):
        fer2013.read_csv(write(lines), spec)


def test_no_rows(fer2013_lines, write, spec):
    with pytest.raises(DatasetError, match="no rows"):
        fer2013.read_csv(write(fer2013_lines[:1]), spec, counts="any")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda pixels: pixels[:-1], "2303 values"),
        (lambda pixels: [*pixels, "7"], "2305 values"),
        (lambda _: [], "0 values"),
        (lambda pixels: [*pixels[:-1], "256"], "256"),
        (lambda pixels: [*pixels[:-1], "-1"], "-1"),
        (lambda pixels: [*pixels[:-1], "99999999999999999999"], "9223372036854775807"),
        (lambda pixels: [*pixels[:9], "1.5", *pixels[10:]], "'1.5'"),
        (lambda pixels: [*pixels[:-1], "x"], "'x'"),
    ],
)
def test_wrong_pixels(change, found, fer2013_lines, write, spec):
    emotion, pixels, usage = fer2013_lines[4].split(",")
    fer2013_lines[4] = f"{emotion},{' '.join(change(pixels.split(' ')))},{usage}"
    message = rf"fer2013\.csv, line 5: expected 2304 pixel values of 0 to 255, found {found}$"
    with pytest.raises(DatasetError, match=message):
        fer2013.read_csv(write(fer2013_lines), spec, counts="any")


@pytest.mark.parametrize("emotion", ["7", "happy", ""])
def test_unknown_emotion(emotion, fer2013_lines, write, spec):
    fer2013_lines[2] = emotion + fer2013_lines[2][1:]
    with pytest.raises(LabelError, match=rf"line 3: expected an emotion of 0 \(angry\).* found '{emotion}'"):
        fer2013.read_csv(write(fer2013_lines), spec, counts="any")


def test_unknown_usage(fer2013_lines, write, spec):
    fer2013_lines[1] = fer2013_lines[1].replace("Training", "Test")
    with pytest.raises(DatasetError, match=r"line 2: expected a Usage of 'Training', .* found 'Test'"):
        fer2013.read_csv(write(fer2013_lines), spec, counts="any")


def test_row_cut_short(fer2013_lines, write, spec):
    fer2013_lines[-1] = fer2013_lines[-1][:3000]
    with pytest.raises(DatasetError, match="line 8: expected 3 values, found 2: the file is cut"):
        fer2013.read_csv(write(fer2013_lines), spec, counts="any")


def test_file_with_other_counts_is_refused(fer2013_lines, write, spec):
    with pytest.raises(DatasetError, match=r"expected 35887 rows, found 7; train angry: expected 3995, found 1;"):
        fer2013.read_csv(write(fer2013_lines), spec)


def test_altered_pixels_are_refused(fer2013_lines, write, spec, monkeypatch):
    ones = {"train": (1, 1, 1, 0, 0, 0, 1), "public": (0, 0, 0, 1, 0, 0, 0), "private": (0, 0, 0, 0, 1, 1, 0)}
    monkeypatch.setattr(fer2013, "PUBLISHED", ones)
    with pytest.raises(DatasetError, match=r"not the published ones: expected sha256 c267d81a.* found"):
        fer2013.read_csv(write(fer2013_lines), spec)


def test_published_counts_add_up():
    assert {split: sum(row) for split, row in fer2013.PUBLISHED.items()} == {
        "train": 28709,
        "public": 3589,
        "private": 3589,
    }


@pytest.fixture
def kaggle(picture, tmp_path):
    names = ("Training_1", "PublicTest_2", "PrivateTest_3")
    for label in FER2013:
        for split, name in zip(("train", "test", "test"), names, strict=True):
            picture(f"kaggle/{split}/{label}/{name}.jpg")
    return tmp_path / "kaggle"


def test_folder_is_recognised_by_its_file_names(kaggle, spec):
    index = index_folder(kaggle)
    assert fer2013.is_fer2013(index)
    dataset = fer2013.as_fer2013(index, counts="any").read(spec)
    assert dataset.name == "fer2013 (part: 21 pictures)"
    assert dataset.licence == fer2013.LICENCE
    assert {split: len(dataset.split(split)) for split in ("train", "public", "private")} == dict.fromkeys(
        ("train", "public", "private"), 7
    )


def test_cut_folder_is_refused(kaggle):
    with pytest.raises(DatasetError, match="expected 35887 rows, found 21; train angry: expected 3995, found 1"):
        fer2013.as_fer2013(index_folder(kaggle))


def test_folder_is_recognised_by_its_counts(picture, tmp_path, spec, monkeypatch):
    for label in FER2013:
        for split in ("train", "test"):
            picture(f"renamed/{split}/{label}/im0.png")
    assert not fer2013.is_fer2013(index_folder(tmp_path / "renamed"))
    monkeypatch.setattr(fer2013, "_FOLDERS", {"train": (1,) * 7, "test": (1,) * 7})
    index = index_folder(tmp_path / "renamed")
    assert fer2013.is_fer2013(index)
    assert set(fer2013.as_fer2013(index).read(spec).splits) == {"train", "test"}


@pytest.mark.real_data
def test_real_counts(real_fer2013):
    assert len(real_fer2013) == 35887
    for split, row in fer2013.PUBLISHED.items():
        assert tuple(real_fer2013.split(split).counts.values()) == row
    assert not real_fer2013.images[6458].any()


@pytest.mark.real_data
def test_the_real_counts_with_a_row_less_are_refused(real_fer2013):
    expressions = [real_fer2013.labels[index] for index in real_fer2013.indices[:-1]]
    found = Counter(zip(real_fer2013.splits[:-1].tolist(), expressions, strict=True))
    with pytest.raises(DatasetError, match=r"expected 35887 rows, found 35886; private .*: expected .*, found"):
        fer2013.check_counts(Path("fer2013.csv"), found, fer2013.PUBLISHED)
