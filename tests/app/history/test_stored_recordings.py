from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from app.made import Clock, absent, agreed, dark, filled, fresh, second
from mien.app.history.stored_recordings import as_recording, compare_days, correct, days, load
from mien.app.store.facade import Store
from mien.app.store.values import Correction
from mien.core.expression import Expression, Polarity
from mien.runtime.recordings.read import STATES, UNCERTAIN, UNMEASURABLE
from mien.runtime.recordings.totals import add_up, timeline, totals

HAPPY, SAD, NEUTRAL = (list(Expression).index(e) for e in (Expression.HAPPY, Expression.SAD, Expression.NEUTRAL))


def correction(start: float, end: float, was: Expression, instead: Expression | None = None) -> Correction:
    return Correction(id=1, recording=1, start=start, end=end, was=was, instead=instead, written=0.0)


def test_a_stored_recording_adds_up_like_any_other(tmp_path: Path) -> None:
    with Store(tmp_path / "app.db", clock=Clock()) as store:
        number = store.open_recording(agreed(store), model="toy", name="mine")
        seconds = [*(second(i) for i in range(6)), *(second(i, None) for i in range(6, 9)), dark(9), absent(10)]
        for one in seconds:
            store.append(number, one)
        recording = load(store, number)
        added = totals(recording)
        assert (recording.name, recording.models) == ("mine", ("toy",))
        assert added.watched == 11.0
        assert added.empty == 1.0
        assert added.states[HAPPY] == 6.0
        assert added.held[UNCERTAIN] == 3.0
        assert added.held[UNMEASURABLE] == 1.0
        assert added.reasons == {"dark": 1.0}
        assert added.mass[HAPPY] == pytest.approx(9 * 0.8, abs=1e-4)
        assert added.mass.sum() == pytest.approx(9.0, abs=1e-4)
        assert added.sureness[HAPPY] == pytest.approx(0.8, abs=1e-4)
        assert added.tracks == 1
        assert timeline(recording, length=5.0).states[:, HAPPY].tolist() == [5.0, 1.0, 0.0]
        assert "under way" in recording.notes[0]
        store.close_recording(number)
        assert load(store, number).notes == ()


def test_an_empty_recording_cannot_be_added_up(tmp_path: Path) -> None:
    with Store(tmp_path / "app.db", clock=Clock()) as store:
        number = store.open_recording(agreed(store), model="toy")
        with pytest.raises(ValueError, match="without a second"):
            load(store, number)
        assert days(store) == ()


def test_a_recording_in_which_nobody_was_seen_adds_up_too(tmp_path: Path) -> None:
    with Store(tmp_path / "app.db", clock=Clock()) as store:
        number = store.open_recording(agreed(store), model="toy")
        for index in range(3):
            store.append(number, absent(index))
        added = totals(load(store, number))
        assert (added.watched, added.empty, added.faces) == (3.0, 3.0, 0.0)


def test_that_was_not_sad_makes_it_uncertain_and_shares_out_its_probability() -> None:
    sad = second(4, Expression.SAD, probability=0.7)
    assert correct(sad, [correction(0, 4, Expression.SAD)]) == sad
    corrected = correct(sad, [correction(4, 5, Expression.SAD)])
    assert sum(corrected.held) == 0.0
    assert corrected.uncertain == 1.0
    assert corrected.probabilities is not None
    assert corrected.probabilities[SAD] == 0.0
    assert corrected.probabilities[HAPPY] == pytest.approx(0.05 / 0.3)
    assert sum(corrected.probabilities) == pytest.approx(1.0)


def test_that_was_neutral_moves_it_there() -> None:
    sad = second(4, Expression.SAD, probability=0.7)
    corrected = correct(sad, [correction(4, 5, Expression.SAD, Expression.NEUTRAL)])
    assert corrected.held[NEUTRAL] == 1.0
    assert corrected.probabilities is not None
    assert corrected.probabilities[NEUTRAL] == pytest.approx(0.75)
    later = correct(
        sad,
        [correction(4, 5, Expression.SAD, Expression.NEUTRAL), correction(4, 5, Expression.NEUTRAL, Expression.HAPPY)],
    )
    assert later.held[HAPPY] == 1.0


def test_a_correction_of_a_certainty_leaves_no_expression_above_the_others() -> None:
    certain = second(0, Expression.SAD, probability=1.0)
    corrected = correct(certain, [correction(0, 1, Expression.SAD)])
    assert corrected.probabilities is not None
    assert corrected.probabilities[SAD] == 0.0
    assert sorted(corrected.probabilities) == [0.0] + [pytest.approx(1 / 7)] * 7
    assert correct(dark(0), [correction(0, 1, Expression.SAD)]) == dark(0)


def test_corrections_show_wherever_a_recording_is_added_up(tmp_path: Path) -> None:
    with filled(tmp_path / "app.db", Clock()) as store:
        (info,) = store.recordings()
        store.correct(info.id, start=0, end=2, was=Expression.HAPPY, instead=Expression.NEUTRAL)
        added = totals(load(store, info.id))
        assert added.states[[HAPPY, NEUTRAL]].tolist() == [3.0, 2.0]
        assert days(store)[0].totals.states[NEUTRAL] == 2.0


def test_days_are_the_persons_own_and_a_night_is_cut_at_midnight(tmp_path: Path) -> None:
    # 23:59:58 in a place that is two hours ahead of UTC.
    late = datetime.datetime(2027, 3, 1, 21, 59, 58, tzinfo=datetime.UTC).timestamp()
    clock = Clock(late)
    with Store(tmp_path / "app.db", clock=clock) as store:
        number = store.open_recording(agreed(store), model="toy")
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE recordings SET utc_offset = 7200")
        for index in range(5):
            store.append(number, second(index))
        clock.now += 600
        other = store.open_recording(store.consent(), model="toy")  # type: ignore[arg-type]
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE recordings SET utc_offset = 7200")
        store.append(other, second(0, Expression.SAD))
        first, second_day = days(store)
        assert (first.date, second_day.date) == (datetime.date(2027, 3, 1), datetime.date(2027, 3, 2))
        assert first.totals.watched == 2.0
        assert len(second_day.recordings) == 2
        assert second_day.totals.states[HAPPY] == 3.0
        assert second_day.totals.states[SAD] > 0
        assert days(store, since=clock.now + 1) == ()
        assert [day.date for day in days(store, since=late + 2)] == [datetime.date(2027, 3, 2)]
        assert [day.date for day in days(store, until=late + 2)] == [datetime.date(2027, 3, 1)]
        assert days(store, until=late + 1)[0].totals.watched > 0


def test_adding_up_sums_times_and_weighs_sureness(tmp_path: Path) -> None:
    info = None
    all_totals = []
    with filled(tmp_path / "app.db", Clock()) as store:
        (info,) = store.recordings()
    for count, probability in ((10, 0.6), (30, 0.8)):
        seconds = [second(i, probability=probability) for i in range(count)]
        all_totals.append(totals(as_recording(info, [*seconds, dark(count)])))
    both = add_up(all_totals)
    assert both.watched == 42.0
    assert both.states[HAPPY] == 40.0
    assert both.sureness[HAPPY] == pytest.approx((10 * 0.6 + 30 * 0.8) / 40)
    assert np.isnan(both.sureness[SAD])
    assert both.reasons == {"dark": 2.0}
    assert both.polarity_mass[Polarity.POSITIVE] + both.mass[[0, 1, 2, 4, 6]].sum() == pytest.approx(40.0)
    with pytest.raises(ValueError, match="nothing"):
        add_up([])


def test_days_are_compared_by_the_runtimes_statistics(tmp_path: Path) -> None:
    clock = Clock()
    with fresh(tmp_path / "app.db", clock) as store:
        store.change_settings(retention_days=30)
        consent = agreed(store)
        for day in range(12):
            number = store.open_recording(consent, model="toy")
            mood = Expression.HAPPY if day < 6 else Expression.SAD
            store.append(number, *(second(index, mood) for index in range(60)))
            clock.now += 86_400
        found = days(store)
        assert len(found) == 12
        comparison = compare_days(found[:6], found[6:])
        assert comparison.conclusive
        assert comparison.first == f"{found[0].date} to {found[5].date}"
        share = next(d for d in comparison.differences if d.quantity == "positive" and d.measure == "held")
        assert (share.first, share.second, share.difference) == (1.0, 0.0, -1.0)
        assert share.cliffs_delta == -1.0
        alone = compare_days(found[:1], found[1:2], names=("Monday", "Tuesday"))
        assert (alone.first, alone.second, alone.conclusive) == ("Monday", "Tuesday", False)
        with pytest.raises(ValueError, match="distinct names"):
            compare_days(found[:1], found[:1])
        with pytest.raises(ValueError, match="two days"):
            compare_days(found[:1], [])


def test_the_state_of_a_second_is_what_most_of_it_was() -> None:
    info = _info()
    from mien.app.store.aggregate import Second

    mixed = Second(
        index=0,
        frames=10,
        probabilities=(0, 0, 0, 0.5, 0, 0, 0.5, 0),
        held=(0, 0, 0, 0.2, 0, 0, 0.3, 0),
        uncertain=0.1,
        unmeasurable={"dark": 0.1, "blurred": 0.05},
        absent=0.25,
    )
    recording = as_recording(info, [mixed])
    assert STATES[recording.states[0]] == "neutral"
    mostly_dark = Second(
        index=0,
        frames=10,
        probabilities=(0, 0, 0, 1.0, 0, 0, 0, 0),
        held=(0, 0, 0, 0.3, 0, 0, 0, 0),
        uncertain=0.0,
        unmeasurable={"dark": 0.3, "blurred": 0.4},
    )
    recording = as_recording(info, [mostly_dark])
    assert STATES[recording.states[0]] == UNMEASURABLE
    assert recording.reasons[0] == "blurred"
    assert np.isnan(recording.smoothed).all()


def _info():
    from mien.app.store.values import RecordingInfo

    return RecordingInfo(
        id=3,
        consent="c",
        name="",
        kind="live",
        model="toy",
        started=0.0,
        utc_offset=0,
        length=1.0,
        seconds=1,
        closed=True,
        expires=1.0,
    )
