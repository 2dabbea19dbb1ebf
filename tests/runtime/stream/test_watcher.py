"""From streams to frames: nobody missed, ids that stay, one call a network, and an end that leaves nothing behind."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import Recognizer
from mien.core.errors import ModelError, VideoError
from mien.core.face import Box, Face
from mien.core.preprocess import InputSpec
from mien.runtime.inference import detect
from mien.runtime.inference.classify import OnnxClassifier
from mien.runtime.inference.detect import HaarDetector, RegionDetector, YuNetDetector, make_detector, shrunk
from mien.runtime.inference.quality import COVERED, QualityLimits
from mien.runtime.output.mjpeg import LivePage
from mien.runtime.stream.follow import Follower
from mien.runtime.stream.sampling import SampledSource
from mien.runtime.stream.smooth import Smoothing
from mien.runtime.stream.watcher import UNLIKE, Watcher, watch_pictures
from runtime.streams import ListSource, moving_faces, write_video
from runtime.toys import write_model


class Counting:
    """A detector that counts what it is asked; without ``near`` it can only search whole pictures."""

    def __init__(self, detector) -> None:
        self._detector = detector
        self.name = detector.name
        self.searches = 0
        self.sizes: set[tuple[int, ...]] = set()

    def detect(self, picture):
        self.searches += 1
        self.sizes.add(picture.shape)
        return self._detector.detect(picture)


class CountingNear(Counting):
    looks = 0

    def detect_near(self, region, side):
        self.looks += 1
        return self._detector.detect_near(region, side)

    def detect_copy(self, copy, scale):
        self.searches += 1
        self.sizes.add(copy.shape)
        return self._detector.detect_copy(copy, scale)


def shots_of(pictures, *, fps: float = 30):
    return ListSource(pictures, fps=fps).pictures()


def my_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("mien")]
    return [name for name in names if name != "mien-room"]  # of an app's test: a closed room says so for a while


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, moving_faces(60))


@pytest.fixture
def recognizer(toy, yunet) -> Recognizer:
    return Recognizer(toy, detector=YuNetDetector(yunet))


def test_a_video_gives_a_frame_for_each_picture(recognizer, clip):
    frames = list(recognizer.watch(clip))
    assert len(frames) == 60
    assert [frame.time for frame in frames] == pytest.approx([i / 30 for i in range(60)], abs=1e-4)
    for frame in frames:
        assert (frame.width, frame.height, frame.source, frame.models) == (480, 320, str(clip), ("toy",))
        (face,) = frame.faces
        assert face.track is not None
        assert (face.track.id, face.track.since) == (1, 0)
        assert face.reading.model == "toy"
        assert face.track.smoothed is not None
    assert frames[0].faces[0].track.detected
    assert not my_threads()


@pytest.mark.parametrize(("faces", "size"), [(1, (480, 320)), (3, (640, 360)), (2, (1280, 720))])
def test_nobody_is_missed_at_the_default_cadence(yunet, faces, size):
    pictures = list(moving_faces(45, width=size[0], height=size[1], faces=faces))
    reference = YuNetDetector(yunet, search_size=4096)
    follower = Follower(YuNetDetector(yunet))
    overlaps, expected = [], 0
    for shot in shots_of(pictures):
        seen = follower.follow(shot)
        for face in reference.detect(shot.rgb):
            expected += 1
            overlaps += [max((one.face.box.iou(face.box) for one in seen), default=0.0)]
    found = [overlap for overlap in overlaps if overlap >= 0.5]
    assert expected >= 45 * faces * 0.98
    assert len(found) >= 0.99 * expected
    assert np.mean(found) >= 0.8
    assert follower.tracker.ended() == []
    assert len(follower.tracker.predict(44 / 30)) == faces


class Ghosts(CountingNear):
    """Finds a face that is none in each small copy; a closer look shows nothing there."""

    def detect(self, picture):
        return [*super().detect(picture), Face(Box(2, 2, 40, 40), 0.7)]


def test_the_baseline_starts_from_the_models_own_neutral_face(tmp_path, yunet):
    """Somebody who looks as neutral faces do to this model has nothing to be corrected."""
    still = list(moving_faces(1)) * 20

    def last_face(model: Path) -> Face:
        watcher = Watcher(
            Recognizer(model, detector=YuNetDetector(yunet)).reader, smoothing=Smoothing(baseline=0.3, time_constant=0)
        )
        return [watcher.step(shot) for shot in shots_of(still)][-1].faces[0]

    def corrected(face: Face) -> float:
        return np.abs(face.track.smoothed.probabilities - face.reading.probabilities).max()

    plain = last_face(write_model(tmp_path / "plain"))
    profile = tuple(plain.reading.probabilities.tolist())
    assert corrected(plain) > 0.05
    own = last_face(write_model(tmp_path / "own", neutral_profile=profile))
    assert corrected(own) < 0.3 * corrected(plain)


def test_a_find_that_a_closer_look_does_not_confirm_starts_no_track(yunet):
    follower = Follower(Ghosts(YuNetDetector(yunet)))
    seen = [one for shot in shots_of(moving_faces(30, faces=1)) for one in follower.follow(shot)]
    assert {one.track for one in seen} == {1}
    assert len(seen) == 30


def test_whole_pictures_are_searched_now_and_then_and_small(yunet):
    detector = CountingNear(YuNetDetector(yunet))
    assert isinstance(detector, RegionDetector)
    follower = Follower(detector)
    for shot in shots_of(moving_faces(60, width=1280, height=720)):
        follower.follow(shot)
    assert detector.searches <= 8
    assert detector.looks <= 40
    assert detector.sizes == {(720, 1280, 3), (180, 320, 3)}


@pytest.mark.parametrize("every", [1, 4, 15])
def test_a_fixed_cadence_is_kept(yunet, every):
    detector = CountingNear(YuNetDetector(yunet))
    follower = Follower(detector, detect_every=every)
    for shot in shots_of(moving_faces(30)):
        follower.follow(shot)
    assert detector.searches == -(-30 // every)


@pytest.mark.parametrize("every", [0, -3, 2.5, "often"])
def test_an_impossible_cadence_is_refused(recognizer, clip, every):
    with pytest.raises(ValueError, match="detect_every is 'auto' or a number of frames from 1 on"):
        recognizer.watch(clip, detect_every=every)


def test_a_detector_without_regions_has_its_faces_carried_on(yunet):
    detector = Counting(YuNetDetector(yunet))
    assert not isinstance(detector, RegionDetector)
    follower = Follower(detector, detect_every=5)
    reference = YuNetDetector(yunet)
    detected, overlaps = [], []
    for shot in shots_of(moving_faces(30)):
        (one,) = follower.follow(shot)
        (face,) = reference.detect(shot.rgb)
        detected.append(one.detected)
        overlaps.append(one.face.box.iou(face.box))
    assert detected == [index % 5 == 0 for index in range(30)]
    assert np.mean(overlaps) > 0.8


def test_haar_follows_too():
    follower = Follower(HaarDetector())
    seen = [follower.follow(shot) for shot in shots_of(moving_faces(30, width=640, height=360))]
    assert sum(len(one) == 1 for one in seen) >= 27
    assert {one.track for faces in seen for one in faces} == {1}


def test_a_face_that_jumps_is_searched_for_at_once(yunet):
    pictures = list(moving_faces(20))
    pictures[10:] = [np.roll(picture, 150, axis=1) for picture in pictures[10:]]
    detector = CountingNear(YuNetDetector(yunet))
    follower = Follower(detector)
    seen = [follower.follow(shot) for shot in shots_of(pictures)]
    assert [len(faces) for faces in seen[11:]] == [1] * 9
    assert detector.searches <= 4


def test_a_face_that_leaves_is_not_made_up(yunet):
    pictures = list(moving_faces(5)) + [np.full((320, 480, 3), 128, dtype=np.uint8)] * 60
    follower = Follower(YuNetDetector(yunet))
    seen = [follower.follow(shot) for shot in shots_of(pictures)]
    assert all(len(faces) == 0 for faces in seen[8:])
    assert follower.tracker.ended() == [1]


def test_a_face_that_comes_is_found_soon(yunet):
    pictures = [np.full((320, 480, 3), 128, dtype=np.uint8)] * 10 + list(moving_faces(20))
    follower = Follower(YuNetDetector(yunet))
    seen = [len(follower.follow(shot)) for shot in shots_of(pictures)]
    assert seen[:10] == [0] * 10
    assert seen[16:] == [1] * 14


def test_a_find_is_not_given_to_two_tracks():
    class Same:
        name = "same"

        def detect(self, picture):
            return [Face(Box(40, 40, 40, 40), 1.0), Face(Box(100, 40, 40, 40), 1.0)]

        def detect_near(self, region, side):
            return [Face(Box(5, 5, 50, 50), 1.0)]

        def detect_copy(self, copy, scale):
            return self.detect(copy)

    follower = Follower(Same(), detect_every=10)
    shots = shots_of([np.zeros((128, 128, 3), dtype=np.uint8)] * 9)
    for shot in shots:
        tracks = [one.track for one in follower.follow(shot)]
        assert len(set(tracks)) == len(tracks)


def test_one_network_call_reads_all_faces_of_a_frame(toy, make_model, yunet, monkeypatch):
    calls: list[tuple[str, int]] = []
    original = OnnxClassifier.logits

    def counted(self, crops):
        calls.append((self.name, len(crops)))
        return original(self, crops)

    monkeypatch.setattr(OnnxClassifier, "logits", counted)
    other = make_model("colour", size=64, channels=3)
    recognizer = Recognizer([toy, other], detector=YuNetDetector(yunet))
    frames = list(recognizer.watch(ListSource(moving_faces(4, width=640, height=360, faces=3))))
    assert calls == [("toy", 3), ("colour", 3)] * 4
    for frame in frames:
        assert [len(face.readings) for face in frame.faces] == [2, 2, 2]
        areas = [face.box.area for face in frame.faces]
        assert areas == sorted(areas, reverse=True)


def test_a_stream_of_stills_is_read_as_the_picture_is(recognizer, portrait):
    still = recognizer.read(portrait).faces[0]
    for frame in recognizer.watch(ListSource([portrait] * 3), detect_every=1):
        (face,) = frame.faces
        assert face.box.iou(still.box) > 0.99
        np.testing.assert_allclose(face.reading.probabilities, still.reading.probabilities, atol=0.02)


def test_faces_that_cannot_be_measured_have_a_reason_and_no_reading(recognizer, clip):
    for frame in recognizer.watch(clip, quality=QualityLimits(min_size=1000)):
        (face,) = frame.faces
        assert face.unmeasurable == "too small"
        assert face.readings == ()
        assert face.track is not None
        assert face.track.smoothed is None


def test_expressions_begin_and_end_with_their_track(recognizer):
    pictures = list(moving_faces(60)) + [np.full((320, 480, 3), 128, dtype=np.uint8)] * 60
    smoothing = Smoothing(enter=0.15, leave=0.1, sustain=0.3)
    frames = list(recognizer.watch(ListSource(pictures), smoothing=smoothing))
    events = [event for frame in frames for event in frame.events]
    assert events[0].kind == "began"
    assert events[-1].kind == "ended"
    assert {event.track for event in events} == {1}
    assert events[-1].time <= 2.1
    assert frames[45].faces[0].track.held is not None


@pytest.mark.parametrize("pause", [1.2, 1.9])
def test_a_still_face_with_pauses_between_its_pictures_is_one_person_in_one_state(portrait, pause):
    """As a screen recorder or a slow camera gives it; it was four people and seven events."""
    source = ListSource([portrait] * 20, fps=1 / pause)
    frames = [frame for frame, _ in Recognizer("small", detector="haar").watch_pictures(source)]
    faces = [face for frame in frames for face in frame.faces]
    assert len(faces) == 20
    assert {face.track.id for face in faces} == {1}
    assert [event.kind for frame in frames for event in frame.events] == ["began"]
    assert sum(face.track.held is None for face in faces) <= 2


def test_what_never_looked_like_a_face_is_rejected(make_model, yunet, clip, no_gate):
    model = make_model("picky", energy_threshold=1e6)
    frames = list(Recognizer(model, detector=YuNetDetector(yunet)).watch(clip))
    assert all(len(frame) == 0 and frame.rejected == 1 for frame in frames)
    lenient = Recognizer(model, detector=YuNetDetector(yunet), reject_non_faces=False)
    assert all(len(frame) == 1 for frame in lenient.watch(clip))


def test_a_known_face_that_looks_like_none_stays_without_a_reading(recognizer, monkeypatch):
    answers = iter([True, False, True])
    monkeypatch.setattr(recognizer.reader, "accepts", lambda readings: next(answers))
    frames = list(recognizer.watch(ListSource(moving_faces(3))))
    assert [frame.faces[0].unmeasurable for frame in frames] == [None, UNLIKE, None]
    assert [frame.rejected for frame in frames] == [0, 0, 0]


class Answers:
    """A gate that answers as it is told."""

    def __init__(self, *answers: bool) -> None:
        self.input = InputSpec()
        self._answers = iter(answers)

    def accepts(self, crops):
        return np.array([next(self._answers) for _ in crops])


def test_a_find_that_the_gate_refuses_is_rejected_until_it_looks_like_a_face(recognizer):
    recognizer.reader.face_gate = Answers(False, True, False)
    frames = list(recognizer.watch(ListSource(moving_faces(3)), detect_every=1))
    assert [(len(frame), frame.rejected) for frame in frames] == [(0, 1), (1, 0), (1, 0)]
    assert frames[1].faces[0].readings
    assert frames[2].faces[0].unmeasurable == UNLIKE  # a known face, for a moment
    assert frames[2].faces[0].readings == ()


def test_a_find_that_seems_covered_is_no_face_unless_the_gate_says_so(recognizer, monkeypatch):
    monkeypatch.setattr("mien.runtime.stream.watcher.assess", lambda *args, **options: next(reasons))
    reasons = iter([COVERED, COVERED, None, COVERED])
    recognizer.reader.face_gate = Answers(False, True, True)  # a known face that is covered is not asked about
    frames = list(recognizer.watch(ListSource(moving_faces(4)), detect_every=1))
    assert [(len(frame), frame.rejected) for frame in frames] == [(0, 1), (1, 0), (1, 0), (1, 0)]
    assert [frame.faces[0].unmeasurable for frame in frames[1:]] == [COVERED, None, COVERED]


def test_the_gate_is_asked_when_a_face_is_seen_not_when_it_is_carried_on(recognizer):
    recognizer.reader.face_gate = Answers(True, True)
    frames = list(recognizer.watch(ListSource(moving_faces(4)), detect_every=3))
    seen = [frame.faces[0].track.detected for frame in frames]
    assert seen.count(True) == 2
    assert all(frame.faces[0].readings for frame in frames)


def test_closing_early_leaves_no_thread(recognizer, clip):
    frames = recognizer.watch(clip)
    next(frames)
    assert my_threads()
    frames.close()
    assert not my_threads()
    source = ListSource(moving_faces(10))
    frames = recognizer.watch(source)
    next(frames)
    frames.close()
    assert source.closed
    assert source.given < 10


def test_a_source_that_cannot_be_opened_fails_at_once(recognizer, tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        recognizer.watch(tmp_path / "none.mp4")


def test_nothing_is_kept_of_tracks_that_ended(recognizer):
    grey = [np.full((320, 480, 3), 128, dtype=np.uint8)] * 40
    watcher = Watcher(recognizer.reader)
    for shot in shots_of([*moving_faces(3), *grey, *moving_faces(3), *grey]):
        watcher.step(shot)
    kept = [vars(watcher)[name] for name in ("_accepted", "_reasons")] + [watcher._smoother._states]
    assert kept == [set(), {}, {}]


def test_frames_come_with_their_pictures(recognizer, clip):
    pairs = watch_pictures(Watcher(recognizer.reader), ListSource(moving_faces(3)))
    for index, (frame, shot) in enumerate(pairs):
        assert shot.index == index
        assert shot.rgb.shape[:2] == (frame.height, frame.width)


def test_a_live_source_is_read_at_its_newest_picture(recognizer):
    taken = threading.Semaphore(0)

    def pictures():
        for index, picture in enumerate(moving_faces(12)):
            if index % 4 == 1:
                assert taken.acquire(timeout=30)
            yield picture

    frames = recognizer.watch(ListSource(pictures(), live=True))
    times = []
    for frame in frames:
        times.append(frame.time)
        taken.release()
    assert times[0] == 0
    assert times == sorted(times)
    assert times[-1] == pytest.approx(11 / 30)


def test_mapped_faces_keep_their_shape(portrait, yunet):
    (face,) = YuNetDetector(yunet).detect(portrait)
    there = face.mapped(scale=2.0, shift=(3, -5)).mapped(scale=0.5, shift=(-1.5, 2.5))
    assert there.box.iou(face.box) == pytest.approx(1)
    np.testing.assert_allclose(there.landmarks, face.landmarks, atol=1e-3)


@pytest.mark.parametrize("size", [(640, 480), (1281, 719), (90, 4000), (33, 70)])
def test_a_shrunk_picture_has_the_scale_it_says(size):
    picture = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    small, scale = shrunk(picture, 320)
    assert max(small.shape[:2]) <= 320
    assert max(small.shape[:2]) / scale == pytest.approx(max(size), rel=0.02)


def test_detectors_of_other_packages_are_found_by_their_entry_point(monkeypatch):
    made = {}

    class Theirs(HaarDetector):
        name = "theirs"

        def __init__(self, **options: object) -> None:
            made.update(options)
            super().__init__()

    class Point:
        name = "theirs"
        value = "their.package:Theirs"

        def load(self) -> object:
            return Theirs

    monkeypatch.setattr(detect, "entry_points", lambda group: [Point()] if group == detect.ENTRY_POINTS else [])
    assert make_detector("theirs", min_score=0.3).name == "theirs"
    assert made == {"min_score": 0.3}
    with pytest.raises(ModelError, match=r"did you mean 'theirs'\? Valid: auto, haar, yunet, whole, theirs"):
        make_detector("their")


def test_a_detector_of_another_package_that_fails_is_named(monkeypatch):
    point = EntryPoint("broken", "no.such.package:Thing", detect.ENTRY_POINTS)
    monkeypatch.setattr(detect, "entry_points", lambda group: [point])
    with pytest.raises(ModelError, match=r"'broken' of no\.such\.package:Thing cannot be made: No module"):
        make_detector("broken")


class Stills(ListSource):
    """A camera of which each opening is counted."""

    def __init__(self, log: list[str]) -> None:
        super().__init__([np.full((8, 8, 3), index, dtype=np.uint8) for index in range(40)], live=True)
        self._log = log
        log.append("open")

    def close(self) -> None:
        self._log.append("close")


def test_samples_of_a_camera_open_it_each_time():
    log: list[str] = []
    taken = []
    source = SampledSource(lambda: Stills(log), every=0.02, duration=0.07, say=log.append, warm_up=1.0)
    for shot in source.pictures():
        taken.append(shot)
        assert log[-1] == "close", "closed before the picture is looked at"
    assert [shot.index for shot in taken] == sorted({shot.index for shot in taken})
    assert 1 <= len(taken) <= 4
    assert all(shot.rgb[0, 0, 0] == 30 for shot in taken), "the picture after one second of warm-up"
    assert log == ["open", "close"] * len(taken)


def test_a_sample_that_is_missing_is_said():
    said: list[str] = []
    opened = iter([True, False, True, True, True, True])

    def open_() -> Stills:
        if not next(opened):
            raise VideoError("unplugged")
        return Stills([])

    shots = SampledSource(open_, every=0.001, say=said.append).pictures()
    assert next(shots).index == 0
    assert next(shots).index >= 2
    shots.close()
    assert len(said) == 1
    assert "unplugged" in said[0]


def test_the_first_sample_must_succeed():
    def open_() -> Stills:
        raise VideoError("no such camera")

    with pytest.raises(VideoError, match="no such camera"):
        SampledSource(open_, every=1, say=print)


def test_samples_of_a_file_are_taken_by_its_own_time():
    source = ListSource([np.zeros((8, 8, 3), dtype=np.uint8)] * 100, fps=10)
    times = [shot.time for shot in SampledSource(lambda: source, every=2.5, duration=8, say=print).pictures()]
    assert times == pytest.approx([0, 2.5, 5.0, 7.5])
    assert source.closed


@pytest.mark.parametrize(("every", "duration"), [(0, None), (-1, None), (1, 0)])
def test_impossible_sampling_is_refused(every, duration):
    with pytest.raises(ValueError, match="above 0 s"):
        SampledSource(lambda: Stills([]), every=every, duration=duration, say=print)


def test_samples_end_when_told():
    source = SampledSource(lambda: Stills([]), every=3600, say=print)
    shots = source.pictures()
    next(shots)
    source.close()
    assert list(shots) == []


@pytest.fixture
def page():
    page = LivePage()
    yield page
    page.close()
    assert not my_threads()


def test_the_page_shows_the_newest_frame(page, recognizer, portrait):
    frame = next(iter(recognizer.watch(ListSource([portrait]))))
    with urllib.request.urlopen(page.url, timeout=30) as answer:
        assert b'src="stream"' in answer.read()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    assert not page.is_watched
    with urllib.request.urlopen(page.url + "stream", timeout=30) as stream:
        while not page.is_watched:
            pass
        page.write(frame, lambda: portrait)
        assert stream.readline() == b"--mien-frame\r\n"
        stream.readline()
        length = int(stream.readline().split(b":")[1])
        stream.readline()
        shown = cv2.imdecode(np.frombuffer(stream.read(length), dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(shown[:100, :60].astype(int) - portrait[:100, :60]).mean() < 10


def test_the_page_asks_for_a_picture_where_it_is_written_and_only_for_a_viewer(page, recognizer, portrait):
    """A decoded frame is for one thread, and the annotated video may ask the same one."""
    frame = next(iter(recognizer.watch(ListSource([portrait]))))
    asked: list[threading.Thread] = []

    def picture():
        asked.append(threading.current_thread())
        return portrait

    page.write(frame, picture)
    assert asked == []
    with urllib.request.urlopen(page.url + "stream", timeout=30) as stream:
        while not page.is_watched:
            pass
        page.write(frame, picture)
        assert stream.readline() == b"--mien-frame\r\n"
    assert asked == [threading.current_thread()]


@pytest.mark.parametrize("path", ["/", "/stream", "/wrong/", "/wrong/stream", "/../x"])
def test_the_page_is_closed_to_who_lacks_the_token(page, path):
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{page.port}{path}", timeout=30)
    caught.value.close()


def test_the_page_is_closed_to_other_host_names(page):
    request = urllib.request.Request(page.url, headers={"Host": f"evil.example:{page.port}"})
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        urllib.request.urlopen(request, timeout=30)
    caught.value.close()


def test_the_page_listens_on_this_machine_alone(page):
    assert page._server.server_address[0] == "127.0.0.1"
    assert LivePage.serves(page, f"localhost:{page.port}", page.url.split(str(page.port))[1]) == ""
