"""May this face be read now? Every combination of what it depends on, and a withdrawal between two frames."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from app.made import Clock, agreed, filled, fresh, second
from mien.app.law.consent import Consent, State, show
from mien.app.law.permission import CurrentPermission, Participant, RoomAsks, may_read, may_store
from mien.app.law.terms import DAY, Scope, terms
from mien.app.store.database import Database
from mien.app.store.facade import Store
from mien.core.errors import AppError, ConsentError, NoRecordingError, PolicyError, StoreError
from mien.core.policy import READS_FACES, Feature, Place, Purpose, decide

OWN = sorted(READS_FACES - {Feature.ROOM_FACES})
IN_EU = {Place.UNSET: True, Place.EU: True, Place.ELSEWHERE: False}
NO_FACE_IN_EU = (Purpose.WORKPLACE, Purpose.EDUCATION)
ROOMS_WITH_FACES = (Purpose.RESEARCH, Purpose.AUDIENCE_TEST, Purpose.CLINICAL_SAFETY)


def consented(state: State | None, purpose: Purpose, place: Place, *, days: int = 7) -> Consent | None:
    """A consent to one's own face as it stands at second 10; by another purpose's text where there is none of this."""
    if state is None:
        return None
    decision = decide(purpose, place)
    text = terms(decision if decision.allows(Feature.LIVE) else decide("research", place), retention_days=days)
    shown = show(text, now=0.0)
    given = shown.give(1.0)
    return {
        State.SHOWN: shown,
        State.GIVEN: given,
        State.PAUSED: given.pause(2.0),
        State.WITHDRAWN: given.withdraw(2.0),
        State.EXPIRED: show(text, now=-40 * DAY).give(-40 * DAY),
    }[state]


@pytest.mark.parametrize("purpose", [None, *Purpose])
@pytest.mark.parametrize("place", list(Place))
def test_ones_own_face_is_read_in_no_other_case_than_these(purpose: Purpose | None, place: Place) -> None:
    said = purpose or Purpose.RESEARCH
    for feature, state, days, back, elsewhere in product(OWN, [None, *State], (3, 7, 30), (False, True), (False, True)):
        given_at = place if not elsewhere else (Place.ELSEWHERE if IN_EU[place] else Place.EU)
        consent = consented(state, said, given_at)
        person = Participant(purpose, place, days, consent, taken_back=back)
        permission = may_read(person, feature, now=10.0)

        prohibited = purpose is None or (purpose in NO_FACE_IN_EU and IN_EU[place])
        agreed_to_this = (
            consent is not None and consent.terms.purpose is said and days <= 7 and not elsewhere and not back
        )
        reads = not prohibited and agreed_to_this and state is State.GIVEN
        waits = not prohibited and agreed_to_this and state is State.PAUSED
        case = (purpose, place, feature, state, days, back, elsewhere)
        assert permission.granted is reads, case
        assert permission.paused is waits, case
        assert (permission.consent == consent) is (reads or waits or consent is None), case
        assert isinstance(permission.refusal, PolicyError) is prohibited, case
        assert isinstance(permission.refusal, ConsentError) is (not prohibited and not reads and not waits), case
        if reads:
            assert permission.require() == consent
        else:
            with pytest.raises(PolicyError if prohibited else ConsentError):
                permission.require()


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_face_is_read_for_a_room_in_no_other_case_than_these(purpose: Purpose) -> None:
    for mine, theirs, asks, going_on, paused, state, scope in product(
        Place, Place, (True, False), (True, False), (True, False), [None, *State], (Scope.ROOM_FACES, Scope.ROOM_TAPS)
    ):
        room = RoomAsks("https://host:1", purpose, theirs, faces=asks)
        in_eu = IN_EU[mine] or IN_EU[theirs]
        faces = purpose in ROOMS_WITH_FACES or (purpose in NO_FACE_IN_EU and not in_eu)
        text = room.terms(mine)
        assert (text.scope is Scope.ROOM_FACES) is (asks and faces)
        consent = None
        if state is not None:
            place = Place.EU if in_eu else Place.ELSEWHERE
            decision = decide(purpose if faces else "research", place)
            shown = show(terms(decision, scope=scope, room=room.address), now=0.0)
            given = shown.give(1.0)
            consent = {
                State.SHOWN: shown,
                State.GIVEN: given,
                State.PAUSED: given.pause(2.0),
                State.WITHDRAWN: given.withdraw(2.0),
                State.EXPIRED: show(shown.terms, now=-DAY).give(-DAY),
            }[state]
        person = Participant(Purpose.SELF_REFLECTION, mine, consent=consent, room=room, in_room=going_on, paused=paused)
        permission = may_read(person, Feature.ROOM_FACES, now=10.0)

        case = (purpose, mine, theirs, asks, going_on, paused, state, scope)
        allowed = going_on and asks and faces and scope is Scope.ROOM_FACES
        assert permission.granted is (allowed and state is State.GIVEN and not paused), case
        waits = allowed and (state is State.PAUSED or (state is State.GIVEN and paused))
        assert permission.paused is waits, case
        if not permission.granted and not waits:
            assert permission.refusal is not None, case
            assert permission.consent is None, case


def test_time_ends_a_consent_in_the_middle() -> None:
    consent = consented(State.GIVEN, Purpose.RESEARCH, Place.EU)
    person = Participant(Purpose.RESEARCH, Place.EU, consent=consent)
    assert may_read(person, Feature.LIVE, now=1.0 + 30 * DAY - 0.01).granted
    late = may_read(person, Feature.LIVE, now=1.0 + 30 * DAY)
    assert "time of the consent is up" in str(late.refusal)


@pytest.mark.parametrize(
    ("person", "feature", "words"),
    [
        (Participant(), Feature.LIVE, "no purpose was chosen yet"),
        (Participant(Purpose.EDUCATION), Feature.UPLOAD, r"upload is not offered .* Art\. 5\(1\)\(f\)"),
        (Participant(Purpose.RESEARCH), Feature.UPLOAD, "consent has not been given yet"),
        (Participant(Purpose.RESEARCH), Feature.ROOM_FACES, "in no room"),
    ],
)
def test_a_refusal_says_why(person: Participant, feature: Feature, words: str) -> None:
    with pytest.raises(AppError, match=words):
        may_read(person, feature, now=0.0).require()


def test_a_consent_to_another_place_is_named_with_both() -> None:
    consent = consented(State.GIVEN, Purpose.RESEARCH, Place.ELSEWHERE)
    person = Participant(Purpose.RESEARCH, Place.EU, consent=consent)
    with pytest.raises(ConsentError, match=r"place: elsewhere.*place: the EU or EEA"):
        may_read(person, Feature.LIVE, now=2.0).require()


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("taken_back", [False, True])
def test_what_was_read_is_stored_unless_it_was_withdrawn(state: State | None, taken_back: bool) -> None:
    consent = consented(state, Purpose.RESEARCH, Place.EU)
    if state is State.EXPIRED and consent is not None:
        consent = consent.at(10.0)
    person = Participant(Purpose.WORKPLACE, Place.EU, consent=consent, taken_back=taken_back)
    allowed = state in (State.GIVEN, State.PAUSED) and not taken_back
    assert may_store(person).granted is allowed
    assert (may_store(person).refusal is None) is allowed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with fresh(tmp_path / "app.db", lambda: 1e9) as store:
        yield store


def current(store: Store, feature: Feature = Feature.LIVE) -> CurrentPermission:
    return CurrentPermission(feature, read=store.participant, changes=lambda: store.changes, clock=lambda: 1e9)


def test_one_read_finds_what_belongs_together(store: Store) -> None:
    """Another program changes purpose and consent at once, again and again; no read mixes the two."""
    store.change_settings(purpose=Purpose.RESEARCH)
    agreed(store, 1e9)
    over, seen = threading.Event(), set()

    def change() -> None:
        other = sqlite3.connect(store.path, isolation_level=None, timeout=20)
        while not over.is_set():
            for purpose, state in ((Purpose.EDUCATION, State.PAUSED), (Purpose.RESEARCH, State.GIVEN)):
                other.execute("BEGIN IMMEDIATE")
                other.execute("UPDATE settings SET value = ? WHERE key = 'purpose'", [f'"{purpose}"'])
                other.execute("UPDATE consents SET state = ?", [str(state)])
                other.execute("COMMIT")
        other.close()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        end = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < end:
            for _ in range(50):
                person = store.participant()
                seen.add((person.purpose, person.consent.state if person.consent else None))
    finally:
        over.set()
        thread.join()
    assert seen == {(Purpose.EDUCATION, State.PAUSED), (Purpose.RESEARCH, State.GIVEN)}


def test_a_withdrawal_between_two_frames_stops_the_reading_and_leaves_nothing(store: Store) -> None:
    """One thread reads frames and records them, another withdraws; from the withdrawal's end on nothing is read."""
    for round_ in range(10):
        consent = agreed(store, 1e9 - 10 + round_)
        permission, recording = current(store), store.open_recording(consent, model="toy")
        withdrawn, reading = threading.Event(), threading.Event()
        late: list[int] = []

        def camera(
            permission: CurrentPermission = permission,
            recording: int = recording,
            withdrawn: threading.Event = withdrawn,
            reading: threading.Event = reading,
            late: list[int] = late,
        ) -> None:
            for index in range(100_000):
                over = withdrawn.is_set()
                if not permission.ask().granted:
                    return
                if over:
                    late.append(index)
                with contextlib.suppress(ConsentError, NoRecordingError):
                    store.append(recording, second(index))
                reading.set()

        thread = threading.Thread(target=camera)
        thread.start()
        assert reading.wait(20)
        store.withdraw(consent)
        withdrawn.set()
        thread.join(20)
        assert not thread.is_alive()
        assert late == []
        assert store.recordings() == ()
        assert permission.ask().consent is None


def test_a_withdrawal_that_cannot_be_erased_yet_stops_the_reading_too(tmp_path: Path) -> None:
    with fresh(tmp_path / "app.db", lambda: 1e9, busy_seconds=0.1) as store:
        consent = agreed(store)
        permission = current(store)
        assert permission.ask().granted
        holder = Database(store.path)
        with holder.write(), pytest.raises(StoreError, match="another program"):
            store.withdraw(consent)
        holder.close()
        assert permission.known() is None
        with pytest.raises(ConsentError, match="withdraw it again"):
            permission.ask().require()
        store.withdraw(consent)
        assert "consent anew" in str(permission.ask().refusal)


def test_a_withdrawal_by_another_program_counts(store: Store) -> None:
    consent = agreed(store, 1e9)
    permission = current(store)
    assert permission.ask().granted
    with Store(store.path) as other:
        other.withdraw(consent)
    assert permission.known() is None
    assert not permission.ask().granted


def test_a_store_that_is_held_up_holds_nothing_up_that_goes_on_as_before(store: Store) -> None:
    agreed(store, 1e9)
    permission = current(store)
    assert permission.known() is None  # it was never asked
    assert permission.ask().granted
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with store.database.write():
            held.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(20)
        assert permission.ask().granted
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.change_settings(retention_days=30),
        lambda store: store.change_settings(purpose=Purpose.WORKPLACE),
        lambda store: store.pause(),
        lambda store: store.withdraw(store.consent()),
    ],
)
def test_whatever_can_change_the_answer_is_asked_for_anew(store: Store, change: Callable[[Store], object]) -> None:
    agreed(store, 1e9)
    permission = current(store)
    assert permission.ask().granted
    change(store)
    assert permission.known() is None
    assert not permission.ask().granted
    assert permission.known() is not None


def test_a_pause_and_its_end_are_moves_of_the_latest_consent_alone(tmp_path: Path) -> None:
    clock = Clock()
    with filled(tmp_path / "app.db", clock) as store:
        store.resume()
        assert store.consent().state is State.GIVEN
        store.pause()
        store.pause()
        assert store.consent().state is State.PAUSED
        store.resume()
        assert store.consent().state is State.GIVEN
        clock.now += 31 * DAY
        store.pause()
        assert store.consent().state is State.EXPIRED
