"""What is measured: the expressions, their polarity, and maps between the label sets of the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import LabelError, nearest

MIXED = "mixed"
"""Where the most probable polarity is not that of the most probable expression."""


class Polarity(StrEnum):
    """Coarse direction of an expression, as Atanasov & Pilev (paper 000) group the seven."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Expression(StrEnum):
    """A facial expression. The first seven stand in FER2013's order; FER+ adds contempt.

    Members are strings, so ``reading.expression == "happy"`` holds.
    """

    ANGRY = "angry"
    DISGUST = "disgust"
    FEAR = "fear"
    HAPPY = "happy"
    SAD = "sad"
    SURPRISE = "surprise"
    NEUTRAL = "neutral"
    CONTEMPT = "contempt"

    @property
    def polarity(self) -> Polarity:
        """Positive (happy, surprise), neutral, or negative (the rest)."""
        if self in (Expression.HAPPY, Expression.SURPRISE):
            return Polarity.POSITIVE
        return Polarity.NEUTRAL if self is Expression.NEUTRAL else Polarity.NEGATIVE

    @classmethod
    def parse(cls, word: str) -> Expression:
        """Expression of a dataset's own word for it (``"Happiness"``, ``"AN"``, ``"surprised"``).

        Raises:
            LabelError: the word names no expression; the message holds the nearest that does.
        """
        key = word.strip().lower()
        try:
            return cls(_SYNONYMS.get(key, key))
        except ValueError:
            raise LabelError(f"unknown expression '{word}': {nearest(key, list(cls))}") from None


_SYNONYMS = {
    "anger": "angry",
    "an": "angry",
    "disgusted": "disgust",
    "di": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "fe": "fear",
    "happiness": "happy",
    "joy": "happy",
    "ha": "happy",
    "sadness": "sad",
    "sa": "sad",
    "surprised": "surprise",
    "su": "surprise",
    "ne": "neutral",
    "neutrality": "neutral",
    "contemptuous": "contempt",
}

Labels = tuple[Expression, ...]
"""The outputs of a network in order: distinct expressions in FER2013's order."""

FER2013: Labels = tuple(Expression)[:7]
"""The seven of FER2013, index 0 (angry) to 6 (neutral)."""

FERPLUS: Labels = tuple(Expression)
"""The eight of FER+, in FER2013's order with contempt last."""

SIX: Labels = tuple(e for e in FER2013 if e is not Expression.NEUTRAL)
"""The six basic expressions, without neutral (JAFFE as paper 003 uses it)."""

WITHOUT_DISGUST: Labels = tuple(e for e in FER2013 if e is not Expression.DISGUST)
"""The six of reference [12] of paper 000."""

THREE: Labels = (Expression.ANGRY, Expression.HAPPY, Expression.NEUTRAL)
"""The three of paper 004's occlusion study."""

FERPLUS_COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""The ten vote columns of ``fer2013new.csv`` in file order; the last two are no expression."""

LabelSet = Literal["fer2013", "ferplus", "six", "without-disgust", "three"]
"""Names of :data:`LABEL_SETS`, as recipes have them."""

LABEL_SETS: dict[LabelSet, Labels] = {
    "fer2013": FER2013,
    "ferplus": FERPLUS,
    "six": SIX,
    "without-disgust": WITHOUT_DISGUST,
    "three": THREE,
}


def check_labels(labels: Sequence[str], where: str) -> Labels:
    """Labels as a tuple of expressions, refused unless distinct and in FER2013's order.

    Raises:
        LabelError: an unknown, repeated or misplaced label, or fewer than two.
    """
    parsed = tuple(Expression.parse(label) for label in labels)
    ordered = tuple(e for e in Expression if e in parsed)
    if parsed != ordered or len(parsed) < 2:
        raise LabelError(
            f"{where}: labels {', '.join(labels)} must be two or more distinct expressions "
            f"in the order {', '.join(Expression)}"
        )
    return parsed


def label_indices(labels: Labels, wanted: str | Sequence[str], n: int, where: str) -> NDArray[np.int64]:
    """Which output of ``labels`` each of n crops is asked about: ``(n,)``.

    Args:
        labels: the outputs.
        wanted: one expression for all crops, or one for each.
        n: number of crops.
        where: opens the error, such as a model's name.

    Raises:
        LabelError: an expression that is not among the labels, or not one for each crop.
    """
    names = [wanted] * n if isinstance(wanted, str) else list(wanted)
    if len(names) != n:
        raise LabelError(f"{where}: {len(names)} expressions for {n} crops: give one for all, or one for each")
    known: dict[str, int] = {str(label): index for index, label in enumerate(labels)}
    for name in [wanted] if isinstance(wanted, str) else names:
        if name not in known:
            raise LabelError(f"{where} does not know the expression '{name}': {nearest(str(name), known)}")
    return np.array([known[name] for name in names], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LabelMap:
    """How class indices of one label set become those of another.

    Attributes:
        source: names of the source classes, in index order (expressions, or any words).
        target: names of the target classes, in index order.
        table: ``(len(source),)`` int64; target index of each source class, -1 where it is dropped.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    table: NDArray[np.int64]

    @classmethod
    def between(cls, source: Sequence[str], target: Sequence[str]) -> LabelMap:
        """Map by meaning: synonyms are resolved, and expressions fall into polarities where ``target`` has them.

        A source class without a counterpart is dropped (FER+'s unknown and NF always are).

        Raises:
            LabelError: not one source class has a counterpart.
        """
        wanted = {_meaning(word): index for index, word in enumerate(target)}
        table = np.full(len(source), -1, dtype=np.int64)
        polarities = set(target) <= set(Polarity)
        for index, word in enumerate(source):
            meaning = _meaning(word)
            if polarities and isinstance(meaning, Expression):
                meaning = str(meaning.polarity)
            table[index] = wanted.get(meaning, -1)
        if (table < 0).all():
            raise LabelError(
                f"no class of ({', '.join(source)}) has a counterpart in ({', '.join(target)}): "
                "choose label sets that share an expression"
            )
        table.setflags(write=False)
        return cls(tuple(source), tuple(target), table)

    def labels(self, indices: NDArray[np.integer]) -> NDArray[np.int64]:
        """Target index of each source index ``(n,)``; -1 where the class is dropped."""
        return self.table[np.asarray(indices)]

    def probabilities(self, source: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities ``(n, len(source))`` gathered into ``(n, len(target))`` and scaled to sum to 1."""
        gathered = np.zeros((len(source), len(self.target)), dtype=np.float32)
        for index, into in enumerate(self.table):
            if into >= 0:
                gathered[:, into] += source[:, index]
        total: NDArray[np.float32] = gathered.sum(axis=1, keepdims=True)
        uniform = np.float32(1 / len(self.target))
        return np.where(total > 0, gathered / np.maximum(total, np.finfo(np.float32).tiny), uniform)


def _meaning(word: str) -> str:
    try:
        return Expression.parse(word)
    except LabelError:
        return word.lower()
