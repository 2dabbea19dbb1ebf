import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.core.expression import FER2013, FERPLUS_COLUMNS
from mien.core.preprocess import InputSpec
from mien.data import fer2013
from mien.data.load import load_dataset, load_votes, name_of

VOTES = ["Usage,Image name," + ",".join(FERPLUS_COLUMNS)] + [
    f"{usage},fer.png,0,10,0,0,0,0,0,0,0,0"
    for usage in ("Training", "Training", "Training", "PublicTest", "PrivateTest", "PrivateTest", "Training")
]


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013/fer2013.csv"])
def test_named(name, fer2013_lines, write, faces, spec, tmp_path, monkeypatch):
    write(fer2013_lines, f"root/{name}")
    np.testing.assert_array_equal(load_dataset("fer2013", spec, root=tmp_path / "root", counts="any").images, faces)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path / "root"))
    np.testing.assert_array_equal(load_dataset("fer2013", spec, counts="any").images, faces)


def test_named_ferplus(fer2013_lines, write, spec, tmp_path):
    write(fer2013_lines, "fer2013/fer2013.csv")
    write(VOTES, "fer2013/fer2013new.csv")
    dataset = load_dataset("ferplus", spec, root=tmp_path, counts="any")
    assert dataset.name == "ferplus"
    assert dataset.counts["happy"] == 7


def test_all_votes_are_read_whatever_their_majority(write, tmp_path):
    write([*VOTES, "Training,,1,2,3,0,0,0,0,0,0,4"], "fer2013/fer2013new.csv")
    table = load_votes(tmp_path)
    assert table.shape == (8, 10)
    assert table[-1].tolist() == [1, 2, 3, 0, 0, 0, 0, 0, 0, 4]
    with pytest.raises(DatasetError, match="ferplus is not there"):
        load_votes(tmp_path / "elsewhere")


def test_named_folder_must_be_fer2013(picture, spec, tmp_path):
    picture("fer2013/train/angry/im0.png")
    with pytest.raises(DatasetError, match="is not FER2013 as published: expected 35887 rows, found 1"):
        load_dataset("fer2013", spec, root=tmp_path)


def test_named_but_absent(spec, tmp_path):
    with pytest.raises(DatasetError, match=r"fer2013 is not there; looked for .*fer2013\.csv.*MIEN_DATA"):
        load_dataset("fer2013", spec, root=tmp_path)


def test_unknown_name(spec):
    with pytest.raises(DatasetError, match=r"there is no dataset 'fer2014' .* did you mean 'fer2013'\?"):
        load_dataset("fer2014", spec)


def test_unknown_name_near_a_published_dataset(spec):
    with pytest.raises(
        DatasetError, match=r"did you mean 'jaffe'\? Valid: fer2013, ferplus, ckplus, ck48, jaffe, kdef"
    ):
        load_dataset("jafe", spec)


def test_published_counts_are_the_default(fer2013_lines, write, spec):
    file = write(fer2013_lines)
    assert len(load_dataset(file, spec, counts="any")) == 7
    with pytest.raises(DatasetError, match="expected 35887 rows, found 7"):
        load_dataset(file, spec)


def test_path_of_a_file_or_of_its_folder(fer2013_lines, write, spec):
    file = write(fer2013_lines, "here/fer2013.csv")
    for path in (file, str(file), file.parent):
        assert load_dataset(path, spec, counts="any").name == "fer2013 (part: 7 pictures)"


def test_official_layout_under_another_name(fer2013_lines, write, spec):
    assert load_dataset(write(fer2013_lines, "faces.csv"), spec, counts="any").labels == FER2013


def test_official_layout_with_a_missing_column(write, spec):
    with pytest.raises(DatasetError, match="line 1: expected the columns emotion,pixels,Usage"):
        load_dataset(write(["pixels,Usage", "0,1 2 3"]), spec)


def test_votes_need_pictures(write, spec):
    with pytest.raises(DatasetError, match=r"holds votes and no pictures: FER2013's file is missing at .*fer2013\.csv"):
        load_dataset(write(VOTES, "fer2013new.csv"), spec)


def test_manifest(write, picture, spec):
    picture("a.png")
    dataset = load_dataset(write(["path,label,split", "a.png,sad,test"], "list.csv"), spec)
    assert (dataset.name, dataset.splits.tolist()) == ("list", ["test"])


def test_manifest_with_a_changed_label(write, picture, spec):
    picture("a.png")
    load_dataset(write(["path,label", "a.png,sad"], "list.csv"), spec)
    changed = load_dataset(write(["path,label", "a.png,surprise"], "list.csv"), spec)
    assert changed.labels == ("surprise",)


def test_manifest_with_a_missing_picture(write, spec):
    with pytest.raises(DatasetError, match=r"1 of 1 pictures cannot be read[\s\S]*a\.png: no such file"):
        load_dataset(write(["path,label", "a.png,sad"], "list.csv"), spec)


def test_unknown_csv(write, spec):
    with pytest.raises(DatasetError, match="expected columns path,label"):
        load_dataset(write(["a,b", "1,2"], "list.csv"), spec)


def test_folder(picture, spec, tmp_path):
    for n in range(20):
        picture(f"mine/happy/{n}.png")
        picture(f"mine/sad/{n}.png")
    dataset = load_dataset(str(tmp_path / "mine"), spec)
    assert {name: len(dataset.split(name)) for name in ("train", "validation", "test")} == {
        "train": 32,
        "validation": 4,
        "test": 4,
    }
    picture("mine/sad/new.png")
    assert len(load_dataset(tmp_path / "mine", spec)) == 41


def test_kaggle_folder(picture, spec, tmp_path):
    for label in FER2013:
        picture(f"kaggle/train/{label}/Training_1.jpg")
        picture(f"kaggle/test/{label}/PrivateTest_1.jpg")
    dataset = load_dataset(tmp_path / "kaggle", spec, counts="any")
    assert dataset.name == "fer2013 (part: 14 pictures)"
    assert len(dataset.split("private")) == 7
    with pytest.raises(DatasetError, match="expected 35887 rows, found 14"):
        load_dataset(tmp_path / "kaggle", spec)


def test_the_name_is_known_before_a_picture_is_opened(picture, fer2013_lines, write, spec, tmp_path):
    picture("mine/happy/1.png")
    picture("mine/sad/2.png")
    picture("KA.AN1.39.tiff")
    places = [tmp_path / "mine", write(["path,label", "mine/sad/2.png,sad"], "list.csv"), write(fer2013_lines)]
    for place in places:
        assert name_of(str(place), counts="any") == load_dataset(place, spec, counts="any").name
    assert name_of(places[2].parent / "fer2013new.csv") == "fer2013new"  # it is not there
    assert name_of(str(write(VOTES, "fer2013new.csv"))) == "ferplus"
    (tmp_path / "fer2013.csv").unlink()
    assert name_of(tmp_path) == "jaffe (part: 1 pictures)"
    assert (name_of("jaffe"), name_of("gone/list.csv"), name_of("gone/mine")) == ("jaffe", "list", "mine")


def test_folder_in_no_known_layout(spec, tmp_path):
    (tmp_path / "mine").mkdir()
    looked = (
        r"no known layout\. Looked for: fer2013\.csv, icml_face_data\.csv; CK\+ .*; JAFFE's pictures .*; KDEF's .*; "
        r"RaFD's .*; MUG's .*; "
    )
    with pytest.raises(DatasetError, match=looked + r"pictures in class folders .*Found: 0 folders and 0 files"):
        load_dataset(tmp_path / "mine", spec)


@pytest.mark.real_data
def test_a_second_load_reads_the_cache_alone(real_fer2013, real_root, real_cache, monkeypatch):
    monkeypatch.setattr(fer2013, "read_csv", lambda *_, **__: pytest.fail("it is read again"))
    again = load_dataset("fer2013", InputSpec(), root=real_root, cache=real_cache)
    np.testing.assert_array_equal(again.images, real_fer2013.images)
