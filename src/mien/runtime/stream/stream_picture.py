"""One picture of a stream, turned into RGB only as far as somebody asks.

Following a face takes a small copy of the picture now and then, and the surroundings of each face in every frame. Both
are cut from the decoder's own planes, because the conversion of every whole frame would cost as much as all the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast

import cv2
import numpy as np

from mien.core.preprocess import Image
from mien.runtime.inference.detect import shrunk

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter

Area = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels, within the picture."""

_PLANAR = ("yuv420p", "yuvj420p")
_STEP = 64
"""Areas grow to a multiple of it, so that few sizes occur: libswscale takes long to prepare for each."""


class StreamPicture(Protocol):
    """One picture of a stream.

    Attributes:
        index: its place in the stream, from 0.
        time: seconds from the start of the stream.
    """

    @property
    def index(self) -> int: ...  # noqa: D102
    @property
    def time(self) -> float: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def rgb(self) -> Image:
        """All of it, RGB uint8 ``(height, width, 3)``."""
        ...

    def reduced(self, long_side: int) -> tuple[Image, float]:
        """A copy with a long side of at most ``long_side`` pixels, and its scale."""
        ...

    def luma(self, long_side: int) -> Image:
        """A rough grey copy ``(h, w)`` with a long side of at most ``long_side``, for looking at every picture."""
        ...

    def cut(self, area: Area) -> tuple[Image, tuple[int, int]]:
        """What is in an area, or a little more; and where its left and top are."""
        ...


class ArrayPicture:
    """A :class:`StreamPicture` of a picture that is RGB already."""

    def __init__(self, picture: Image, *, index: int, time: float) -> None:
        """Take an RGB uint8 picture ``(height, width, 3)``."""
        self.rgb = picture
        self.index = index
        self.time = time
        self.height, self.width = picture.shape[:2]

    def reduced(self, long_side: int) -> tuple[Image, float]:
        """A copy with a long side of at most ``long_side`` pixels, and its scale."""
        return shrunk(self.rgb, long_side)

    def luma(self, long_side: int) -> Image:
        """A rough grey copy ``(h, w)`` with a long side of at most ``long_side``."""
        return _grey(self.rgb, long_side)

    def cut(self, area: Area) -> tuple[Image, tuple[int, int]]:
        """What is in an area, and where its left and top are."""
        left, top, right, bottom = area
        return self.rgb[top:bottom, left:right], (left, top)


class Converter:
    """Parts of decoded frames as RGB. For one thread: it keeps libswscale's preparations for the last few sizes.

    Each is told to use one thread: left alone, every size would start as many as there are cores.
    """

    def __init__(self) -> None:
        """Start with nothing prepared."""
        self._prepared: OrderedDict[tuple[int, int], VideoReformatter] = OrderedDict()

    def rgb(self, planes: list[Image], like: VideoFrame) -> Image:
        """RGB of three planes with halved colour, by the colour space and range of the frame they were cut from."""
        from av import VideoFrame
        from av.video.reformatter import VideoReformatter

        height, width = planes[0].shape
        part = VideoFrame(width, height, like.format.name)
        for into, plane in zip(part.planes, planes, strict=True):
            _pixels(into)[:] = plane
        part.colorspace, part.color_range = like.colorspace, like.color_range
        reformatter = self._prepared.setdefault((width, height), VideoReformatter())
        self._prepared.move_to_end((width, height))
        if len(self._prepared) > 16:
            self._prepared.popitem(last=False)
        return cast(Image, reformatter.reformat(part, format="rgb24", threads=1).to_ndarray())


class DecodedPicture:
    """A :class:`StreamPicture` that the decoder gave, in its own format and before it is turned upright.

    Args:
        frame: as decoded.
        index: its place in the stream.
        time: seconds from the start of the stream.
        turns: quarter turns counter-clockwise that bring it upright, 0 to 3.
        converter: of the stream.
    """

    def __init__(self, frame: VideoFrame, *, index: int, time: float, turns: int, converter: Converter) -> None:  # noqa: D107
        self.index = index
        self.time = time
        sides = (frame.width, frame.height)
        self.width, self.height = sides if turns % 2 == 0 else sides[::-1]
        self._frame = frame
        self._turns = turns
        self._converter = converter

    @cached_property
    def rgb(self) -> Image:
        """All of it, RGB uint8 ``(height, width, 3)``."""
        return _turned(cast(Image, self._frame.to_ndarray(format="rgb24")), self._turns)

    def reduced(self, long_side: int) -> tuple[Image, float]:
        """A copy with a long side of at most ``long_side`` pixels, and its scale."""
        planes, scale = self._planes, 1.0
        if planes is None:
            return shrunk(self.rgb, long_side)
        while max(planes[0].shape) >= 2 * long_side and all(side % 4 == 0 for side in planes[0].shape):
            planes, scale = [_halved(plane) for plane in planes], scale / 2
        image, rest = shrunk(self._converter.rgb(planes, self._frame), long_side)
        return _turned(image, self._turns), scale * rest

    def luma(self, long_side: int) -> Image:
        """A rough grey copy ``(h, w)`` with a long side of at most ``long_side``."""
        if self._planes is None:
            return _grey(self.rgb, long_side)
        return _turned(shrunk(_thinned(self._planes[0], long_side), long_side)[0], self._turns)

    def cut(self, area: Area) -> tuple[Image, tuple[int, int]]:
        """What is in an area, or a little more; and where its left and top are."""
        left, top, right, bottom = area
        planes = self._planes
        if planes is None or "rgb" in self.__dict__:
            return self.rgb[top:bottom, left:right], (left, top)
        left, right = _widened(left, right, self.width)
        top, bottom = _widened(top, bottom, self.height)
        x, y = _lying((left, right), (top, bottom), (self.width, self.height), self._turns)
        parts = [planes[0][y, x], *(plane[_half(y), _half(x)] for plane in planes[1:])]
        return _turned(self._converter.rgb(parts, self._frame), self._turns), (left, top)

    @cached_property
    def _planes(self) -> list[Image] | None:
        """Luma and the two of half the size for colour, as they lie in memory; None where the format is another."""
        frame = self._frame
        if frame.format.name not in _PLANAR or frame.width % 2 or frame.height % 2:
            return None
        return [_pixels(plane) for plane in frame.planes]


def _pixels(plane: Any) -> Image:
    """A decoder's plane as it lies in memory."""
    return np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _turned(image: Image, turns: int) -> Image:
    if turns == 0:
        return image
    codes = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
    return cast(Image, cv2.rotate(image, codes[turns]))


def _grey(rgb: Image, long_side: int) -> Image:
    return cast(Image, cv2.cvtColor(shrunk(_thinned(rgb, long_side), long_side)[0], cv2.COLOR_RGB2GRAY))


def _thinned(plane: Image, long_side: int) -> Image:
    """Every so many-th pixel, so that a copy still has twice the long side or more."""
    step = max(max(plane.shape[:2]) // (2 * long_side), 1)
    return np.ascontiguousarray(plane[::step, ::step])


def _halved(plane: Image) -> Image:
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    return cast(Image, cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def _widened(start: int, end: int, length: int) -> tuple[int, int]:
    """A span grown to a multiple of the step, with even ends, within an even length."""
    size = min(-(-(end - start + 1) // _STEP) * _STEP, length)
    start = min(start // 2 * 2, length - size)
    return start, start + size


def _lying(across: tuple[int, int], down: tuple[int, int], size: tuple[int, int], turns: int) -> tuple[slice, slice]:
    """Where an area of the upright picture of that size lies in the frame as decoded: columns and rows."""
    (left, right), (top, bottom), (width, height) = across, down, size
    if turns == 1:
        return slice(height - bottom, height - top), slice(left, right)
    if turns == 2:
        return slice(width - right, width - left), slice(height - bottom, height - top)
    if turns == 3:
        return slice(top, bottom), slice(width - right, width - left)
    return slice(left, right), slice(top, bottom)


def _half(span: slice) -> slice:
    return slice(span.start // 2, span.stop // 2)
