"""The video that the benchmarks watch: faces that move, turn and grow before a panning background, with some grain.

All of it is made from the portrait that ships inside scikit-image. Each frame is a function of its index alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

import harness
from mien.core.face import Box
from mien.core.preprocess import Image

FPS = 30

FACE_SIDES = {1: 0.32, 2: 0.25, 5: 0.15}
"""Mean side of a face for each number of faces, in heights of the picture."""

_HEAD, _MIDDLE, _SIDE = (slice(0, 252), slice(96, 350)), (127.0, 118.0), 108.0
"""Where the head is in the portrait; its face's centre in that part; and the side of its face, pixels."""

_GRAIN = 2.0
"""Standard deviation of the camera's noise, grey levels."""


@dataclass(frozen=True)
class Clip:
    """A video of 16 by 9.

    With several faces the last one is away at first, comes in, and leaves again.

    Attributes:
        height: pixels.
        faces: 1, 2 or 5.
        frames: at 30 a second.
    """

    height: int
    faces: int
    frames: int

    @property
    def width(self) -> int:
        """Pixels, an even number."""
        return 2 * round(self.height * 8 / 9)

    def file(self, folder: Path) -> Path:
        """The video as H.264 in MP4, made in ``folder`` unless it is there already."""
        path = folder / f"{self.height}p-{self.faces}-{self.frames}.mp4"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.mp4")
            with av.open(str(part), "w") as output:
                stream = output.add_stream("libx264", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
                stream.options = {"preset": "veryfast", "crf": "23"}
                for picture in self.pictures():
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                output.mux(stream.encode())
            part.rename(path)
        return path

    def pictures(self) -> Iterator[Image]:
        """The frames before encoding, RGB uint8 ``(height, width, 3)``."""
        return map(self.picture, range(self.frames))

    def picture(self, index: int) -> Image:
        """One frame before encoding."""
        canvas = self._background(index / FPS)
        for person in range(self.faces):
            self._paint(canvas, person, index / FPS)
        down, across = (37 * index) % 64, (23 * index) % 64
        grain = self._grain[down : down + self.height, across : across + self.width]
        seen: Image = np.clip(canvas + grain, 0, 255).astype(np.uint8)
        return seen

    def _background(self, time: float) -> NDArray[np.int16]:
        """What the camera sees behind the faces as it pans."""
        margin = self._scenery.shape[1] - self.width
        left = round(margin * (0.5 + 0.5 * math.sin(2 * math.pi * time / 11)))
        return self._scenery[: self.height, left : left + self.width].astype(np.int16)

    def drawn(self, index: int) -> list[Box]:
        """Where the faces are in a frame, those outside the picture too."""
        places = [self._place(person, index / FPS) for person in range(self.faces)]
        return [
            Box(x - scale * _SIDE / 2, y - scale * _SIDE / 2, scale * _SIDE, scale * _SIDE) for (x, y), scale in places
        ]

    def _place(self, person: int, time: float) -> tuple[tuple[float, float], float]:
        """The centre of a face, pixels, and its scale relative to the portrait's."""
        side, phase = FACE_SIDES[self.faces] * self.height, _phase(person)
        sway = (1.1 if self.faces == 1 else 0.25) * side
        x = self.width * (person + 0.5) / self.faces + sway * math.sin(2 * math.pi * time / 5 + phase)
        y = self.height * 0.5 + 0.4 * side * math.sin(2 * math.pi * time / 3.7 + phase)
        if person and person == self.faces - 1:
            x += (self.width / self.faces + 2 * side) * _away(time)
        return (x, y), side / _SIDE * (1 + 0.2 * math.sin(2 * math.pi * time / 7 + phase))

    def _paint(self, canvas: NDArray[np.int16], person: int, time: float) -> None:
        """Draw one head over the canvas."""
        head, mask = self._head
        (x, y), scale = self._place(person, time)
        angle = 15 * math.sin(2 * math.pi * time / 4 + _phase(person))
        turn = cv2.getRotationMatrix2D(_MIDDLE, angle, scale)
        reach = math.ceil(1.6 * scale * _SIDE)
        left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
        right, bottom = min(round(x) + reach, self.width), min(round(y) + reach, self.height)
        if min(right - left, bottom - top) < 1:
            return
        turn[:, 2] += np.array([x - left - _MIDDLE[0], y - top - _MIDDLE[1]])
        drawn, weight = (cv2.warpAffine(part, turn, (right - left, bottom - top)) for part in (head, mask))
        under = canvas[top:bottom, left:right]
        under += (weight[:, :, None] / 255 * (drawn.astype(np.float32) - under)).astype(np.int16)

    @cached_property
    def _head(self) -> tuple[Image, Image]:
        """The head, and how much each of its pixels covers what is behind it."""
        head = harness.portrait()[_HEAD]
        mask = np.zeros(head.shape[:2], dtype=np.uint8)
        cv2.ellipse(mask, (127, 122), (84, 106), 0, 0, 360, 255, -1)
        return head, cast(Image, cv2.GaussianBlur(mask, (0, 0), 5))

    @cached_property
    def _scenery(self) -> Image:
        """The portrait and its mirror image side by side, the face blurred until no detector takes it for one.

        The rest keeps its texture: over a blank ground, decoding and cascades would be unlike those of real videos.
        """
        portrait, (head, mask) = harness.portrait(), self._head
        weight = mask[:, :, None] / 255
        blurred = cv2.GaussianBlur(portrait, (0, 0), 24)[_HEAD]
        portrait[_HEAD] = (weight * blurred + (1 - weight) * head).astype(np.uint8)
        row = cv2.hconcat([portrait, portrait[:, ::-1], portrait])
        scale = self.height / portrait.shape[0]
        wide = cv2.resize(row, (round(scale * row.shape[1]), self.height), interpolation=cv2.INTER_CUBIC)
        return cast(Image, wide[:, : self.width * 5 // 4])

    @cached_property
    def _grain(self) -> NDArray[np.int16]:
        shape = (self.height + 64, self.width + 64, 1)
        return np.random.default_rng(0).normal(0, _GRAIN, shape).round().astype(np.int16)


def _phase(person: int) -> float:
    return 2.4 * person


def _away(time: float) -> float:
    """How far the one that comes and goes is out of the picture: 1 before 4 s and from 12.2 s on, 0 in between."""
    return 1 - _rise((time - 4) / 1.2) + _rise((time - 11) / 1.2)


def _rise(at: float) -> float:
    """From 0 to 1, smoothly, while ``at`` does."""
    at = min(max(at, 0.0), 1.0)
    return at * at * (3 - 2 * at)
