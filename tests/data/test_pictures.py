import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from mien.core.errors import DatasetError, UnreadablePictureError
from mien.core.expression import Expression
from mien.data.pictures import PictureIndex, decode


def test_rgb(picture):
    red = np.zeros((9, 7, 3), dtype=np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    assert decode(picture("red.png", red))[0, 0].tolist() == [255, 0, 0]


def test_grey_keeps_its_values(picture, spec):
    grey = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48).astype(np.uint8)
    file = picture("grey.png", grey)
    index = PictureIndex(name="one", origin=file, files=[file], expressions=[Expression.SAD], splits=["train"])
    np.testing.assert_array_equal(index.read(spec).images[0], grey)


def test_turned_upright(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert decode(tmp_path / "turned.jpg").shape == (40, 20, 3)


def cut_jpeg():
    encoded = io.BytesIO()
    Pillow.effect_noise((64, 64), 50).save(encoded, "JPEG")
    return encoded.getvalue()[:1500]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"only text", "cut short, or no picture"), (cut_jpeg(), "cut short")]
)
def test_unreadable(content, message, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(UnreadablePictureError, match=rf"bad\.jpg: {message}"):
        decode(tmp_path / "bad.jpg")


def test_unreadable_for_opencv(picture, monkeypatch):
    def refuse(*_):
        raise cv2.error("too many pixels")

    file = picture("large.png")
    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(UnreadablePictureError, match=r"large\.png"):
        decode(file)


def test_all_unreadable_pictures_are_named(picture, tmp_path, spec):
    files = [picture("good.png"), tmp_path / "text.jpg", tmp_path / "missing.png"]
    files[1].write_text("no picture")
    index = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=[Expression.SAD] * 3)
    with pytest.raises(DatasetError, match=r"2 of 3 pictures cannot be read") as caught:
        index.read(spec)
    assert f"{files[1]}: cut short, or no picture" in str(caught.value)
    assert f"{files[2]}: No such file" in str(caught.value)


def test_long_lists_are_cut(tmp_path, spec):
    files = [tmp_path / f"{n}.png" for n in range(25)]
    index = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=[Expression.SAD] * 25)
    with pytest.raises(DatasetError, match="25 of 25 pictures") as caught:
        index.read(spec)
    assert str(caught.value).endswith("19.png: No such file or directory\n  and 5 more")


def test_labels_in_canonical_order_and_own_splits(picture, tmp_path, spec):
    files = [picture(f"{n}.png") for n in range(40)]
    expressions = [Expression.SURPRISE, Expression.ANGRY] * 20
    dataset = PictureIndex(name="mine", origin=tmp_path, files=files, expressions=expressions).read(spec)
    assert dataset.labels == (Expression.ANGRY, Expression.SURPRISE)
    assert dataset.indices.tolist() == [1, 0] * 20
    assert set(dataset.splits) == {"train", "validation", "test"}
