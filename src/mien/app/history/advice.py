"""Suggestions by rules: which speak over a period, on what evidence, and which do not and why. Pure.

::

    rules = load(Path("advice.yaml"))                       # mien's, and the person's own file where there is one
    found = evaluate(rules, person_samples(days(store, since=…)), store.feedback, now=time.time())
    for suggestion in found:
        suggestion.rule.title, suggestion.why_shown, suggestion.rule.source.cite, suggestion.rating
    rules.disclaimer, rules.help                            # shown with every suggestion

Give it only whole days or reports of one person or one room. Nothing here knows a single frame: a rule needs minutes
over several days, or several reports of a room, and :mod:`mien.app.history.rules` refuses one that asks for less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mien.app.history.rules import Rule, RuleCondition, Rules, bundled, read_rules
from mien.app.history.stored_recordings import Day
from mien.app.store.values import Feedback
from mien.core.expression import Expression, Polarity
from mien.runtime.recordings.read import UNCERTAIN, UNMEASURABLE

DAY_MINUTES = 5.0
"""Measured minutes from which a day counts as evidence."""

SNOOZES = {"a day": 86_400.0, "a week": 7 * 86_400.0, "a month": 30 * 86_400.0}
"""For how long a suggestion can be put off, in seconds."""


_SLACK = 1e-9
"""So that a share of 0.3 that was added up meets a limit of 0.3."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One day of a person, or one report of a room.

    Attributes:
        name: the date, or the report's time.
        minutes: measured minutes; of a report, that which it covers.
        shares: by what was held, of the measurable time (*not measurable*: of the face time); in a room, of the people.
        by_probability: by smoothed probability; empty for a room.
    """

    name: str
    minutes: float
    shares: Mapping[str, float]
    by_probability: Mapping[str, float]

    def share(self, condition: RuleCondition) -> float:
        """The share that a condition looks at."""
        return (self.shares if condition.measure == "held" else self.by_probability).get(condition.share, 0.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What met one condition.

    Attributes:
        condition: which.
        values: the share on each day or report, by its name.
        met: the names of those that met it.
        words: the same in a sentence.
    """

    condition: RuleCondition
    values: Mapping[str, float]
    met: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule that speaks, and why.

    Attributes:
        rule: what is suggested, why it may help, its source and limits.
        evidence: what met each of its conditions.
        minutes: measured minutes of the period.
        samples: how many days or reports counted.
        rating: what the person said of it, -1 or 1; None where nothing.
    """

    rule: Rule
    evidence: tuple[Evidence, ...]
    minutes: float
    samples: int
    rating: int | None = None

    @property
    def why_shown(self) -> str:
        """Why do I see this? In words."""
        person = self.rule.scope == "person"
        needs = self.rule.needs
        basis = (
            f"{self.minutes:.0f} minutes were measured on {_count(self.samples, 'day')}; the rule needs "
            f"{needs.minutes:g} minutes on {_count(needs.days, 'day')}."
            if person
            else f"{_count(self.samples, 'report')} of the room; the rule needs {needs.reports}."
        )
        return " ".join([*(one.words for one in self.evidence), basis])


@dataclass(frozen=True, slots=True)
class Silence:
    """A rule that does not speak, and why.

    Attributes:
        rule: which.
        because: one word for programs.
        words: the same for people.
    """

    rule: Rule
    because: Literal["off", "snoozed", "evidence", "conditions"]
    words: str


def load(own: Path) -> Rules:
    """The rules: mien's, and a person's own, which replace mien's of the same id.

    Args:
        own: file of the person's own rules, which need not be there.

    Raises:
        ConfigError: the file cannot be read, or a key in it is wrong; the message names it.
    """
    return bundled().joined(read_rules(own)) if own.exists() else bundled()


def evaluate(
    rules: Rules,
    samples: Sequence[Sample],
    feedback: Feedback | None = None,
    *,
    now: float,
    scope: Literal["person", "room"] = "person",
) -> tuple[Suggestion, ...]:
    """The suggestions that rules make of a period: helpful ones first, then in the rules' order.

    Args:
        rules: which.
        samples: the period's days or reports, the oldest first.
        feedback: what the person switched off, snoozed and rated.
        now: Unix seconds, for snoozing.
        scope: whether the samples are a person's days or a room's reports.
    """
    heard = feedback or Feedback()
    found = [judge(rule, samples, heard, now=now) for rule in rules.rules if rule.scope == scope]
    spoken = [one for one in found if isinstance(one, Suggestion)]
    return tuple(sorted(spoken, key=lambda one: -(one.rating or 0)))


def judge(rule: Rule, samples: Sequence[Sample], feedback: Feedback, *, now: float) -> Suggestion | Silence:
    """Whether one rule speaks, and on what evidence or why not."""
    if rule.id in feedback.off:
        return Silence(rule, "off", "You switched it off.")
    if feedback.snoozed.get(rule.id, 0.0) > now:
        return Silence(rule, "snoozed", "You put it off.")
    counted = [one for one in samples if rule.scope == "room" or _looked_at(one, rule) >= DAY_MINUTES]
    minutes = sum(one.minutes for one in samples)
    lacking = _lacking(rule, len(counted), minutes)
    if lacking:
        return Silence(rule, "evidence", lacking)
    evidence = [_weigh(condition, counted, rule.scope) for condition in rule.when]
    for one in evidence:
        if len(one.met) < one.condition.times:
            return Silence(rule, "conditions", one.words)
    return Suggestion(rule, tuple(evidence), minutes, len(counted), feedback.ratings.get(rule.id))


def person_samples(days: Sequence[Day]) -> tuple[Sample, ...]:
    """A person's days as samples."""
    found = []
    for day in days:
        total = day.totals
        measurable, faces = max(total.measurable, 1e-9), max(total.faces, 1e-9)
        by_expression = {str(e): float(total.states[at]) for at, e in enumerate(Expression)}
        held = {name: seconds / measurable for name, seconds in {**by_expression, **total.held}.items()}
        held[UNMEASURABLE] = total.held[UNMEASURABLE] / faces
        mass = {str(e): float(total.mass[at]) for at, e in enumerate(Expression)}
        mass.update({str(p): seconds for p, seconds in total.polarity_mass.items()})
        chances = {name: seconds / measurable for name, seconds in mass.items()}
        found.append(Sample(day.date.isoformat(), total.measurable / 60, held, chances))
    return tuple(found)


def _looked_at(sample: Sample, rule: Rule) -> float:
    """Minutes of a day that count for a rule: measured ones, or all face time where it is about the unmeasurable."""
    if not any(condition.share == UNMEASURABLE for condition in rule.when):
        return sample.minutes
    return sample.minutes / max(1 - sample.shares.get(UNMEASURABLE, 0.0), 1e-9)


def _lacking(rule: Rule, samples: int, minutes: float) -> str:
    needs = rule.needs
    if rule.scope == "room":
        return f"{_count(samples, 'report')} so far; it needs {needs.reports}." if samples < needs.reports else ""
    if samples < needs.days or minutes < needs.minutes:
        return (
            f"{minutes:.0f} minutes measured, and {_count(samples, 'day')} with {DAY_MINUTES:g} minutes or more; it "
            f"needs {needs.minutes:g} minutes and {_count(needs.days, 'day')}."
        )
    return ""


def _weigh(condition: RuleCondition, samples: Sequence[Sample], scope: Literal["person", "room"]) -> Evidence:
    values = {one.name: one.share(condition) for one in samples}
    what = _what(condition, scope)
    if condition.rises_by is not None:
        *before, last = values.values()
        usual = float(np.mean(before)) if before else last
        met = tuple(values)[-1:] if before and last - usual >= condition.rises_by - _SLACK else ()
        words = (
            f"{what} {_percent(last)} on the latest day, and {_percent(usual)} on average on the days before; the rule "
            f"asks for {100 * condition.rises_by:.0f} points more."
        )
        return Evidence(condition, values, met, words)
    if condition.at_least is not None:
        wanted = f"{_percent(condition.at_least)} or more"
        met = tuple(name for name, value in values.items() if value >= condition.at_least - _SLACK)
    else:
        most = condition.at_most or 0.0
        wanted = f"{_percent(most)} or less"
        met = tuple(name for name, value in values.items() if value <= most + _SLACK)
    listed = ", ".join(map(_percent, values.values()))
    unit = "day" if scope == "person" else "report"
    words = (
        f"{what} {listed}: {wanted} on {len(met)} of {_count(len(values), unit)}, and the rule asks for "
        f"{condition.times}."
    )
    return Evidence(condition, values, met, words)


def _what(condition: RuleCondition, scope: Literal["person", "room"]) -> str:
    share = condition.share
    if scope == "room":
        looks = share in tuple(Polarity)
        return f"Faces that look {share}:" if looks else f"'{share.capitalize()}':"
    if share == UNMEASURABLE:
        return "Your face could not be read for"
    if share == UNCERTAIN:
        return "Nothing could be said for sure for"
    by = "" if condition.measure == "held" else " (by probability)"
    return f"An expression like {share}{by} stood for"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
