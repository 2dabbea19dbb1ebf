"""Training and use read a file alike: the same pixels, or the same words of refusal."""

from __future__ import annotations

import csv
import os
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from core import encoded
from mien import Recognizer
from mien.core.errors import DatasetError, PictureError, UnreadablePictureError
from mien.core.picture_files import ENDINGS, iter_pictures
from mien.core.pictures import decode_picture, read_picture
from mien.core.preprocess import InputSpec, crop_picture
from mien.data.class_folders import index_folder
from mien.data.load import load_dataset
from runtime.toys import png_header

SPEC = InputSpec(size=encoded.SIDE, channels=3, mean=(129.0,) * 3, std=(65.0,) * 3)
LOSSY = ("JPEG", "WEBP, turned", "AVIF", "HEIC")


class Shown:
    """A detector that finds nothing, and keeps what it was shown."""

    name = "shown"

    def detect(self, picture: np.ndarray) -> list[object]:
        self.picture = picture
        return []


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("tiny", detector=Shown())


def in_training(path: Path, spec: InputSpec = SPEC) -> np.ndarray:
    """The picture as a dataset has it that a CSV manifest lists."""
    manifest = path.with_suffix(".csv")
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split"), (path.name, "happy", "train")])
    (image,) = load_dataset(manifest, spec, cache=path.parent / "cache").images
    return image


def in_use(recognizer: Recognizer, path: Path) -> np.ndarray:
    """The picture as a detector gets it."""
    recognizer.read(path)
    return recognizer.detector.picture


def agree(path: Path, recognizer: Recognizer) -> np.ndarray:
    """The picture, which both chains read alike, by path and as bytes, in colour and in grey."""
    picture = in_use(recognizer, path)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(read_picture(path), picture)
    np.testing.assert_array_equal(decode_picture(path.read_bytes(), "x"), picture)
    np.testing.assert_array_equal(in_training(path), crop_picture(picture, SPEC))
    grey = InputSpec(size=encoded.SIDE)
    np.testing.assert_array_equal(in_training(path, grey), crop_picture(picture, grey))
    return picture


@pytest.mark.parametrize("name", encoded.WHOLE)
def test_both_chains_read_what_pillow_reads(name, tmp_path, recognizer):
    data = encoded.WHOLE[name]()
    (tmp_path / "x.any").write_bytes(data)
    picture, expected = agree(tmp_path / "x.any", recognizer), encoded.upright(data)
    assert picture.shape == expected.shape
    away = np.abs(picture.astype(int) - expected)
    assert away.max() <= 1 or (name.startswith(LOSSY) and away.mean() < 1)


@pytest.mark.parametrize("name", encoded.DEEP)
def test_many_bits_are_scaled_to_eight(name, tmp_path, recognizer):
    data, expected = encoded.DEEP[name]()
    (tmp_path / "x.any").write_bytes(data)
    assert np.abs(agree(tmp_path / "x.any", recognizer).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", encoded.HEIC)
def test_heic_stands_as_it_was_taken(name, tmp_path, recognizer):
    pytest.importorskip("pillow_heif")
    data, expected = encoded.HEIC[name]()
    (tmp_path / "x.heic").write_bytes(data)
    picture = agree(tmp_path / "x.heic", recognizer)
    assert np.abs(picture.astype(int) - expected).mean() < 3


def cut(kind: str, share: float, **options: object) -> bytes:
    data = encoded.heic(encoded.rgb()) if kind == "HEIC" else encoded.save(encoded.rgb(), kind, **options)
    return data[: int(len(data) * share)]


BROKEN = {
    f"{kind} cut at {share}": (lambda kind=kind, share=share: cut(kind, share))
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "AVIF", "HEIC")
    for share in (0.1, 0.5, 0.99)
} | {
    "empty": lambda: b"",
    "text": lambda: b"only text, under the name of a picture\n" * 9,
    "a film": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 64,
    "JPEG 2000 of grey and alpha": lambda: encoded.save(encoded.grey_alpha(), "JPEG2000"),
    "TIFF of grey and alpha": lambda: encoded.save(encoded.grey_alpha(), "TIFF"),
    "TIFF of floats": lambda: encoded.with_opencv(".tiff", np.ones((8, 8), np.float32)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_both_chains_refuse_in_the_same_words(name, tmp_path, recognizer, capfd):
    path = tmp_path / "x.png"
    path.write_bytes(BROKEN[name]())
    refused(path, recognizer)
    assert capfd.readouterr().err == ""


def test_both_chains_refuse_what_is_not_there(tmp_path, recognizer):
    refused(tmp_path / "gone.png", recognizer)


def test_both_chains_keep_to_one_limit(tmp_path, recognizer):
    (tmp_path / "huge.png").write_bytes(png_header(20_000, 20_000))
    refused(tmp_path / "huge.png", recognizer)


def refused(path: Path, recognizer: Recognizer) -> str:
    with pytest.raises(PictureError) as use:
        recognizer.read(path)
    with pytest.raises(PictureError) as here:
        read_picture(path)
    with pytest.raises(DatasetError) as training:
        in_training(path)
    assert type(use.value) is type(here.value)
    assert str(use.value) == str(here.value)
    assert str(training.value).endswith(f"remove or replace them:\n  {use.value}")
    return str(use.value)


@pytest.mark.parametrize(("kind", "missing"), [("AVIF", "PIL"), ("HEIC", "pillow_heif")])
def test_a_missing_decoder_is_named_with_its_extra(kind, missing, tmp_path, recognizer, monkeypatch):
    data = encoded.save(encoded.rgb(), "AVIF") if kind == "AVIF" else encoded.heic(encoded.rgb())
    monkeypatch.setitem(sys.modules, missing, None)
    path = tmp_path / "mine" / "happy" / f"x.{kind.lower()}"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    said = refused(path, recognizer)
    assert str(path) in said
    assert f"reading {kind} needs pillow" in said
    assert "pip install 'mien[heif]'" in said
    with pytest.raises(DatasetError) as folder:
        load_dataset(tmp_path / "mine", SPEC, cache=tmp_path / "cache")
    assert said in str(folder.value)
    errors = []
    list(recognizer.read_many([path], on_error=lambda _, error: errors.append(error)))
    assert [(type(error), str(error)) for error in errors] == [(UnreadablePictureError, said)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_found_in_a_folder_by_both_chains(ending, tmp_path):
    path = tmp_path / "disgust" / f"x{ending.upper()}"
    path.parent.mkdir()
    path.touch()
    assert list(iter_pictures([tmp_path])) == [path]
    assert list(index_folder(tmp_path).files) == [path]


@pytest.mark.real_data
def test_jaffe_as_it_was_read_before():
    """Its TIFFs, as OpenCV's colour flag gives them, which the bundled figures are from."""
    files = sorted(Path(os.environ.get("MIEN_DATA", "none"), "jaffe").glob("*.tiff"))
    if not files:
        pytest.skip("MIEN_DATA is not set, or holds no JAFFE")
    for file in files[::10]:
        np.testing.assert_array_equal(read_picture(file), cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB))


@pytest.mark.parametrize("grey", [True, False])
def test_a_png_of_ckplus_as_it_was_read_before(grey, tmp_path):
    """Some of its frames are grey, some in colour, 640 x 490 pixels."""
    frame = np.random.default_rng(0).integers(0, 256, (490, 640) if grey else (490, 640, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), frame)
    before = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), before)


def test_the_page_names_every_ending():
    page = (Path(__file__).parents[2] / "docs" / "preprocessing.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| found in folders")]
    assert tuple(re.findall(r"`(\.\w+)`", row)) == ENDINGS
