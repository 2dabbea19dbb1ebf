from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.made import Clock, agreed, dark, fresh, second
from mien.app.history.advice import (
    DAY_MINUTES,
    Sample,
    Silence,
    Suggestion,
    evaluate,
    judge,
    load,
    person_samples,
)
from mien.app.history.rules import LEAST_DAYS, LEAST_MINUTES, LEAST_REPORTS, Rule, bundled, parse_rules, read_rules
from mien.app.history.stored_recordings import days
from mien.app.store.values import Feedback
from mien.core.errors import ConfigError
from mien.core.expression import Expression

ROOT = Path(__file__).parents[3]

RULE = """
  - id: {id}
    scope: person
    kind: thought
    title: A title
    suggest: Something
    when: [{when}]
    needs: {needs}
    why: Because
    source: {{cite: Somebody (2020), url: "https://doi.org/10.1/1", found: That it helps}}
    limits: Few
"""


def rules_text(*, when: str = "{share: negative, at_least: 0.3}", needs: str = "{minutes: 10, days: 2}") -> str:
    return "version: 1\nrules:" + RULE.format(id="mine", when=when, needs=needs)


def rule(**options: str) -> Rule:
    return parse_rules(rules_text(**options), "mine.yaml").rules[0]


def day(number: int, minutes: float = 10.0, **shares: float) -> Sample:
    named = {name.replace("_", " "): share for name, share in shares.items()}
    return Sample(f"2027-01-{number:02}", minutes, named, named)


def speaks(one: Rule, *samples: Sample) -> bool:
    return isinstance(judge(one, samples, Feedback(), now=0.0), Suggestion)


# mien's own rules


def test_the_bundled_rules_are_whole() -> None:
    rules = bundled()
    assert {one.scope for one in rules.rules} == {"person", "room"}
    assert len(rules.rules) >= 12
    assert rules.disclaimer
    assert any("112" in helper.reach for helper in rules.help)
    for one in rules.rules:
        if one.scope == "person":
            assert one.needs.days >= LEAST_DAYS
            assert one.needs.minutes >= LEAST_MINUTES
        else:
            assert one.needs.reports >= LEAST_REPORTS
        assert re.match(r"https://doi\.org/10\.\d{4,}/", one.source.url) or (ROOT / one.source.url).is_file()
        for words in (one.suggest, one.why, one.limits, one.source.found, one.source.cite):
            assert words == words.strip()
            assert len(words) < 400
    assert len({one.title for one in rules.rules}) == len(rules.rules)


def test_what_is_cited_of_miens_own_measurements_stands_there() -> None:
    (own,) = [one for one in bundled().rules if one.source.url.startswith("docs/")]
    text = (ROOT / own.source.url).read_text()
    found = [
        float(next(line for line in text.splitlines() if line.startswith(f"| {light} |")).split("|")[4])
        for light in ("clean", "dark, 1/4", "dark, 1/8")
    ]
    assert "by some 15 points, and at an eighth most of it was gone" in own.source.found
    assert found[0] - found[1] == pytest.approx(15, abs=3)
    assert found[2] < found[0] / 2


# When rules speak


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], False),
        ([day(1, 60, negative=0.9)], False),  # a single day never
        ([day(1, negative=0.3), day(2, negative=0.0)], True),
        ([day(1, negative=0.29), day(2, negative=0.0)], False),
        ([day(1, 4.9, negative=0.9), day(2, 20, negative=0.0)], False),  # a day of less than five minutes is none
        ([day(1, 5, negative=0.9), day(2, 4, negative=0.9), day(3, 5)], True),
        ([day(1, 5, negative=0.9), day(2, 4.9, negative=0.9)], False),
    ],
)
def test_a_rule_speaks_on_the_evidence_that_it_asks_for(samples: list[Sample], expected: bool) -> None:
    assert speaks(rule(), *samples) is expected


def test_minutes_are_asked_for_in_all() -> None:
    asking = rule(needs="{minutes: 30, days: 2}")
    assert not speaks(asking, day(1, 14, negative=0.9), day(2, 15, negative=0.9))
    assert speaks(asking, day(1, 15, negative=0.9), day(2, 15, negative=0.9))


def test_how_often_and_at_most() -> None:
    often = rule(when="{share: negative, at_least: 0.3, times: 2}")
    assert not speaks(often, day(1, negative=0.9), day(2, negative=0.1))
    assert speaks(often, day(1, negative=0.9), day(2, negative=0.3))
    seldom = rule(when="{share: positive, at_most: 0.05, times: 2}")
    assert speaks(seldom, day(1, positive=0.05), day(2))
    assert not speaks(seldom, day(1, positive=0.06), day(2))
    never = rule(when="{share: positive, at_most: 0, times: 2}")
    assert speaks(never, day(1), day(2))
    assert not speaks(never, day(1), day(2, positive=0.01))


def test_all_conditions_must_hold() -> None:
    both = rule(when="{share: negative, at_least: 0.3}, {share: positive, at_most: 0.1}")
    assert speaks(both, day(1, negative=0.4), day(2))
    assert not speaks(both, day(1, negative=0.4, positive=0.2), day(2, positive=0.2))


def test_a_rise_compares_the_latest_day_with_those_before() -> None:
    rising = rule(when="{share: sad, rises_by: 0.2}", needs="{minutes: 10, days: 3}")
    assert speaks(rising, day(1, sad=0.1), day(2, sad=0.3), day(3, sad=0.4))
    assert not speaks(rising, day(1, sad=0.1), day(2, sad=0.3), day(3, sad=0.39))
    assert not speaks(rising, day(1, sad=0.9), day(2, sad=0.1), day(3, sad=0.3))
    (evidence,) = judge(  # type: ignore[union-attr]
        rising, [day(1, sad=0.1), day(2, sad=0.3), day(3, sad=0.4)], Feedback(), now=0.0
    ).evidence
    assert evidence.met == ("2027-01-03",)
    assert "40 % on the latest day, and 20 % on average on the days before" in evidence.words


def test_the_measure_can_be_chosen() -> None:
    by_chance = rule(when="{share: negative, at_least: 0.3, measure: by_probability}")
    samples = [Sample(str(n), 10.0, {"negative": 0.0}, {"negative": 0.35}) for n in range(2)]
    assert speaks(by_chance, *samples)
    assert not speaks(rule(), *samples)
    assert "(by probability)" in judge(by_chance, samples, Feedback(), now=0.0).why_shown  # type: ignore[union-attr]


def test_days_on_which_nothing_could_be_read_are_evidence_of_just_that() -> None:
    better_light = next(one for one in bundled().rules if one.id == "better-light")
    hidden = [Sample(str(n), 3.0, {"not measurable": 0.5}, {}) for n in range(2)]
    assert speaks(better_light, *hidden)
    assert not speaks(better_light, *[Sample(str(n), 2.0, {"not measurable": 0.5}, {}) for n in range(2)])


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            day,
            st.integers(1, 28),
            st.floats(0, 4.99),
            negative=st.floats(0, 1),
            positive=st.floats(0, 1),
            sad=st.floats(0, 1),
            fear=st.floats(0, 1),
            angry=st.floats(0, 1),
        ),
        max_size=12,
        unique_by=lambda one: one.name,
    )
)
def test_short_days_never_give_advice(samples: list[Sample]) -> None:
    assert evaluate(bundled(), samples, now=0.0) == ()


@settings(deadline=None)
@given(st.floats(0, 10_000), st.sampled_from(["negative", "positive", "sad", "fear", "angry", "not measurable"]))
def test_one_day_never_gives_advice_however_long(minutes: float, share: str) -> None:
    assert evaluate(bundled(), [Sample("today", minutes, {share: 0.9}, {})], now=0.0) == ()


# What is said


def test_a_suggestion_says_why_it_is_shown() -> None:
    spoken = judge(rule(), [day(1, 12, negative=0.42), day(2, 8, negative=0.1)], Feedback({"mine": -1}), now=0.0)
    assert isinstance(spoken, Suggestion)
    assert spoken.why_shown == (
        "An expression like negative stood for 42 %, 10 %: 30 % or more on 1 of 2 days, and the rule asks for 1. "
        "20 minutes were measured on 2 days; the rule needs 10 minutes on 2 days."
    )
    assert spoken.rating == -1
    assert dict(spoken.evidence[0].values) == {"2027-01-01": 0.42, "2027-01-02": 0.1}
    assert spoken.rule.source.url == "https://doi.org/10.1/1"


def test_a_silent_rule_says_why_too() -> None:
    heard = {
        "off": Feedback(off=frozenset({"mine"})),
        "snoozed": Feedback(snoozed={"mine": 101.0}),
        "evidence": Feedback(),
    }
    for because, feedback in heard.items():
        found = judge(rule(), [day(1, 60, negative=0.9)], feedback, now=100.0)
        assert isinstance(found, Silence)
        assert found.because == because
        assert found.words.endswith(".")
    quiet = judge(rule(), [day(1), day(2)], Feedback(), now=0.0)
    assert isinstance(quiet, Silence)
    assert quiet.because == "conditions"


def test_feedback_is_heard() -> None:
    rules = bundled()
    samples = [day(n, 20, negative=0.5, angry=0.4) for n in range(1, 4)]
    shown = [one.rule.id for one in evaluate(rules, samples, now=0.0)]
    assert shown == ["concentration", "short-break", "step-back", "good-things"]
    feedback = Feedback(
        ratings={"step-back": 1, "concentration": -1}, snoozed={"short-break": 50.0}, off=frozenset({"good-things"})
    )
    assert [one.rule.id for one in evaluate(rules, samples, feedback, now=49.0)] == ["step-back", "concentration"]
    assert "short-break" in [one.rule.id for one in evaluate(rules, samples, feedback, now=50.0)]


def test_a_persons_days_become_samples(tmp_path: Path) -> None:
    clock = Clock()
    with fresh(tmp_path / "app.db", clock) as store:
        number = store.open_recording(agreed(store), model="toy")
        store.append(number, *(second(index, Expression.SAD if index < 30 else None) for index in range(60)))
        store.append(number, *map(dark, range(60, 80)))
        (sample,) = person_samples(days(store))
        assert sample.minutes == 1.0
        assert sample.shares["sad"] == sample.shares["negative"] == 0.5
        assert sample.shares["uncertain"] == 0.5
        assert sample.shares["not measurable"] == 0.25
        assert sample.by_probability["sad"] == pytest.approx((30 * 0.8 + 30 * 0.2 / 6) / 60, abs=1e-4)
        assert sum(sample.by_probability[p] for p in ("positive", "neutral", "negative")) == pytest.approx(1, abs=1e-4)


def test_advice_over_a_week_of_recordings(tmp_path: Path) -> None:
    clock = Clock()
    with fresh(tmp_path / "app.db", clock) as store:
        consent = agreed(store)
        for _ in range(3):
            number = store.open_recording(consent, model="toy", kind="scheduled")
            moods = (Expression.ANGRY if index % 3 == 0 else Expression.NEUTRAL for index in range(420))
            store.append(number, *(second(index, mood) for index, mood in enumerate(moods)))
            clock.now += 86_400
        found = evaluate(bundled(), person_samples(days(store)), store.feedback, now=clock())
        assert "step-back" in {one.rule.id for one in found}
        corrected = store.recordings()
        for info in corrected:
            store.correct(info.id, start=0, end=info.length, was=Expression.ANGRY, instead=Expression.NEUTRAL)
        found = evaluate(bundled(), person_samples(days(store)), store.feedback, now=clock())
        assert "step-back" not in {one.rule.id for one in found}


# Files of rules


def test_a_persons_own_file_adds_and_replaces(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = rules_text().replace("id: mine", "id: short-break")
    text += RULE.format(id="tea", when="{share: positive, at_least: 0.1}", needs="{minutes: 5, days: 2}")
    mine.write_text(text + "\nhelp: [{name: Aunt, reach: next door, note: at tea time}]\n")
    rules = load(mine)
    assert len(rules.rules) == len(bundled().rules) + 1
    assert next(one for one in rules.rules if one.id == "short-break").title == "A title"
    assert rules.rules[-1].id == "tea"
    assert rules.help[-1].name == "Aunt"
    assert rules.disclaimer == bundled().disclaimer
    assert load(tmp_path / "none.yaml") == bundled()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1", "version: 2", r"mine\.yaml: version: '2' is not one of them"),
        ("rules:", "rule:", r"mine\.yaml: unknown key 'rule': did you mean 'rules'"),
        ("limits: Few", "limit: Few", r"rule 'mine': unknown key 'limit': did you mean 'limits'"),
        ("    limits: Few\n", "", r"rule 'mine': the key 'limits' is missing"),
        ("limits: Few", "limits: ''", r"rule 'mine': limits: is empty"),
        ("limits: Few", "limits: 3", r"rule 'mine': limits: expected text"),
        ("limits: Few", "limits: Few\n    limits: Many", r"'limits' stands twice"),
        ("scope: person", "scope: persons", r"rule 'mine': scope: .*did you mean 'person'"),
        ("id: mine", "id: My Rule", r"id: 'My Rule' is not of small letters"),
        ("  - id: mine", "  - idd: mine", r"rules\[0\]: unknown key 'idd'"),
        ("share: negative", "share: negativ", r"when\[0\]: share: 'negativ' is none: did you mean 'negative'"),
        ("share: negative", "share: too fast", r"when\[0\]: share: 'too fast' is none"),
        ("share: negative", "share: gender", r"when\[0\]: share: 'gender' is none"),
        ("at_least: 0.3", "at_least: 30", r"when\[0\]: a share is 0 to 1, got 30"),
        ("at_least: 0.3", "at_least: 0.3, at_most: 0.5", r"when\[0\]: a condition needs exactly one"),
        (", at_least: 0.3", "", r"when\[0\]: a condition needs exactly one"),
        ("at_least: 0.3", "at_least: 0.3, times: 3", r"when\[0\]: times: 3 is more than the evidence asks for \(2\)"),
        ("at_least: 0.3", "at_least: 0.3, times: 0", r"when\[0\]: times is 1 or more"),
        ("at_least: 0.3", "rises_by: 0.3, times: 2", r"when\[0\]: times is 1 or more, and 1 with rises_by"),
        ("negative, at", "uncertain, measure: by_probability, at", r"measure: 'uncertain' has no probability"),
        ("negative, at", "not measurable, measure: by_probability, at", r"'not measurable' has no probability"),
        ("[{share", "[] #{share", r"when: needs a condition or more"),
        ("days: 2", "days: 1", r"needs: a rule for a person needs 5 minutes and 2 days or more"),
        ("minutes: 10", "minutes: 0.03", r"needs: a rule for a person needs 5 minutes"),
        ("days: 2", "days: 2, reports: 2", r"no reports"),
        ("https://doi.org", "http://doi.org", r"source: url: .* does not start with https"),
        ("cite: Somebody (2020)", "cite: ''", r"source: cite: is empty; a suggestion needs a source"),
        ("title: A title", "title: You are depressed", r"title: 'depress' sounds like a diagnosis"),
        ("suggest: Something", "suggest: You feel lonely", r"suggest: 'You feel' sounds like a diagnosis"),
        ("version: 1", "version: [", r"mine\.yaml: is no valid YAML"),
        ("version: 1", "version: !!python/object/apply:os.getcwd []", r"is no valid YAML"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = rules_text()
    assert old in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words) as caught:
        load(path)
    assert "mine.yaml" in str(caught.value)


def test_rules_for_a_room_have_shares_and_evidence_of_their_own() -> None:
    room = rules_text(when="{share: too fast, at_least: 0.3}", needs="{reports: 2}").replace("person", "room")
    assert parse_rules(room, "x").rules[0].scope == "room"
    for old, new, words in (
        ("too fast", "sad", "share: 'sad' is none"),
        ("reports: 2", "reports: 1", "needs 2 reports or more"),
        ("reports: 2", "reports: 2, days: 2", "neither minutes nor days"),
        ("at_least: 0.3", "at_least: 0.3, measure: by_probability", "no measure to choose"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_rules(room.replace(old, new), "x")


def test_an_id_stands_once() -> None:
    text = rules_text() + RULE.format(id="mine", when="{share: sad, at_least: 0.3}", needs="{minutes: 10, days: 2}")
    with pytest.raises(ConfigError, match="the id 'mine' stands there twice"):
        parse_rules(text, "x")


@pytest.mark.parametrize("text", ["", "3", "- a", "version: 1\nrules: 3"])
def test_a_file_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x: (expected|rules)"):
        parse_rules(text, "x")


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        read_rules(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml: cannot be read"):
        load(tmp_path / "binary.yaml")


def test_a_day_counts_from_five_minutes_on() -> None:
    assert DAY_MINUTES == LEAST_MINUTES == 5.0


def test_the_documents_example_is_one() -> None:
    text = (ROOT / "docs" / "advice.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert parse_rules(example, "docs/advice.md").rules[0].id == "tea"
