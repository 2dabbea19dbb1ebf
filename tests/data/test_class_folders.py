import pytest

from mien.core.errors import DatasetError, LabelError
from mien.core.expression import Expression
from mien.data.class_folders import index_folder


def test_class_folders(picture, tmp_path):
    for name in ("Happiness/b.PNG", "Happiness/a.jpg", "sad/c.bmp", "sad/notes.txt.webp"):
        picture(f"mine/{name}")
    (tmp_path / "mine/sad/notes.txt").write_text("no picture")
    (tmp_path / "mine/.git").mkdir()
    (tmp_path / "mine/__MACOSX").mkdir()
    (tmp_path / "mine/.git/index.png").touch()
    (tmp_path / "mine/__MACOSX/._a.jpg").touch()
    index = index_folder(tmp_path / "mine")
    assert index.name == "mine"
    assert index.splits is None
    assert index.metadata["file"].tolist() == ["Happiness/a.jpg", "Happiness/b.PNG", "sad/c.bmp", "sad/notes.txt.webp"]
    assert list(index.expressions) == [Expression.HAPPY] * 2 + [Expression.SAD] * 2
    assert index.left_out == {".txt": 1, "hidden": 1, "in __MACOSX": 1}


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_no_file_vanishes_without_a_word(prefix, picture, tmp_path):
    picture(f"mine/{prefix}happy/1.png")
    for name in ("happy/2.gif", "happy/3.svg", "happy/README", "happy/more/4.png", "happy/.DS_Store", "5.PNG", "a.svg"):
        (tmp_path / "mine" / prefix / name).parent.mkdir(exist_ok=True)
        (tmp_path / "mine" / prefix / name).touch()
    index = index_folder(tmp_path / "mine")
    assert [file.name for file in index.files] == ["1.png", "2.gif", "4.png"]
    assert index.left_out == {
        ".svg": 2,
        "without an ending": 1,
        "hidden": 1,
        f"beside the class folders ({prefix}5.PNG)": 1,
    }


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_a_class_that_loses_all_its_pictures_is_named(prefix, picture, tmp_path):
    picture(f"mine/{prefix}happy/1.png")
    for name in ("1.svg", "2.svg", ".3.png"):
        (tmp_path / "mine" / prefix / "sad").mkdir(exist_ok=True)
        (tmp_path / "mine" / prefix / "sad" / name).touch()
    with pytest.raises(DatasetError, match=r"sad: the class sad has no picture, 3 files left out: 2 \.svg, 1 hidden"):
        index_folder(tmp_path / "mine")


def test_pictures_below_a_class_are_of_that_class(picture, tmp_path):
    for name in ("train/happy/ann/1.png", "train/happy/ann/day two/2.png", "train/happy/3.png", "test/sad/4"):
        picture(f"mine/{name}.png" if "." not in name else f"mine/{name}")
    index = index_folder(tmp_path / "mine")
    assert index.metadata["file"].tolist() == [
        "test/sad/4.png",
        "train/happy/3.png",
        "train/happy/ann/1.png",
        "train/happy/ann/day two/2.png",
    ]
    assert list(index.expressions) == ["sad", "happy", "happy", "happy"]


def test_split_folders(picture, tmp_path):
    for name in ("train/angry/1.png", "val/angry/1.png", "val/fearful/2.png"):
        picture(f"mine/{name}")
    index = index_folder(tmp_path / "mine")
    assert list(index.splits) == ["train", "val", "val"]
    assert list(index.expressions) == ["angry", "angry", "fear"]


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_unknown_class(prefix, picture, tmp_path):
    picture(f"mine/{prefix}happy/1.png")
    picture(f"mine/{prefix}hapy/1.png")
    with pytest.raises(LabelError, match=r"hapy: unknown expression 'hapy': did you mean 'happy'\?.*rename the folder"):
        index_folder(tmp_path / "mine")


def test_class_folders_without_pictures(tmp_path):
    (tmp_path / "mine/happy").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"mine holds no pictures: files that end in \.jpg"):
        index_folder(tmp_path / "mine")


def test_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"in no known layout\. Looked for: .* Found: 0 folders and 0 files"):
        index_folder(tmp_path)


def test_folder_of_loose_pictures(picture, tmp_path):
    picture("mine/1.png")
    (tmp_path / "mine/other").mkdir()
    with pytest.raises(DatasetError, match=r"Found: 1 folders and 1 files \(other/, 1\.png\)\. Rename the folders"):
        index_folder(tmp_path / "mine")


def test_missing_folder(tmp_path):
    with pytest.raises(DatasetError, match="there is no folder"):
        index_folder(tmp_path / "none")
