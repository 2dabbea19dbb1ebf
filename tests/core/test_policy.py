from itertools import product
from pathlib import Path

import pytest

from mien.core.errors import ConfigError, PolicyError
from mien.core.policy import READS_FACES, Decision, Feature, Place, Purpose, decide

OWN = READS_FACES - {Feature.ROOM_FACES} | {Feature.ROOM_TAPS}
ALL = frozenset(Feature)
TAPS = frozenset({Feature.ROOM_TAPS})

TABLE = {
    # purpose: (in the EU, elsewhere)
    Purpose.SELF_REFLECTION: (OWN, OWN),
    Purpose.RESEARCH: (ALL, ALL),
    Purpose.AUDIENCE_TEST: (ALL, ALL),
    Purpose.CLINICAL_SAFETY: (ALL, ALL),
    Purpose.WORKPLACE: (TAPS, ALL),
    Purpose.EDUCATION: (TAPS, ALL),
}


@pytest.mark.parametrize(("purpose", "place"), list(product(Purpose, Place)))
def test_the_decision_table_holds_for_every_purpose_and_place(purpose: Purpose, place: Place) -> None:
    eu, elsewhere = TABLE[purpose]
    decision = decide(purpose, place)
    assert decision.features == (elsewhere if place is Place.ELSEWHERE else eu)
    assert decision.face_analysis == (decision.features != TAPS)
    assert (decision.purpose, decision.place) == (purpose, place)
    assert decision.reason.endswith(".")


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_place_that_was_not_said_is_the_eu(purpose: Purpose) -> None:
    unset, eu = decide(purpose), decide(purpose, Place.EU)
    assert (unset.features, unset.reason, unset.conditions) == (eu.features, eu.reason, eu.conditions)


@pytest.mark.parametrize("purpose", [Purpose.WORKPLACE, Purpose.EDUCATION])
@pytest.mark.parametrize("place", [Place.UNSET, Place.EU])
@pytest.mark.parametrize("feature", sorted(READS_FACES))
def test_no_face_is_read_at_work_or_school_in_the_eu_and_the_reason_is_given(
    purpose: Purpose, place: Place, feature: Feature
) -> None:
    decision = decide(purpose, place)
    with pytest.raises(PolicyError, match=r"Art\. 5\(1\)\(f\).*room taps"):
        decision.require(feature)
    decision.require(Feature.ROOM_TAPS)
    assert any("Art. 5(1)(f)" in source.name and "2 February 2025" in source.says for source in decision.sources)


def test_medical_and_safety_reasons_are_the_exception_and_come_with_conditions() -> None:
    decision = decide(Purpose.CLINICAL_SAFETY, Place.EU)
    assert "exception" in decision.reason
    assert any("no medical device" in condition for condition in decision.conditions)


@pytest.mark.parametrize("purpose", [Purpose.WORKPLACE, Purpose.EDUCATION])
def test_outside_the_eu_the_room_rules_hold(purpose: Purpose) -> None:
    assert any("five or more" in condition for condition in decide(purpose, Place.ELSEWHERE).conditions)


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.SELF_REFLECTION])
def test_others_are_told_or_ruled_out(purpose: Purpose) -> None:
    decision = decide(purpose, Place.EU)
    if decision.face_analysis:
        assert any("Art. 50(3)" in source.name for source in decision.sources)
        assert any("consents" in condition for condition in decision.conditions)


def test_each_source_can_be_looked_up() -> None:
    found = {source for pair in product(Purpose, Place) for source in decide(*pair).sources}
    assert len(found) >= 8
    for source in found:
        assert source.url.startswith("https://eur-lex.europa.eu/")
        assert source.says.endswith(".")


@pytest.mark.parametrize(
    ("purpose", "place", "words"),
    [
        ("educaton", "eu", "unknown purpose 'educaton': did you mean 'education'"),
        ("research", "EU", "unknown place 'EU': did you mean 'eu'"),
        ("", "eu", "unknown purpose ''"),
    ],
)
def test_a_wrong_word_is_refused_by_name(purpose: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        decide(purpose, place)


def test_a_decision_cannot_be_changed() -> None:
    decision: Decision = decide("education")
    with pytest.raises(AttributeError):
        decision.features = ALL  # type: ignore[misc]


def test_the_document_tells_the_same() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "law.md").read_text().splitlines()
    rows = {cells[1].strip(): cells[2:4] for line in lines if len(cells := line.split("|")) == 5}
    names = {
        Purpose.SELF_REFLECTION: "self-reflection",
        Purpose.RESEARCH: "research with consent",
        Purpose.AUDIENCE_TEST: "audience or product test",
        Purpose.CLINICAL_SAFETY: "clinical or safety",
        Purpose.WORKPLACE: "workplace",
        Purpose.EDUCATION: "education",
    }
    for purpose, name in names.items():
        for cell, place in zip(rows[name], (Place.EU, Place.ELSEWHERE), strict=True):
            words = rows[name][0] if "the same" in cell else cell
            decision = decide(purpose, place)
            assert ("**no face**" in words) is not decision.face_analysis
            assert words.strip().startswith("all") is decision.allows(Feature.ROOM_FACES)
            assert ("taps" in words or "all" in words) is decision.allows(Feature.ROOM_TAPS)
