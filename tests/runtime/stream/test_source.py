"""Streams of pictures: every kind of file, folder, camera and address, and how each of them fails."""

from __future__ import annotations

import io
import shutil
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from mien.core.errors import VideoError
from mien.runtime.stream.camera import Camera, NetworkStream
from mien.runtime.stream.decode import Decoding, open_container
from mien.runtime.stream.opening import open_source
from mien.runtime.stream.prefetch import Prefetch
from mien.runtime.stream.recorded import PictureFolder, VideoFile
from mien.runtime.stream.stream_picture import ArrayPicture, DecodedPicture
from runtime.streams import ListSource, moving_faces, write_video

FASTSTART = {"movflags": "faststart"}


def gradients(count: int, *, width: int = 320, height: int = 240) -> list[np.ndarray]:
    """Smooth pictures with no symmetry, each brighter than the one before."""
    y, x = np.mgrid[:height, :width]
    base = np.dstack([60 + 150 * x / width, 40 + 150 * y / height, 200 - 140 * x * y / (width * height)])
    return [np.clip(base * (0.5 + 0.5 * i / count), 0, 255).astype(np.uint8) for i in range(count)]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 pictures of 320 x 240 at 30 frames a second, the index first."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, moving_faces(30, width=320, height=240), container=FASTSTART)


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_file_gives_every_picture_in_order(clip):
    source = open_source(clip)
    assert isinstance(source, VideoFile)
    assert not source.live
    shots = list(source.pictures())
    assert [shot.index for shot in shots] == list(range(30))
    assert [shot.time for shot in shots] == pytest.approx([i / 30 for i in range(30)], abs=1e-4)
    for shot, original in zip(shots, moving_faces(30, width=320, height=240), strict=True):
        assert (shot.width, shot.height) == (320, 240)
        assert np.abs(shot.rgb.astype(int) - original).mean() < 3


@pytest.mark.parametrize("threads", [1, 2])
def test_decoding_in_threads_gives_the_same(clip, threads):
    shots = list(open_source(str(clip), threads=threads).pictures())
    reference = list(open_source(clip).pictures())
    assert [shot.time for shot in shots] == [shot.time for shot in reference]
    assert all((a.rgb == b.rgb).all() for a, b in zip(shots, reference, strict=True))


def test_times_are_the_containers_own(tmp_path):
    times = [5.0, 5.04, 5.5, 7.0, 7.01]
    path = write_video(tmp_path / "v.mkv", gradients(5), times=times)
    assert [shot.time for shot in open_source(path).pictures()] == pytest.approx([t - 5 for t in times], abs=2e-3)


@pytest.mark.parametrize(("ending", "codec"), [("mkv", "libx264"), ("webm", "libvpx"), ("mp4", "libx264")])
def test_a_file_that_begins_late_is_whole(tmp_path, said, ending, codec):
    """Matroska counts its duration from 0: it was "cut short: 2.0 s of 3602.0 s"."""
    times = [3600 + index / 25 for index in range(50)]
    path = write_video(tmp_path / f"v.{ending}", gradients(50), times=times, codec=codec, options={"b": "500000"})
    shots = list(open_source(path, say=said.append).pictures())
    assert (len(shots), said) == (50, [])
    assert shots[-1].time == pytest.approx(49 / 25, abs=2e-3)


def test_a_matroska_file_that_begins_late_and_is_cut_says_so(tmp_path, said):
    times = [3600 + index / 25 for index in range(50)]
    path = write_video(tmp_path / "v.mkv", gradients(50), times=times)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    list(open_source(path, say=said.append).pictures())
    assert "cut short" in said[0]
    assert said[0].endswith("of 2.0 s")


def test_words_in_a_video_that_are_no_utf_8_do_no_harm(tmp_path):
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as output:
        output.metadata["title"] = "TITLEOFFILE"
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.metadata["title"] = 320, 240, "yuv420p", "TITLEOFPART"
        for picture in gradients(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    whole = path.read_bytes()
    assert whole.count(b"TITLEOF") == 2
    path.write_bytes(whole.replace(b"TITLEOF", b"\xff\xfe\x80\xc3TLE"))
    assert len(list(open_source(path).pictures())) == 5


@pytest.mark.parametrize("stamp", [float("nan"), float("inf"), None])
def test_a_time_that_is_no_number_is_a_usual_interval_after_the_last(stamp):
    frames = [SimpleNamespace(time=time, is_corrupt=False) for time in (0.0, 1 / 30, stamp, 0.1)]
    container = SimpleNamespace(demux=lambda _: iter([av.Packet(b"")]))
    decoding = Decoding(container, SimpleNamespace(decode=lambda _: frames, average_rate=30))
    assert [decoding.time for _ in decoding] == pytest.approx([0, 1 / 30, 2 / 30, 0.1])


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_a_turned_video_stands_upright(tmp_path, rotation, pixels):
    pictures = gradients(2)
    path = write_video(tmp_path / "v.mp4", pictures, rotation=rotation, pixels=pixels)
    first = next(open_source(path).pictures())
    upright = np.rot90(pictures[0], rotation // 90)
    assert (first.height, first.width) == upright.shape[:2]
    assert np.abs(first.rgb.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("area", [(0, 0, 50, 40), (33, 57, 160, 99), (101, 3, 240, 240), (0, 0, 240, 240)])
def test_a_part_is_cut_as_if_from_the_whole_picture(tmp_path, rotation, pixels, area):
    path = write_video(tmp_path / "v.mp4", moving_faces(1, width=320, height=240), rotation=rotation, pixels=pixels)
    whole = next(open_source(path).pictures()).rgb
    part, (left, top) = next(open_source(path).pictures()).cut(area)
    assert left <= area[0]
    assert top <= area[1]
    assert left + part.shape[1] >= area[2]
    assert top + part.shape[0] >= area[3]
    expected = whole[top : top + part.shape[0], left : left + part.shape[1]]
    assert part.shape == expected.shape
    assert np.abs(part.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(640, 480), (642, 362), (1280, 720), (360, 640)])
def test_a_reduced_copy_is_the_picture_averaged(tmp_path, pixels, size):
    path = write_video(tmp_path / "v.mp4", gradients(1, width=size[0], height=size[1]), pixels=pixels)
    shot = next(open_source(path).pictures())
    copy, scale = shot.reduced(320)
    assert max(copy.shape[:2]) <= 320
    assert copy.shape[1] / scale == pytest.approx(size[0], abs=2 / scale)
    assert copy.shape[0] / scale == pytest.approx(size[1], abs=2 / scale)
    expected = cv2.resize(shot.rgb, copy.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(copy.astype(int) - expected).mean() < 2


def test_a_small_picture_is_not_reduced():
    picture = gradients(1)[0]
    copy, scale = ArrayPicture(picture, index=0, time=0.0).reduced(640)
    assert scale == 1
    assert copy is picture


def test_colours_follow_the_files_colour_space(tmp_path):
    red = np.full((64, 64, 3), (220, 30, 40), dtype=np.uint8)
    for colorspace in (1, 5):  # ITU-R BT.709 and BT.601
        path = write_video(tmp_path / f"{colorspace}.mp4", [red], colorspace=colorspace)
        shot = next(open_source(path).pictures())
        part, _ = shot.cut((8, 8, 40, 40))
        assert np.abs(part.astype(int) - red[0, 0]).max() <= 4


def test_odd_sizes_are_read(tmp_path):
    path = write_video(tmp_path / "v.mkv", gradients(1, width=161, height=91), pixels="yuv444p", codec="ffv1")
    shot = next(open_source(path).pictures())
    assert shot.rgb.shape == (91, 161, 3)
    assert shot.cut((1, 1, 160, 90))[0].shape == (89, 159, 3)


def test_4k_is_read_without_converting_it(tmp_path):
    path = write_video(tmp_path / "v.mp4", gradients(1, width=3840, height=2160))
    shot = next(open_source(path).pictures())
    assert shot.reduced(640)[0].shape == (360, 640, 3)
    assert shot.cut((3000, 2000, 3200, 2160))[0].shape[2] == 3
    assert isinstance(shot, DecodedPicture)
    assert "rgb" not in vars(shot)


def test_a_file_without_a_duration_is_read(tmp_path, said):
    path = write_video(tmp_path / "v.h264", gradients(5))
    assert av.open(str(path)).duration is None
    assert len(list(open_source(path, say=said.append).pictures())) == 5
    assert not said


def test_damaged_pictures_are_skipped_and_counted(clip, tmp_path, said):
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None]
    for position, size in packets[10:12]:
        data[position + 4 : position + size] = bytes(255 - b for b in data[position + 4 : position + size])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    shots = list(open_source(broken, say=said.append).pictures())
    assert 10 <= len(shots) < 30
    assert shots[-1].time == pytest.approx(29 / 30, abs=1e-3)
    assert any("damaged picture" in notice for notice in said)


def test_a_truncated_file_is_read_as_far_as_it_goes(tmp_path, said):
    whole = write_video(tmp_path / "whole.mp4", moving_faces(60, width=320, height=240), container=FASTSTART)
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])
    shots = list(open_source(cut, say=said.append).pictures())
    assert 10 < len(shots) < 50
    assert any("cut short" in notice and "2.0 s" in notice for notice in said)


def test_a_truncated_file_without_its_index_says_so(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", gradients(10))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:4000])
    with pytest.raises(VideoError, match=r"without its index.*cut short"):
        open_source(cut)


def test_a_file_of_which_nothing_is_left_to_decode(clip, tmp_path):
    data = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"mdat") + 8])
    with pytest.raises(VideoError, match="not one picture"):
        list(open_source(cut).pictures())


def test_sound_without_a_video(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
    with pytest.raises(VideoError, match="no video in it, only audio"):
        open_source(path)


@pytest.mark.parametrize("kind", ["mkv", "mp4", "avi"])
def test_a_video_without_frames(tmp_path, kind):
    path = tmp_path / f"empty.{kind}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=rf"empty\.{kind}: not one picture"):
        list(open_source(path).pictures())


def test_an_unknown_codec(clip, tmp_path):
    path = tmp_path / "odd.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(VideoError, match="code that this FFmpeg cannot decode"):
        open_source(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"just some words, and no video at all\n" * 50, "not a video"), (None, "no such file")],
)
def test_what_is_no_video(tmp_path, content, message):
    path = tmp_path / "v.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=rf"v\.mp4: .*{message}"):
        open_source(path)


def test_a_name_that_looks_like_a_protocol_is_a_file(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, tmp_path / "a:b.mp4")
    assert next(open_source("a:b.mp4").pictures()).time == 0


def write_animation(path: Path, pictures: list[np.ndarray], durations: list[int]) -> Path:
    animation = cv2.Animation()
    animation.frames = [picture[..., ::-1].copy() for picture in pictures]
    animation.durations = durations
    assert cv2.imwriteanimation(str(path), animation)
    return path


@pytest.mark.parametrize("ending", ["webp", "gif", "png"])
def test_an_animation_is_a_stream_with_its_own_times(tmp_path, said, ending):
    """FFmpeg opens an animated WebP and decodes nothing: it was "never finished"."""
    pictures = gradients(6)
    path = write_animation(tmp_path / f"a.{ending}", pictures, [100, 40, 200, 40, 500, 40])
    shots = list(open_source(path, say=said.append).pictures())
    assert ([shot.index for shot in shots], said) == (list(range(6)), [])
    assert [shot.time for shot in shots] == pytest.approx([0, 0.1, 0.14, 0.34, 0.38, 0.88], abs=2e-3)
    for shot, original in zip(shots, pictures, strict=True):
        assert np.abs(shot.rgb.astype(int) - original).mean() < (20 if ending == "gif" else 8)  # GIF has 256 colours


def test_a_long_animation_is_decoded_in_parts(tmp_path, monkeypatch):
    path = write_animation(tmp_path / "a.webp", gradients(7), [100] * 7)
    whole = [(shot.time, shot.rgb) for shot in open_source(path).pictures()]
    monkeypatch.setattr("mien.runtime.stream.animated.AT_ONCE", 3 * 4 * 320 * 240)
    parts = [(shot.time, shot.rgb) for shot in open_source(path).pictures()]
    assert [time for time, _ in parts] == [time for time, _ in whole]
    assert all((a == b).all() for (_, a), (_, b) in zip(parts, whole, strict=True))


def test_pictures_that_stand_for_no_time_are_shown_as_browsers_show_them(tmp_path):
    path = write_animation(tmp_path / "a.webp", gradients(3), [0, 10, 0])
    assert [shot.time for shot in open_source(path).pictures()] == pytest.approx([0, 0.1, 0.2])


def test_an_animation_that_is_cut_short(tmp_path):
    path = write_animation(tmp_path / "a.webp", gradients(3), [100] * 3)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(VideoError, match=r"a\.webp: the file is damaged or cut short, 50 of its"):
        open_source(path)


def test_a_folder_of_frames(tmp_path, said):
    pictures = gradients(12)
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"frame{index}.png"), picture[..., ::-1])
    (tmp_path / "frame3.png").write_bytes(b"")
    source = open_source(tmp_path, fps=10, say=said.append)
    assert isinstance(source, PictureFolder)
    shots = list(source.pictures())
    expected = [i for i in range(12) if i != 3]
    assert [shot.time for shot in shots] == pytest.approx([i / 10 for i in expected])
    assert all((shot.rgb == pictures[i]).all() for shot, i in zip(shots, expected, strict=True))
    assert len(said) == 1
    assert "frame3.png" in said[0]


def test_folders_that_cannot_be_read(tmp_path):
    with pytest.raises(VideoError, match="no picture in this folder"):
        open_source(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match="not one of its 1 pictures"):
        list(open_source(tmp_path).pictures())
    with pytest.raises(VideoError, match="above 0"):
        open_source(tmp_path, fps=0)


def test_a_closed_source_gives_nothing_more(clip, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), gradients(1)[0])
    cv2.imwrite(str(tmp_path / "b.png"), gradients(1)[0])
    for source in (open_source(clip), open_source(tmp_path)):
        shots = source.pictures()
        next(shots)
        source.close()
        assert list(shots) == []


def test_a_camera_that_does_not_exist():
    with pytest.raises(VideoError, match="camera 63: there is no such camera"):
        open_source("63")


class Unplugged:
    """Stands for ``cv2.VideoCapture``: gives pictures, is lost, cannot be opened for a while, and is back."""

    def __init__(self, script: list[int | None]) -> None:
        self.script = script
        self.released = 0

    def __call__(self, number: int) -> Unplugged:
        self.left = self.script.pop(0) if self.script else None
        return self

    def isOpened(self) -> bool:
        return self.left is not None

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        self.left -= 1
        return True, np.full((48, 64, 3), (10, 20, 30), dtype=np.uint8)

    def release(self) -> None:
        self.released += 1


def test_a_lost_camera_is_tried_again(monkeypatch, said):
    plug = Unplugged([2, None, None, 3])
    monkeypatch.setattr(cv2, "VideoCapture", plug)
    camera = Camera(0, say=said.append, retry=60, first_delay=0.001)
    assert camera.live
    shots = camera.pictures()
    taken = [next(shots) for _ in range(5)]
    assert [shot.index for shot in taken] == list(range(5))
    times = [shot.time for shot in taken]
    assert times[0] == 0
    assert times == sorted(times)
    assert (taken[0].rgb[0, 0] == (30, 20, 10)).all(), "RGB"
    shots.close()
    assert sum("lost" in notice for notice in said) == 3
    assert said[-1] == "camera 0: back"
    assert plug.released >= 3


def test_a_camera_that_stays_away_is_an_error(monkeypatch, said):
    monkeypatch.setattr(cv2, "VideoCapture", Unplugged([1]))
    shots = Camera(0, say=said.append, retry=0.01, first_delay=0.01).pictures()
    next(shots)
    with pytest.raises(VideoError, match=r"camera 0: lost, and not back within 0\.01 s.*no such camera"):
        next(shots)


def test_closing_ends_the_wait_for_a_lost_camera(monkeypatch):
    waiting = threading.Event()
    monkeypatch.setattr(cv2, "VideoCapture", Unplugged([1]))
    camera = Camera(0, say=lambda notice: waiting.set(), retry=3600, first_delay=3600)
    shots = Prefetch(camera).pictures()
    next(shots)
    assert waiting.wait(30)
    shots.close()
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("mien") and thread.name != "mien-room"
    ]


def test_an_address_that_refuses():
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(VideoError, match=r"http://127\.0\.0\.1:\d+/a\.mp4: cannot be opened \(Connection refused\)"):
        open_source(f"http://127.0.0.1:{port}/a.mp4")


def test_an_unknown_kind_of_address():
    with pytest.raises(VideoError, match="does not know this kind of address"):
        open_source("nonsense://there/a")


@pytest.fixture
def serve():
    """Serves bodies one after the other, then 404; each without its length, as cameras do, unless the path says so."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not bodies:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            body = bodies.pop(0)
            if "sized" in self.path:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield lambda *given: bodies.extend(given) or f"http://127.0.0.1:{server.server_address[1]}/live"
    server.shutdown()
    server.server_close()
    thread.join()


def transport_stream(frames: int, *, brighter: int = 0) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for picture in gradients(frames):
            lit = cv2.add(picture, (brighter,) * 3)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(lit, format="rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def test_a_stream_that_breaks_off_is_tried_again(serve, said):
    url = serve(transport_stream(8), transport_stream(8, brighter=20))
    stream = NetworkStream(url, open_container(url, url), say=said.append, retry=0.5, first_delay=0.05)
    assert stream.live
    shots = []
    with pytest.raises(VideoError, match=r"lost, and not back.*404"):
        shots.extend(iter_until_error(stream.pictures(), shots))
    assert [shot.index for shot in shots] == list(range(16))
    assert f"{url}: back" in said


def test_a_file_that_states_neither_length_nor_duration_is_read_once(serve, said):
    body = transport_stream(8)
    url = serve(body, body, body)
    stream = NetworkStream(url, open_container(url, url), say=said.append, retry=5, first_delay=0.05)
    assert [shot.index for shot in stream.pictures()] == list(range(8))
    assert said[-1] == f"{url}: is a file that states neither length nor duration; it was read once"


def iter_until_error(shots, into):
    for shot in shots:
        into.append(shot)
    return []


@pytest.mark.parametrize("path", ["", "/a@b"])
def test_a_password_in_an_address_is_used_and_never_told(serve, path):
    address = serve(transport_stream(4)) + path
    with closing(open_source(address.replace("//", "//me:secret@"))) as source:
        assert source.name == address
    with pytest.raises(VideoError) as caught:
        open_source(address.replace("//", "//me:secret@"))
    assert "secret" not in str(caught.value)


def test_a_browsers_recording_at_an_address_is_read_once(tmp_path, serve, said):
    """It states no duration, but the server states its size: it was read over and over."""
    path = write_video(tmp_path / "v.webm", gradients(20), codec="libvpx", container={"live": "1"}, options={"b": "1M"})
    with open_container("v", str(path)) as container:
        assert container.duration is None
    body = path.read_bytes()
    source = open_source(serve(body, body) + "/sized", say=said.append)
    assert not source.live
    assert (len(list(source.pictures())), said) == (20, [])


def test_an_address_without_an_end_is_live(serve):
    source = open_source(serve(transport_stream(4)))
    assert isinstance(source, NetworkStream)
    shots = source.pictures()
    assert next(shots).rgb.shape == (240, 320, 3)
    shots.close()


def test_a_pump_gives_every_picture_of_a_file_and_runs_only_a_little_ahead():
    source = ListSource(gradients(40))
    shots = Prefetch(source).pictures()
    taken = []
    for shot in shots:
        taken.append(shot.index)
        assert source.given <= shot.index + 8
    assert taken == list(range(40))
    assert source.closed


def test_a_pump_gives_the_newest_picture_of_a_live_source():
    ready, taken_first = threading.Event(), threading.Event()

    def pictures():
        yield np.zeros((8, 8, 3), dtype=np.uint8)
        assert taken_first.wait(30)
        for _ in range(9):
            yield np.zeros((8, 8, 3), dtype=np.uint8)
        ready.set()

    shots = Prefetch(ListSource(pictures(), live=True)).pictures()
    assert next(shots).index == 0
    taken_first.set()
    assert ready.wait(30)
    assert [shot.index for shot in shots] == [9]


def test_a_pump_passes_errors_on_after_what_came_before():
    def pictures():
        yield np.zeros((8, 8, 3), dtype=np.uint8)
        raise VideoError("broken")

    shots = Prefetch(ListSource(pictures())).pictures()
    assert next(shots).index == 0
    with pytest.raises(VideoError, match="broken"):
        next(shots)


def test_a_pump_stops_when_told():
    stop = threading.Event()
    shots = Prefetch(ListSource(gradients(40)), stop=stop).pictures()
    next(shots)
    stop.set()
    assert list(shots) == []
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("mien") and thread.name != "mien-room"
    ]


def test_what_a_folder_of_frames_holds_beside_them_is_said(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), dtype=np.uint8))
    for name in ("notes.txt", ".2.png"):
        (tmp_path / name).touch()
    said = []
    source = open_source(str(tmp_path), say=said.append)
    assert len(list(source.pictures())) == 1
    assert said == ["2 files left out: 1 .txt, 1 hidden"]
