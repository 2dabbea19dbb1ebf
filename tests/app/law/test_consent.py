from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mien.app.law.consent import Consent, State, show
from mien.app.law.terms import DAY, OWN_VERSION, ROOM_VERSION, Scope, Terms, terms
from mien.core.errors import ConsentError, PolicyError
from mien.core.policy import Place, Purpose, decide

FROZEN = [
    "432a20b274bf8248444e26c49c9b71f44a4b191b3a197a38c67f47316e2fcd8d",
    "3d3317f6e1bf2b79bb1928dd5780d00c8376004d8d9e153aafa25abb6fcb65ea",
    "c708709b620cf4a5f7d8f067c01e65e1e751a4adf39db4cefc54862713eff76e",
]


def text(**options: int) -> Terms:
    return terms(decide("self-reflection", "eu"), **options)  # type: ignore[arg-type]


MOVES = {
    # where it stands: the moves that it allows, and where they lead
    State.SHOWN: {"give": State.GIVEN, "withdraw": State.WITHDRAWN},
    State.GIVEN: {"pause": State.PAUSED, "withdraw": State.WITHDRAWN},
    State.PAUSED: {"resume": State.GIVEN, "withdraw": State.WITHDRAWN},
    State.WITHDRAWN: {},
    State.EXPIRED: {"withdraw": State.WITHDRAWN},
}


def standing(state: State) -> Consent:
    shown = show(text(), now=0.0)
    return {
        State.SHOWN: lambda: shown,
        State.GIVEN: lambda: shown.give(1.0),
        State.PAUSED: lambda: shown.give(1.0).pause(2.0),
        State.WITHDRAWN: lambda: shown.give(1.0).withdraw(2.0),
        State.EXPIRED: lambda: shown.give(1.0).at(31 * DAY),
    }[state]()


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("move", ["give", "pause", "resume", "withdraw"])
def test_every_move_leads_where_the_diagram_says_or_is_refused(state: State, move: str) -> None:
    consent = standing(state)
    assert consent.state is state
    target = MOVES[state].get(move)
    if target is None:
        with pytest.raises(ConsentError, match=f"cannot {move} a consent that is {state}"):
            getattr(consent, move)(32 * DAY if state is State.EXPIRED else 3.0)
    else:
        assert getattr(consent, move)(32 * DAY if state is State.EXPIRED else 3.0).state is target


@pytest.mark.parametrize(("state", "words"), [(s, s) for s in State if s is not State.GIVEN])
def test_analysis_runs_under_a_given_consent_only(state: State, words: str) -> None:
    standing(State.GIVEN).check(text(), now=3.0)
    with pytest.raises(ConsentError):
        standing(state).check(text(), now=31 * DAY if state is State.EXPIRED else 3.0)


def test_the_time_of_a_consent_runs_out_also_while_it_is_paused() -> None:
    given = show(text(), now=0.0).give(10.0)
    assert given.expires == 10.0 + 30 * DAY
    assert given.at(10.0 + 30 * DAY - 0.001).state is State.GIVEN
    assert given.at(10.0 + 30 * DAY).state is State.EXPIRED
    paused = given.pause(20.0)
    assert paused.at(31 * DAY).state is State.EXPIRED
    with pytest.raises(ConsentError, match="expired"):
        paused.resume(31 * DAY)
    with pytest.raises(ConsentError, match="time of the consent is up"):
        given.check(text(), now=31 * DAY)


def test_a_room_is_consented_to_for_half_a_day() -> None:
    asked = terms(decide("audience-test", "eu"), scope=Scope.ROOM_FACES, room="https://host:1")
    given = show(asked, now=0.0).give(0.0)
    assert given.at(DAY / 2 - 1).state is State.GIVEN
    assert given.at(DAY / 2).state is State.EXPIRED
    assert asked.retention_days == 0
    assert any("https://host:1" in paragraph.words for paragraph in asked.paragraphs)


def test_a_clock_that_jumps_back_does_not_lengthen_a_consent() -> None:
    consent = show(text(), now=100.0).give(50.0)
    assert (consent.given, consent.expires) == (100.0, 100.0 + 30 * DAY)
    assert consent.pause(10.0).resume(5.0).changed == 100.0


def changed(consent: Consent, **values: object) -> Consent:
    import dataclasses

    return dataclasses.replace(consent, terms=dataclasses.replace(consent.terms, **values))


def test_a_consent_to_another_text_purpose_or_a_shorter_retention_does_not_count() -> None:
    given = show(text(), now=0.0).give(1.0)
    older = changed(given, version=OWN_VERSION - 1)
    with pytest.raises(ConsentError, match=rf"version {OWN_VERSION - 1} .* version {OWN_VERSION}.*consent anew"):
        older.check(text(), now=2.0)
    with pytest.raises(ConsentError, match=r"7 days.*8 days"):
        given.check(text(retention_days=8), now=2.0)
    given.check(text(retention_days=3), now=2.0)
    with pytest.raises(ConsentError, match="testing a product"):
        given.check(terms(decide("audience-test", "eu")), now=2.0)
    with pytest.raises(ConsentError):
        given.check(terms(decide("self-reflection", "elsewhere")), now=2.0)
    given.check(terms(decide("self-reflection", "unset")), now=2.0)


def test_a_receipt_says_what_was_agreed_to_and_names_nobody() -> None:
    consent = show(text(), now=1_800_000_000.0).give(1_800_000_060.0)
    document = json.loads(json.dumps(consent.receipt()))
    assert document["given"] == "2027-01-15T08:01:00+00:00"
    assert document["expires"] == "2027-02-14T08:01:00+00:00"
    assert document["terms_sha256"] == text().sha256
    assert Terms.from_dict(document["terms"]) == consent.terms
    words = consent.receipt_text()
    for paragraph in consent.terms.paragraphs:
        assert paragraph.heading in words
        assert paragraph.words in words
    assert "2027-01-15T08:01:00" in words
    assert show(text(), now=0.0).receipt_text().count("never") >= 2


def test_the_text_answers_the_questions_that_consent_needs() -> None:
    headings = [paragraph.heading for paragraph in text(retention_days=3).paragraphs]
    assert headings[:4] == ["What is computed?", "Where is it kept?", "How long?", "Who sees it?"]
    words = " ".join(paragraph.words for paragraph in text(retention_days=3).paragraphs)
    assert "hand over yourself" in words
    assert "a program of yours" in words
    for needed in ("an expression like", "3 days", "never written down", "erased", "What you feel", "no diagnosis"):
        assert needed in words
    assert "1 day," in " ".join(p.words for p in text(retention_days=1).paragraphs)


def test_the_wording_of_a_version_is_frozen() -> None:
    """Who changes a text has to raise its version, so that consent is asked for anew, and then to change FROZEN."""
    assert (OWN_VERSION, ROOM_VERSION) == (2, 1)
    research = decide("research", "eu")
    found = [text().sha256, *(terms(research, scope=s).sha256 for s in (Scope.ROOM_FACES, Scope.ROOM_TAPS))]
    assert found == FROZEN


def test_terms_follow_the_policy() -> None:
    for purpose in (Purpose.WORKPLACE, Purpose.EDUCATION):
        decision = decide(purpose, Place.EU)
        with pytest.raises(PolicyError):
            terms(decision)
        with pytest.raises(PolicyError):
            terms(decision, scope=Scope.ROOM_FACES)
        words = " ".join(p.words for p in terms(decision, scope=Scope.ROOM_TAPS).paragraphs)
        assert "No camera is opened" in words
    with pytest.raises(ValueError, match="a day or more"):
        text(retention_days=0)


class AnyOrder(RuleBasedStateMachine):
    """Whatever is clicked in whatever order, and whatever the clock does."""

    def __init__(self) -> None:
        super().__init__()
        self.consent = show(text(), now=0.0)
        self.now = 0.0
        self.ended = False

    @rule(move=st.sampled_from(["give", "pause", "resume", "withdraw"]), step=st.floats(-1e6, 1e7))
    def move(self, move: str, step: float) -> None:
        self.now += step
        before = self.consent.at(self.now)
        allowed = move in MOVES[before.state]
        try:
            self.consent = getattr(self.consent, move)(self.now)
        except ConsentError:
            assert not allowed
        else:
            assert allowed
            self.ended |= move == "withdraw"

    @invariant()
    def withdrawn_stays_withdrawn(self) -> None:
        assert not self.ended or self.consent.state is State.WITHDRAWN

    @invariant()
    def only_a_given_consent_that_is_in_time_lets_analysis_run(self) -> None:
        try:
            self.consent.check(text(), self.now)
        except ConsentError:
            return
        assert self.consent.state is State.GIVEN
        assert self.consent.expires is not None
        assert self.now < self.consent.expires


AnyOrder.TestCase.settings = settings(deadline=None, max_examples=60)
TestAnyOrder = AnyOrder.TestCase


@settings(deadline=None)
@given(st.sampled_from(list(Scope)), st.integers(1, 365))
def test_terms_come_back_from_json_the_same(scope: Scope, days: int) -> None:
    asked = terms(decide("research", "eu"), scope=scope, retention_days=days)
    again = Terms.from_dict(json.loads(json.dumps(asked.to_dict())))
    assert again == asked
    assert again.sha256 == asked.sha256
