"""Pages: everything that is given stands on them, escaped, in one file that needs no other; wide tables scroll."""

from __future__ import annotations

import re
import sys

import pytest

from mien.core.errors import MissingExtraError
from mien.reporting.figures import Drawing, canvas, style
from mien.reporting.numbers import bounded, count, hundredths, interval, percent, short_commit, span, tenths
from mien.reporting.pages import page
from mien.reporting.tables import Table, markdown

TABLE = Table("Scores | all", ("who", "how", "n"), (("a & b", "by | hand", "1"), ("c", "", "2,000")), words=(0, 1))


def drawing() -> Drawing:
    with style():
        figure, axes = canvas(1, 1, height=1)
        axes[0, 0].plot([0, 1])
    return Drawing(figure, 'A line, "rising".')


def test_a_page_holds_its_parts_in_their_order_and_escapes_them():
    sections = {"First": ["Run `mien read <photo>`.", TABLE], "Second": [drawing()], "Empty": []}
    text = page("What <b> is", ["A note & more."], sections, facts=[("accuracy", "69 %")])
    order = ["What &lt;b&gt; is", "A note &amp; more.", "69 %", "First", "<code>mien read &lt;photo&gt;</code>"]
    order += ["Scores | all", "a &amp; b", "Second", "A line, &#34;rising&#34;."]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "Empty" not in text
    assert "http" not in text
    assert text.count('src="data:image/png;base64,iVBOR') == 1


def test_each_table_and_figure_scrolls_in_a_box_of_its_own():
    text = page("T", [], {"S": [TABLE, drawing()]})
    assert len(re.findall(r'<div class="scroll" tabindex="0" role="region"', text)) == 2
    assert text.count("scroll sideways") == 2
    assert text.count("<td") == 4
    assert '<td class="words">by | hand</td><td>1</td>' in text


def test_a_table_says_once_what_its_section_says():
    assert page("T", [], {TABLE.caption: [TABLE]}).count("<figcaption>") == 0
    assert page("T", [], {"S": [TABLE]}).count("<figcaption>") == 1


def test_without_jinja2_a_page_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"jinja2, which is not installed: pip install 'mien\[plots\]'"):
        page("T", [], {})


def test_markdown_aligns_words_left_and_numbers_right():
    assert TABLE.markdown.splitlines() == [
        "| who | how | n |",
        "| --- | --- | ---: |",
        "| a & b | by &#124; hand | 1 |",
        "| c |  | 2,000 |",
    ]
    assert markdown(("a", "b"), []) == "| a | b |\n| --- | ---: |"


def test_a_table_is_printed_with_its_note(capsys):
    TABLE.print("a note")
    text = capsys.readouterr().out
    for words in ("Scores | all", "a & b", "by | hand", "2,000", "a note"):
        assert words in text


def test_numbers_are_written_alike_everywhere():
    assert [percent(0.698), percent(None), hundredths(0.698), hundredths(None)] == ["69.80 %", "–", "69.80", "–"]
    assert [tenths(0.7418), tenths(0.013, signed=True), count(54480), count(None)] == ["74.2", "+1.3", "54,480", "–"]
    assert [interval((0.6412, 0.6726)), span((0.731, 0.753))] == ["64.12–67.26", "73.1 to 75.3"]
    assert bounded(0.125, (-0.05, 0.3), signed=True) == "+0.125 (-0.050 to +0.300)"
    assert [short_commit(None), short_commit("0123456789"), short_commit("0123456789-dirty")] == [
        "no commit",
        "0123456",
        "0123456-dirty",
    ]
