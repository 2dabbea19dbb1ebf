r"""Text that may hold anything, such as a file's name, written so that every console and reader can take it.

A name on Linux is bytes: it need not be UTF-8, and may hold line ends and the sequences that steer a terminal. Python
carries bytes that are no UTF-8 as lone surrogates, which no encoding can write and strict readers of JSON refuse.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: object, *, keep: str = "") -> str:
    r"""``text`` with its control characters, and bytes that are no UTF-8, as escapes: ``\x1b``, ``\n``, ``\xff``.

    Signs that turn the direction of writing are control characters too. Those in ``keep`` stay as they are.

    >>> printable("a\x1b[31m.png")
    'a\\x1b[31m.png'
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else escaped(found[0]), str(text))


def escaped(character: str) -> str:
    r"""One character as an escape; a byte that is no UTF-8 by its own value: ``\xff``."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def json_text(value: Any, *, indent: int | None = None) -> str:
    r"""``value`` as JSON in ASCII, valid in any encoding and for strict readers; one line where there is no ``indent``.

    Bytes of a name that are no UTF-8 become their escapes, as in :func:`printable`; all other text is kept exactly.

    Raises:
        ValueError: one of its numbers is infinite or no number.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return re.sub("[^\x00-\x7e]+", lambda found: json.dumps(utf8_text(found[0]))[1:-1], text)


def utf8_text(text: str) -> str:
    r"""``text`` with its bytes that are no UTF-8 as escapes, such as ``\xff``, so that it can be written in UTF-8."""
    return re.sub("[\ud800-\udfff]", lambda found: escaped(found[0]), text)
