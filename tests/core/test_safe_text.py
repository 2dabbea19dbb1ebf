"""Names that hold anything."""

from __future__ import annotations

import json
import os

import pytest

from mien.core.safe_text import json_text, printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"a\x1b[2Jb\nc\td\x7f.jpg", r"a\x1b[2Jb\nc\td\x7f.jpg"),
        ("evil\u202egpj.exe".encode(), r"evil\u202egpj.exe"),
        ("Zoë 日本.jpg".encode(), "Zoë 日本.jpg"),
    ],
)
def test_names_on_a_console(name, shown):
    assert printable(os.fsdecode(name)) == shown


def test_what_is_kept():
    assert printable("first:\n  a\x1b\n", keep="\n") == "first:\n  a\\x1b\n"


def test_json_is_ascii_and_holds_no_lone_surrogate():
    text = json_text({"bad": os.fsdecode(b"caf\xe9\\udce9"), "good": "Zoë\x1b\n😀"})
    assert text.isascii()
    assert "\\udce9" not in text.replace("\\\\udce9", "")
    assert json.loads(text) == {"bad": "caf\\xe9\\udce9", "good": "Zoë\x1b\n😀"}
    json.loads(text)["bad"].encode()


def test_json_has_no_numbers_that_json_lacks():
    with pytest.raises(ValueError, match="JSON"):
        json_text({"x": float("nan")})
