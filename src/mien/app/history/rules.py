"""The rules of advice and of pace, read from YAML and checked to the last key.

``advice.yaml`` beside this module holds mien's own, commented; ``docs/advice.md`` says how to write others. A rule that
could speak from a moment's evidence, that names no source, or that sounds like a diagnosis, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from mien.app.law.terms import Pace
from mien.core.errors import ConfigError, nearest
from mien.core.expression import Expression, Polarity
from mien.core.schema import from_mapping
from mien.runtime.recordings.read import UNCERTAIN, UNMEASURABLE

Measure = Literal["held", "by_probability"]

NO_READING = "no reading"
"""The share of a room's people whose faces were not read."""

PERSON_SHARES = (*map(str, Polarity), *(str(e) for e in Expression if str(e) != "neutral"), UNCERTAIN, UNMEASURABLE)
"""What a rule for a person can look at: shares of the measurable time (*not measurable*: of the face time)."""

ROOM_SHARES = (*map(str, Polarity), NO_READING, *map(str, Pace))
"""What a rule for a room can look at: shares of the people in it."""

LEAST_MINUTES, LEAST_DAYS, LEAST_REPORTS = 5.0, 2, 2
"""No rule may ask for less evidence."""

_DIAGNOSES = re.compile(
    r"\b(diagnos|depress|disorder|burn-?out|adhd|autis|bipolar|anxiety|phobia|psycho(sis|tic)|suicid|therapy|symptom|"
    r"you are (sad|angry|afraid|unhappy|ill|sick|stressed)|you feel)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """One thing that must be so.

    Attributes:
        share: of what, one of :data:`PERSON_SHARES` or :data:`ROOM_SHARES`.
        measure: by what was held, or by probability (a neutral face has probability on negative expressions too).
        at_least: the share is this or more, 0 to 1 …
        at_most: … or this or less …
        rises_by: … or, on the latest day, higher by this than the mean of the days before it.
        times: on how many days (in a room: reports) that must be so; for ``rises_by`` always the latest.

    Raises:
        ValueError: not exactly one of the three, or a number out of range.
    """

    share: str
    measure: Measure = "held"
    at_least: float | None = None
    at_most: float | None = None
    rises_by: float | None = None
    times: int = 1

    def __post_init__(self) -> None:
        """Check that it says one thing."""
        given = [v for v in (self.at_least, self.at_most, self.rises_by) if v is not None]
        if len(given) != 1:
            raise ValueError("a condition needs exactly one of at_least, at_most and rises_by")
        if not 0 <= given[0] <= 1:
            raise ValueError(f"a share is 0 to 1, got {given[0]}")
        if self.times < 1 or (self.rises_by is not None and self.times != 1):
            raise ValueError("times is 1 or more, and 1 with rises_by")


@dataclass(frozen=True, slots=True)
class Needs:
    """The least evidence from which a rule may speak.

    Attributes:
        minutes: measured minutes in all (in a room not used).
        days: days with five measured minutes or more, for a rule for a person.
        reports: reports that a room published, for a rule for a room.
    """

    minutes: float = 0.0
    days: int = 0
    reports: int = 0


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where it was found that something may help.

    Attributes:
        cite: author, year, title, journal.
        url: of the publication, by its DOI where it has one.
        found: what it found, in a sentence, with its size.
    """

    cite: str
    url: str
    found: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One suggestion and when it is made.

    Attributes:
        id: short name, letters and hyphens; feedback is kept under it.
        scope: for a person's own recordings, or for a room's pace.
        kind: something to do, or something to think.
        title: a few words.
        suggest: what to do or think.
        when: what must be so, all of it.
        needs: the least evidence.
        why: why it is thought to help.
        source: the study that this rests on.
        limits: what it cannot know or do.
    """

    id: str
    scope: Literal["person", "room"]
    kind: Literal["activity", "thought"]
    title: str
    suggest: str
    when: tuple[RuleCondition, ...]
    needs: Needs
    why: str
    source: RuleSource
    limits: str

    def __post_init__(self) -> None:
        """Check what the fields mean together."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{1,39}", self.id):
            raise ValueError(f"id: '{self.id}' is not of small letters, digits and hyphens, 2 to 40 of them")
        for name in ("title", "suggest", "why", "limits"):
            _check_words(name, getattr(self, name))
        for name in ("cite", "url", "found"):
            if not getattr(self.source, name).strip():
                raise ValueError(f"source: {name}: is empty; a suggestion needs a source")
        if not self.source.url.startswith(("https://", "docs/")):
            raise ValueError(
                f"source: url: '{self.source.url}' does not start with https:// (or docs/, for mien's own)"
            )
        if not self.when:
            raise ValueError("when: needs a condition or more")
        self._check_needs()
        shares = PERSON_SHARES if self.scope == "person" else ROOM_SHARES
        least = self.needs.days if self.scope == "person" else self.needs.reports
        for at, condition in enumerate(self.when):
            if condition.share not in shares:
                raise ValueError(f"when[{at}]: share: '{condition.share}' is none: {nearest(condition.share, shares)}")
            if condition.times > least:
                raise ValueError(f"when[{at}]: times: {condition.times} is more than the evidence asks for ({least})")
            if self.scope == "room" and condition.measure != "held":
                raise ValueError(f"when[{at}]: measure: a room's shares have no measure to choose")
            if condition.share in (UNCERTAIN, UNMEASURABLE) and condition.measure != "held":
                raise ValueError(f"when[{at}]: measure: '{condition.share}' has no probability")

    def _check_needs(self) -> None:
        needs = self.needs
        if self.scope == "person":
            if needs.minutes < LEAST_MINUTES or needs.days < LEAST_DAYS or needs.reports:
                raise ValueError(
                    f"needs: a rule for a person needs {LEAST_MINUTES:g} minutes and {LEAST_DAYS} days or more, and no "
                    f"reports; got minutes {needs.minutes:g}, days {needs.days}, reports {needs.reports}"
                )
        elif needs.reports < LEAST_REPORTS or needs.days or needs.minutes:
            raise ValueError(
                f"needs: a rule for a room needs {LEAST_REPORTS} reports or more, and neither minutes nor days; got "
                f"reports {needs.reports}, minutes {needs.minutes:g}, days {needs.days}"
            )


@dataclass(frozen=True, slots=True)
class Helper:
    """Somebody to talk to.

    Attributes:
        name: who.
        reach: how: a number or an address.
        note: for whom, and when.
    """

    name: str
    reach: str
    note: str


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules.

    Attributes:
        version: of the file's format: 1.
        disclaimer: what is said above every suggestion.
        help: where to find human help.
        rules: the rules.
    """

    version: Literal[1]
    rules: tuple[Rule, ...]
    disclaimer: str = ""
    help: tuple[Helper, ...] = ()

    def __post_init__(self) -> None:
        """Check that ids are distinct."""
        ids = [rule.id for rule in self.rules]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"rules: the id '{twice[0]}' stands there twice")

    def joined(self, other: Self) -> Rules:
        """These rules and those of another file, which replace those of the same id."""
        own = {rule.id: rule for rule in self.rules}
        more = {rule.id: rule for rule in other.rules}
        return Rules(1, tuple({**own, **more}.values()), other.disclaimer or self.disclaimer, self.help + other.help)


def read_rules(path: Path) -> Rules:
    """Read a file of rules.

    Raises:
        ConfigError: it cannot be read, is no YAML, or a key is wrong; the message names file, rule and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return parse_rules(text, str(path))


def parse_rules(text: str, where: str) -> Rules:
    """Rules from the text of a YAML file; ``where`` opens each error.

    Raises:
        ConfigError: see :func:`read_rules`.
    """
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader that refuses repeated keys
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: is no valid YAML: {' '.join(str(error).split())}") from None
    if isinstance(document, Mapping) and isinstance(document.get("rules"), list):
        document = {**document, "rules": [_rule(one, at, where) for at, one in enumerate(document["rules"])]}
    return from_mapping(Rules, document, where)


@lru_cache(maxsize=1)
def bundled() -> Rules:
    """The rules that come with mien."""
    return read_rules(Path(__file__).with_name("advice.yaml"))


def _rule(mapping: object, at: int, where: str) -> Rule:
    """One rule, its errors opened by its id where it has one."""
    name = mapping.get("id") if isinstance(mapping, Mapping) else None
    return from_mapping(Rule, mapping, f"{where}: rule '{name}'" if isinstance(name, str) else f"{where}: rules[{at}]")


def _check_words(name: str, words: str) -> None:
    if not words.strip():
        raise ValueError(f"{name}: is empty")
    found = _DIAGNOSES.search(words) if name in ("title", "suggest") else None
    if found:
        raise ValueError(f"{name}: '{found.group(0)}' sounds like a diagnosis, which a face cannot give")


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent surprises: a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are distinct."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)
