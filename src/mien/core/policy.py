"""What the law lets mien do, for which purpose and where. One table, and nothing else decides.

>>> decision = decide(Purpose.EDUCATION, Place.UNSET)
>>> decision.allows(Feature.LIVE), decision.allows(Feature.ROOM_TAPS)
(False, True)
>>> decision.require(Feature.LIVE)  # doctest: +ELLIPSIS
Traceback (most recent call last):
mien.core.errors.PolicyError: ...

Pages show :attr:`Decision.reason`, :attr:`Decision.conditions` and :attr:`Decision.sources`. Whether a face may be read
now depends on consent too: :func:`mien.app.law.permission.may_read` answers that. The sources are read in
``docs/law.md``. This is no legal advice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from mien.core.errors import ConfigError, PolicyError, nearest

E = TypeVar("E", bound=StrEnum)


class Purpose(StrEnum):
    """What a person or an organisation uses mien for."""

    SELF_REFLECTION = "self-reflection"
    RESEARCH = "research"
    AUDIENCE_TEST = "audience-test"
    CLINICAL_SAFETY = "clinical-safety"
    WORKPLACE = "workplace"
    EDUCATION = "education"

    @property
    def words(self) -> str:
        """The purpose as a page names it."""
        return _PURPOSE_WORDS[self]


_PURPOSE_WORDS = {
    Purpose.SELF_REFLECTION: "looking at my own expressions",
    Purpose.RESEARCH: "research with people who consented",
    Purpose.AUDIENCE_TEST: "testing a product or a film on people who consented",
    Purpose.CLINICAL_SAFETY: "a clinical or safety purpose",
    Purpose.WORKPLACE: "the workplace",
    Purpose.EDUCATION: "teaching, studying or school",
}


class Place(StrEnum):
    """Where the people are whose faces are read; unset counts as the EU.

    The EU stands for the European Economic Area. Where an analysis made elsewhere is used in the EU, choose the EU: the
    AI Act reaches there too (Art. 2(1)(c)).
    """

    UNSET = "unset"
    EU = "eu"
    ELSEWHERE = "elsewhere"

    @property
    def in_eu(self) -> bool:
        """Whether the law of the EU is applied."""
        return self is not Place.ELSEWHERE

    @property
    def words(self) -> str:
        """The place as a page names it."""
        return {Place.UNSET: "not said, so the EU", Place.EU: "the EU or EEA", Place.ELSEWHERE: "elsewhere"}[self]


class Feature(StrEnum):
    """What can be allowed or refused.

    ``LIVE``, ``RECORDINGS``, ``ADVICE`` and ``UPLOAD`` read a face; so does ``ROOM_FACES``, which sends its coarse
    polarity to a room. ``ROOM_TAPS`` is "too fast / fine / too slow" by one tap, and reads nothing.
    """

    LIVE = "live"
    RECORDINGS = "recordings"
    ADVICE = "advice"
    UPLOAD = "upload"
    ROOM_FACES = "room faces"
    ROOM_TAPS = "room taps"


READS_FACES = frozenset({Feature.LIVE, Feature.RECORDINGS, Feature.ADVICE, Feature.UPLOAD, Feature.ROOM_FACES})
"""The features that analyse a face."""

_OWN = frozenset({Feature.LIVE, Feature.RECORDINGS, Feature.ADVICE, Feature.UPLOAD, Feature.ROOM_TAPS})
_ALL = frozenset(Feature)
_TAPS = frozenset({Feature.ROOM_TAPS})


@dataclass(frozen=True, slots=True)
class Provision:
    """A provision that a decision rests on.

    Attributes:
        name: as lawyers cite it.
        says: what it says, in one sentence of plain English.
        url: where its text is published.
    """

    name: str
    says: str
    url: str


_AI_ACT = "https://eur-lex.europa.eu/eli/reg/2024/1689/oj"
_GDPR = "https://eur-lex.europa.eu/eli/reg/2016/679/oj"

PROHIBITION = Provision(
    "AI Act (Regulation (EU) 2024/1689), Art. 5(1)(f)",
    "AI systems may not be used to infer emotions of a person in the areas of workplace and education institutions, "
    "except for medical or safety reasons; it applies since 2 February 2025 (Art. 113(a)).",
    _AI_ACT,
)
RECITAL_44 = Provision(
    "AI Act, recital 44",
    "Why: expressions differ between cultures, situations and even within one person, so that inferring emotions from "
    "them is unreliable and can discriminate, all the more where power is uneven.",
    _AI_ACT,
)
DEFINITION = Provision(
    "AI Act, Art. 3(39) and recital 18",
    "An emotion recognition system infers emotions or intentions from biometric data; pain and fatigue are no "
    "emotions, and merely noticing that someone smiles is none either unless emotions are inferred from it.",
    _AI_ACT,
)
HIGH_RISK = Provision(
    "AI Act, Annex III(1)(c)",
    "Emotion recognition that is not prohibited counts as high-risk: its provider and whoever deploys it have duties.",
    _AI_ACT,
)
TRANSPARENCY = Provision(
    "AI Act, Art. 50(3)",
    "Whoever deploys an emotion recognition system tells the people exposed to it that it operates, and handles their "
    "data as the GDPR demands; it applies since 2 August 2026 (Art. 113).",
    _AI_ACT,
)
PERSONAL_USE = Provision(
    "AI Act, Art. 3(4), and GDPR, Art. 2(2)(c)",
    "A person who uses it for themselves, in a purely personal activity, is no deployer, and the GDPR does not apply "
    "to purely personal or household activity.",
    _AI_ACT,
)
SPECIAL_DATA = Provision(
    "GDPR (Regulation (EU) 2016/679), Art. 9(1) and 9(2)(a)",
    "Data on health, and biometric data used to identify a person, need explicit consent or another exception. mien "
    "identifies nobody; it asks for explicit consent all the same.",
    _GDPR,
)
CONSENT = Provision(
    "GDPR, Art. 6(1)(a) and Art. 7",
    "Consent must be given freely, for a stated purpose, can be shown to have been given, and is as easy to withdraw "
    "as to give.",
    _GDPR,
)
MINIMISATION = Provision(
    "GDPR, Art. 5(1)(b), (c) and (e)",
    "Data are kept to a stated purpose, to what it needs, and no longer than it needs.",
    _GDPR,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is allowed for one purpose in one place.

    Attributes:
        purpose: the purpose.
        place: the place as it was chosen.
        features: what may be used.
        reason: why, in plain words, with the provision named.
        conditions: what whoever uses it must further see to.
        sources: the provisions it rests on.
    """

    purpose: Purpose
    place: Place
    features: frozenset[Feature]
    reason: str
    conditions: tuple[str, ...]
    sources: tuple[Provision, ...]

    @property
    def face_analysis(self) -> bool:
        """Whether any face may be analysed."""
        return bool(self.features & READS_FACES)

    def allows(self, feature: Feature) -> bool:
        """Whether one feature may be used."""
        return feature in self.features

    def require(self, feature: Feature, *, called: str | None = None) -> None:
        """Refuse what is not allowed.

        Args:
            feature: what is asked for.
            called: what the user knows it by; the feature's own name if not given.

        Raises:
            PolicyError: the feature is not allowed; the message says why, and what is offered instead.
        """
        if feature in self.features:
            return
        instead = ", ".join(sorted(self.features)) or "nothing"
        raise PolicyError(
            f"{called or feature} is not offered for {self.purpose.words}: {self.reason} Offered: {instead}."
        )


class _Entry(NamedTuple):
    features: frozenset[Feature]
    reason: str
    conditions: tuple[str, ...]
    sources: tuple[Provision, ...]


_ONLY_YOU = "Only you are read: other faces in view are dropped before anything is computed."
_ETHICS = "Have the approval of an ethics committee where one is asked for."
_NO_DEVICE = "mien is no medical device, makes no diagnosis, and must not be the basis of one."
_TELL = "Tell everyone whose face is read that it is, before it is (AI Act, Art. 50(3))."
_ASK = "Everyone consents for themselves, explicitly, and can stop at any time without a disadvantage."
_NO_CONSEQUENCE = "Nothing about a single person is decided, graded or rewarded by it."
_HIGH_RISK = (
    "An organisation has the duties of the AI Act's high-risk systems (Annex III(1)(c)); mien is no certified system."
)
_NOT_AT_WORK = "Do not use it on employees or students as such: that is the purpose 'workplace' or 'education'."
_ROOM_RULES = (
    "Nobody but the person sees their own readings; others see shares over five or more, late and rounded (room rules)."
)
_LOCAL_LAW = "Know the law of the place: many have rules on faces and biometric data (Illinois' BIPA is one)."

_PROHIBITED_IN_EU = _Entry(
    _ALL,
    "You said that the people are outside the EU, where AI Act Art. 5(1)(f) prohibits this. Its reason, that "
    "expressions are unreliable and power is uneven, holds everywhere; so the room rules do too.",
    (_ROOM_RULES, _ASK, _NO_CONSEQUENCE, _LOCAL_LAW),
    (PROHIBITION, RECITAL_44),
)

_TABLE: dict[tuple[Purpose, bool], _Entry] = {
    (Purpose.SELF_REFLECTION, True): _Entry(
        _OWN,
        "Looking at your own expressions, on your own machine and for yourself, is a purely personal activity.",
        (_ONLY_YOU, _NOT_AT_WORK),
        (PERSONAL_USE, CONSENT, PROHIBITION),
    ),
    (Purpose.RESEARCH, True): _Entry(
        _ALL,
        "Research is not among the areas in which the AI Act prohibits inferring emotions, as long as it is not done "
        "in a workplace or an educational institution on the people who work or learn there.",
        (_ASK, _TELL, _ETHICS, _HIGH_RISK, _NOT_AT_WORK),
        (CONSENT, SPECIAL_DATA, MINIMISATION, TRANSPARENCY, HIGH_RISK, PROHIBITION),
    ),
    (Purpose.AUDIENCE_TEST, True): _Entry(
        _ALL,
        "Testing a product or a film on people who consented is not prohibited; the AI Act counts it as high-risk.",
        (_ASK, _TELL, _NO_CONSEQUENCE, _HIGH_RISK, _NOT_AT_WORK),
        (CONSENT, SPECIAL_DATA, MINIMISATION, TRANSPARENCY, HIGH_RISK, PROHIBITION),
    ),
    (Purpose.CLINICAL_SAFETY, True): _Entry(
        _ALL,
        "Medical and safety reasons are the exception that AI Act Art. 5(1)(f) makes. It is read narrowly: wellbeing, "
        "motivation or performance are not among them.",
        (
            _NO_DEVICE,
            "A professional is responsible for it, and the reason is a medical one or one of safety, written down.",
            _ASK,
            _TELL,
            _HIGH_RISK,
        ),
        (PROHIBITION, SPECIAL_DATA, CONSENT, TRANSPARENCY, HIGH_RISK),
    ),
    (Purpose.WORKPLACE, True): _Entry(
        _TAPS,
        "AI Act Art. 5(1)(f) prohibits inferring the emotions of people at work, with or without their consent. No "
        "face is analysed; people can say how it goes by a tap.",
        (_NO_CONSEQUENCE,),
        (PROHIBITION, RECITAL_44, DEFINITION),
    ),
    (Purpose.EDUCATION, True): _Entry(
        _TAPS,
        "AI Act Art. 5(1)(f) prohibits inferring the emotions of people in education institutions, with or without "
        "their consent. No face is analysed; people can say how the pace is by a tap.",
        (_NO_CONSEQUENCE,),
        (PROHIBITION, RECITAL_44, DEFINITION),
    ),
    (Purpose.SELF_REFLECTION, False): _Entry(
        _OWN,
        "Looking at your own expressions, on your own machine and for yourself, concerns nobody else.",
        (_ONLY_YOU,),
        (),
    ),
    (Purpose.RESEARCH, False): _Entry(
        _ALL,
        "You said that the people are outside the EU, and that they consented.",
        (_ASK, _ROOM_RULES, _ETHICS, _LOCAL_LAW),
        (RECITAL_44,),
    ),
    (Purpose.AUDIENCE_TEST, False): _Entry(
        _ALL,
        "You said that the people are outside the EU, and that they consented.",
        (_ASK, _ROOM_RULES, _NO_CONSEQUENCE, _LOCAL_LAW),
        (RECITAL_44,),
    ),
    (Purpose.CLINICAL_SAFETY, False): _Entry(
        _ALL,
        "You said that the people are outside the EU, and that the reason is a medical one or one of safety.",
        (
            _NO_DEVICE,
            "A professional is responsible for it.",
            _ASK,
            _LOCAL_LAW,
        ),
        (RECITAL_44,),
    ),
    (Purpose.WORKPLACE, False): _PROHIBITED_IN_EU,
    (Purpose.EDUCATION, False): _PROHIBITED_IN_EU,
}


def decide(purpose: Purpose | str, place: Place | str = Place.UNSET) -> Decision:
    """What is allowed for a purpose in a place.

    Raises:
        ConfigError: no such purpose or place; the message names the nearest.
    """
    chosen, where = _parse(Purpose, purpose), _parse(Place, place)
    return Decision(chosen, where, *_TABLE[chosen, where.in_eu])


def stricter(mine: Place, theirs: Place) -> Place:
    """Of two places that both count, the one whose law allows less."""
    return mine if mine.in_eu else theirs


def _parse(kind: type[E], word: str) -> E:
    try:
        return kind(word)
    except ValueError:
        raise ConfigError(f"unknown {kind.__name__.lower()} '{word}': {nearest(word, list(kind))}") from None
