"""Posed pictures whose file names say who shows what: JAFFE, KDEF and RaFD."""

from __future__ import annotations

import re
from pathlib import Path

from mien.core.expression import FER2013, FERPLUS, Expression
from mien.data.layout import Layout, named_pictures
from mien.data.picture_index import PictureIndex

_JAFFE = re.compile(r"(?P<subject>[A-Z]{2})\.(?P<expression>AN|DI|FE|HA|SA|SU|NE)\d\.\d+\.tiff?", re.IGNORECASE)
_KDEF = re.compile(
    r"(?P<session>[AB])(?P<subject>[FM]\d{2})(?P<expression>AF|AN|DI|HA|NE|SA|SU)(?P<angle>FL|HL|S|HR|FR)\.JPG",
    re.IGNORECASE,
)
_KDEF_PERSON = re.compile(r"[AB][FM]\d{2}", re.IGNORECASE)
_KDEF_RENAMED = {"AF31V.JPG": "AF31SAHL.JPG", "AM31H.JPG": "AM31SUHR.JPG"}
_RAFD = re.compile(
    r"Rafd(?P<angle>\d{3})_(?P<subject>\d{2})_[A-Za-z]+_(?:fe)?male_"
    r"(?P<expression>angry|contemptuous|disgusted|fearful|happy|neutral|sad|surprised)_"
    r"(?P<gaze>frontal|left|right)\.jpe?g",
    re.IGNORECASE,
)


def list_jaffe(folder: Path) -> PictureIndex | None:
    """``KA.AN1.39.tiff``: person KA, angry, her first picture of it, the 39th of all."""
    return named_pictures(folder, _JAFFE, _parsed, {"subject": lambda match: match["subject"].upper()})


def list_kdef(folder: Path) -> PictureIndex | None:
    """``AF01ANHL.JPG``: session A, woman 01, angry, half left profile; flat, or in a folder for each person.

    Two files of the original have lost part of their names, and some are black: no face is found in those.
    """
    return named_pictures(
        folder,
        _KDEF,
        lambda match: Expression.FEAR if match["expression"].upper() == "AF" else _parsed(match),
        {
            "subject": lambda match: match["subject"].upper(),
            "session": lambda match: match["session"].upper(),
            "angle": lambda match: match["angle"].upper(),
        },
        renamed=_KDEF_RENAMED,
        inside=_KDEF_PERSON,
    )


def list_rafd(folder: Path) -> PictureIndex | None:
    """``Rafd090_28_Caucasian_male_angry_frontal.jpg``: camera at 90 degrees, model 28, angry, looking ahead."""
    return named_pictures(
        folder,
        _RAFD,
        _parsed,
        {
            "subject": lambda match: match["subject"],
            "angle": lambda match: match["angle"],
            "gaze": lambda match: match["gaze"].lower(),
        },
    )


def _parsed(match: re.Match[str]) -> Expression:
    return Expression.parse(match["expression"])


JAFFE = Layout(
    name="jaffe",
    title="JAFFE (Lyons, Akamatsu, Kamachi & Gyoba 1998)",
    looks_like="JAFFE's pictures (KA.AN1.39.tiff)",
    documented="zenodo.org/record/3451524, and the README that comes with the pictures",
    licence="non-commercial scientific research with citation, by request to its owners",
    checked=True,
    places=("jaffe", "jaffedbase"),
    pictures=dict(zip(FER2013, (30, 29, 32, 31, 31, 30, 30), strict=True)),
    persons=10,
    list_pictures=list_jaffe,
    notes="ten Japanese women, who posed each expression",
)

KDEF = Layout(
    name="kdef",
    title="KDEF (Lundqvist, Flykt & Öhman 1998)",
    looks_like="KDEF's pictures (AF01/AF01ANS.JPG)",
    documented="www.kdef.se, 'About KDEF'; the codes of expressions and angles also under 'About AKDEF'",
    licence="non-commercial research with citation, by request to its owners",
    checked=False,
    places=("kdef", "kdef_and_akdef/kdef"),
    pictures=dict.fromkeys(FER2013, 700),
    persons=70,
    list_pictures=list_kdef,
    notes="others report two misnamed files (read under their right names) and about ten black pictures",
)

RAFD = Layout(
    name="rafd",
    title="RaFD (Langner et al. 2010)",
    looks_like="RaFD's pictures (Rafd090_01_Caucasian_female_angry_frontal.jpg)",
    documented="rafd.socsci.ru.nl, 'FAQ' (file names) and 'Overview' (67 models, 8 expressions, 3 gazes, 5 cameras)",
    licence="strictly scientific use, by agreement with its owners",
    checked=False,
    places=("rafd",),
    pictures=dict.fromkeys(FERPLUS, 67 * 3 * 5),
    persons=67,
    list_pictures=list_rafd,
)
