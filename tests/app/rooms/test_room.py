from __future__ import annotations

import gc
import itertools
import math
import random
import types
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.app.history.rules import bundled
from mien.app.law.terms import ROOM_VERSION
from mien.app.rooms import room as module
from mien.app.rooms.reports import (
    LEAST,
    WINDOW,
    Coarse,
    Draft,
    Report,
    WindowSums,
    coarse,
    hints,
    people_range,
    rounded,
)
from mien.app.rooms.room import Room
from mien.core.errors import PolicyError, RoomError
from mien.core.expression import Polarity
from mien.core.policy import Place, Purpose, decide

POSITIVE, NEUTRAL, NEGATIVE, MIXED = Coarse(4, 0, 0), Coarse(0, 4, 0), Coarse(0, 0, 4), Coarse(2, 1, 1)


class Hall:
    """A room with a clock, and people in it who send every ten seconds."""

    def __init__(self, purpose: str = "audience-test", place: str = "eu") -> None:
        self.now = 1000.0
        self.room = Room(decide(purpose, place), now=self.now)
        self.people: dict[str, Coarse | None] = {}

    def join(self, *moods: Coarse | None) -> list[str]:
        tokens = [self.room.join(self.room.code, terms_version=ROOM_VERSION, now=self.now) for _ in moods]
        self.people.update(zip(tokens, moods, strict=True))
        return tokens

    def leave(self, token: str) -> None:
        del self.people[token]
        self.room.leave(token, now=self.now)

    def windows(self, count: int) -> list[Report]:
        """Let so many windows pass in which everybody sends; the reports by then."""
        for _ in range(count):
            self.now += WINDOW / 2
            for token, mood in self.people.items():
                self.room.send(token, mood, now=self.now)
            self.now += WINDOW / 2
        return self.reports

    @property
    def reports(self) -> list[Report]:
        return list(self.room.view(now=self.now).reports)


def within(holder: object, kind: type | tuple[type, ...]) -> list[Any]:
    """All objects of a kind that something in memory leads to, but for what belongs to modules and types."""
    found, seen, waiting = [], set(), [holder]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, kind):
            found.append(one)
        waiting += gc.get_referents(one)
    return sorted(found, key=lambda one: one.first) if kind is Draft else found


def test_a_report_is_half_a_minute_of_five_twenty_seconds_late() -> None:
    hall = Hall()
    hall.join(POSITIVE, POSITIVE, NEUTRAL, NEGATIVE, MIXED)
    assert hall.windows(5) == []  # the first window began before anybody was there
    (report,) = hall.windows(1)
    assert (report.start, report.end) == (10.0, 40.0)
    assert hall.now == 1060.0
    assert report.people == "5 to 9"
    # 10 + 5 + 5 of 20 quarters, and each is a whole number of fifths after rounding by largest remainders.
    assert report.shares == {"positive": 0.6, "neutral": 0.2, "negative": 0.2, "no reading": 0.0}
    assert [r.start for r in hall.windows(6)] == [10.0, 40.0, 70.0]


def test_below_five_nothing_is_shown_however_long() -> None:
    hall = Hall()
    hall.join(*[POSITIVE] * 4)
    assert hall.windows(60) == []
    view = hall.room.view(now=hall.now)
    assert (view.enough, view.next_in) == (False, None)
    assert "Fewer than 5" in view.waiting


def test_five_people_of_whom_one_cannot_be_read_show_no_polarity() -> None:
    hall = Hall()
    hall.join(POSITIVE, POSITIVE, POSITIVE, POSITIVE, None)
    (report,) = hall.windows(6)
    assert report.shares is None


def test_those_who_cannot_be_read_are_a_share_of_their_own() -> None:
    hall = Hall()
    hall.join(*[POSITIVE] * 6, *[None] * 4)
    (report,) = hall.windows(6)
    assert report.people == "10 to 19"
    assert report.shares == {"positive": 0.6, "neutral": 0.0, "negative": 0.0, "no reading": 0.4}


def test_who_leaves_takes_along_what_is_not_shown_and_a_minute_passes() -> None:
    hall = Hall()
    tokens = hall.join(*[POSITIVE] * 6)
    assert len(hall.windows(6)) == 1  # shown: 10 to 40; under way: 40 to 70
    hall.windows(2)
    hall.leave(tokens[0])
    view = hall.room.view(now=hall.now)
    assert "People came or went" in view.waiting
    assert view.next_in == 1000.0 + 100 + 30 + 20 - hall.now
    later = hall.windows(20)
    assert later[1].start >= 40.0 + 60.0
    assert [r.start for r in later[1:3]] == [100.0, 130.0]


def test_who_leaves_between_a_report_and_its_showing_takes_it_along() -> None:
    hall = Hall()
    tokens = hall.join(*[POSITIVE] * 6)
    hall.windows(5)
    hall.leave(tokens[0])
    assert hall.windows(1) == []
    assert hall.windows(9)[0].start >= 50.0


def test_one_who_joins_waits_and_does_not_stop_the_others() -> None:
    hall = Hall()
    hall.join(*[NEUTRAL] * 5)
    hall.windows(6)
    hall.join(NEGATIVE)
    reports = hall.windows(12)
    assert len(reports) == 5
    assert all(r.shares == {"positive": 0.0, "neutral": 1.0, "negative": 0.0, "no reading": 0.0} for r in reports)
    # After three minutes at most the room pauses for a minute, and counts six.
    reports = hall.windows(24)
    gaps = [(b.start - a.end) for a, b in itertools.pairwise(reports)]
    assert sorted(set(gaps)) == [0.0, 60.0]
    assert gaps.count(60.0) == 1
    assert reports[-1].shares != reports[0].shares


def test_who_leaves_while_the_room_pauses_takes_along_what_is_not_shown() -> None:
    hall = Hall()
    tokens = hall.join(*[NEUTRAL] * 6)
    hall.windows(1)
    hall.join(NEGATIVE)
    while not (drafts := within(hall.room, Draft)) or drafts[-1].end > hall.room.window:
        hall.windows(1)
    (pending,), shown = drafts, len(hall.reports)
    hall.leave(tokens[0])
    hall.windows(4)
    assert len(hall.reports) == shown
    assert hall.windows(12)[shown].start > pending.end * WINDOW


def test_five_who_join_together_are_counted_at_once() -> None:
    hall = Hall()
    hall.join(*[NEUTRAL] * 5)
    hall.windows(6)
    hall.join(*[NEGATIVE] * 5)
    reports = hall.windows(9)
    assert all(b.start == a.end for a, b in itertools.pairwise(reports))
    assert reports[-1].people == "10 to 19"
    assert reports[-1].shares == {"positive": 0.0, "neutral": 0.5, "negative": 0.5, "no reading": 0.0}


def test_one_who_falls_silent_is_gone_after_half_a_minute() -> None:
    hall = Hall()
    tokens = hall.join(*[POSITIVE] * 5)
    hall.windows(6)
    del hall.people[tokens[0]]
    hall.windows(6)
    assert not hall.room.view(now=hall.now).enough
    with pytest.raises(RoomError, match="join again"):
        hall.room.send(tokens[0], POSITIVE, now=hall.now)


def test_a_second_message_within_a_window_counts_for_nothing() -> None:
    hall = Hall()
    tokens = hall.join(*[NEUTRAL] * 5)
    for _ in range(6):
        for token in tokens:
            hall.room.send(token, NEUTRAL, now=hall.now + 5)
        for _ in range(20):
            hall.room.send(tokens[0], NEGATIVE, now=hall.now + 4)  # the time falls back, too
        hall.now += WINDOW
    (report,) = hall.reports
    assert report.shares == {"positive": 0.0, "neutral": 1.0, "negative": 0.0, "no reading": 0.0}


def test_the_room_says_when_to_send_again() -> None:
    hall = Hall()
    (token,) = hall.join(NEUTRAL)
    assert hall.room.send(token, NEUTRAL, now=1002.0) == pytest.approx(13.0)
    assert hall.room.send(token, NEUTRAL, now=1019.0) == pytest.approx(6.0)


def test_nobodys_line_is_kept() -> None:
    hall = Hall()
    tokens = hall.join(*[NEUTRAL] * 7)
    hall.windows(2)
    hall.room.send(tokens[0], Coarse(1, 2, 1), now=hall.now + 1)
    gc.collect()
    mine = {id(mood) for mood in (POSITIVE, NEUTRAL, NEGATIVE, MIXED)}
    assert not [o for o in gc.get_objects() if type(o) is Coarse and id(o) not in mine]
    assert not within(hall.room, Coarse)
    # By person there is only since when, until when, and whether they sent in this window and tapped in this report.
    (by_person,) = [one for one in within(hall.room, dict) if hall.room.members & one.keys()]
    assert {type(number) for member in by_person.values() for number in within(member, int)} == {int}
    assert not [one for member in by_person.values() for one in within(member, (float, str, Counter))]
    for sums in within(hall.room, Counter):
        assert not hall.room.members & sums.keys()
    hall.room.view(now=hall.now + 11)
    (window,) = within(hall.room, WindowSums)
    assert (window.readings, window.quarters, window.sent) == (0, {}, set())


def test_a_window_of_fewer_than_five_readings_is_forgotten_as_it_ends() -> None:
    hall = Hall()
    tokens = hall.join(*[NEUTRAL] * 5)
    hall.windows(2)
    before = [(d.readings, dict(d.quarters)) for d in within(hall.room, Draft)]
    for token in tokens[:4]:
        hall.room.send(token, NEGATIVE, now=hall.now + 1)
    hall.room.send(tokens[4], None, now=hall.now + 1)
    hall.room.view(now=hall.now + 11)
    assert [(d.readings, dict(d.quarters)) for d in within(hall.room, Draft)] == before


class Spy:
    """Keeps what a room shows together with whom it is about, which the room itself forgets."""

    def __init__(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[Draft, frozenset[str], int]] = []

        def watch(draft: Draft, *, faces: bool) -> Report:
            self.shown.append((draft, room.members, room.window))
            return original(draft, faces=faces)

        original = module.report
        monkeypatch.setattr(module, "report", watch)


@given(seed=st.integers(0, 2**32), busy=st.floats(0.0, 0.6), crowd=st.integers(3, 14))
@settings(max_examples=40, deadline=None)
def test_two_reports_never_differ_by_one_who_came_or_went(seed: int, busy: float, crowd: int) -> None:
    """Whoever comes, goes and falls silent in whatever order, what is shown keeps the rules of the module."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        hall = Hall()
        spy = Spy(hall.room, monkeypatch)
        tokens = hall.join(*[NEUTRAL] * crowd)
        for _ in range(90):
            hall.now += WINDOW * chance.uniform(0.2, 1.6)
            if chance.random() < busy * 0.3:
                tokens += hall.join(*[POSITIVE] * chance.choice([1, 1, 1, 2, 5, 7]))
            if chance.random() < busy * 0.2 and hall.people:
                hall.leave(chance.choice(list(hall.people)))
            silent = chance.random() < busy * 0.1
            for index, (token, mood) in enumerate(list(hall.people.items())):
                if silent and index == 0:
                    continue
                try:
                    hall.room.send(token, mood, now=hall.now)
                except RoomError:
                    del hall.people[token]
                if chance.random() < 0.05:
                    hall.room.tap(token, "fine", now=hall.now) if token in hall.people else None
        hall.room.view(now=hall.now)
    check_rules(spy.shown)


def check_rules(shown: Iterable[tuple[Draft, frozenset[str], int]]) -> None:
    before: Draft | None = None
    for draft, there, at in shown:
        assert len(draft.circle) >= LEAST
        assert draft.circle <= there, "somebody who left is still shown"
        assert at >= draft.end + module.DELAY_WINDOWS
        assert draft.readings == 0 or draft.readings >= LEAST * draft.windows
        assert draft.tapped <= draft.circle
        if before is not None:
            assert draft.first >= before.end
            joined, left = draft.circle - before.circle, before.circle - draft.circle
            quiet = draft.first - before.end >= module.QUIET_WINDOWS
            assert quiet or (not left and (not joined or len(joined) >= LEAST))
        before = draft


def test_the_attack_of_the_difference_finds_no_two_reports_to_subtract() -> None:
    """Six neutral people of whom the one who leaves was positive: before and after lie a minute apart."""
    hall = Hall()
    tokens = hall.join(POSITIVE, *[NEUTRAL] * 5)
    hall.windows(12)
    before = hall.reports
    hall.leave(tokens[0])
    hall.windows(12)
    after = hall.reports[len(before) :]
    assert after
    assert after[0].start - before[-1].end >= 60.0


# Taps


def test_taps_are_counted_once_in_each_half_minute() -> None:
    hall = Hall(Purpose.EDUCATION, Place.EU)
    assert not hall.room.faces
    tokens = hall.join(*[None] * 10)
    hall.windows(1)
    assert [hall.room.tap(token, "too fast", now=hall.now) for token in tokens[:3]] == [True] * 3
    assert not hall.room.tap(tokens[0], "too slow", now=hall.now)
    assert hall.room.tap(tokens[4], "fine", now=hall.now)
    (report,) = hall.windows(5)
    assert report.shares is None
    assert report.taps == {"too fast": 3, "fine": 1, "too slow": 0}
    assert report.tap_shares == {"too fast": 0.3, "fine": 0.1, "too slow": 0.0}
    assert hall.windows(3)[1].taps == {"too fast": 0, "fine": 0, "too slow": 0}


def test_a_room_of_taps_takes_no_reading() -> None:
    hall = Hall(Purpose.EDUCATION, Place.EU)
    (token,) = hall.join(None)
    with pytest.raises(PolicyError, match=r"5\(1\)\(f\)"):
        hall.room.send(token, POSITIVE, now=hall.now)
    with pytest.raises(ValueError, match="too fast, fine, too slow"):
        hall.room.tap(token, "boring", now=hall.now)


def test_a_tap_of_one_who_waits_does_not_count() -> None:
    hall = Hall()
    hall.join(*[NEUTRAL] * 5)
    hall.windows(2)
    (late,) = hall.join(NEUTRAL)
    assert not hall.room.tap(late, "too fast", now=hall.now)


# Entrance


def test_who_has_no_code_an_old_text_or_comes_too_late_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    room = hall.room
    for code in ("", "WRONG", room.code[:-1], room.code + "A", "é" * 8):
        with pytest.raises(RoomError, match="code is wrong"):
            room.join(code, terms_version=ROOM_VERSION, now=hall.now)
    with pytest.raises(RoomError, match="update mien"):
        room.join(room.code, terms_version=ROOM_VERSION - 1, now=hall.now)
    assert room.join(f" {room.code.lower()} ", terms_version=ROOM_VERSION, now=hall.now)
    monkeypatch.setattr(module, "MOST_PEOPLE", 1)
    with pytest.raises(RoomError, match="full"):
        room.join(room.code, terms_version=ROOM_VERSION, now=hall.now)
    room.close(now=hall.now)
    with pytest.raises(RoomError, match="closed"):
        room.join(room.code, terms_version=ROOM_VERSION, now=hall.now)


def test_codes_and_tokens_cannot_be_guessed() -> None:
    codes = {Hall().room.code for _ in range(200)}
    assert len(codes) == 200
    assert all(len(code) == 8 and not set(code) & set("01OIl") for code in codes)
    hall = Hall()
    assert len(set(hall.join(*[NEUTRAL] * 100))) == 100


def test_a_closed_room_forgets_all_but_what_was_shown() -> None:
    hall = Hall()
    (token, *_) = hall.join(*[NEUTRAL] * 5)
    hall.windows(7)
    hall.room.close(now=hall.now)
    for call in (lambda: hall.room.send(token, NEUTRAL, now=hall.now), lambda: hall.room.tap(token, "fine", now=0.0)):
        with pytest.raises(RoomError, match="closed"):
            call()
    hall.room.leave(token, now=hall.now)
    view = hall.room.view(now=hall.now + 500)
    assert (view.open, len(view.reports), view.waiting) == (False, 1, "The room is closed.")
    assert not hall.room.members
    assert not within(hall.room, Draft)


def test_there_is_no_room_where_the_policy_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    decision = dataclasses.replace(decide("research"), features=frozenset())
    with pytest.raises(PolicyError):
        Room(decision, now=0.0)
    assert Room(decide("workplace", "eu"), now=0.0).faces is False
    assert Room(decide("workplace", "elsewhere"), now=0.0).faces is True


def test_an_idle_room_does_not_work_through_its_idle_time() -> None:
    hall = Hall()
    hall.join(NEUTRAL)
    hall.people.clear()
    hall.now += 10_000_000
    assert hall.room.view(now=hall.now).reports == ()
    hall.join(*[NEUTRAL] * 5)
    assert len(hall.windows(7)) == 1


def test_reports_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    hall.join(*[NEUTRAL] * 5)
    assert len(hall.windows(3 * module.KEPT_REPORTS + 30)) == module.KEPT_REPORTS


# Rounding


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=5).filter(sum), st.sampled_from([0.1, 0.2, 0.25]))
def test_rounded_shares_are_steps_that_sum_to_one_and_lie_near(weights: list[int], step: float) -> None:
    shares = {str(at): weight / sum(weights) for at, weight in enumerate(weights)}
    result = rounded(shares, step)
    assert sum(result.values()) == pytest.approx(1)
    for name, value in result.items():
        assert value / step == pytest.approx(round(value / step))
        assert abs(value - shares[name]) < step
        assert value >= 0


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 4)] * 3).filter(lambda parts: sum(parts) == 4))
def test_what_is_quarters_already_stays(parts: tuple[int, int, int]) -> None:
    assert coarse(dict(zip(Polarity, (p / 4 for p in parts), strict=True))) == Coarse(*parts)


def test_a_tie_goes_to_neutral() -> None:
    assert rounded({"positive": 0.5, "neutral": 0.5, "negative": 0.0}, 0.2) == {
        "positive": 0.4,
        "neutral": 0.6,
        "negative": 0.0,
    }
    third = {Polarity.POSITIVE: 1 / 3, Polarity.NEUTRAL: 1 / 3, Polarity.NEGATIVE: 1 / 3}
    assert coarse(third) == Coarse(1, 2, 1)


def test_coarse_rounds_by_largest_remainders() -> None:
    assert coarse({Polarity.POSITIVE: 0.40, Polarity.NEUTRAL: 0.35, Polarity.NEGATIVE: 0.25}) == Coarse(2, 1, 1)
    assert coarse({Polarity.POSITIVE: 0.95, Polarity.NEUTRAL: 0.05, Polarity.NEGATIVE: 0.0}) == Coarse(4, 0, 0)
    with pytest.raises(ValueError, match="sum to 1"):
        coarse({Polarity.POSITIVE: 0.5, Polarity.NEUTRAL: 0.0, Polarity.NEGATIVE: 0.0})


@pytest.mark.parametrize("parts", [(5, 0, 0), (1, 1, 1), (-1, 4, 1), (2.0, 1, 1), (True, 2, 1)])
def test_a_message_that_is_no_quarters_is_refused(parts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="quarters"):
        Coarse(*parts)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "fewer than 5"),
        (4, "fewer than 5"),
        (5, "5 to 9"),
        (9, "5 to 9"),
        (10, "10 to 19"),
        (199, "100 to 199"),
        (200, "200 or more"),
    ],
)
def test_numbers_of_people_are_ranges(count: int, words: str) -> None:
    assert people_range(count) == words


# Hints


def tapped(*shares: dict[str, float]) -> list[Report]:
    return [
        Report(
            30.0 * at, 30.0 * at + 30, "10 to 19", None, Counter(), {"too fast": 0.0, "fine": 0.0, "too slow": 0.0} | s
        )
        for at, s in enumerate(shares)
    ]


def test_pace_hints_come_from_the_same_rules() -> None:
    rules = bundled()
    assert hints(rules, tapped({"too fast": 0.4}), now=0.0) == ()
    (hint,) = hints(rules, tapped({"too fast": 0.4}, {"too fast": 0.3}), now=0.0)
    assert hint.rule.id == "pace-slower"
    assert "40 %, 30 %" in hint.why_shown
    assert "2 reports" in hint.why_shown
    divided = hints(rules, tapped(*[{"too fast": 0.3, "too slow": 0.3}] * 2), now=0.0)
    assert {one.rule.id for one in divided} == {"pace-slower", "pace-faster", "pace-split"}
    assert hints(rules, tapped(*[{"fine": 1.0}] * 6), now=0.0) == ()


def test_old_reports_give_no_hints() -> None:
    reports = tapped(*[{"too fast": 0.9}] * 3, *[{"fine": 0.5}] * 6)
    assert hints(bundled(), reports, now=0.0) == ()


def test_faces_that_look_negative_for_long_suggest_to_ask() -> None:
    share = {"positive": 0.0, "neutral": 0.4, "negative": 0.6, "no reading": 0.0}
    reports = [
        Report(30.0 * at, 30.0 * at + 30, "10 to 19", share, {}, {"too fast": 0.0, "fine": 0.0, "too slow": 0.0})
        for at in range(3)
    ]
    (hint,) = hints(bundled(), reports, now=0.0)
    assert hint.rule.id == "ask-the-room"
    assert hints(bundled(), reports[:2], now=0.0) == ()


def test_windows_are_whole_numbers_of_the_rules() -> None:
    assert math.isclose(module.QUIET_WINDOWS * WINDOW, 60.0)
    assert math.isclose(module.WAITING_WINDOWS * WINDOW, 180.0)
