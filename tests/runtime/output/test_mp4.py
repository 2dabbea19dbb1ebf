"""The annotated video, read back: its times, its sound, and what a kill or a full disk leaves of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.face import Frame
from mien.runtime.output.draw import StreamDrawer
from mien.runtime.output.mp4 import VideoSink
from runtime.stream_toys import face, frame, picture


def make_source(path: Path, codec: str, *, layout: str = "stereo", start: float = 0.0, seconds: float = 2.0) -> Path:
    """A video with a tone of 440 Hz that begins after one second."""
    rate = 48_000 if codec == "libopus" else 44_100
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream(codec, rate=rate, layout=layout)
        for index in range(round(seconds * 25)):
            image = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, dtype=np.uint8), format="rgb24")
            image.pts = index + round(start * 25)
            output.mux(video.encode(image))
        output.mux(video.encode(None))
        channels = 1 if layout == "mono" else 2
        for index in range(round(seconds * rate / 960)):
            at = np.arange(index * 960, (index + 1) * 960) / rate
            wave = np.where(at >= 1, 9000 * np.sin(at * 2 * np.pi * 440), 0).astype(np.int16)
            chunk = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
            chunk.sample_rate, chunk.pts = rate, index * 960 + round(start * rate)
            output.mux(sound.encode(chunk))
        output.mux(sound.encode(None))
    return path


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as source:
        return [float(image.time) for image in source.decode(video=0)]


def onset(path: Path) -> float:
    """Seconds at which the tone of a file begins."""
    with av.open(str(path)) as source:
        for chunk in source.decode(audio=0):
            values = chunk.to_ndarray().astype(np.float64)
            if chunk.format.name.startswith("s16"):
                values /= 32768
            if np.abs(values).max() > 0.1:
                return float(chunk.time)
    raise AssertionError("no tone")


def write(path: Path, times: list[float], **options: object) -> None:
    sink = VideoSink(path, **options)
    for time in times:
        sink.write(frame(time, face()), picture)
    sink.close()


def test_every_frame_keeps_its_time(tmp_path):
    times = [0.0, 0.04, 0.08, 0.5, 0.51, 3.0, 3.7, 60.0, 60.0]
    write(tmp_path / "made" / "v.mp4", times)
    assert times_of(tmp_path / "made" / "v.mp4") == pytest.approx(times, abs=2e-4)
    with av.open(str(tmp_path / "made" / "v.mp4")) as source:
        assert [stream.codec.canonical_name for stream in source.streams] == ["h264"]
        assert source.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_the_colours_are_those_of_the_picture(tmp_path):
    shade = np.zeros((120, 640, 3), dtype=np.uint8)
    shade[:, :320], shade[:, 320:] = (200, 30, 40), (20, 160, 60)
    sink = VideoSink(tmp_path / "v.mp4")
    sink.write(Frame(640, 120, (), "haar", ("toy",), time=0.0), lambda: shade)
    sink.close()
    with av.open(str(tmp_path / "v.mp4")) as source:
        image = next(source.decode(video=0))
        assert (image.colorspace, image.width, image.height) == (1, 640, 120)
        drawn = image.to_ndarray(format="rgb24")
    assert np.abs(drawn[60, 100].astype(int) - (200, 30, 40)).max() < 8
    assert np.abs(drawn[60, 500].astype(int) - (20, 160, 60)).max() < 8


@pytest.mark.parametrize(("width", "height"), [(641, 361), (480, 853)])
def test_odd_sides_lose_one_line(width, height, tmp_path):
    sink = VideoSink(tmp_path / "v.mp4")
    sink.write(
        Frame(width, height, (), "haar", ("toy",), time=0.0), lambda: np.zeros((height, width, 3), dtype=np.uint8)
    )
    sink.write(Frame(320, 240, (), "haar", ("toy",), time=1.0), lambda: np.zeros((240, 320, 3), dtype=np.uint8))
    sink.close()
    with av.open(str(tmp_path / "v.mp4")) as source:
        sizes = {(image.width, image.height) for image in source.decode(video=0)}
    assert sizes == {(width // 2 * 2, height // 2 * 2)}, "a later frame of another size is scaled to the first's"


@pytest.mark.parametrize(
    ("name", "codec", "layout", "kept"),
    [
        ("a.mp4", "aac", "stereo", "aac"),
        ("a.mkv", "libopus", "stereo", "opus"),
        ("a.avi", "libmp3lame", "stereo", "mp3"),
        ("a.mkv", "pcm_s16le", "stereo", "aac"),
        ("a.mkv", "pcm_s16le", "mono", "aac"),
        ("a.ts", "aac", "stereo", "aac"),
    ],
)
def test_sound_is_kept_in_time(name, codec, layout, kept, tmp_path):
    source = make_source(tmp_path / name, codec, layout=layout, start=0.0 if name.endswith("avi") else 0.4)
    write(tmp_path / "v.mp4", [index / 25 for index in range(50)], audio=source)
    assert times_of(tmp_path / "v.mp4") == pytest.approx([index / 25 for index in range(50)], abs=2e-4)
    with av.open(str(tmp_path / "v.mp4")) as video:
        assert video.streams.audio[0].codec.canonical_name == kept
    assert onset(tmp_path / "v.mp4") == pytest.approx(1.0, abs=0.05)


def test_sound_ends_with_the_last_frame(tmp_path):
    source = make_source(tmp_path / "a.mp4", "aac")
    write(tmp_path / "v.mp4", [index / 25 for index in range(26)], audio=source)
    with av.open(str(tmp_path / "v.mp4")) as video:
        assert max(float(chunk.time) for chunk in video.decode(audio=0)) == pytest.approx(1.0, abs=0.06)


def test_a_source_without_sound_is_no_error_and_a_missing_one_is(tmp_path):
    write(tmp_path / "silent.mp4", [0.0, 0.1])
    write(tmp_path / "v.mp4", [0.0, 0.1], audio=tmp_path / "silent.mp4")
    assert len(times_of(tmp_path / "v.mp4")) == 2
    with pytest.raises(MienError, match="its sound cannot be read"):
        VideoSink(tmp_path / "w.mp4", audio=tmp_path / "none.mp4")
    assert not (tmp_path / "w.mp4").exists()


def test_names_that_cannot_be_are_refused(tmp_path):
    write(tmp_path / "v.mp4", [0.0])
    before = (tmp_path / "v.mp4").read_bytes()
    with pytest.raises(MienError, match=r"exists already.*--overwrite"):
        VideoSink(tmp_path / "v.mp4")
    with pytest.raises(MienError, match="is the video that is read"):
        VideoSink(tmp_path / "v.mp4", audio=tmp_path / "v.mp4", overwrite=True)
    assert (tmp_path / "v.mp4").read_bytes() == before
    with pytest.raises(MienError, match=r"let its name end with \.mp4"):
        VideoSink(tmp_path / "v.avi")
    with pytest.raises(MienError, match="cannot be written"):
        VideoSink(tmp_path / "v.mp4" / "w.mp4")
    write(tmp_path / "v.mp4", [0.0, 0.1], overwrite=True)
    assert len(times_of(tmp_path / "v.mp4")) == 2


def test_a_frame_without_time_is_refused(tmp_path):
    sink = VideoSink(tmp_path / "v.mp4")
    with pytest.raises(ValueError, match="needs a time"):
        sink.write(frame(None, face()), picture)
    sink.close()


def test_a_video_without_a_frame_leaves_no_file(tmp_path):
    VideoSink(tmp_path / "v.mp4", audio=make_source(tmp_path / "a.mp4", "aac")).close()
    assert not (tmp_path / "v.mp4").exists()


def test_a_shared_drawer_draws_each_frame_once(tmp_path):
    drawer = StreamDrawer()
    sink = VideoSink(tmp_path / "v.mp4", drawer=drawer)
    one = frame(0.0, face())
    sink.write(one, picture)
    assert drawer.draw(picture(), one) is drawer.draw(picture(200), one)
    sink.close()


PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from mien.core.errors import MienError
from mien.core.face import Frame
from mien.runtime.output.mp4 import VideoSink
limit = int(sys.argv[2])
sink = VideoSink(Path(sys.argv[1]), audio=Path(sys.argv[3]))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
noise = np.random.default_rng(0).integers(0, 256, (120, 480, 3), dtype=np.uint8)
try:
    for number in range(10**9):
        rolled = np.roll(noise, number, axis=1)
        sink.write(Frame(480, 120, (), "haar", ("toy",), time=number / 25), lambda: rolled)
        if not limit:
            print(number, flush=True)
except MienError as error:
    print(number, error, flush=True)
try:
    sink.close()
except MienError as error:
    print(number, error, flush=True)
"""


def run(path: Path, limit: int) -> subprocess.Popen[str]:
    audio = make_source(path.with_name("a.mp4"), "aac", seconds=12)
    command = [sys.executable, "-c", PROGRAM, str(path), str(limit), str(audio)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_killed_video_plays_up_to_its_last_piece(tmp_path):
    with run(tmp_path / "v.mp4", 0) as process:
        for line in process.stdout:
            if int(line) == 260:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    times = times_of(tmp_path / "v.mp4")
    assert times[0] == 0
    assert times[-1] >= 260 / 25 - 2.1, "no more than one piece of two seconds is lost"
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 0.04), abs=1e-3)
    assert onset(tmp_path / "v.mp4") == pytest.approx(1.0, abs=0.05)


def test_a_full_disk_leaves_a_video_that_plays_and_a_clear_error(tmp_path):
    with run(tmp_path / "v.mp4", 3_000_000) as process:
        said = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert said
    assert all("cannot be written any further (File too large); what was written before plays" in s for s in said)
    times = times_of(tmp_path / "v.mp4")
    assert times[0] == 0
    assert times[-1] > 1.5
