"""The pages over HTTP: the first start, consent, recordings, advice and privacy, and what is refused."""

from __future__ import annotations

import io
import json
import re
import time

import pytest

from app.seeding import course, second, seed_days
from app.serving import running
from mien.app.law.audit import Action
from mien.app.law.consent import State
from mien.app.store.aggregate import Second
from mien.core.expression import Expression
from mien.core.policy import Feature, Place, Purpose, decide
from mien.runtime.inference.library import PULLABLE

NEGATIVE = {Expression.NEUTRAL: 4.0, Expression.SAD: 4.0, Expression.ANGRY: 2.0, None: 1.0}


@pytest.fixture(scope="module")
def lived_database(tmp_path_factory):
    """Two short recordings, of yesterday and of today."""
    path = tmp_path_factory.mktemp("lived") / "app.db"
    days = [[second(at, Expression.SAD) for at in range(8)], course(0.5, {Expression.HAPPY: 1.0, None: 1.0})]
    seed_days(path, time.time(), days)
    return path


@pytest.fixture
def lived(tmp_path, haar, lived_database):
    """An app with them."""
    with running(tmp_path, haar, database=lived_database) as app:
        yield app


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory, haar, lived_database):
    """The same, for tests that change nothing."""
    with running(tmp_path_factory.mktemp("unchanged"), haar, database=lived_database) as app:
        yield app


@pytest.fixture(scope="module")
def undecided(tmp_path_factory, haar, new_database):
    """An app for tests that withdraw whatever they consent to."""
    with running(tmp_path_factory.mktemp("undecided"), haar, database=new_database) as app:
        yield app


@pytest.fixture
def client(request):
    """A browser of the app that the test has, whichever it is."""
    name = next((one for one in ("lived", "unchanged") if one in request.fixturenames), "served")
    with request.getfixturevalue(name).client() as client:
        yield client


def refused(answer, status: int = 400) -> str:
    assert answer.status_code == status
    return re.search(r'<div class="note stop"><p>(.*?)</p>', answer.text, re.DOTALL).group(1)


def test_the_first_start_asks_what_for_and_where(client, served):
    first = client.get("/").text
    for purpose in Purpose:
        assert f'value="{purpose}"' in first
    assert "Live</a>" not in first
    assert client.get("/live").headers["location"] == "/"
    answer = client.post("/purpose", data={"purpose": "self-reflection", "place": "unset"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/consent")
    assert served.store.settings.purpose is Purpose.SELF_REFLECTION


def test_the_overview_says_that_yunet_was_never_pulled(client, tmp_path, monkeypatch):
    client.post("/purpose", data={"purpose": "self-reflection", "place": "unset"})
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    assert "mien models pull yunet" in client.get("/").text
    PULLABLE["yunet"].path.parent.mkdir()
    PULLABLE["yunet"].path.touch()
    assert "mien models pull yunet" not in client.get("/").text


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("place", list(Place))
def test_every_page_opens_or_refuses_as_the_policy_says(undecided, purpose, place):
    with undecided.client() as client:
        _opens_or_refuses(undecided, client, purpose, place)
    if undecided.store.withdrawable():
        undecided.store.withdraw(undecided.store.withdrawable()[0])


def _opens_or_refuses(served, client, purpose, place):
    client.post("/purpose", data={"purpose": str(purpose), "place": str(place)})
    decision = decide(purpose, place)
    home = client.get("/").text
    assert decision.reason.split("'")[0][:60] in home
    for path, feature in (
        ("/recordings", Feature.RECORDINGS),
        ("/advice", Feature.ADVICE),
        ("/upload", Feature.UPLOAD),
    ):
        if path != "/upload":
            assert client.get(path).status_code == (200 if decision.allows(feature) else 403)
        assert (f'href="{path}"' in home) is decision.allows(feature)
    for path in ("/live", "/recordings/schedule", "/upload"):
        answer = client.get(path)
        assert answer.status_code == (303 if decision.face_analysis or path == "/live" else 403)
        if decision.face_analysis:
            assert answer.headers["location"] == "/consent"
    assert ("taps" in home.lower()) or decision.face_analysis
    if decision.face_analysis:
        served.agree(purpose, place)
        assert [client.get(path).status_code for path in ("/live", "/recordings/schedule", "/upload")] == [200] * 3


@pytest.mark.parametrize(("purpose", "place"), [("spying", "eu"), ("research", "moon"), ("", "")])
def test_an_unknown_purpose_or_place_is_refused(client, served, purpose, place):
    assert client.post("/purpose", data={"purpose": purpose, "place": place}).status_code == 400
    assert served.store.settings.purpose is None


def test_consent_is_shown_given_and_receipted(client, served):
    client.post("/purpose", data={"purpose": "self-reflection", "place": "eu"})
    text = client.get("/consent").text
    for paragraph in served.store.terms().paragraphs:
        assert paragraph.heading in text
    shown = served.store.consent()
    assert shown.state is State.SHOWN
    assert client.get("/consent").status_code == 200
    assert len(served.store.consents()) == 1  # the same text is not shown twice
    refused(client.post("/consent", data={"consent": shown.id}), 403)
    refused(client.post("/consent", data={"consent": "another", "agreed": "yes"}), 403)
    assert served.store.consent().state is State.SHOWN
    agreed = client.post("/consent", data={"consent": shown.id, "agreed": "yes"})
    assert agreed.headers["location"] == "/live"
    assert client.get("/live").status_code == 200
    refused(client.post("/consent", data={"consent": shown.id, "agreed": "yes"}), 403)
    assert "What is computed?" in client.get("/consent/receipt.txt").text
    receipt = client.get("/consent/receipt.json").json()
    assert (receipt["state"], receipt["consent"]) == ("given", shown.id)


def test_another_purpose_asks_for_consent_anew(client, served):
    served.agree()
    assert client.get("/live").status_code == 200
    answer = client.post("/purpose", data={"purpose": "audience-test", "place": "eu"})
    assert answer.headers["location"] == "/consent?said=purpose"
    assert client.get("/live").headers["location"] == "/consent"


def test_recordings_are_listed_drawn_noted_and_corrected(client, lived):
    page = client.get("/recordings").text
    assert page.count("/recordings/1") == page.count("/recordings/2") == 1
    assert "negative 100 %" in page
    one = client.get("/recordings/1").text
    assert "an expression like sad for 100 % of the face time" in one
    assert (
        client.post("/recordings/1/note", data={"text": "A walk", "at": "0:05"}).headers["location"].endswith("noted")
    )
    assert client.post("/recordings/1/correct", data={"start": "0:00", "end": "0:04", "was": "sad"}).status_code == 303
    one = client.get("/recordings/1?said=corrected").text
    assert "A walk" in one
    assert "Your word counts" in one
    assert "an expression like sad for 50 % of the face time" in one
    (correction,) = lived.store.corrections(1)
    (note,) = lived.store.notes(1)
    client.post(f"/recordings/1/correction/{correction.id}/delete")
    client.post(f"/recordings/1/note/{note.id}/delete")
    assert lived.store.corrections(1) == lived.store.notes(1) == ()
    client.post("/recordings/1/name", data={"name": "<b>Yesterday</b>"})
    assert "&lt;b&gt;Yesterday&lt;/b&gt;" in client.get("/recordings").text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/recordings/2/course.svg", "/recordings/days.svg", "/advice/days.svg"])
def test_charts_are_drawn_for_both_schemes(client, unchanged, path, theme):
    answer = client.get(path, params={"theme": theme})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "<svg" in answer.text
    assert ("#eceef0" in answer.text) is (theme == "dark")
    assert "<script" not in answer.text
    assert client.get(path, params={"theme": "pink"}).status_code == 400


def test_days_are_compared(client, unchanged):
    page = client.get("/recordings").text
    dates = dict(re.findall(r'name="(\w+_(?:from|to))" value="([\d-]+)"', page))
    assert len(dates) == 4
    compared = client.get("/recordings/compare", params=dates)
    assert compared.status_code == 200
    assert "There is too little to say anything" in compared.text
    assert client.get("/recordings/compare.svg", params=dates).status_code == 200
    nowhere = dates | {"first_from": "2001-01-01", "first_to": "2001-01-02"}
    assert "nothing was recorded" in refused(client.get("/recordings/compare", params=nowhere))
    refused(client.get("/recordings/compare", params={"first_from": "yesterday"}))


def test_recordings_are_taken_away_as_files(client, lived):
    pq = pytest.importorskip("pyarrow.parquet")
    csv = client.get("/recordings/1/export.csv")
    assert "attachment" in csv.headers["content-disposition"]
    assert len(csv.text.splitlines()) == 9
    everything = client.get("/recordings/export.json").json()
    assert [len(one["seconds"]) for one in everything["recordings"]] == [8, 30]
    assert pq.read_table(io.BytesIO(client.get("/recordings/2/export.parquet").content)).num_rows == 30
    refused(client.get("/recordings/1/export.exe"))
    assert [e.details["format"] for e in lived.store.audit() if e.action is Action.EXPORTED] == [
        *("csv", "json", "json", "parquet"),
    ]


def test_erasing_leaves_nothing(client, lived):
    client.post("/recordings/1/note", data={"text": "remember the milk"})
    client.post("/recordings/1/delete")
    assert [info.id for info in lived.store.recordings()] == [2]
    assert client.get("/recordings/1").status_code == 404
    client.post("/recordings/delete-all")
    assert lived.store.recordings() == ()
    lived.store.close()
    assert b"remember the milk" not in lived.store.path.read_bytes()


def test_what_is_stored_can_be_erased_after_the_purpose_has_changed(client, lived):
    client.post("/purpose", data={"purpose": "workplace", "place": "eu"})
    refused(client.get("/recordings"), 403)
    assert "Withdraw my consent" in client.get("/privacy").text
    client.post("/recordings/2/delete")
    client.post("/recordings/delete-all")
    assert lived.store.recordings() == ()


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/recordings/1/note", {"text": "  "}),
        ("/recordings/1/note", {"text": "x" * 2001}),
        ("/recordings/1/note", {"text": "x", "at": "soon"}),
        ("/recordings/1/note", {}),
        ("/recordings/1/correct", {"start": "0:05", "end": "0:02", "was": "sad"}),
        ("/recordings/1/correct", {"start": "0", "end": "3", "was": "bored"}),
        ("/recordings/1/correct", {"start": "0", "end": "3", "was": "sad", "instead": "sad"}),
        ("/recordings/1/correct", {"start": "1:2:3:4", "end": "3", "was": "sad"}),
        ("/advice/short-break/snooze", {"span": "for ever"}),
        ("/advice/no-such-rule/rate", {"rating": "1"}),
        ("/advice/short-break/rate", {"rating": "many"}),
        ("/privacy/settings", {"retention_days": "0"}),
        ("/privacy/settings", {"retention_days": "366"}),
        ("/privacy/settings", {"retention_days": "week"}),
    ],
)
def test_wrong_forms_are_refused_in_words(client, unchanged, path, form):
    assert len(refused(client.post(path, data=form))) > 10


@pytest.mark.parametrize("path", ["/recordings/99", "/recordings/99/course.svg", "/recordings/99/export.csv"])
def test_a_recording_that_is_not_there_is_said(client, unchanged, path):
    assert "99" in refused(client.get(path), 404)


@pytest.mark.parametrize("kind", ["note", "correction"])
def test_what_was_erased_in_another_tab_is_not_found(client, unchanged, kind):
    words = refused(client.post(f"/recordings/1/{kind}/99/delete"), 404)
    assert f"there is no {kind} 99" in words


def test_a_recording_without_a_second_has_a_page(client, served):
    served.agree()
    served.store.open_recording(served.store.consent(), model="tiny")
    assert "Nothing is stored in it yet" in client.get("/recordings/1").text
    assert client.get("/recordings").status_code == 200
    refused(client.get("/recordings/1/course.svg"))


def test_a_recording_of_nobody_has_a_page(client, served):
    served.agree()
    number = served.store.open_recording(served.store.consent(), model="tiny")
    for at in range(3):
        served.store.append(number, Second(at, 5, None, (0.0,) * len(Expression), 0.0, absent=1.0))
    assert "no face in view" in client.get("/recordings/1").text
    assert client.get("/recordings/1/course.svg").status_code == 200
    assert client.get("/recordings").status_code == 200
    assert client.get("/advice").status_code == 200


@pytest.mark.slow
def test_advice_comes_with_its_evidence_and_can_be_rated_put_off_and_switched_off(client, served):
    days = [course(6, NEGATIVE, seed=at) for at in range(4)]
    seed_days(served.store.path, time.time(), days)
    page = client.get("/advice").text
    assert "Take short breaks" in page
    assert "Why do I see this?" in page
    assert "An expression like negative stood for" in page
    assert "10.1371/journal.pone.0272460" in page
    assert "Where to find human help" in page
    assert (
        "No suggestion" in client.get("/advice?period=3").text
        or "24 minutes" not in client.get("/advice?period=3").text
    )
    client.post("/advice/short-break/rate", data={"rating": "1"})
    assert served.store.feedback.ratings == {"short-break": 1}
    client.post("/advice/short-break/snooze", data={"span": "a week"})
    page = client.get("/advice").text
    assert "You put it off." in page
    assert 'id="short-break"' not in page
    client.post("/advice/short-break/switch")
    assert 'id="short-break"' in client.get("/advice").text
    client.post("/advice/short-break/switch", data={"off": "yes"})
    assert "You switched it off." in client.get("/advice").text
    client.post("/advice/switch")
    assert "Suggestions are switched off" in client.get("/advice").text
    client.post("/advice/switch", data={"on": "yes"})
    assert "Put it into words" in client.get("/advice").text


@pytest.mark.slow
def test_a_persons_own_rules_count_and_a_wrong_key_in_them_is_named(client, served):
    seed_days(served.store.path, time.time(), [course(6, NEGATIVE, seed=at) for at in range(2)])
    own = served.store.path.with_name("advice.yaml")
    rule = """
      - id: tea
        scope: person
        kind: activity
        title: Have a cup of tea
        suggest: Put the kettle on.
        when: [{share: negative, at_least: 0.1, times: 2}]
        needs: {minutes: 10, days: 2}
        why: It is a break.
        source: {cite: "Myself (2026)", url: "https://example.org", found: "It helps me."}
        limits: None known.
    """
    own.write_text(f"version: 1\nrules:{rule}", encoding="utf-8")
    assert "Have a cup of tea" in client.get("/advice").text
    own.write_text(f"version: 1\nrules:{rule}".replace("suggest:", "sugest:"), encoding="utf-8")
    assert "unknown key" in refused(client.get("/advice"))


def test_advice_says_nothing_from_a_moment(client, unchanged):
    page = client.get("/advice").text
    assert "No suggestion for this period" in page
    assert 'class="card suggestion"' not in page


def test_privacy_shows_what_was_done_and_withdraws(client, lived):
    client.post("/privacy/settings", data={"retention_days": "3", "advice": "yes"})
    assert lived.store.settings.retention_days == 3
    page = client.get("/privacy").text
    assert "recording started" in page
    assert "Withdraw my consent" in page
    assert client.post("/consent/withdraw").headers["location"] == "/privacy?said=withdrawn"
    assert lived.store.recordings() == ()
    page = client.get("/privacy?said=withdrawn").text
    assert "all recordings made under it were erased" in page
    assert "consent withdrawn" in page
    refused(client.post("/consent/withdraw"), 403)


def test_withdrawing_erases_what_was_recorded_under_an_earlier_consent_too(client, served):
    served.agree()
    earlier = served.store.consent()
    served.store.open_recording(earlier, model="tiny")
    client.post("/privacy/settings", data={"retention_days": "30", "advice": "yes"})
    client.get("/consent")
    assert served.store.consent().id != earlier.id
    assert "1 recording, with notes" in client.get("/privacy").text
    assert client.post("/consent/withdraw").headers["location"] == "/privacy?said=withdrawn"
    assert served.store.recordings() == ()
    assert {consent.state for consent in served.store.consents()} == {State.WITHDRAWN}
    assert "Withdraw my consent" not in client.get("/privacy").text


def test_what_an_address_says_is_not_repeated(client, unchanged):
    text = client.get("/?said=<script>alert(1)</script>").text
    assert "alert" not in text
    lost = client.get("/<script>alert(1)</script>")
    assert lost.status_code == 404
    assert "alert" not in lost.text


def test_pages_say_what_is_wrong_when_the_store_is_gone(client, served):
    served.store.close()
    assert "the store is closed" in refused(client.get("/recordings"), 503)
    assert json.loads(client.post("/v1/read", content=b"x").text)["error"]
