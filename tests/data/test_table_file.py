"""Tables as spreadsheets, pandas and other systems save them."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

from mien.core.errors import DatasetError
from mien.data.load import load_dataset
from mien.data.table_file import read_header, read_table

ROWS = [("Path", "label", "emotion"), ("a.png", "Joy", "3"), ("é b.png", "sad", "4")]


def saved(separator: str, encoding: str, *, first: str = "", ends: str = "\r\n") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ends).writerows(ROWS)
    return (first + text.getvalue()).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep=SEPARATOR\r\n"])
def test_encodings_and_separators(separator, encoding, first, tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes(saved(separator, encoding, first=first.replace("SEPARATOR", separator)))
    header, rows = read_table(file)
    assert header == ["path", "label", "emotion"]
    begin = 3 if first else 2
    assert list(rows) == [(begin, ["a.png", "Joy", "3"]), (begin + 1, ["é b.png", "sad", "4"])]


def test_the_index_of_pandas_is_left_out(tmp_path):
    file = tmp_path / "list.csv"
    pd.DataFrame({"path": ["a.png"], "label": ["sad"]}).to_csv(file)
    assert read_header(file) == ["path", "label"]
    assert list(read_table(file)[1]) == [(2, ["a.png", "sad"])]
    pd.read_csv(file).to_csv(file)  # once more, as it happens
    assert list(read_table(file)[1]) == [(2, ["a.png", "sad"])]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0 a picture", bytes(range(256)), b"\0", "path,label\n".encode("utf-32")]
)
def test_what_is_no_table_has_no_columns_that_are_looked_for(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert not {"path", "pixels"} & set(read_header(tmp_path / "x"))
    assert read_header(tmp_path / "gone") == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_manifest_as_a_spreadsheet_saves_it(separator, encoding, picture, spec, tmp_path):
    for name in ("a.png", "é b.png"):
        picture(f"mine/{name}")
    file = tmp_path / "mine/list.csv"
    file.write_bytes(saved(separator, encoding))
    dataset = load_dataset(file, spec)  # path, label and emotion: a manifest, not FER2013
    assert dataset.counts == {"happy": 1, "sad": 1}
    np.testing.assert_array_equal(dataset.metadata["emotion"], [3, 4])


def test_backslashes_separate_folders(picture, write, spec):
    picture("mine/train/angry/1.png"), picture("mine/odd\\name.png")
    file = write(["path,label", "train\\angry\\1.png,angry", "odd\\name.png,sad"], "mine/list.csv")
    assert load_dataset(file, spec).counts == {"angry": 1, "sad": 1}


def test_a_zero_byte_in_a_path_is_one_sentence(tmp_path, spec):
    (tmp_path / "list.csv").write_bytes(b"path,label\na\x00.png,sad\n")
    with pytest.raises(DatasetError, match=r"list\.csv, line 2: the path holds a zero byte"):
        load_dataset(tmp_path / "list.csv", spec)


def test_other_names_of_columns_are_refused_with_the_remedy(write, spec):
    with pytest.raises(DatasetError, match=r"found image,label: lacks path: rename the columns that hold them"):
        load_dataset(write(["image,label", "a.png,3"], "train_labels.csv"), spec)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_fer2013_as_a_spreadsheet_saves_it(separator, encoding, fer2013_lines, faces, spec, tmp_path):
    file = tmp_path / "mine.csv"
    lines = [f"{number - 1 if number else ''},{line}" for number, line in enumerate(fer2013_lines)]
    file.write_bytes("\r\n".join(lines).replace(",", separator).encode(encoding))
    np.testing.assert_array_equal(load_dataset(file, spec, counts="any").images, faces)


def test_kaggles_file_is_found_in_its_folder(fer2013_lines, faces, write, spec, tmp_path):
    lines = []
    for line in fer2013_lines:
        emotion, pixels, usage = line.split(",")
        lines.append(f"{emotion}, {usage}, {pixels}")  # its columns, and their blanks
    write(lines, "icml/icml_face_data.csv")
    write(fer2013_lines[:3], "icml/train.csv")
    np.testing.assert_array_equal(load_dataset(tmp_path / "icml", spec, counts="any").images, faces)
    write(lines, "root/fer2013/icml_face_data.csv")
    found = load_dataset("fer2013", spec, counts="any", root=tmp_path / "root")
    np.testing.assert_array_equal(found.images, faces)


def test_parts_without_usage(fer2013_lines, faces, write, spec, tmp_path):
    without = [line.rpartition(",")[0] for line in fer2013_lines]
    write(without[:5], "parts/train.csv")
    write([without[0], *without[5:]], "parts/test.csv")
    with pytest.raises(DatasetError, match=r"train\.csv, test\.csv without Usage, and not FER2013 .*--counts any"):
        load_dataset(tmp_path / "parts", spec)
    dataset = load_dataset(tmp_path / "parts", spec, counts="any")
    np.testing.assert_array_equal(dataset.images, faces)
    assert dataset.splits.tolist() == ["train"] * 4 + ["test"] * 3
    with pytest.raises(DatasetError, match=r"train\.csv has no column Usage.*--counts any"):
        load_dataset(tmp_path / "parts/train.csv", spec)
    assert len(load_dataset(tmp_path / "parts/train.csv", spec, counts="any")) == 4


def test_kaggles_test_without_labels_is_counted(fer2013_lines, write, spec, tmp_path):
    write([line.rpartition(",")[0] for line in fer2013_lines], "parts/train.csv")
    write([line.split(",")[1] for line in fer2013_lines[:4]], "parts/test.csv")
    dataset = load_dataset(tmp_path / "parts", spec, counts="any")
    assert (len(dataset), dataset.left_out) == (7, {"without an emotion (test.csv)": 3})
    (tmp_path / "parts/train.csv").unlink()
    with pytest.raises(DatasetError, match=r"test\.csv has no column emotion.*icml_face_data\.csv"):
        load_dataset(tmp_path / "parts", spec, counts="any")
    with pytest.raises(DatasetError, match="emotion missing"):
        load_dataset(tmp_path / "parts/test.csv", spec, counts="any")
