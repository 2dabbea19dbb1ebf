"""Small real videos for tests, made from the portrait that ships with scikit-image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mien.runtime.stream.stream_picture import ArrayPicture, StreamPicture


def portrait() -> np.ndarray:
    """RGB 512 x 512, one smiling woman whose face is about 100 pixels wide."""
    return pytest.importorskip("skimage.data").astronaut()


def moving_faces(frames: int, *, width: int = 480, height: int = 320, faces: int = 1) -> Iterator[np.ndarray]:
    """Pictures in which one to three faces move, turn and grow on a grey ground, apart from each other."""
    source = portrait()[:260, 100:350]
    mask = np.zeros(source.shape[:2], dtype=np.uint8)
    cv2.ellipse(mask, (125, 120), (85, 110), 0, 0, 360, 255, -1)
    for index in range(frames):
        canvas = np.full((height, width, 3), 128, dtype=np.uint8)
        for number in range(faces):
            phase = index / 12 + number
            scale = (1.1 + 0.1 * math.sin(phase)) / (1 if faces == 1 else 1.6)
            matrix = cv2.getRotationMatrix2D((125, 120), 10 * math.sin(phase), scale)
            centre = width * (number + 1) / (faces + 1) + 12 * math.sin(phase)
            matrix[:, 2] += (centre - 125, height / 2 + 10 * math.cos(phase) - 120)
            face = cv2.warpAffine(source, matrix, (width, height))
            where = cv2.warpAffine(mask, matrix, (width, height)) > 127
            canvas[where] = face[where]
        yield canvas


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    times: Sequence[float] | None = None,
    fps: int = 30,
    rotation: int | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    codec: str = "libx264",
    colorspace: int | None = None,
) -> Path:
    """Encode pictures, each at its own time where ``times`` are given."""
    with av.open(str(path), "w", options=container or {}) as output:
        stream = None
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = output.add_stream(codec, rate=fps)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pixels
                stream.options = options or {"preset": "ultrafast", "crf": "18"}
                stream.codec_context.time_base = Fraction(1, 90_000)
                if colorspace is not None:
                    stream.codec_context.colorspace = colorspace
                if rotation is not None:
                    stream.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if colorspace is not None:
                frame = frame.reformat(format=pixels, dst_colorspace=colorspace)
            frame.time_base = Fraction(1, 90_000)
            frame.pts = round((index / fps if times is None else times[index]) * 90_000)
            output.mux(stream.encode(frame))
        if stream is not None:
            output.mux(stream.encode())
    return path


class ListSource:
    """A source of pictures at hand."""

    def __init__(self, pictures: Iterable[np.ndarray], *, fps: float = 30, live: bool = False) -> None:
        self.name = "list"
        self.live = live
        self.closed = False
        self.given = 0
        self._pictures = pictures
        self._fps = fps

    def pictures(self) -> Iterator[StreamPicture]:
        for index, picture in enumerate(self._pictures):
            self.given += 1
            yield ArrayPicture(picture, index=index, time=index / self._fps)

    def close(self) -> None:
        self.closed = True
