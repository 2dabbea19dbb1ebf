"""Datasets that number their expressions, each in a way of its own, so that a number means nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mien.core.errors import LabelError
from mien.core.expression import FER2013, Expression

Classes = Literal["fer2013", "raf-db", "affectnet"]
"""Whose numbers the classes of a dataset are."""

NUMBERS: Mapping[str, Mapping[int, Expression | None]] = {
    "fer2013": dict(enumerate(FER2013)),
    "raf-db": {
        1: Expression.SURPRISE,
        2: Expression.FEAR,
        3: Expression.DISGUST,
        4: Expression.HAPPY,
        5: Expression.SAD,
        6: Expression.ANGRY,
        7: Expression.NEUTRAL,
    },
    "affectnet": {
        0: Expression.NEUTRAL,
        1: Expression.HAPPY,
        2: Expression.SAD,
        3: Expression.SURPRISE,
        4: Expression.FEAR,
        5: Expression.DISGUST,
        6: Expression.ANGRY,
        7: Expression.CONTEMPT,
        8: None,
        9: None,
        10: None,
    },
}
"""What the numbers of each dataset mean, by their owners' documents: RAF-DB's readme (Li, Deng & Du 2017), and
AffectNet's paper (Mollahosseini, Hasani & Mahoor 2017, table 3); None for what is no expression (none, uncertain, no
face)."""


def parse_label(word: str, classes: Classes | None) -> Expression | None:
    """The expression of a dataset's own word or number for it; None for a number that stands for no expression.

    Args:
        word: a word that :meth:`Expression.parse` knows, or a number, such as ``3``, ``03`` or ``3.0``.
        classes: whose numbers they are; None where the classes are words.

    Raises:
        LabelError: the word names no expression, or it is a number whose meaning was not asked for.
    """
    number = _number(word)
    if number is None:
        return Expression.parse(word)
    if classes is None:
        raise LabelError(
            f"the class '{word}' is a number, and every dataset numbers expressions in its own way: say whose numbers "
            f"they are with --classes {', '.join(NUMBERS)} (data.classes in a recipe, classes= in Python), or use words"
        )
    numbers = NUMBERS[classes]
    if number not in numbers:
        valid = ", ".join(f"{number} ({label or 'no expression'})" for number, label in numbers.items())
        raise LabelError(f"the class '{word}' is none of {classes}'s numbers: {valid}")
    return numbers[number]


def _number(word: str) -> int | None:
    whole, _, rest = word.strip().partition(".")
    return int(whole) if whole.isdecimal() and not rest.strip("0") else None
