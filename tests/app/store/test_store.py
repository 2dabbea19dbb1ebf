from __future__ import annotations

import contextlib
import datetime
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.made import Clock, agreed, dark, filled, fresh, hurry, room_consent, second
from mien.app.law.audit import Action
from mien.app.law.consent import State, show
from mien.app.law.terms import DAY, Scope
from mien.app.store.aggregate import Second
from mien.app.store.database import HEAD, Database
from mien.app.store.database_tables import METADATA
from mien.app.store.facade import Store, default_path
from mien.app.store.values import Settings, local_time
from mien.core.errors import ConsentError, NoRecordingError, NotStoredError, PolicyError, StoreError
from mien.core.expression import Expression
from mien.core.policy import Feature, Place, Purpose


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with fresh(tmp_path / "app.db", clock) as opened:
        yield opened


def everything(store: Store) -> bytes:
    """All bytes that SQLite keeps of a store."""
    return b"".join(file.read_bytes() for file in sorted(store.path.parent.glob(store.path.name + "*")))


def actions(store: Store) -> list[Action]:
    return [entry.action for entry in store.audit()]


# Settings


def test_settings_stay_and_the_policy_follows_them(tmp_path: Path, store: Store) -> None:
    assert store.settings == Settings()
    assert store.decision is None
    with pytest.raises(PolicyError, match="no purpose was chosen"):
        store.terms()
    store.change_settings(purpose=Purpose.EDUCATION)
    assert store.decision is not None
    assert not store.decision.allows(Feature.LIVE)
    store.change_settings(purpose=Purpose.RESEARCH, place=Place.ELSEWHERE, retention_days=30, advice=False)
    with Store(store.path) as again:
        assert again.settings == Settings(Purpose.RESEARCH, Place.ELSEWHERE, 30, advice=False)
    assert actions(store) == [Action.SETTINGS_CHANGED] * 2
    assert store.audit()[-1].details == {
        "place": "elsewhere",
        "retention_days": 30,
        "advice": False,
        "purpose": "research",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retention_days": 0}, "1 to 365 days"),
        ({"retention_days": -1}, "1 to 365 days"),
        ({"retention_days": 366}, "1 to 365 days"),
        ({"retention_days": 7.5}, "1 to 365 days"),
        ({"purpose": "education"}, "purpose is one of"),
        ({"place": "eu"}, "place is one of"),
        ({"advice": 1}, "advice is on"),
    ],
)
def test_a_setting_out_of_range_is_refused_and_changes_nothing(
    store: Store, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        store.change_settings(**changes)
    assert store.settings.retention_days == 7
    assert store.audit() == ()


def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "folder" / "app.db") as store:
        agreed(store)
        for file in store.path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_the_default_place_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    assert default_path() == tmp_path / "app.db"


# Consent


def test_consents_are_kept_in_every_state_and_logged(store: Store, clock: Clock) -> None:
    store.change_settings(purpose=Purpose.SELF_REFLECTION)
    assert store.consent() is None
    consent = show(store.terms(), now=clock())
    for moved in (consent, consent.give(clock()), consent.give(clock()).pause(clock())):
        store.keep(moved)
        assert store.consent() == moved
    store.keep(moved.resume(clock()))
    assert actions(store)[1:] == [
        Action.CONSENT_SHOWN,
        Action.CONSENT_GIVEN,
        Action.CONSENT_PAUSED,
        Action.CONSENT_RESUMED,
    ]
    clock.now += 31 * DAY
    assert store.consent().state is State.EXPIRED  # type: ignore[union-attr]
    store.purge()
    assert actions(store)[-1] is Action.CONSENT_EXPIRED


def test_a_withdrawn_consent_cannot_be_brought_back(store: Store, clock: Clock) -> None:
    given = agreed(store)
    withdrawn = store.withdraw(given)
    assert store.consent() == withdrawn
    with pytest.raises(ConsentError, match="withdrawn"):
        store.keep(given)
    with pytest.raises(ConsentError, match="withdraw"):
        store.withdraw(withdrawn)
    with pytest.raises(ValueError, match=r"Store\.withdraw"):
        store.keep(withdrawn)


def test_consents_of_rooms_stand_apart(store: Store, clock: Clock) -> None:
    own = agreed(store)
    store.change_settings(purpose=Purpose.RESEARCH)
    room = room_consent(Scope.ROOM_FACES, clock())
    store.keep(room)
    assert store.consent() == own
    assert store.consent(Scope.ROOM_FACES) == room


def test_what_was_only_shown_is_forgotten_after_a_day(store: Store, clock: Clock) -> None:
    store.change_settings(purpose=Purpose.SELF_REFLECTION)
    store.keep(show(store.terms(), now=clock()))
    clock.now += DAY / 2
    store.purge()
    assert len(store.consents()) == 1
    clock.now += DAY
    store.purge()
    assert store.consents() == ()


# Recordings


def test_a_recording_comes_back_as_it_was(store: Store, clock: Clock) -> None:
    recording = store.open_recording(agreed(store), model="toy", name="  morning  ")
    seconds = [second(0), second(1, None), dark(2), second(7, Expression.SAD)]
    for one in seconds:
        store.append(recording, one)
    assert [one.index for one in store.seconds(recording)] == [0, 1, 2, 7]
    for stored, given in zip(store.seconds(recording), seconds, strict=True):
        assert stored.held == given.held
        assert stored.unmeasurable == given.unmeasurable
        assert (stored.probabilities is None) == (given.probabilities is None)
        if given.probabilities is not None:
            assert stored.probabilities == pytest.approx(given.probabilities, abs=1e-5)
    info = store.recording(recording)
    assert (info.name, info.length, info.seconds, info.closed, info.model) == ("morning", 8.0, 4, False, "toy")
    assert info.started == clock.now
    assert info.expires == clock.now + 7 * DAY
    assert store.close_recording(recording).closed
    store.close_recording(recording)
    assert actions(store).count(Action.RECORDING_STOPPED) == 1
    assert store.rename(recording, "noon").name == "noon"


def test_recordings_are_listed_the_latest_first_and_by_time(store: Store, clock: Clock) -> None:
    consent = agreed(store)
    first = store.open_recording(consent, model="toy")
    clock.now += 100
    later = store.open_recording(consent, model="toy", kind="scheduled")
    assert [info.id for info in store.recordings()] == [later, first]
    assert [info.id for info in store.recordings(since=clock.now)] == [later]
    assert [info.id for info in store.recordings(until=clock.now)] == [first]
    store.delete(later)
    assert store.open_recording(consent, model="toy") > later


@pytest.mark.parametrize("index", [0, 3, 4])
def test_seconds_only_go_forward(store: Store, index: int) -> None:
    recording = store.open_recording(agreed(store), model="toy")
    store.append(recording, second(4))
    with pytest.raises(ValueError, match="monotonic"):
        store.append(recording, second(index))
    assert len(store.seconds(recording)) == 1


def test_a_wall_clock_that_jumps_back_within_a_recording_changes_nothing(store: Store, clock: Clock) -> None:
    recording = store.open_recording(agreed(store), model="toy")
    started = clock.now
    for index in range(3):
        store.append(recording, second(index))
        clock.now -= 1_000_000
    assert store.recording(recording).started == started
    assert [one.index for one in store.seconds(recording)] == [0, 1, 2]


def test_nothing_is_recorded_without_a_consent_that_holds(store: Store, clock: Clock) -> None:
    given = agreed(store)
    unknown = show(store.terms(), now=clock()).give(clock())
    with pytest.raises(ConsentError, match="does not know"):
        store.open_recording(unknown, model="toy")
    store.keep(given.pause(clock()))
    with pytest.raises(ConsentError, match="paused"):
        store.open_recording(given, model="toy")  # what the store has counts, not what is handed in
    store.keep(given.pause(clock()).resume(clock()))
    store.change_settings(retention_days=8)
    with pytest.raises(ConsentError, match="consent anew"):
        store.open_recording(given, model="toy")
    store.change_settings(purpose=Purpose.WORKPLACE, retention_days=7)
    with pytest.raises(PolicyError, match=r"5\(1\)\(f\)"):
        store.open_recording(given, model="toy")
    assert store.recordings() == ()


def test_a_recording_ends_with_its_consent(store: Store) -> None:
    consent = agreed(store)
    recording = store.open_recording(consent, model="toy")
    store.append(recording, second(0))
    store.withdraw(consent)
    with pytest.raises(NoRecordingError, match="no recording"):
        store.append(recording, second(1))


def test_a_closed_recording_and_one_that_is_not_there_are_refused(store: Store) -> None:
    recording = store.open_recording(agreed(store), model="toy")
    store.close_recording(recording)
    with pytest.raises(ValueError, match="closed"):
        store.append(recording, second(0))
    for call in (store.recording, store.seconds, store.delete, store.close_recording):
        with pytest.raises(NoRecordingError, match="there is no recording 99"):
            call(99)


# Notes, corrections, feedback


def test_notes_and_corrections_are_kept_beside(tmp_path: Path, clock: Clock) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        (info,) = store.recordings()
        whole = store.note(info.id, "  after lunch ")
        moment = store.note(info.id, "the cat", at=2.0)
        assert store.notes(info.id) == (whole, moment)
        assert whole.text == "after lunch"
        correction = store.correct(info.id, start=1, end=3, was=Expression.HAPPY)
        other = store.correct(info.id, start=0, end=5, was=Expression.HAPPY, instead=Expression.NEUTRAL)
        assert store.corrections(info.id) == (correction, other)
        store.delete_note(whole.id)
        store.delete_correction(correction.id)
        assert store.notes(info.id) == (moment,)
        assert store.corrections(info.id) == (other,)
        assert all(one.held[3] == 1.0 for one in store.seconds(info.id))  # what was measured stays


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 1), (0, 6), (float("nan"), 2)])
def test_a_correction_outside_of_the_recording_is_refused(
    tmp_path: Path, clock: Clock, start: float, end: float
) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        (info,) = store.recordings()
        with pytest.raises(ValueError, match="lies within 0 to 5 s"):
            store.correct(info.id, start=start, end=end, was=Expression.SAD)
        with pytest.raises(ValueError, match="another expression"):
            store.correct(info.id, start=0, end=1, was=Expression.SAD, instead=Expression.SAD)


@pytest.mark.parametrize("text", ["", "   ", "x" * 2_001])
def test_a_note_that_is_none_or_too_long_is_refused(tmp_path: Path, clock: Clock, text: str) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        (info,) = store.recordings()
        with pytest.raises(ValueError, match="1 to 2,000 characters"):
            store.note(info.id, text)
        with pytest.raises(ValueError, match="from the recording's start"):
            store.note(info.id, "x", at=-1.0)
        for call in (store.delete_note, store.delete_correction):
            with pytest.raises(NotStoredError, match="there is no"):
                call(9)


def test_feedback_is_the_last_word_on_each_rule(store: Store) -> None:
    store.rate("short-break", 1)
    store.rate("short-break", -1)
    store.snooze("short-break", 5.0)
    store.switch("step-back", off=True)
    assert store.feedback.ratings == {"short-break": -1}
    assert store.feedback.snoozed == {"short-break": 5.0}
    assert store.feedback.off == {"step-back"}
    store.switch("step-back", off=False)
    store.switch("short-break", off=False)
    assert store.feedback.off == frozenset()
    assert store.feedback.snoozed == {}
    assert store.feedback.ratings == {"short-break": -1}
    with pytest.raises(ValueError, match=r"1 .* or -1"):
        store.rate("short-break", 2)  # type: ignore[arg-type]


# Erasing

SECRET = "xyzzy-a-note-that-nobody-else-may-read"
PROBABILITY = 0.71234


def with_secrets(store: Store) -> int:
    """A recording whose numbers and words can be searched for in the file."""
    consent = hurry(store).consent() or agreed(store)
    recording = store.open_recording(consent, model="toy", name=SECRET)
    for index in range(60):
        store.append(recording, second(index, probability=PROBABILITY))
    store.note(recording, SECRET)
    assert SECRET.encode() in everything(store)
    assert str(PROBABILITY).encode() in everything(store)
    return recording


def assert_gone(store: Store) -> None:
    for _ in range(2):  # before and after the database is closed and opened
        assert SECRET.encode() not in everything(store)
        assert str(PROBABILITY).encode() not in everything(store)
        store.close()


def test_deleting_one_leaves_no_byte_of_it(store: Store) -> None:
    recording = with_secrets(store)
    kept = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
    store.append(kept, second(0, probability=0.61111))
    store.delete(recording)
    assert [info.id for info in store.recordings()] == [kept]
    assert len(store.seconds(kept)) == 1
    assert b"0.61111" in everything(store)
    assert_gone(store)


def test_deleting_all_leaves_no_byte(store: Store) -> None:
    with_secrets(store)
    with_secrets(store)
    store.rate("short-break", 1)
    assert store.delete_all() == 2
    assert store.recordings() == ()
    assert store.feedback.ratings == {}
    assert store.settings.purpose is Purpose.SELF_REFLECTION
    assert store.audit()[-1].details == {"recordings": 2}
    assert_gone(store)


def test_withdrawing_leaves_the_receipt_and_the_log_and_no_byte_else(store: Store) -> None:
    with_secrets(store)
    store.rate("short-break", 1)
    consent = store.consent()
    assert consent is not None
    store.withdraw(consent)
    assert store.recordings() == ()
    assert store.feedback.ratings == {}
    assert store.consent().receipt()["state"] == "withdrawn"  # type: ignore[union-attr]
    assert Action.CONSENT_GIVEN in actions(store)
    assert actions(store)[-1] is Action.CONSENT_WITHDRAWN
    with sqlite3.connect(store.path) as raw:
        for table in ("recordings", "seconds", "notes", "corrections", "feedback"):
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    raw.close()
    assert_gone(store)


def test_withdrawing_ones_own_consent_takes_all_of_ones_own_with_it_and_none_to_a_room(
    store: Store, clock: Clock
) -> None:
    store.change_settings(purpose=Purpose.RESEARCH)
    earlier = agreed(store)
    store.open_recording(earlier, model="toy")
    room = room_consent(Scope.ROOM_FACES, clock())
    store.keep(room)
    clock.now += 60
    later = agreed(store)
    store.open_recording(later, model="toy")
    assert store.withdrawable() == (later, earlier)
    store.withdraw(later)
    assert store.recordings() == store.withdrawable() == ()
    assert store.consent(Scope.ROOM_FACES) == room
    assert actions(store)[-2:] == [Action.CONSENT_WITHDRAWN] * 2
    with pytest.raises(ConsentError, match="withdrawn"):
        store.withdraw(earlier)
    assert agreed(store).state is State.GIVEN


def test_the_retention_erases_without_a_trace(store: Store, clock: Clock) -> None:
    with_secrets(store)
    clock.now += 7 * DAY - 1
    assert store.purge() == 0
    clock.now += 1
    assert store.purge() == 1
    assert store.recordings() == ()
    assert store.audit()[-1].details == {"recordings": 1}
    assert_gone(store)


def test_a_shorter_retention_holds_for_what_is_stored_and_a_longer_one_does_not(tmp_path: Path, clock: Clock) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        start = clock.now
        store.change_settings(retention_days=30)
        assert store.recordings()[0].expires == start + 7 * DAY
        store.change_settings(retention_days=2)
        assert store.recordings()[0].expires == start + 2 * DAY
        clock.now += 2 * DAY
        assert store.purge() == 1


@pytest.mark.parametrize("now", [0.0, 1_800_000_000.0 - 30 * DAY])
def test_a_clock_that_falls_back_for_a_while_costs_no_recording(tmp_path: Path, clock: Clock, now: float) -> None:
    """As that of a machine which starts in 1970 until it has asked for the time."""
    right = clock.now
    with filled(tmp_path / "app.db", clock) as store:
        clock.now = now
        assert store.purge() == 0
        clock.now = right + 7 * DAY - 1
        assert store.purge() == 0
        assert len(store.recordings()) == 1
        clock.now = right + 7 * DAY
        assert store.purge() == 1


def test_traces_that_a_reader_keeps_alive_are_named_and_can_be_erased_later(tmp_path: Path, clock: Clock) -> None:
    store = filled(tmp_path / "app.db", clock)
    store.close()
    store = Store(tmp_path / "app.db", clock=clock, busy_seconds=0.05)
    reader = sqlite3.connect(tmp_path / "app.db")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM recordings").fetchall()
    with pytest.raises(StoreError, match="mien app purge"):
        store.delete_all()
    assert store.recordings() == ()
    reader.close()
    store.erase_traces()
    assert b"first" not in everything(store)
    store.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_what_a_purge_could_not_erase_is_erased_by_the_next_one(store: Store, clock: Clock, restarted: bool) -> None:
    with_secrets(store)
    clock.now += 7 * DAY
    with store.database.raw() as raw:
        raw.execute("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM recordings").fetchall()
    with pytest.raises(StoreError, match="it is deleted, but another program"):
        store.purge()
    assert SECRET.encode() in everything(store)
    if restarted:
        store.close()  # the reader keeps the log from being emptied
        store = Store(store.path, clock=clock)
    reader.close()
    assert store.database.owes_erasing
    assert store.purge() == 0
    assert not store.database.owes_erasing
    assert_gone(store)


def test_deleting_while_another_writes_is_never_said_to_have_changed_nothing(tmp_path: Path, clock: Clock) -> None:
    """The deletion is done; what could not be done is to rebuild the file."""
    with filled(tmp_path / "app.db", clock) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        with store.database.raw() as raw:
            raw.execute("PRAGMA busy_timeout = 50")
            raw.set_trace_callback(lambda words: other.execute("BEGIN IMMEDIATE") if words == "VACUUM" else None)
        with pytest.raises(StoreError, match="it is deleted, but another program holds the database") as caught:
            store.delete_all()
        assert "nothing was changed" not in str(caught.value)
        with store.database.raw() as raw:
            raw.set_trace_callback(None)
        other.execute("ROLLBACK")
        other.close()
        assert store.recordings() == ()
        store.erase_traces()
        assert b"first" not in everything(store)


def test_withdrawing_stops_even_where_it_cannot_be_erased(tmp_path: Path, clock: Clock) -> None:
    """On a full disk, say, or here while another program holds the database."""
    with filled(tmp_path / "app.db", clock) as store:
        given = store.consent()
        assert given is not None
        recording = store.open_recording(given, model="toy")
        with store.database.raw() as raw:
            raw.execute("PRAGMA busy_timeout = 50")
        holder = Database(store.path)
        with holder.write(), pytest.raises(StoreError, match="another program"):
            store.withdraw(given)
        holder.close()
        assert len(store.recordings()) == 2
        assert store.consent().state is State.PAUSED  # type: ignore[union-attr]
        with pytest.raises(ConsentError):
            store.consent().check(store.terms(), clock())  # type: ignore[union-attr]
        for call in (
            lambda: store.append(recording, second(0)),
            lambda: store.open_recording(given, model="toy"),
            lambda: store.keep(given),
        ):
            with pytest.raises(ConsentError, match="withdraw it again"):
                call()
        store.withdraw(store.consent())  # type: ignore[arg-type]
        assert store.recordings() == ()
        assert agreed(store).state is State.GIVEN


def test_seconds_that_are_appended_together_are_kept_whole_or_not_at_all(store: Store) -> None:
    recording = store.open_recording(agreed(store), model="toy")
    with pytest.raises(ValueError, match="holds 3 s already, so second 1"):
        store.append(recording, second(0), second(2), second(1))
    assert store.seconds(recording) == ()
    store.append(recording, second(0), second(2))
    assert [one.index for one in store.seconds(recording)] == [0, 2]
    assert (store.recording(recording).length, store.recording(recording).seconds) == (3.0, 2)


# The audit log


def test_the_log_can_neither_be_changed_nor_cut(tmp_path: Path, clock: Clock) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        before = store.audit()
        raw = sqlite3.connect(store.path)
        for statement in (
            "DELETE FROM audit",
            "DELETE FROM audit WHERE id = 1",
            "UPDATE audit SET action = 'app opened'",
            "INSERT OR REPLACE INTO audit (id, at, action, details) VALUES (1, 0, 'app opened', '{}')",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
        raw.close()
        assert store.audit() == before
        assert [entry.id for entry in before] == list(range(1, len(before) + 1))


@pytest.mark.parametrize(
    "details",
    [{"happy": 0.9}, {"recording": "3"}, {"format": "x" * 81}, {"advice": 1}, {"recording": True}, {"note": "x"}],
)
def test_the_log_takes_nothing_that_tells_of_a_face(store: Store, details: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="audit log"):
        store.log(Action.EXPORTED, **details)  # type: ignore[arg-type]
    assert store.audit() == ()


def test_nothing_of_a_recording_reaches_the_log(store: Store) -> None:
    recording = with_secrets(store)
    store.correct(recording, start=0, end=3, was=Expression.HAPPY)
    store.log(Action.EXPORTED, recording=recording, format="csv")
    text = str(store.audit())
    assert SECRET not in text
    assert not any(f"'{e}'" in text for e in Expression)


# Trouble


def test_a_full_disk_loses_nothing_that_was_stored_and_the_second_can_be_tried_again(
    tmp_path: Path, clock: Clock
) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        recording = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        with store.database.raw() as raw:
            pages = raw.execute("PRAGMA page_count").fetchone()[0]
            raw.execute(f"PRAGMA max_page_count = {pages + 2}")
        index = 0
        with contextlib.suppress(StoreError):
            for index in range(2_000):
                store.append(recording, second(index))
        with pytest.raises(StoreError, match="the disk is full; what was stored before is safe"):
            store.append(recording, second(index))
        assert len(store.seconds(recording)) == index
        assert store.recording(recording).length == index
        with store.database.raw() as raw:
            raw.execute("PRAGMA max_page_count = 100000")
        store.append(recording, second(index))
        assert len(store.seconds(recording)) == index + 1


def test_a_locked_database_is_said_and_nothing_is_lost(tmp_path: Path, clock: Clock) -> None:
    with filled(tmp_path / "app.db", clock) as store:
        recording = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        store.append(recording, second(0))
        with store.database.raw() as raw:
            raw.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds the database; nothing was changed"):
            store.append(recording, second(1))
        assert len(store.seconds(recording)) == 1  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        store.append(recording, second(1))


def test_a_database_that_is_being_written_to_can_be_opened_and_read(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "app.db"
    filled(path, clock).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(path) as store:
        assert len(store.recordings()) == 1
    other.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "app.db"
    filled(path, clock).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"newer version of mien \(schema 9999; this one knows {HEAD}\): update mien"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one" * 30, b"SQLite format 3\0" * 99])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"app\.db: (is no database|is damaged)"):
        Store(path)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE photos (id INTEGER)")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        Store(path)
    assert path.read_bytes() == before


def test_a_damaged_database_is_refused_with_the_remedy(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "app.db"
    filled(path, clock, seconds=200).close()
    content = bytearray(path.read_bytes())
    content[8_192:20_000] = b"\xff" * (20_000 - 8_192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="mien app restore"):
        Store(path)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "app.db")
    (tmp_path / "app.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "app.db")


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.recordings()


def test_many_threads_share_a_store(store: Store) -> None:
    consent = agreed(store)
    numbers = [store.open_recording(consent, model="toy") for _ in range(4)]
    errors: list[BaseException] = []

    def record(number: int) -> None:
        try:
            for index in range(30):
                store.append(number, second(index))
                store.recordings()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=record, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [len(store.seconds(number)) for number in numbers] == [30] * 4


def test_two_stores_share_a_file(store: Store) -> None:
    recording = store.open_recording(agreed(store), model="toy")
    with Store(store.path) as other:
        store.append(recording, second(0))
        assert len(other.seconds(recording)) == 1
        other.append(recording, second(1))
    assert len(store.seconds(recording)) == 2


# The schema


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    database = Database(tmp_path / "app.db")
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
    database.close()
    assert names == {"audit_unchanged", "audit_kept", "audit_not_replaced"}


def test_the_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "mien.app:store/migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import alembic.op

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(alembic.op, "create_index", fail)
    with pytest.raises(RuntimeError):
        Store(tmp_path / "app.db")
    monkeypatch.undo()
    raw = sqlite3.connect(tmp_path / "app.db")
    assert raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    raw.close()
    Store(tmp_path / "app.db").close()


def test_frames_have_no_place_in_the_schema() -> None:
    """A second's line stays small: nothing of a picture fits into it."""
    import json

    from mien.app.store.recording_store import _pack

    longest = Second(
        index=9,
        frames=15,
        probabilities=tuple([0.12345] * 7 + [1 - 7 * 0.12345]),
        held=(0.1,) * 5 + (0.0,) * 3,
        uncertain=0.1,
        unmeasurable={"partly covered": 0.2, "turned away": 0.1},
        absent=0.1,
    )
    assert len(json.dumps(_pack(longest))) < 420


def test_local_dates_follow_the_offset() -> None:
    midnight = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC).timestamp()
    assert local_time(midnight, 0).date() == datetime.date(2027, 1, 1)
    assert local_time(midnight, -3600).date() == datetime.date(2026, 12, 31)
    assert local_time(midnight + 11 * 3600, 13 * 3600).date() == datetime.date(2027, 1, 2)
