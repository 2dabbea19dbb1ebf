"""The video benchmark's own parts: clip, clock, comparison of boxes, sources; and the page that is made of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import islice, pairwise

import numpy as np
import pytest

import tables
import video_tables
from mien.core.face import Box
from mien.runtime.inference.detect import HaarDetector
from mien.runtime.inference.pull import pull
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.stream_picture import DecodedPicture
from runtime.toys import yunet_file
from video_clip import FPS, Clip
from video_live import idle, live
from video_memory import RepeatedSource
from video_runs import agreement, decode, watch
from video_stages import STAGES, StageClock

CLIP = Clip(height=240, faces=1, frames=30)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return CLIP.file(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(detector="haar")


def test_a_clip_shows_its_faces_and_one_comes_later():
    clip = Clip(height=360, faces=2, frames=8 * FPS)
    pictures = list(islice(clip.pictures(), 0, None, 7 * FPS))
    assert [len(HaarDetector().detect(picture)) for picture in pictures] == [1, 2]
    assert pictures[0].shape == (360, 640, 3)


def test_a_clip_is_the_same_each_time():
    for one, other in zip(islice(CLIP.pictures(), 3), islice(CLIP.pictures(), 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_clip_is_encoded_once(video):
    made = video.stat().st_mtime_ns
    assert CLIP.file(video.parent) == video
    assert video.stat().st_mtime_ns == made
    assert [path.name for path in video.parent.iterdir()] == [video.name]
    shots = list(open_source(video).pictures())
    assert [(shot.width, shot.height) for shot in shots] == [(CLIP.width, CLIP.height)] * CLIP.frames


def test_watching_counts_every_frame_and_finds_the_face(video, recognizer):
    run = watch(video, recognizer)
    assert run.frames == len(run.milliseconds) == CLIP.frames
    assert [len(boxes) for boxes in run.boxes] == [1] * CLIP.frames
    assert run.to_dict()["cpu_seconds_per_1000"] == pytest.approx(1000 * run.cpu_seconds / CLIP.frames)
    assert watch(video, recognizer, limit=7).frames == decode(video, limit=7).frames == 7


def test_finds_are_compared_one_to_one():
    a, b, c = Box(0, 0, 10, 10), Box(100, 0, 10, 10), Box(101, 0, 10, 10)
    found = [[b, a], [a], [c, b], [], [a]]
    reference = [[a, b], [a, b], [b], [a]]
    assert agreement(found, reference) == {
        "faces": 6,
        "missed": pytest.approx(2 / 6),
        "false_finds": pytest.approx(1 / 6),
        "mean_iou": 1.0,
    }


def test_a_find_elsewhere_is_no_find():
    measured = agreement([[Box(6, 0, 10, 10)]], [[Box(0, 0, 10, 10)]])
    assert measured == {"faces": 1, "missed": 1.0, "false_finds": 1.0, "mean_iou": 0.0}


def test_a_stage_is_not_charged_for_the_stages_within():
    clock = StageClock()

    def spend(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def outer():
        spend(0.02)
        clock.charge("inner", lambda: spend(0.05))
        clock.timed("inner", spend)(0.01)

    start = time.thread_time()
    clock.charge("outer", outer)
    assert clock.seconds["inner"] == pytest.approx(0.06, abs=0.01)
    assert clock.seconds["outer"] == pytest.approx(0.02, abs=0.01)
    assert sum(clock.seconds.values()) == pytest.approx(time.thread_time() - start, abs=0.005)


def test_the_stages_are_those_of_watching_which_is_left_as_it_was(video, recognizer):
    clock, before = StageClock(), DecodedPicture.cut
    with clock.watching(recognizer.detector):
        run = watch(video, recognizer, clock=clock)
    assert DecodedPicture.cut is before
    assert set(clock.seconds) == set(STAGES[:-1])
    assert 0 < sum(clock.seconds.values()) <= run.cpu_seconds


def test_a_paced_video_takes_its_time(video, recognizer):
    start = time.perf_counter()
    measured = live(video, recognizer, 100)
    assert time.perf_counter() - start > 0.9 * (CLIP.frames - 1) / FPS
    assert measured["frames"] + measured["frames_passed_over"] == CLIP.frames
    assert 0 < measured["latency_ms"]["p50"] <= measured["latency_ms"]["p95"]


def test_waiting_takes_next_to_nothing(recognizer):
    assert idle(recognizer, 1.0) < 0.1


def test_a_repeated_video_goes_on_in_time(video):
    source = RepeatedSource(video)
    shots = list(islice(source.pictures(), 2 * CLIP.frames + 3))
    assert [shot.index for shot in shots] == list(range(2 * CLIP.frames + 3))
    assert all(b.time - a.time == pytest.approx(1 / FPS, abs=1e-3) for a, b in pairwise(shots))


def test_the_page_is_made_of_what_was_measured(monkeypatch):
    page = (tables.ROOT / video_tables.DOCUMENT).read_text(encoding="utf-8")
    monkeypatch.setattr(tables, "GENERATORS", tables.GENERATORS | video_tables.GENERATORS)
    assert tables.updated(page, tables.ROOT) == page
    assert all(f"<!-- generated: {name} -->" in page for name in video_tables.GENERATORS)


@pytest.mark.slow
def test_the_programs_measure(tmp_path, video):
    pull("yunet", source=str(yunet_file()))
    common = ["--out", str(tmp_path / tables.RESULTS), "--cache", str(video.parent)]
    programs = {
        "video": ["--heights", "720", "--faces", "1", "--frames", "30", "--fer-frames", "0"],
        "video_memory": ["--frames", "600"],
    }
    for name, options in programs.items():
        program = str(tables.ROOT / "benchmarks" / f"{name}.py")
        done = subprocess.run([sys.executable, program, *options, *common], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / tables.RESULTS / f"{name}.json").read_text())["benchmark"] == name
    for name, generate in video_tables.GENERATORS.items():
        assert ("| --- |" in generate(tmp_path)) == (name != "video_fer")
