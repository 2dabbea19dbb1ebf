"""What programs hand over and what they get: every kind of picture, tables, drawings, pickles."""

from __future__ import annotations

import io
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

import mien
from mien import Recognizer
from mien.core.errors import MienError, ModelError, PictureError
from mien.core.picture_input import to_picture


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer("tiny", detector="haar")


@pytest.fixture
def photo(portrait, tmp_path):
    path = tmp_path / "photo.png"
    assert cv2.imwrite(str(path), portrait[..., ::-1])
    return path


def same(frame, other):
    assert [face.to_dict() for face in frame.faces] == [face.to_dict() for face in other.faces]
    assert len(frame.faces) == 1


def test_every_kind_of_picture_reads_alike(recognizer, portrait, photo):
    expected = recognizer.read(photo)
    data = photo.read_bytes()
    with_alpha = np.dstack([portrait, np.full(portrait.shape[:2], 255, np.uint8)])
    with photo.open("rb") as file, Pillow.open(photo) as image:
        for given in (str(photo), data, bytearray(data), memoryview(data), io.BytesIO(data), file, image, portrait):
            same(recognizer.read(given), expected)
    same(recognizer.read(with_alpha), expected)
    same(recognizer.read(portrait[..., ::-1], order="bgr"), expected)
    same(recognizer.read(with_alpha[..., [2, 1, 0, 3]], order="bgr"), expected)
    same(next(recognizer.read_many([portrait[..., ::-1]], order="bgr")), expected)


def test_grey_arrays_of_either_shape_read_alike(recognizer, portrait):
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    same(recognizer.read(grey), recognizer.read(grey[..., None]))


def test_hidden_pixels_stay_hidden():
    array = np.zeros((2, 2, 4), np.uint8)
    array[..., :3] = (200, 10, 10)
    assert (to_picture(array) == 255).all()
    assert (to_picture(Pillow.fromarray(array)) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "LA", "PA", "RGBX"])
def test_pil_images_of_every_mode_are_pictures(mode, portrait):
    small = Pillow.fromarray(portrait[:32, :40])
    if mode == "I;16":
        image = Pillow.fromarray(np.arange(32 * 40, dtype=np.uint16).reshape(32, 40) * 50)
    else:
        image = small.convert("RGBA").convert(mode) if mode in ("LA", "PA") else small.convert(mode)
    found = to_picture(image)
    assert found.shape == (32, 40, 3)
    assert found.dtype == np.uint8


def test_a_pil_image_stands_upright_as_its_file_would(tmp_path, portrait):
    path = tmp_path / "turned.jpg"
    image = Pillow.fromarray(portrait[:64, :40])
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif, quality=95)
    with Pillow.open(path) as opened:
        assert to_picture(opened).shape == to_picture(path).shape == (40, 64, 3)


class Tensor:
    __module__ = "torch"

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Tensor((3, 4, 5), "torch.float32"), r"tensor\.permute\(1, 2, 0\)\.mul\(255\)\.round\(\)\.byte\(\)\.cpu\(\)"),
        (Tensor((4, 5, 3), "torch.uint8"), r"tensor\.cpu\(\)\.numpy\(\)"),
        ([1, 2], "read several with read_many"),
        (None, "a picture is a path"),
        (7, "a picture is a path"),
        (np.zeros((4, 4, 3)), "got float64; if its values are 0 to 1"),
        (np.zeros((4, 4, 2), np.uint8), "got shape"),
        (np.zeros((4, 4, 5), np.uint8), "got shape"),
        (np.zeros((0, 4, 4), np.uint8), "got shape"),
        (np.zeros((2, 4, 4, 3), np.uint8), "got shape"),
        (b"", "the bytes given: the file is empty"),
        (b"no picture", "the bytes given: not a picture"),
        (io.StringIO("text"), "open it with open"),
        (Pillow.new("F", (4, 4)), "mode F has no known white"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_remedy(given, said, recognizer):
    with pytest.raises(PictureError, match=said):
        recognizer.read(given)


def test_a_closed_file_is_refused(photo, recognizer):
    file = photo.open("rb")
    file.close()
    with pytest.raises(PictureError, match="cannot be read"):
        recognizer.read(file)


def test_a_pil_image_larger_than_the_limit_is_refused():
    with pytest.raises(PictureError, match="megapixels"):
        to_picture(Pillow.new("RGB", (100, 100)), max_pixels=9_999)


def test_another_order_is_refused(recognizer, portrait):
    with pytest.raises(ValueError, match="'rgb' or 'bgr', got 'gbr'"):
        recognizer.read(portrait, order="gbr")


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "8", None])
def test_a_batch_that_is_none_is_refused_at_once(batch, recognizer, portrait):
    with pytest.raises(ValueError, match="batch is a whole number of pictures"):
        recognizer.read_many([portrait], batch=batch)


def test_read_many_wants_several(recognizer, photo):
    with photo.open("rb") as file, Pillow.open(photo) as image:
        for one in (str(photo), photo, photo.read_bytes(), file, image):
            with pytest.raises(PictureError, match="takes several pictures"):
                recognizer.read_many(one)


def test_azure_computes_nothing_here():
    with pytest.raises(ModelError, match="'azure' is not available; available here: cpu"):
        Recognizer("tiny", provider="azure")


def test_a_frame_draws_and_saves_itself(recognizer, portrait, photo, tmp_path):
    for frame in (recognizer.read(photo), recognizer.read(portrait), next(recognizer.read_many([photo]))):
        drawn = frame.annotate()
        np.testing.assert_array_equal(drawn, mien.annotate(portrait, frame))
        assert (drawn != portrait).any()
        saved = frame.save(tmp_path / "out.png")
        np.testing.assert_array_equal(cv2.imread(str(saved))[..., ::-1], drawn)
        assert frame._repr_png_().startswith(b"\x89PNG")
    assert frame.save(tmp_path / "out.jpg").stat().st_size > 1000


def test_a_frame_that_does_not_know_its_picture_asks_for_it(recognizer, portrait, photo, tmp_path):
    frame = next(recognizer.read_many([portrait]))
    with pytest.raises(PictureError, match=r"frame\.annotate\(picture\)"):
        frame.annotate()
    assert frame._repr_png_() is None
    assert frame.annotate(portrait).shape == portrait.shape
    gone = recognizer.read(photo)
    photo.unlink()
    with pytest.raises(PictureError, match="no such file"):
        gone.annotate()
    photo.touch()
    for name, said in (("out.xyz", "one of the endings"), ("photo.png/out.png", "cannot be written")):
        with pytest.raises(MienError, match=said):
            recognizer.read(portrait).save(tmp_path / name)


def test_a_frame_is_not_saved_over_its_picture(recognizer, photo):
    with pytest.raises(MienError, match="is the picture itself"):
        recognizer.read(photo).save(photo)


def test_tables_of_pictures(recognizer, photo, portrait):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = recognizer.read(photo)
    table = frame.to_pandas()
    assert list(table["source"]) == [str(photo)]
    assert table["confidence"][0] == pytest.approx(frame.faces[0].reading.confidence, abs=1e-5)
    assert table["face"].dtype.kind == "i"
    many = mien.to_pandas(recognizer.read_many([photo, portrait, np.zeros((50, 50, 3), np.uint8)]))
    assert isinstance(many, pandas.DataFrame)
    wide = mien.to_polars([frame, frame])
    assert wide.height == 2
    assert wide["happy"].dtype == polars.Float64
    assert wide.columns == list(table.columns)


def test_tables_of_a_stream():
    pytest.importorskip("pandas")
    from runtime.stream_toys import lesson

    table = mien.to_pandas(lesson())
    assert table["time"].dtype.kind == "f"
    assert set(table["row"]) == {"face", "empty", "event"}
    assert table["detected"].dropna().isin([True, False]).all()


def test_a_missing_package_is_named(recognizer, portrait, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MienError, match="pip install supervision"):
        recognizer.read(portrait).to_supervision()


def test_detections_of_supervision(recognizer, portrait):
    pytest.importorskip("supervision")
    frame = recognizer.read(portrait)
    found = frame.to_supervision()
    box = frame.faces[0].box
    assert found.xyxy[0] == pytest.approx([box.x, box.y, box.x + box.width, box.y + box.height])
    assert found.data["class_name"][0] == frame.faces[0].reading.expression
    assert len(recognizer.read(np.zeros((50, 50, 3), np.uint8)).to_supervision()) == 0


def _read_elsewhere(recognizer, path):
    return [face.to_dict() for face in recognizer.read(path).faces]


def test_a_recogniser_goes_to_another_process(photo):
    given = Recognizer(["tiny", "small"], detector="haar", min_size=50, threads=2)
    copy = pickle.loads(pickle.dumps(given))
    same(copy.read(photo), given.read(photo))
    assert copy.reader.names == ("tiny", "small")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(_read_elsewhere, Recognizer("tiny", detector="haar"), Path(photo)).result()
    assert there == _read_elsewhere(Recognizer("tiny", detector="haar"), photo)


def test_an_open_model_is_pickled_with_its_recogniser(photo):
    model = Recognizer("tiny", detector="haar").models[0]
    given = Recognizer(model, detector="haar")
    same(pickle.loads(pickle.dumps(given)).read(photo), given.read(photo))
