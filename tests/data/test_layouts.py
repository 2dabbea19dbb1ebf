"""Readers of published datasets, over files generated in their owners' layouts: names and folders true, pixels made."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.core.errors import DatasetError
from mien.core.expression import FER2013, FERPLUS
from mien.core.face import Box, Face
from mien.core.pictures import read_picture
from mien.core.preprocess import InputSpec, crop_face
from mien.data.layout import WHOLE
from mien.data.load import LAYOUTS, NAMES, find_faces, load_dataset

JAFFE_CODES = dict(zip(FER2013, ("AN", "DI", "FE", "HA", "SA", "SU", "NE"), strict=True))
KDEF_CODES = dict(zip(FER2013, ("AN", "DI", "AF", "HA", "SA", "SU", "NE"), strict=True))
RAFD = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral", "contemptuous")
RAFD_WORDS = dict(zip(FERPLUS, RAFD, strict=True))
CK_SEQUENCES = {1: 45, 2: 18, 3: 59, 4: 25, 5: 69, 6: 28, 7: 83}
CK_WORDS = {1: "anger", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sadness", 7: "surprise"}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def make_jaffe(folder):
    serial = 0
    for label, amount in LAYOUTS["jaffe"].pictures.items():
        for index in range(amount):
            serial += 1
            person = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")[index % 10]
            touch(folder / f"{person}.{JAFFE_CODES[label]}{index // 10 + 1}.{serial}.tiff")
    (folder / "README_FIRST.txt").write_text("semantic ratings")


def make_kdef(folder):
    for session in "AB":
        for person in [f"{gender}{number:02}" for gender in "FM" for number in range(1, 36)]:
            for code in KDEF_CODES.values():
                for angle in ("FL", "HL", "S", "HR", "FR"):
                    name = f"{session}{person}{code}{angle}.JPG"
                    name = {"AF31SAHL.JPG": "AF31V.JPG", "AM31SUHR.JPG": "AM31H.JPG"}.get(name, name)
                    touch(folder / f"{session}{person}" / name)


def make_rafd(folder):
    folder.mkdir(parents=True)
    for angle in ("000", "045", "090", "135", "180"):
        for model in range(1, 68):
            for word in RAFD_WORDS.values():
                for gaze in ("frontal", "left", "right"):
                    origin = "Kid_female" if model < 7 else "Moroccan_male" if model > 49 else "Caucasian_male"
                    (folder / f"Rafd{angle}_{model:02}_{origin}_{word}_{gaze}.jpg").touch()


def ck_sequences():
    """Person, sequence and code of CK+'s 327 labelled sequences, spread over its 118 persons."""
    codes = [code for code, amount in CK_SEQUENCES.items() for _ in range(amount)]
    return [(f"S{5 + index % 118:03}", f"{index // 118 + 1:03}", code) for index, code in enumerate(codes)]


def make_ckplus(folder, *, sequences=None):
    for index, (person, number, code) in enumerate(ck_sequences()[:sequences]):
        length = 6 + index % 9
        for frame in range(1, length + 1):
            touch(folder / "cohn-kanade-images" / person / number / f"{person}_{number}_{frame:08}.png")
        label = folder / "Emotion" / person / number / f"{person}_{number}_{length:08}_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code}.0000000e+00\n")
    touch(folder / "cohn-kanade-images" / "S005" / "009" / "S005_009_00000001.png")  # a sequence without a label
    (folder / "Emotion" / "S005" / "009").mkdir(parents=True)
    touch(folder / "cohn-kanade-images" / "S005" / "001" / ".DS_Store")


def make_ck48(folder):
    for person, number, code in ck_sequences():
        for frame in (15, 16, 17):
            touch(folder / CK_WORDS[code] / f"{person}_{number}_{frame:08}.png")


def make_mug(folder, words=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")):
    for person in range(1, 53):
        for word in words:
            place = folder / f"{person:03}" / (f"session{person % 2}" if person > 50 else "") / word / "take000"
            for frame in range(9):
                touch(place / f"img_{frame:04}.jpg")


MAKERS = {
    "jaffe": make_jaffe,
    "kdef": make_kdef,
    "rafd": make_rafd,
    "ckplus": make_ckplus,
    "ck48": make_ck48,
    "mug": make_mug,
}
PLACES = {"kdef": "KDEF_and_AKDEF/KDEF", "ckplus": "CK+", "ck48": "CK+48", "mug": "MUG/subjects3"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    for name, make in MAKERS.items():
        make(folder / PLACES.get(name, name))
    return folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_whole_is_found_by_name_and_counted(name, root):
    index = LAYOUTS[name].named(root)
    assert (index.name, set(index.splits)) == (name, {WHOLE})
    assert len(set(index.metadata["subject"].tolist())) == LAYOUTS[name].persons
    expected = LAYOUTS[name].pictures or dict.fromkeys(FER2013, 52 * 3)
    assert Counter(index.expressions) == Counter(expected)
    assert index.licence == LAYOUTS[name].licence
    assert index.whole is (name != "ck48")


@pytest.mark.parametrize(
    ("name", "pictures"), [("jaffe", 213), ("kdef", 4900), ("rafd", 8040), ("ckplus", 4 * 327), ("ck48", 981)]
)
def test_published_totals(name, pictures):
    assert sum(LAYOUTS[name].pictures.values()) == pictures


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_is_recognised_by_its_layout(name, root):
    found = [layout.name for layout in LAYOUTS.values() if layout.index(root / PLACES.get(name, name), whole=False)]
    assert found == [name]


def test_columns_of_kdef(root):
    index = LAYOUTS["kdef"].named(root)
    rows = dict(zip((file.name for file in index.files), range(len(index.files)), strict=True))
    for file, expression, column in (
        ("BM03AFHR.JPG", "fear", ("M03", "B", "HR")),
        ("AF31V.JPG", "sad", ("F31", "A", "HL")),  # misnamed by its owners
        ("AM31H.JPG", "surprise", ("M31", "A", "HR")),
    ):
        assert index.expressions[rows[file]] == expression
        assert tuple(index.metadata[name][rows[file]] for name in ("subject", "session", "angle")) == column


def test_columns_of_rafd(root):
    index = LAYOUTS["rafd"].named(root)
    row = [file.name for file in index.files].index("Rafd090_28_Caucasian_male_contemptuous_left.jpg")
    assert index.expressions[row] == "contempt"
    assert [index.metadata[name][row] for name in ("subject", "angle", "gaze")] == ["28", "090", "left"]
    assert set(index.metadata) == {"file", "subject", "angle", "gaze"}  # what a face shows, not who it belongs to


def test_ckplus_takes_the_last_three_frames_and_the_first(root):
    index = LAYOUTS["ckplus"].named(root)
    rows = np.flatnonzero(index.metadata["sequence"] == "S006/001")
    assert [index.files[row].name for row in rows] == [
        f"S006_001_{frame:08}.png" for frame in (1, 5, 6, 7)
    ]  # the second sequence has 7 frames
    assert [index.expressions[row] for row in rows] == ["neutral", "angry", "angry", "angry"]


def test_mug_takes_the_middle_frames(root):
    index = LAYOUTS["mug"].named(root)
    rows = np.flatnonzero(index.metadata["sequence"] == "051/session1/fear/take000")
    assert [index.files[row].name for row in rows] == ["img_0003.jpg", "img_0004.jpg", "img_0005.jpg"]
    assert set(index.metadata["subject"][rows]) == {"051"}


def test_a_part_goes_by_path_and_says_so(tmp_path):
    make_jaffe(tmp_path / "jaffe")
    (tmp_path / "jaffe" / "KA.AN1.1.tiff").unlink()
    (tmp_path / "jaffe" / "notes.tiff").touch()
    with pytest.raises(DatasetError, match=r"is not JAFFE .*angry: expected 30, found 29: .*give its path"):
        LAYOUTS["jaffe"].find(tmp_path)
    assert LAYOUTS["ckplus"].find(tmp_path) is None
    part = LAYOUTS["jaffe"].index(tmp_path / "jaffe", whole=False)
    assert part.name == "jaffe (part: 212 pictures)"
    assert part.left_out == {".txt": 1, "named otherwise than its owners name pictures": 1}


def test_missing_persons_are_noticed(tmp_path):
    make_mug(tmp_path / "mug", ["fear"])
    (tmp_path / "mug" / "007").rename(tmp_path / "mug" / "x")
    with pytest.raises(DatasetError, match="persons: expected 52, found 51"):
        LAYOUTS["mug"].named(tmp_path)


def test_takes_of_no_expression_are_counted(tmp_path):
    make_mug(tmp_path / "mug", ["fear"])
    touch(tmp_path / "mug" / "001" / "mixed" / "take000" / "img_0000.jpg")
    assert LAYOUTS["mug"].named(tmp_path).left_out == {"takes of no single expression": 1}


@pytest.mark.parametrize("name", LAYOUTS)
def test_absent(name, tmp_path, spec):
    with pytest.raises(DatasetError, match=rf"{name} is not there; looked for .*MIEN_DATA.*owners' to give"):
        load_dataset(name, spec, root=tmp_path)


@pytest.mark.parametrize("content", ["", "9.0", "2.5", "happy", "é"])
def test_a_damaged_emotion_file(content, tmp_path):
    make_ckplus(tmp_path / "ck+", sequences=2)
    file = next((tmp_path / "ck+" / "Emotion" / "S005" / "001").iterdir())
    file.write_text(content, encoding="utf-8")
    with pytest.raises(
        DatasetError, match=r"_emotion\.txt: expected one of 0 \(neutral\), 1 \(angry\), 2 \(contempt\)"
    ):
        LAYOUTS["ckplus"].named(tmp_path)


def test_a_label_without_its_frames(tmp_path):
    make_ckplus(tmp_path / "ck+", sequences=2)
    (tmp_path / "ck+" / "cohn-kanade-images" / "S005" / "001" / "S005_001_00000006.png").unlink()
    with pytest.raises(DatasetError, match=r"S005/001, which has 5 pictures and no frame S005_001_00000006"):
        LAYOUTS["ckplus"].named(tmp_path)


class Marked:
    """Finds the bright square that a picture was made with, as a detector would find a face."""

    def __init__(self, name="marked"):
        self.name = name
        self.asked = 0

    def detect(self, picture):
        self.asked += 1
        rows, columns = np.nonzero(picture[..., 0] > 200)
        if not len(rows):
            return []
        side = float(rows.max() - rows.min() + 1)
        return [Face(Box(float(columns.min()), float(rows.min()), side, side), 0.9), Face(Box(0, 0, 5, 5), 0.9)]


@pytest.fixture
def whole(tmp_path):
    """Two persons of JAFFE in 256 x 256 pictures, each with a marked face; the last picture has none."""
    random = np.random.default_rng(5)
    names = ["KA.AN1.39", "KA.HA1.29", "KL.AN1.167", "KL.HA1.158", "KL.NE1.155"]
    for index, name in enumerate(names):
        canvas = random.integers(0, 100, (256, 256), dtype=np.uint8)
        if index < 4:
            canvas[60 : 160 + index, 80 : 180 + index] = random.integers(201, 255, (100 + index, 100 + index))
        (tmp_path / "two").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "two" / f"{name}.tiff"), canvas)
    return tmp_path / "two"


def test_whole_pictures_are_cropped_by_the_faces_that_are_found(whole):
    spec = InputSpec(align="box")
    dataset = load_dataset(whole, spec, detector=Marked())
    assert dataset.name == "jaffe (part: 5 pictures)"
    assert (dataset.labels, dataset.splits.tolist()) == (("angry", "happy", "neutral"), [WHOLE] * 4)
    assert (dataset.left_out, dataset.rows.tolist()) == ({"no face found": 1}, [0, 1, 2, 3])
    assert dataset.detector == "marked"
    assert dataset.metadata["subject"].tolist() == ["KA", "KA", "KL", "KL"]
    picture = read_picture(whole / "KA.HA1.29.tiff")
    np.testing.assert_array_equal(dataset.images[1], crop_face(picture, Marked().detect(picture)[0], spec))
    assert dataset.images.min() > 200  # the face alone


def test_faces_are_found_once_and_then_need_no_detector(whole):
    first = Marked()
    small = load_dataset(whole, InputSpec(align="box"), detector=first)
    large = load_dataset(whole, InputSpec(size=96, align="box"), detector=first)
    assert first.asked == 5
    np.testing.assert_array_equal(load_dataset(whole, InputSpec(align="box")).images, small.images)
    np.testing.assert_array_equal(load_dataset(whole, InputSpec(size=96, align="box")).images, large.images)
    again = load_dataset(whole, InputSpec(align="box"))
    assert (again.left_out, again.detector) == ({"no face found": 1}, "marked")


def test_faces_can_be_found_before_a_dataset_is_loaded(whole, picture, tmp_path):
    detector = Marked()
    find_faces(whole, detector)
    assert detector.asked == 5
    assert len(load_dataset(whole, InputSpec(align="box"))) == 4
    for name in ("mine/happy/1.png", "mine/sad/2.png"):
        picture(name)
    find_faces(tmp_path / "mine", detector)  # face crops
    assert detector.asked == 5


def test_another_detector_looks_anew_and_is_the_one_that_counts(whole):
    load_dataset(whole, InputSpec(align="box"), detector=Marked())
    other = Marked("other detector/2")
    other.detect = lambda picture: [Face(Box(0, 0, 50, 50), 1.0)]
    moved = load_dataset(whole, InputSpec(align="box"), detector=other)
    assert len(moved) == 5
    np.testing.assert_array_equal(load_dataset(whole, InputSpec(align="box")).images, moved.images)


def test_a_changed_picture_is_looked_at_again(whole):
    detector = Marked()
    load_dataset(whole, InputSpec(), detector=detector)
    canvas = np.full((256, 256), 230, dtype=np.uint8)
    assert cv2.imwrite(str(whole / "KL.NE1.155.tiff"), canvas)
    assert len(load_dataset(whole, InputSpec(), detector=detector)) == 5
    assert detector.asked == 10


def test_landmarks_are_kept(whole):
    points = np.array([[100, 100], [140, 100], [120, 120], [105, 140], [135, 140]], dtype=np.float32)
    detector = SimpleNamespace(name="points", detect=lambda picture: [Face(Box(80, 80, 80, 80), 1.0, points)])
    turned = load_dataset(whole, InputSpec(), detector=detector)
    picture = read_picture(whole / "KA.AN1.39.tiff")
    expected = crop_face(picture, Face(Box(80, 80, 80, 80), 1.0, points), InputSpec())
    np.testing.assert_array_equal(turned.images[0], expected)
    np.testing.assert_array_equal(load_dataset(whole, InputSpec()).images[0], expected)


def test_whole_pictures_without_a_detector(whole, spec):
    with pytest.raises(DatasetError, match=r"nobody has looked for their faces yet: 'mien data show' does"):
        load_dataset(whole, spec)


def test_no_face_at_all(whole, spec):
    blind = SimpleNamespace(name="blind", detect=lambda picture: [])
    with pytest.raises(DatasetError, match="no face was found in any of 5 pictures"):
        load_dataset(whole, spec, detector=blind)


def test_an_unreadable_whole_picture_is_named(whole, spec):
    (whole / "KA.AN1.39.tiff").write_bytes(b"II*\x00")
    with pytest.raises(DatasetError, match=r"1 of 5 pictures cannot be read[\s\S]*KA\.AN1\.39\.tiff"):
        load_dataset(whole, spec, detector=Marked())


def test_a_label_that_was_mended_is_read_anew(tmp_path):
    for frame in range(1, 6):
        path = tmp_path / "cohn-kanade-images" / "S005" / "001" / f"S005_001_{frame:08}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((60, 60), 200 + 5 * frame, dtype=np.uint8))
    label = tmp_path / "Emotion" / "S005" / "001" / "S005_001_00000005_emotion.txt"
    label.parent.mkdir(parents=True)
    for code, expression in ((3, "disgust"), (6, "sad")):
        label.write_text(f"   {code}.0000000e+00\n")
        assert load_dataset(tmp_path, InputSpec(), detector=Marked()).counts == {expression: 3, "neutral": 1}


def test_crops_in_a_known_layout_need_no_detector(tmp_path, spec):
    random = np.random.default_rng(0)
    for name in ("anger/S010_004_00000017.png", "contempt/S138_008_00000007.png"):
        touch(tmp_path / "CK+48" / name)
        face = random.integers(0, 256, (48, 48), dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / "CK+48" / name), face)
    dataset = load_dataset(tmp_path / "CK+48", spec)
    assert dataset.metadata["subject"].tolist() == ["S010", "S138"]
    assert dataset.metadata["sequence"].tolist() == ["S010/004", "S138/008"]
    assert dataset.labels == ("angry", "contempt")


def test_class_folders_of_other_names_stay_what_they_are(picture, tmp_path, spec):
    for n in range(20):
        picture(f"mine/happy/{n}.png")
        picture(f"mine/sad/S010_004_0000{n:04}.png")
    assert load_dataset(tmp_path / "mine", spec).name == "mine"


def test_what_another_label_set_lacks_is_counted(toy):
    dataset = replace(toy([1, 2, 3, 4], [0, 3, 3, 6]), left_out={"no face found": 2})
    fewer = dataset.relabel(FER2013[:3])
    assert fewer.left_out == {
        "no face found": 2,
        "happy, which is none of the labels": 2,
        "neutral, which is none of the labels": 1,
    }
    assert len(fewer) == 1


def test_the_document_names_what_is_read():
    document = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in document.splitlines() if line.startswith("| `")}
    assert set(rows) == set(NAMES)
    for name, layout in LAYOUTS.items():
        total = f"{sum(layout.pictures.values()):,}" if layout.pictures else "not published"
        assert f" {total} | {layout.persons} |" in rows[name]
        assert rows[name].endswith("| yes |" if layout.checked else "| not yet |")


@pytest.mark.real_data
def test_the_real_jaffe(real_root):
    index = LAYOUTS["jaffe"].named(real_root)
    assert len(index.files) == 213
    people = ["KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"]
    assert sorted(set(index.metadata["subject"].tolist())) == people
    assert index.left_out == {}
