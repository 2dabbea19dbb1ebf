"""Pictures from files: every kind that works, every kind that is refused."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pil

from mien.core.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from mien.runtime.media import as_picture, decode_picture, iter_pictures, read_picture
from runtime.toys import png_header


def encoded(picture: Pil.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def pil(portrait: np.ndarray) -> Pil.Image:
    return Pil.fromarray(portrait)


@pytest.fixture
def file(tmp_path: Path):
    def write(data: bytes, name: str = "picture.png") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_read_to_the_bit(kind, pil, portrait, file):
    assert (read_picture(file(encoded(pil, kind))) == portrait).all()


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95}), ("JPEG", {"progressive": True}), ("WEBP", {})]
)
def test_lossy_formats_are_read(kind, options, pil, portrait, file):
    read = read_picture(file(encoded(pil, kind, **options)))
    assert read.shape == portrait.shape
    assert np.abs(read.astype(int) - portrait).mean() < 6


def test_a_file_name_may_have_any_letters(pil, portrait, file):
    assert (read_picture(file(encoded(pil, "PNG"), "porträt 顔 😀.png")) == portrait).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(orientation, kind, pil, file):
    from PIL import ImageOps

    wide = pil.crop((0, 0, 512, 300))
    exif = Pil.Exif()
    exif[0x0112] = orientation
    data = encoded(wide, kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Pil.open(io.BytesIO(data))).convert("RGB"))
    read = read_picture(file(data))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).mean() < 3


def test_a_transparent_picture_is_turned_upright_too(pil, file):
    from PIL import ImageOps

    exif = Pil.Exif()
    exif[0x0112] = 6
    data = encoded(pil.crop((0, 0, 512, 300)).convert("RGBA"), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Pil.open(io.BytesIO(data))).convert("RGB"))
    assert (read_picture(file(data)) == expected).all()


def test_a_damaged_exif_block_does_no_harm(pil, file):
    data = encoded(pil, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_picture(file(data)).shape == (512, 512, 3)


def test_grey_and_palette_become_rgb(pil, file):
    grey = read_picture(file(encoded(pil.convert("L"), "PNG")))
    assert grey.shape == (512, 512, 3)
    assert (grey[..., 0] == np.asarray(pil.convert("L"))).all()
    palette = pil.quantize(64)
    assert (read_picture(file(encoded(palette, "PNG"))) == np.asarray(palette.convert("RGB"))).all()


def test_transparency_lies_over_white(portrait, file):
    alpha = np.zeros((512, 512), dtype=np.uint8)
    alpha[:, 100:200], alpha[:, 200:] = 128, 255
    read = read_picture(file(encoded(Pil.fromarray(np.dstack([portrait, alpha])), "PNG")))
    assert (read[:, :100] == 255).all()
    assert (read[:, 200:] == portrait[:, 200:]).all()
    half = portrait[:, 100:200] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read[:, 100:200] - half).max() <= 1.5


def test_sixteen_bits_are_scaled_not_cut(portrait, file):
    import cv2

    deep = portrait.astype(np.uint16) * 257
    ok, data = cv2.imencode(".png", deep[..., ::-1])
    assert ok
    assert (read_picture(file(data.tobytes())) == portrait).all()


def test_cmyk_jpeg_is_read_in_its_colours(pil, file):
    data = encoded(pil.convert("CMYK"), "JPEG", quality=95)
    expected = np.asarray(Pil.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(read_picture(file(data, "print.jpg")).astype(int) - expected).mean() < 2


def test_the_first_picture_of_an_animation_is_read(pil, file):
    data = encoded(pil, "GIF", save_all=True, append_images=[pil.rotate(90)])
    expected = np.asarray(Pil.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(read_picture(file(data)).astype(int) - expected).mean() < 1


def test_one_pixel_is_a_picture(file):
    assert read_picture(file(encoded(Pil.new("RGB", (1, 1), (10, 20, 30)), "PNG"))).tolist() == [[[10, 20, 30]]]


def test_a_huge_picture_is_refused_from_its_header_and_the_limit_can_be_raised(file):
    path = file(png_header(20_000, 20_000))
    with pytest.raises(PictureTooLargeError, match=r"20000 x 20000 is 400.0 megapixels.*--max-pixels 400000000"):
        read_picture(path)
    with pytest.raises(UnreadablePictureError):  # let through by the limit, and found to be empty
        read_picture(file(png_header(200, 200)), max_pixels=40_000)
    with pytest.raises(PictureTooLargeError):
        read_picture(file(png_header(200, 200)), max_pixels=39_999)


def test_a_colour_profile_is_no_reason_for_noise(pil, file, capfd):
    data = encoded(pil, "PNG", icc_profile=b"not a profile" * 20)
    assert read_picture(file(data)).shape == (512, 512, 3)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_cut_file_is_refused_silently(kind, share, pil, file, capfd):
    data = encoded(pil, kind)
    with pytest.raises(UnreadablePictureError, match=r"picture\.png: "):
        read_picture(file(data[: int(len(data) * share)]))
    assert capfd.readouterr().err == ""


def test_a_thumbnail_does_not_hide_that_a_jpeg_is_cut(pil, file):
    whole = encoded(pil, "JPEG")
    thumbnail = encoded(pil.resize((64, 64)), "JPEG")
    segment = b"Exif\0\0" + thumbnail
    with_thumbnail = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
    assert read_picture(file(with_thumbnail)).shape == (512, 512, 3)
    with pytest.raises(UnreadablePictureError, match="end is missing"):
        read_picture(file(with_thumbnail[:-2000]))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(pil, file):
    """Phones append films and depth maps."""
    assert read_picture(file(encoded(pil, "JPEG") + b"appended" * 100)).shape == (512, 512, 3)


def test_a_changed_byte_in_a_png_is_found(pil, file):
    data = bytearray(encoded(pil, "PNG"))
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


def test_arrays(portrait):
    assert as_picture(portrait) is portrait
    grey = as_picture(portrait[..., 0])
    assert grey.shape == (512, 512, 3)
    assert as_picture(portrait[..., ::-1]).flags.c_contiguous


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


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tiff", ".bmp"])
def test_bytes_are_decoded_as_their_file_is(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    np.testing.assert_array_equal(decode_picture(path.read_bytes(), "a"), read_picture(path))


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
