"""Pictures from files: every kind that works, every kind that is refused."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pil

from core.encoded import SIDE, heic, rgb, rgba, save, scene, turned, upright
from mien.core.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from mien.core.picture_files import iter_pictures
from mien.core.pictures import as_picture, decode_picture, read_picture
from runtime.toys import png_header


@pytest.fixture
def pil() -> Pil.Image:
    return rgb()


@pytest.fixture
def file(tmp_path: Path):
    def write(data: bytes, name: str = "picture.png") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def test_a_file_name_may_have_any_letters(pil, file):
    assert (read_picture(file(save(pil, "PNG"), "porträt 顔 😀.png")) == scene()).all()


def test_a_transparent_picture_is_turned_upright_too(file):
    exif = Pil.Exif()
    exif[0x0112] = 6
    data = save(rgba().crop((0, 0, SIDE, 40)), "PNG", exif=exif)
    assert read_picture(file(data)).shape == (SIDE, 40, 3)
    assert (read_picture(file(data)) == upright(data)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("way", [1, 3, 5, 6, 8])
def test_a_wide_picture_that_is_turned_becomes_a_tall_one(way, kind, file):
    assert read_picture(file(turned(kind, way, height=40))).shape == ((SIDE, 40, 3) if way > 4 else (40, SIDE, 3))


def test_a_damaged_exif_block_does_no_harm(pil, file):
    data = save(pil, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_picture(file(data)).shape == (SIDE, SIDE, 3)


def test_one_pixel_is_a_picture(file):
    assert read_picture(file(save(Pil.new("RGB", (1, 1), (10, 20, 30)), "PNG"))).tolist() == [[[10, 20, 30]]]


def test_a_huge_picture_is_refused_from_its_header_and_the_limit_can_be_raised(file):
    path = file(png_header(20_000, 20_000))
    with pytest.raises(PictureTooLargeError, match=r"20000 x 20000 is 400.0 megapixels.*--max-pixels 400000000"):
        read_picture(path)
    with pytest.raises(UnreadablePictureError):  # let through by the limit, and found to be empty
        read_picture(file(png_header(200, 200)), max_pixels=40_000)
    with pytest.raises(PictureTooLargeError):
        read_picture(file(png_header(200, 200)), max_pixels=39_999)


def test_avif_and_heic_keep_to_the_limit_before_they_are_decoded(file):
    pytest.importorskip("pillow_heif")
    for data in (save(rgb(), "AVIF"), heic(rgb())):
        with pytest.raises(PictureTooLargeError, match=r"64 x 64 is 0\.0 megapixels"):
            read_picture(file(data), max_pixels=4095)
        assert read_picture(file(data), max_pixels=4096).shape == (SIDE, SIDE, 3)


def test_deep_grey_of_heic_is_scaled(file):
    pytest.importorskip("pillow_heif")
    levels = np.repeat(np.linspace(0, 65535, SIDE).astype(np.uint16)[None], SIDE, axis=0)
    picture = read_picture(file(heic(Pil.fromarray(levels))))
    assert np.abs(picture[..., 0].astype(int) - (levels / 257).round()).mean() < 3


def test_a_colour_profile_is_no_reason_for_noise(pil, file, capfd):
    data = save(pil, "PNG", icc_profile=b"not a profile" * 20)
    assert read_picture(file(data)).shape == (SIDE, SIDE, 3)
    assert capfd.readouterr().err == ""


def test_a_thumbnail_does_not_hide_that_a_jpeg_is_cut(pil, file):
    whole = save(pil, "JPEG")
    thumbnail = save(pil.resize((32, 32)), "JPEG")
    segment = b"Exif\0\0" + thumbnail
    with_thumbnail = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    assert read_picture(file(with_thumbnail)).shape == (SIDE, SIDE, 3)
    with pytest.raises(UnreadablePictureError, match="end is missing"):
        read_picture(file(with_thumbnail[:-40]))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(pil, file):
    """Phones append films and depth maps."""
    assert read_picture(file(save(pil, "JPEG") + b"appended" * 100)).shape == (SIDE, SIDE, 3)


def test_a_changed_byte_in_a_png_is_found(pil, file):
    data = bytearray(save(pil, "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadablePictureError, match="checksum of its IDAT"):
        read_picture(file(bytes(data)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"this is text, not a picture\n" * 50, "not a picture"),
        (b"\xff\xd8\xff", "."),
        (b"\x89PNG\r\n\x1a\n", "."),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>", "."),
        (b"\x00" * 1000, "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(data, message, file, capfd):
    with pytest.raises(UnreadablePictureError, match=message) as caught:
        read_picture(file(data, "photo.jpg"))
    assert "photo.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_missing_path_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UnreadablePictureError, match=r"gone\.jpg: no such file"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(UnreadablePictureError, match="is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "an empty name"), ("https://example.org/a.jpg", r"https://example\.org/a\.jpg: is an address")],
)
def test_an_empty_name_and_an_address_are_no_files(name, message):
    with pytest.raises(UnreadablePictureError, match=message):
        read_picture(name)
    with pytest.raises(UnreadablePictureError, match=message):
        list(iter_pictures([name]))


def test_folders_are_searched_in_order_and_files_passed_on(tmp_path):
    for name in ("b.JPG", "a.png", "sub/c.webp", "notes.txt", "sub/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = list(iter_pictures([tmp_path, "elsewhere.dat"]))
    assert [p.name for p in found] == ["a.png", "b.JPG", "c.webp", "elsewhere.dat"]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PictureError, match=r"no picture in this folder.*\.jpg"):
        list(iter_pictures([tmp_path]))


def test_arrays():
    picture = scene()
    assert as_picture(picture) is picture
    assert as_picture(picture[..., 0]).shape == picture.shape
    assert as_picture(picture[..., ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
        [[1, 2], [3, 4]],
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(PictureError, match="a picture must be"):
        as_picture(array)


@pytest.mark.parametrize(
    ("array", "remedy"),
    [
        (np.ones((8, 8, 3)), "(255 * array).round().astype('uint8')"),
        (np.ones((8, 8), np.bool_), "255 * array.astype('uint8')"),
        (np.full((8, 8), 65535, np.uint16), "(array // 257).astype('uint8')"),
        (np.full((8, 8, 4), 255, np.uint8), "array[..., :3]"),
    ],
)
def test_the_remedy_makes_a_picture_of_it(array, remedy):
    with pytest.raises(PictureError, match=re.escape(remedy)):
        as_picture(array)
    assert np.all(as_picture(eval(remedy)) == 255)


def test_bytes_that_are_no_picture_are_refused():
    jpeg = cv2.imencode(".jpg", np.full((40, 60, 3), 90, dtype=np.uint8))[1].tobytes()
    with pytest.raises(UnreadablePictureError, match=r"frame 3: the file is empty"):
        decode_picture(b"", "frame 3")
    with pytest.raises(UnreadablePictureError, match="frame 3: not a picture"):
        decode_picture(b"hello" * 100, "frame 3")
    with pytest.raises(UnreadablePictureError, match="frame 3: the file is damaged or cut short"):
        decode_picture(jpeg[:-100], "frame 3")
    with pytest.raises(PictureTooLargeError, match="frame 3: 60 x 40"):
        decode_picture(jpeg, "frame 3", max_pixels=2399)
