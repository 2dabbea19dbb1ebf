"""The picture and the page of recordings: what they say, and that nothing is hidden."""

from __future__ import annotations

import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from mien.core.errors import MissingExtraError
from mien.runtime.output.canvas import COLOURS
from mien.runtime.output.tables import CsvStreamSink
from mien.runtime.recordings.chart import (
    clock,
    draw,
    draw_days,
    draw_difference,
    draw_lanes,
    on_page,
    render,
    render_svg,
)
from mien.runtime.recordings.compare import Cohort, compare_cohorts
from mien.runtime.recordings.page import alternative, describe, document, page, shares
from mien.runtime.recordings.read import read_recording
from mien.runtime.recordings.totals import totals
from runtime.stream_toys import face, frame, lesson, picture


def record(path, frames):
    sink = CsvStreamSink(path)
    for one in frames:
        sink.write(one, picture)
    sink.close()
    return read_recording(path)


@pytest.fixture
def recording(tmp_path):
    return record(tmp_path / "a <b> & c.csv", lesson())


@pytest.fixture
def empty(tmp_path):
    return record(tmp_path / "empty.csv", [frame(0.0), frame(1.0)])


@pytest.fixture
def comparison(tmp_path):
    cohorts = [
        Cohort(
            name,
            tuple(
                record(
                    tmp_path / f"{name}{i}.csv",
                    [frame(t, face(held=held if t % (3 + i) else "neutral")) for t in range(30)],
                )
                for i in range(6)
            ),
        )
        for name, held in (("before", "sad"), ("after", "happy"))
    ]
    return compare_cohorts(cohorts, resamples=200)[0]


class Page(HTMLParser):
    """The tags of a page, checked to be closed in turn, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data


def test_the_picture_is_a_png_that_describes_itself(recording):
    data = render(draw([recording]), alt=alternative([recording], []))
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert image.width == round(7.2 * 160)
    assert image.info["Description"] == describe(recording, totals(recording))


def test_the_picture_has_the_colours_of_what_was_held_and_only_those_lanes(recording):
    figure = draw_lanes(recording)
    pixels = np.asarray(Image.open(io.BytesIO(render(figure, alt="x"))).convert("RGB")).reshape(-1, 3).astype(int)
    for expression in ("happy", "sad", "neutral"):
        assert (np.abs(pixels - COLOURS[expression]).sum(axis=1) < 6).sum() > 2000
    lanes, course = figure.axes
    assert [label.get_text() for label in lanes.get_yticklabels()] == ["face 1", "face 2"]
    assert course.get_xlim() == (0, 10)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"happy", "uncertain", "not measurable"} <= legend
    assert "contempt" not in legend


def test_the_lanes_show_each_run_where_it_was(recording):
    lanes = draw_lanes(recording).axes[0]
    runs = {}
    for collection in lanes.collections:
        for path in collection.get_paths():
            (left, low), (right, _) = path.vertices.min(axis=0), path.vertices.max(axis=0)
            runs[left, right, round(low + 0.4)] = collection.get_hatch()
    assert set(runs) == {(0, 3, 0), (3, 5, 0), (5, 6, 0), (8, 10, 0), (8, 10, 1)}
    assert runs[0, 3, 0] is None
    assert runs[3, 5, 0] != runs[5, 6, 0], "uncertain and not measurable are told apart without colour"


def test_every_kind_of_recording_is_drawn(recording, empty, comparison, tmp_path):
    crowd = record(tmp_path / "crowd.csv", [frame(t / 4, *(face(k) for k in range(1, 13))) for t in range(8)])
    short = record(tmp_path / "short.csv", [frame(0.0, face())])
    long = record(tmp_path / "long.csv", [frame(600.0 * k + t, face()) for k in range(48) for t in range(3)])
    eight_hours = draw_lanes(long).axes
    assert "in slices of 10 min" in eight_hours[1].get_title(loc="left")
    assert "the 8 longest of 12 tracks" in draw_lanes(crowd).axes[0].get_title(loc="left")
    both = [recording, empty, crowd, short, long]
    image = Image.open(io.BytesIO(render(draw(both, [comparison]), alt="x")))
    assert image.height > 5 * image.width / 2
    with pytest.raises(ValueError, match="a recording or a comparison"):
        draw([])


@pytest.mark.parametrize(("theme", "ink"), [("light", "#1c2126"), ("dark", "#eceef0")])
def test_pictures_of_pages_are_svg_in_the_browsers_colours_with_words_as_text(recording, comparison, theme, ink):
    look = on_page(theme)
    added = totals(recording)
    for figure, words in (
        (draw_lanes(recording, look), "What was held"),
        (draw_days([("Mon", added), ("Tue", added)], look), "Tue"),
        (draw_difference(comparison, look), "after less before"),
    ):
        text = render_svg(figure)
        assert words in text
        assert ink in text
        assert "<script" not in text
        assert figure.get_facecolor()[3] == 0, "the page shows through"


def test_days_are_bars_of_their_measurable_time(recording):
    added = totals(recording)
    axes = draw_days([("Mon", added)], on_page("light")).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    expected = [added.held[name] / added.measurable for name in ("positive", "neutral", "negative", "uncertain")]
    assert widths == pytest.approx([100 * share for share in expected])
    assert sum(widths) == pytest.approx(100)


def test_titles_stay_within_a_phone(comparison):
    figure = draw_difference(comparison, on_page("light", "phone"))
    render_svg(figure)
    (title,) = [text for text in figure.findobj(Text) if "less before" in text.get_text()]
    assert title.get_window_extent().x1 <= figure.bbox.x1


def test_one_face_needs_no_name_and_no_slice_is_shorter_than_a_frame(tmp_path):
    alone = record(tmp_path / "alone.csv", [frame(float(t), face()) for t in range(20)])
    lanes, course = draw_lanes(alone).axes
    assert not any(label.get_visible() for label in lanes.get_yticklabels())
    assert "in slices of 1 s" in course.get_title(loc="left")


def test_the_words_say_how_sure_and_hide_nothing(recording, empty):
    words = describe(recording, totals(recording))
    assert words == (
        "a <b> & c.csv: an expression like happy for 30 % of the face time (how sure: 70 %); "
        "an expression like sad for 20 % of the face time (how sure: 70 %); "
        "an expression like neutral for 20 % of the face time (how sure: 70 %); "
        "uncertain for 20 % of the face time; not measurable for 10 % of the face time"
    )
    assert describe(empty, totals(empty)) == "no face in view during the 2.0 s that were watched"
    polarities, expressions = shares(totals(recording))
    assert sum(row.percent for row in polarities) == pytest.approx(100)
    assert [row.name for row in polarities] == ["positive", "neutral", "negative", "uncertain", "not measurable"]
    assert [row.name for row in expressions] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert [row.sure for row in expressions] == [
        None,
        None,
        None,
        *[pytest.approx(70, abs=1e-3)] * 2,
        None,
        pytest.approx(70),
    ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0.0 s"), (4.25, "4.2 s"), (60, "1:00"), (185, "3:05"), (3723.4, "1:02:03")]
)
def test_durations_in_words(seconds, words):
    assert clock(seconds) == words


def test_the_page_stands_alone_and_is_whole(recording, empty, comparison):
    text = page([recording, empty], [comparison])
    parsed = Page(text)
    assert parsed.open == []
    assert not re.search(r"(src|href)=\"(?!data:)|@import|<script", text), "it loads nothing"
    images = [attributes for tag, attributes in parsed.found if tag == "img"]
    assert [image["alt"] for image in images] == [
        describe(recording, totals(recording)),
        "no face in view during the 2.0 s that were watched",
        alternative([], [comparison]),
    ]
    for image in images:
        assert int(image["width"]) == 1152
        assert int(image["height"]) > 300
    assert "a <b> & c.csv" in parsed.words
    assert "Not measurable because: dark (1.0 s)." in " ".join(parsed.words.split())


def test_the_page_says_what_it_cannot_say(recording, comparison):
    words = " ".join(Page(page([recording], [comparison])).words.split())
    for sentence in (
        "It does not say what a person felt or thought, and it is no diagnosis of anything.",
        "An expression like happy says what a face looked like to a model",
        "about one in twenty does so by chance",
        "before: only 6 recordings, so the intervals are narrower than they should be",
        "This page holds numbers and no pictures of faces.",
    ):
        assert sentence in words
    assert "an expression like happy began" in words
    assert not re.search(r"\b(depress|disorder|is (happy|sad|angry)|feels|emotion)", words, re.IGNORECASE)


def test_a_long_list_of_events_is_cut_and_says_so(tmp_path):
    events = next(lesson()).events
    recording = record(tmp_path / "r.csv", [frame(t, face(), events=events) for t in range(250)])
    text = page([recording], [])
    assert "<summary>250 events</summary>" in text
    assert "The first 200; all are in the recording." in text
    assert text.count("like happy began</td>") == 200


def test_the_notes_of_a_recording_are_on_the_page(tmp_path):
    record(tmp_path / "r.csv", lesson())
    path = tmp_path / "r.csv"
    path.write_bytes(path.read_bytes()[:-5])
    assert "its last line is cut and was left out" in Page(page([read_recording(path)], [])).words


def test_the_document_is_json_and_adds_up(recording, empty, comparison):
    found = json.loads(json.dumps(document([recording, empty], [comparison]), allow_nan=False))
    assert found["schema"] == 1
    first = found["recordings"][0]
    assert first["held"]["happy"] == 3
    assert sum(minute["held"]["happy"] for minute in first["minutes"]) == 3
    assert {"from": "uncertain", "to": "not measurable", "count": 1} in first["changes"]
    assert first["not_measurable"] == {"dark": 1}
    assert [event["kind"] for event in first["events"]] == ["began", "ended"]
    assert found["recordings"][1]["no_face"] == 2
    assert found["comparisons"][0]["conclusive"] is True


@pytest.mark.parametrize(("package", "work"), [("matplotlib", draw), ("jinja2", lambda found: page(found, []))])
def test_missing_packages_name_their_extra(package, work, recording, monkeypatch):
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'mien\[plots\]'"):
        work([recording])
