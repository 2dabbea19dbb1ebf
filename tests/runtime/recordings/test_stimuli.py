"""Stimulus files as the field's programs write them."""

from __future__ import annotations

import pytest

from mien.core.errors import MienError
from mien.runtime.recordings.stimuli import Stimulus, read_stimuli

ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3500"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts4"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="stimuli">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>funny</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="empty"/>
  %s
</ANNOTATION_DOCUMENT>"""
NOTES = """<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="notes">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="%s">
      <ANNOTATION_VALUE>cough</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>"""

PSYCHOPY = (
    "thisN,image.started,image.stopped,key.started,condition,participant,\n"
    "0,2.5,4.5,2.6,funny,p1,\n1,,,,,p1,\n2,8.0,None,8.2,dull,p1,\n"
)
FUNNY, DULL = Stimulus(2.5, 2.0, "funny", "1"), Stimulus(8.0, 0.0, "dull", "2")


@pytest.mark.parametrize(
    "content",
    [
        b"onset,duration,condition\n8,0,dull\n2.5,2,funny\n",
        b"onset\tduration\ttrial_type\n2.5\t2\tfunny\n8.0\tn/a\tdull\n",
        b"\xef\xbb\xbfOnset;Duration;Condition\r\n2,5;2,0;funny\r\n8,0;;dull\r\n",
        "onset,duration,condition\n2.5,2,funny\n8,0,dull\n".encode("utf-16"),
        b"Observation id,Behavior,Behavior type,Start (s),Stop (s)\nx,funny,STATE,2.5,4.5\nx,dull,POINT,8,8\n",
        b"Time,Subject,Behavior,Status\n2.5,,funny,START\n4.5,,funny,STOP\n8.0,,dull,POINT\n",
    ],
    ids=["csv", "bids", "semicolons and commas", "utf-16", "boris aggregated", "boris tabular"],
)
def test_tables_of_every_kind_say_the_same(content, tmp_path):
    path = tmp_path / "events"
    path.write_bytes(content)
    found = read_stimuli(path)
    assert [(s.onset, s.duration, s.condition) for s in found] == [(2.5, 2.0, "funny"), (8.0, 0.0, "dull")]


def test_psychopy_asks_which_onset_and_leaves_out_lines_without_one(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(PSYCHOPY)
    with pytest.raises(MienError, match=r"--onset-column: image\.started, key\.started"):
        read_stimuli(path)
    assert read_stimuli(path, onset="image.started") == (FUNNY, DULL)
    assert [s.onset for s in read_stimuli(path, onset="key.started")] == [2.6, 8.2]


def test_elan_asks_which_tier(tmp_path):
    path = tmp_path / "e.eaf"
    path.write_text(ELAN % "")
    assert read_stimuli(path) == (Stimulus(1.5, 2.0, "funny", "1"),)
    path.write_text(ELAN % (NOTES % "ts1"))
    with pytest.raises(MienError, match=r"which tier holds the stimuli.*stimuli, notes"):
        read_stimuli(path)
    assert read_stimuli(path, tier="notes") == (Stimulus(0.5, 1.0, "cough", "1"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column 'onset' among none"),
        ("a,b\n1,2\n", "no column 'onset' among a, b"),
        ("onset,what\n1,2\n", "--condition-column: onset, what"),
        ("onset,condition\n", "holds no stimulus"),
        ("onset,condition\nsoon,x\n", "line 2, onset: 'soon' is no time"),
        ("onset,condition\ninf,x\n", "line 2, onset: 'inf' is no time"),
        ("onset,condition\n1,\n", "line 2: the condition is empty"),
        ("onset,duration,condition\n1,-2,x\n", "line 2: a duration cannot be negative"),
        ("Time,Behavior,Status\n1,x,START\n", "'x' begins and never ends"),
        ("Time,Behavior,Status\n1,x,STOP\n", "'STOP' of 'x' does not follow"),
        ("<a/>", "its root is a"),
        ("<!DOCTYPE a><a/>", "DOCTYPE"),
        ("<a>", "damaged XML"),
        (ELAN % (NOTES % "ts4"), "which tier"),
        ("onset,condition\n1,\udcff", "no text in UTF-8"),
    ],
)
def test_what_is_no_stimulus_file_is_refused_with_the_reason(content, said, tmp_path):
    path = tmp_path / "events"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(MienError, match=said):
        read_stimuli(path)


def test_names_that_are_not_there_are_told_with_the_nearest(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("onset,condition\n1,x\n")
    with pytest.raises(MienError, match="no column 'conditon'"):
        read_stimuli(path, condition="conditon")
    with pytest.raises(MienError, match="no such file"):
        read_stimuli(tmp_path / "none.csv")
    path.write_text(ELAN % (NOTES % "ts4"))
    with pytest.raises(MienError, match="annotation a2 has no time of its own"):
        read_stimuli(path, tier="notes")
    with pytest.raises(MienError, match="no tier 'stimulus'"):
        read_stimuli(path, tier="stimulus")
