"""Recordings read back, added up and compared, against sums made by hand and other implementations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import MienError, MissingExtraError
from mien.core.expression import Expression
from mien.core.face import Event
from mien.runtime.output.columns import RECORDING_COLUMNS
from mien.runtime.output.tables import CsvStreamSink, JsonLinesSink, ParquetSink
from mien.runtime.output.watched import WatchedTime
from mien.runtime.recordings.compare import Cohort, bootstrap_shares, cliffs_delta, compare_cohorts, hedges_g
from mien.runtime.recordings.read import STATES, Recording, read_recording
from mien.runtime.recordings.totals import frame_seconds, timeline, totals, transitions
from runtime.stream_toys import face, frame, lesson, picture

SINKS = {"csv": CsvStreamSink, "jsonl": JsonLinesSink, "parquet": ParquetSink}


@pytest.fixture(params=SINKS)
def written(request, tmp_path):
    """The made-up lesson in each format."""
    path = tmp_path / f"r.{request.param}"
    sink = SINKS[request.param](path)
    for one in lesson():
        sink.write(one, picture)
    sink.close()
    return path


def made(states: list[list[str]], *, times: list[float] | None = None, model: str = "toy") -> Recording:
    """A recording of frames with the states of their faces, by track; a held expression has probability 0.7."""
    faces = [(f, t, STATES.index(s)) for f, row in enumerate(states) for t, s in enumerate(row, start=1) if s]
    smoothed = np.full((len(faces), 8), 0.05, dtype=np.float32)
    smoothed[:, 7] = 0
    for row, (_, _, state) in enumerate(faces):
        smoothed[row, state if state < 8 else 6] = 0.7
        if STATES[state] == "not measurable":
            smoothed[row] = np.nan
    return Recording(
        name="made",
        models=(model,),
        times=np.array(times if times is not None else range(len(states)), dtype=np.float64),
        frames=np.array([f for f, _, _ in faces], dtype=np.int64),
        tracks=np.array([t for _, t, _ in faces], dtype=np.int64),
        states=np.array([s for _, _, s in faces], dtype=np.int64),
        smoothed=smoothed,
        probabilities=smoothed,
        reasons=np.array(["dark" if STATES[s] == "not measurable" else "" for _, _, s in faces], dtype=np.str_),
    )


def test_every_format_gives_the_same_recording(written):
    recording = read_recording(written)
    assert (recording.name, recording.models, recording.notes) == (written.name, ("toy",), ())
    assert recording.times.tolist() == list(map(float, range(10)))
    assert recording.frames.tolist() == [0, 1, 2, 3, 4, 5, 8, 8, 9, 9]
    assert recording.tracks.tolist() == [1, 1, 1, 1, 1, 1, 1, 2, 1, 2]
    assert [STATES[s] for s in recording.states] == [
        *("happy", "happy", "happy", "uncertain", "uncertain", "not measurable"),
        *("sad", "neutral", "sad", "neutral"),
    ]
    assert recording.reasons.tolist() == ["", "", "", "", "", "dark", "", "", "", ""]
    assert recording.smoothed[0, :7] == pytest.approx([0.05, 0.05, 0.05, 0.7, 0.05, 0.05, 0.05], abs=1e-6)
    assert recording.smoothed[0, 7] == 0
    assert np.isnan(recording.smoothed[5]).all()
    assert recording.events == (
        Event("began", 1, Expression.HAPPY, 0.0, pytest.approx(0.7)),
        Event("ended", 1, Expression.HAPPY, 3.0, pytest.approx(0.7)),
    )


@pytest.mark.parametrize("cut", [1, 2, 40, 300])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_cut_last_line_is_left_out_and_said(kind, cut, tmp_path):
    path = tmp_path / f"r.{kind}"
    sink = SINKS[kind](path)
    for one in lesson():
        sink.write(one, picture)
    sink.close()
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    recording = read_recording(path)
    assert recording.notes == ("its last line is cut and was left out",)
    assert 9 <= len(recording.times) <= 10


def header_and(*rows: dict[str, object]) -> str:
    lines = [",".join(RECORDING_COLUMNS)]
    lines += [",".join(str({"schema": 1, **row}.get(name, "")) for name in RECORDING_COLUMNS) for row in rows]
    return "\n".join(lines) + "\n"


EMPTY = {"row": "empty", "frame": 0, "time": 0.0}
GOOD = '{"schema": 1, "frame": 0, "time": 0, "faces": [], "events": []}\n'


def with_face(*, probability: str = "1", model: str = "'toy'", track: str = "1") -> str:
    smoothed = f"{{'model': {model}, 'probabilities': {{'happy': {probability}}}}}"
    face = f"{{'unmeasurable': null, 'track': {{'id': {track}, 'held': null, 'smoothed': {smoothed}}}}}"
    return GOOD.replace("[]", f"[{face}]", 1).replace("'", '"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a recording"),
        ("source,width,height\nx,1,2\n", "its columns are: source, width, height"),
        ('{"schema": 1, "frames": [\n', "line 1 is damaged or no JSON"),
        (GOOD + "5\n", "line 2 is damaged or no JSON object"),
        (GOOD + '{"frame": ' + "9" * 5000 + "}\n", "line 2 is damaged or no JSON object"),
        (GOOD + "[" * 100_000 + "\n", "line 2 is damaged or no JSON object"),
        (with_face(probability="'x'"), "the smoothed_happy of a row at 0 s is 'x'"),
        (with_face(model="['toy']"), r"the model of a row at 0 s is \['toy'\]"),
        (with_face(track="9" * 30), "is damaged: Python int too large"),
        ('{"schema": 1, "frames": []}\n', "line 1 has the keys: schema, frames"),
        ('{"schema": 1, "frame": 0, "time": 0, "faces": [{}], "events": []}\n', "line 1 is damaged: KeyError 'track'"),
        ('{"schema": 1, "frame": 0, "time": null, "faces": [], "events": []}\n', "frame 0 has no time"),
        ('{"schema": 9, "frame": 0, "time": 0, "faces": [], "events": []}\n', "is of schema 9.*update mien"),
        ("a" * 200_000 + "\n", "is damaged: field larger than field limit"),
        (header_and(EMPTY) + "a" * 200_000 + "\n", "is damaged: field larger than field limit"),
        (header_and(), "holds no frame"),
        (header_and(EMPTY) + "1,empty\n", "line 3 is damaged: 2 cells instead of"),
        (header_and(EMPTY | {"time": "soon"}), "line 2 is damaged: could not convert"),
        (header_and(EMPTY | {"time": "nan"}), "frame 0 has no time"),
        (header_and(EMPTY | {"row": "verse"}), "has a row 'verse', expected one of face, empty, event"),
        (
            header_and(EMPTY | {"time": 3}, EMPTY | {"frame": 1, "time": 2}),
            r"falls back at frame 1, from 3\.000 s to 2",
        ),
        (header_and(EMPTY | {"row": "face"}), "the track of a row at 0.0 s is missing"),
        (header_and(EMPTY | {"row": "face", "track": 1, "held": "bored"}), "unknown expression 'bored'"),
        (header_and(EMPTY | {"row": "event", "track": 1, "event": "began"}), "an event at 0.0 s is not complete"),
        ("PAR1 and nothing of it", "is damaged, or was not written to its end"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(content, message, tmp_path, monkeypatch):
    path = tmp_path / "r"
    path.write_text(content)
    opened, open_ = [], Path.open
    monkeypatch.setattr(Path, "open", lambda *args, **options: opened.append(open_(*args, **options)) or opened[-1])
    with pytest.raises(MienError, match=message) as caught:
        read_recording(path)
    assert str(path) in str(caught.value)
    assert [file.closed for file in opened] == [True]


def test_other_files_are_refused(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    for path, message in ((tmp_path / "photo.png", "is no text"), (tmp_path / "none.csv", "no such file")):
        with pytest.raises(MienError, match=message):
            read_recording(path)
    with pytest.raises(MienError, match="directory"):
        read_recording(tmp_path)


def test_a_parquet_file_of_others_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(MienError, match="but its columns are: x"):
        read_recording(tmp_path / "x.parquet")
    pq.write_table(pa.table({name: ["1"] for name in RECORDING_COLUMNS}), tmp_path / "x.parquet")
    with pytest.raises(MienError, match="the schema of a row at 1 s is '1'"):
        read_recording(tmp_path / "x.parquet")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[parquet\]'"):
        read_recording(tmp_path / "x.parquet")


def test_a_key_that_is_new_does_no_harm(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"schema": 1, "frame": 0, **frame(0.0, face()).to_dict(), "mood": "new"}) + "\n")
    assert len(read_recording(path).frames) == 1


@given(st.lists(st.floats(0, 4), min_size=1, max_size=40))
def test_what_watch_says_while_it_watches_is_what_the_report_adds_up(intervals):
    """`watch` said 19.6 s, `report` 19.7 s of the same recording."""
    times = np.cumsum(intervals)
    watched = WatchedTime()
    for time in times.tolist():
        watched.add(time)
    assert watched.seconds == pytest.approx(frame_seconds(times).sum())


def test_a_frame_stands_for_the_time_until_the_next():
    assert frame_seconds(np.array([0, 0.5, 2.5, 3.0])).tolist() == [0.5, 2, 0.5, 1]
    assert frame_seconds(np.array([0, 0.1, 600, 600.1])).tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1])
    assert frame_seconds(np.array([0.0, 600, 1200])).tolist() == [2, 2, 2], "single pictures of a schedule"
    assert frame_seconds(np.array([4.0])).tolist() == [2]


def test_the_lesson_adds_up_to_sums_made_by_hand(written):
    added = totals(read_recording(written))
    assert (added.span, added.watched, added.empty, added.tracks) == (10, 10, 2, 2)
    assert (added.faces, added.measurable) == (10, 9)
    seconds = dict(zip(STATES, added.states, strict=True))
    assert {k: v for k, v in seconds.items() if v} == {
        "happy": 3,
        "sad": 2,
        "neutral": 2,
        "uncertain": 2,
        "not measurable": 1,
    }
    assert added.held == {"positive": 3, "neutral": 2, "negative": 2, "uncertain": 2, "not measurable": 1}
    mass = dict(zip(Expression, added.mass, strict=True))
    # three happy frames at 0.7 and six others at 0.05; four sad ones (two of them uncertain); two neutral ones
    assert mass["happy"] == pytest.approx(3 * 0.7 + 6 * 0.05, abs=1e-5)
    assert mass["sad"] == pytest.approx(4 * 0.7 + 5 * 0.05, abs=1e-5)
    assert mass["neutral"] == pytest.approx(2 * 0.7 + 7 * 0.05, abs=1e-5)
    assert sum(mass.values()) == pytest.approx(added.measurable, abs=1e-4)
    assert added.polarity_mass["positive"] == pytest.approx(mass["happy"] + mass["surprise"])
    assert sum(added.polarity_mass.values()) == pytest.approx(9, abs=1e-4)
    assert added.reasons == {"dark": 1}
    assert added.sureness[[3, 4, 6]] == pytest.approx([0.7, 0.7, 0.7])
    assert np.isnan(added.sureness[[0, 1, 2, 5, 7]]).all()


def test_time_that_nobody_watched_is_not_counted():
    added = totals(made([["happy"]] * 4, times=[0, 1, 600, 601]))
    assert (added.watched, added.span, added.faces) == (4, 602, 4)


def test_a_recording_of_nobody_adds_up_to_nothing():
    added = totals(made([[], [], []]))
    assert (added.faces, added.empty, added.tracks) == (0, 3, 0)
    assert added.states.tolist() == [0] * 10
    assert transitions(made([[], []])).sum() == 0


def test_changes_are_counted_within_tracks():
    h, s, u, n = "happy", "sad", "uncertain", "not measurable"
    counts = transitions(made([[h, s], [h, s], [u, s], [s, h], [n, h], [s, h]]))
    found = {(STATES[a], STATES[b]): int(counts[a, b]) for a, b in np.argwhere(counts)}
    assert found == {(h, u): 1, (u, s): 1, (s, n): 1, (n, s): 1, (s, h): 1}
    assert transitions(made([[h], [s]], times=[0, 600])).sum() == 0, "nobody saw the change"


def test_slices_hold_what_the_whole_holds():
    recording = read_of_random(seed=3)
    for length in (1.0, 7.0, 60.0, 1000.0):
        cut, added = timeline(recording, length=length), totals(recording)
        assert cut.states.sum(axis=0) == pytest.approx(added.states)
        assert cut.mass.sum(axis=0) == pytest.approx(added.mass)
        assert cut.watched.sum() == pytest.approx(added.watched)
        assert cut.empty.sum() == pytest.approx(added.empty)
        assert np.diff(cut.starts) == pytest.approx(length)
    cut = timeline(made([["happy"], ["sad"], ["sad"], []], times=[59, 60, 61, 121]), length=60)
    assert cut.starts.tolist() == [0, 60, 120]
    assert cut.states[:, 3].tolist() == [1, 0, 0]
    assert cut.states[:, 4].tolist() == [0, 2, 0]
    assert cut.empty.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="positive length"):
        timeline(recording, length=0)


def read_of_random(seed: int, *, frames: int = 400, happy: float = 0.3, model: str = "toy") -> Recording:
    """Frames four times a second whose state is drawn anew for every second."""
    random = np.random.default_rng(seed)
    names = random.choice(
        ["happy", "sad", "neutral", "uncertain", "not measurable", ""],
        p=[happy, 0.8 - happy, 0.08, 0.05, 0.05, 0.02],
        size=frames // 4,
    )
    return made([[name] for name in np.repeat(names, 4)], times=(np.arange(frames) / 4).tolist(), model=model)


def test_cliffs_delta_is_twice_the_area_under_the_curve_less_one():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 6, random.integers(1, 30)), random.integers(2, 8, random.integers(1, 30))
        area = roc_auc_score(np.r_[np.zeros(len(a)), np.ones(len(b))], np.r_[a, b])
        assert cliffs_delta(a.astype(float), b.astype(float)) == pytest.approx(2 * area - 1, abs=1e-12)
    assert cliffs_delta(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert cliffs_delta(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0


def test_hedges_g_is_the_one_of_the_formula():
    # deviations of 1, difference 1; J(4) = gamma(2) / (sqrt(2) gamma(1.5)) = sqrt(2 / pi)
    assert hedges_g(np.array([1.0, 2, 3]), np.array([2.0, 3, 4])) == pytest.approx((2 / np.pi) ** 0.5, abs=1e-12)
    # J is 1 - 3 / (4 df - 1) to within 0.0002 at 18 degrees of freedom (Hedges 1981)
    random = np.random.default_rng(1)
    a, b = random.normal(0, 1, 10), random.normal(0.5, 2, 10)
    pooled = ((a.var(ddof=1) + b.var(ddof=1)) / 2) ** 0.5
    assert hedges_g(a, b) == pytest.approx((b.mean() - a.mean()) / pooled * (1 - 3 / 71), abs=2e-4)
    assert hedges_g(np.array([1.0]), np.array([1.0, 2.0])) is None
    assert hedges_g(np.array([1.0, 1.0]), np.array([2.0, 2.0])) is None


def test_the_bootstrap_spreads_as_theory_says():
    random = np.random.default_rng(0)
    seconds, measurable = random.uniform(0, 1, (60, 1)), random.uniform(1, 3, 60)
    draws = bootstrap_shares(seconds, np.ones(60), resamples=20_000, random=random)
    assert draws.mean() == pytest.approx(seconds.mean(), abs=0.002)
    assert draws.std() == pytest.approx(seconds.std() / 60**0.5, rel=0.03)
    draws = bootstrap_shares(seconds, measurable, resamples=20_000, random=random)
    share = seconds.sum() / measurable.sum()
    residual = seconds[:, 0] - share * measurable
    assert draws.std() == pytest.approx(residual.std() / 60**0.5 / measurable.mean(), rel=0.05), "delta method"


def by_name(comparison, quantity: str, measure: str = "held"):
    (found,) = [d for d in comparison.differences if (d.quantity, d.measure) == (quantity, measure)]
    return found


def test_two_cohorts_that_differ_are_told_apart():
    before = Cohort("before", tuple(read_of_random(i, happy=0.2) for i in range(12)))
    after = Cohort("after", tuple(read_of_random(100 + i, happy=0.5) for i in range(12)))
    (comparison,) = compare_cohorts([before, after], resamples=2000)
    assert (comparison.first, comparison.second, comparison.units) == ("before", "after", ("12 recordings",) * 2)
    assert (comparison.conclusive, comparison.warnings) == (True, ())
    shares = [[float(t.states[3] / t.measurable) for t in map(totals, c.recordings)] for c in (before, after)]
    happy = by_name(comparison, "happy")
    assert (happy.first, happy.second) == pytest.approx((np.mean(shares[0]), np.mean(shares[1])))
    assert happy.difference == pytest.approx(happy.second - happy.first)
    assert 0 < happy.interval[0] < happy.difference < happy.interval[1]
    assert happy.cliffs_delta == pytest.approx(cliffs_delta(np.array(shares[0]), np.array(shares[1])))
    assert happy.hedges_g == pytest.approx(hedges_g(np.array(shares[0]), np.array(shares[1])))
    assert by_name(comparison, "positive").difference == pytest.approx(happy.difference), "no surprise was held"
    assert by_name(comparison, "happy", "by_probability").interval[0] > 0
    polarities = [by_name(comparison, q) for q in ("positive", "neutral", "negative", "uncertain")]
    assert sum(d.first for d in polarities) == pytest.approx(1), "shares of the measurable time"
    assert "contempt" not in {d.quantity for d in comparison.differences}
    assert comparison == compare_cohorts([before, after], resamples=2000)[0], "the seed makes it repeatable"
    assert json.loads(json.dumps(comparison.to_dict()))["units"] == ["12 recordings", "12 recordings"]


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    hits = 0
    for seed in range(60):
        cohorts = [
            Cohort(name, tuple(read_of_random(1000 * seed + 50 * at + i, frames=80) for i in range(15)))
            for at, name in enumerate("ab")
        ]
        low, high = by_name(compare_cohorts(cohorts, resamples=200)[0], "happy").interval
        hits += low <= 0 <= high
    assert 50 <= hits <= 60


def test_a_cohort_of_one_recording_is_cut_into_blocks():
    a, b = (
        Cohort(name, (read_of_random(seed, frames=4000, happy=p),)) for name, seed, p in (("a", 1, 0.2), ("b", 2, 0.5))
    )
    (comparison,) = compare_cohorts([a, b], resamples=1000, block_seconds=20)
    assert comparison.units == ("50 blocks of 20 s",) * 2
    happy = by_name(comparison, "happy")
    added = totals(a.recordings[0])
    assert happy.first == pytest.approx(added.states[3] / added.measurable), "blocks weigh by their time"
    assert happy.interval[0] > 0.15
    assert happy.hedges_g > 0
    assert [w for w in comparison.warnings if "one recording, cut into blocks" in w]


def test_blocks_give_wider_intervals_than_frames_would():
    slow = np.repeat(["happy", "sad", "neutral", "sad"] * 10, 100)
    recording = made([[name] for name in slow], times=(np.arange(4000) / 4).tolist())
    other = read_of_random(5, frames=4000)
    widths = []
    for block in (0.25, 25.0):
        (comparison,) = compare_cohorts(
            [Cohort("slow", (recording,)), Cohort("other", (other,))], resamples=500, block_seconds=block
        )
        low, high = by_name(comparison, "happy").interval
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_too_little_is_said_to_be_too_little():
    one, many = Cohort("one", (read_of_random(1, frames=40),)), Cohort("many", tuple(map(read_of_random, range(7))))
    (comparison,) = compare_cohorts([one, many], resamples=100)
    assert not comparison.conclusive
    assert comparison.units == ("1 block of 30 s", "7 recordings")
    assert by_name(comparison, "happy").interval is None
    assert by_name(comparison, "happy").cliffs_delta is None
    words = "\n".join(comparison.warnings)
    assert "one: too few to say anything, 1 block of 30 s" in words
    assert "many: only 7 recordings, so the intervals are narrower than they should be" in words
    assert "effect sizes are not defined" in words


def test_what_may_mislead_is_warned_of():
    dark = Cohort("dark", (*map(read_of_random, range(9)), made([["not measurable"]] * 400)))
    light = Cohort("light", tuple(read_of_random(50 + i, model="other") for i in range(10)))
    (comparison,) = compare_cohorts([dark, light], resamples=100)
    words = "\n".join(comparison.warnings)
    assert "dark: 1 of 10 recordings held no measurable face" in words
    assert "read by different models (other, toy)" in words
    mostly = Cohort("mostly", (made([["happy"], ["not measurable"]] * 200),))
    (comparison,) = compare_cohorts([mostly, light], resamples=100)
    assert "mostly: not measurable for 50 % of the face time" in "\n".join(comparison.warnings)


def test_three_cohorts_make_three_pairs_and_wrong_ones_are_refused():
    cohorts = [Cohort(name, tuple(map(read_of_random, range(5)))) for name in "abc"]
    pairs = [(c.first, c.second) for c in compare_cohorts(cohorts, resamples=50)]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    for wrong in (cohorts[:1], [cohorts[0], cohorts[0]], [cohorts[0], Cohort("d", ())]):
        with pytest.raises(ValueError, match="two or more cohorts"):
            compare_cohorts(wrong)
    nobody = Cohort("nobody", (made([[], []]),))
    with pytest.raises(ValueError, match="cohort 'nobody' has no face that was measurable"):
        compare_cohorts([cohorts[0], nobody])
