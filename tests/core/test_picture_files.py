"""Which files of a folder are pictures, and what is said of the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import PictureError
from mien.core.picture_files import iter_pictures, left_out_by_name, say_left_out

PICTURE = cv2.imencode(".png", np.zeros((4, 4, 3), dtype=np.uint8))[1].tobytes()


def fill(folder: Path, *names: str, content: bytes = PICTURE) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def searched(folder: Path, **options) -> tuple[list[str], Counter[str]]:
    left_out = Counter()
    found = [path.relative_to(folder).as_posix() for path in iter_pictures([folder], left_out=left_out, **options)]
    return found, left_out


def test_what_is_no_picture_is_counted_by_ending_and_reason(tmp_path):
    fill(tmp_path, "a.JFIF", "b/c.jpe", "b/no-ending", "d.png")
    fill(tmp_path, "notes.txt", "more.TXT", "film.mp4", "README", content=b"words")
    fill(tmp_path, ".hidden.png", "._a.JFIF", ".ipynb_checkpoints/d-checkpoint.png", "__MACOSX/b/._c.jpe", "Thumbs.db")
    fill(tmp_path, "b/@eaDir/c.jpe/SYNOPHOTO_THUMB_M.jpg", "b/thumbnails/c.png")
    found, left_out = searched(tmp_path)
    assert found == ["a.JFIF", "b/c.jpe", "b/no-ending", "d.png"]
    assert left_out == {
        ".txt": 2,
        ".mp4": 1,
        "without an ending": 1,
        "hidden": 3,
        "in __MACOSX": 1,
        "thumbnails": 3,
    }
    assert say_left_out(left_out) == (
        "11 files left out: 3 hidden, 3 thumbnails, 2 .txt, 1 .mp4, 1 in __MACOSX, 1 without an ending"
    )


def test_what_is_named_itself_is_read(tmp_path):
    fill(tmp_path, ".hidden/.a.png", "thumbnails/b.png", "c.txt")
    for name in (".hidden/.a.png", "c.txt"):
        assert list(iter_pictures([tmp_path / name])) == [tmp_path / name]
    assert searched(tmp_path / "thumbnails") == (["b.png"], Counter())
    with pytest.raises(PictureError, match=r"no picture in this folder or below it \(1 file left out: 1 hidden\)"):
        searched(tmp_path / ".hidden")


def test_the_runs_own_output_is_passed_over(tmp_path):
    fill(tmp_path, "a.png", "drawn/a-mien.jpg", "drawn/below/b-mien.jpg")
    assert searched(tmp_path, without=[tmp_path / "x" / ".." / "drawn"]) == (["a.png"], Counter({"written by mien": 2}))


def test_links_are_followed_once_and_never_in_a_circle(tmp_path):
    fill(tmp_path, "in/a.png", "out/b.png")
    try:
        (tmp_path / "in/linked").symlink_to(tmp_path / "out", target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    (tmp_path / "in/self").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in/gone.png").symlink_to(tmp_path / "nowhere.png")
    assert searched(tmp_path / "in") == (["a.png", "linked/b.png"], Counter({"broken link": 1}))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("train/a.PNG", None),
        ("./a.jpg", None),
        ("a/.b/c.png", "hidden"),
        ("__MACOSX/a.png", "in __MACOSX"),
        ("x/labels.json", ".json"),
        ("LICENSE", "without an ending"),
    ],
)
def test_by_name_alone(name, reason):
    assert left_out_by_name(name) == reason


def test_a_long_list_of_reasons_ends():
    assert say_left_out({}) == ""
    said = say_left_out({f".{n:02}": 20 - n for n in range(12)})
    assert said.startswith("174 files left out: 20 .00, 19 .01")
    assert said.endswith("13 .07, 42 more")
