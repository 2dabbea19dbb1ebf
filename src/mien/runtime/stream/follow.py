"""Which faces are in each picture of a stream, without searching every picture as a whole.

A search finds new faces, on a reduced copy, at a cadence; each must hold up when looked at closely. Between searches
each known face is looked for where its track is expected: a small region costs a tenth of a search, and gives box and
landmarks at full resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mien.core.face import Box, Face
from mien.core.preprocess import Image
from mien.runtime.inference.detect import Detector, RegionDetector
from mien.runtime.stream.stream_picture import Area, StreamPicture
from mien.runtime.stream.track import Tracker

DetectEvery = int | Literal["auto"]
"""Frames from one search to the next; ``"auto"``: by the seconds below."""

THOROUGH_SIDE, QUICK_SIDE = 640, 320
"""Long side of the reduced copy that is searched, pixels. A quick search costs a quarter of a thorough one."""

THOROUGH_EVERY, THOROUGH_AFTER_LOSS = 2.0, 0.4
"""Seconds from one thorough search to the next at ``"auto"``, while all is well and while somebody is missing: those
between are quick. Where nobody is followed every search is thorough."""

FULL_EVERY = 2.0
"""Seconds from one search of the whole picture for the smallest faces to the next; those between see a reduced copy.
So a face of the promised size is found within them, whatever the picture's size, and what that costs is bounded."""

WITH_FACES, WITHOUT_FACES, AFTER_LOSS = 0.3, 0.2, 0.1
"""Seconds from one search to the next at ``"auto"``: while faces are followed, while there is none, and while one that
was followed is missing. The last also holds beside a fixed number of frames."""

LOOK_EVERY = 0.09
"""Seconds for which a face that was where it was expected is carried on unseen: two of three frames of most videos."""

_REACH = 0.85
"""Face sides from an expected face's centre to each edge of the region in which it is looked for."""

_OWN, _STEADY, _SAME = 0.3, 0.8, 0.6
"""Least overlap of a find with the expected face; overlap from which it was where it was expected; and overlap from
which two finds are one face."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a picture: RGB uint8, and where its left and top are."""

    image: Image
    left: int
    top: int

    def holds(self, area: Area) -> bool:
        """Whether all of an area lies within."""
        height, width = self.image.shape[:2]
        left, top, right, bottom = area
        return self.left <= left and self.top <= top and right <= self.left + width and bottom <= self.top + height

    def within(self, face: Face) -> Face:
        """A face of the picture, in pixels of this window."""
        return face.mapped(shift=(-self.left, -self.top))


@dataclass(frozen=True, slots=True)
class Seen:
    """A face of one picture.

    Attributes:
        track: id of its track.
        face: in pixels of the picture.
        detected: whether the detector found it in this picture; otherwise it was carried on.
        window: its surroundings, where they were cut out.
    """

    track: int
    face: Face
    detected: bool
    window: Window | None = None


class Follower:
    """Finds and follows the faces of one stream.

    Args:
        detector: finds them. One that is no :class:`~mien.runtime.inference.detect.RegionDetector` cannot look for
            single faces, which are then carried on between searches by their motion alone.
        detect_every: frames from one search to the next, or ``"auto"``.

    Raises:
        ValueError: a number of frames below 1.
    """

    def __init__(self, detector: Detector, *, detect_every: DetectEvery = "auto") -> None:  # noqa: D107
        if detect_every != "auto" and (not isinstance(detect_every, int) or detect_every < 1):
            raise ValueError(f"detect_every is 'auto' or a number of frames from 1 on, got {detect_every!r}")
        self.tracker = Tracker()
        self._detector = detector
        self._near = detector if isinstance(detector, RegionDetector) else None
        self._every = detect_every
        self._searched_at = -math.inf
        self._searched_index = -math.inf
        self._thorough_at = self._full_at = -math.inf
        self._look_from: dict[int, float] = {}

    def follow(self, picture: StreamPicture) -> list[Seen]:
        """The faces of the next picture, in no order. Pictures must come in the order of their time."""
        expected = self.tracker.predict(picture.time)
        if self._is_due(picture, len(expected)):
            pause = THOROUGH_AFTER_LOSS if self.tracker.lost else THOROUGH_EVERY
            return self._search(picture, thorough_after=pause if expected and self._every == "auto" else 0.0)
        lost = self.tracker.lost
        carried = [
            Seen(t, f, False) for t, f in expected if t not in lost and not self._is_to_be_looked_for(t, picture)
        ]
        kept = {one.track for one in carried}
        wanted = [(track, face) for track, face in expected if track not in kept]
        seen = self._look(picture, wanted, taken=[one.face.box for one in carried])
        if len(seen) < len(wanted) and picture.time - self._searched_at >= AFTER_LOSS:
            return self._search(picture, thorough_after=THOROUGH_AFTER_LOSS)
        return carried + seen

    def begin_anew(self) -> None:
        """End every track, and search the next picture thoroughly: it shows another scene."""
        self.tracker.end_all()
        self._look_from.clear()
        self._searched_at = self._searched_index = self._thorough_at = -math.inf

    def _is_to_be_looked_for(self, track: int, picture: StreamPicture) -> bool:
        return self._near is not None and picture.time >= self._look_from.get(track, -math.inf)

    def _is_due(self, picture: StreamPicture, faces: int) -> bool:
        if self._every != "auto":
            return picture.index - self._searched_index >= self._every
        elapsed = picture.time - self._searched_at
        return elapsed < 0 or elapsed >= (WITH_FACES if faces else WITHOUT_FACES)

    def _search(self, picture: StreamPicture, *, thorough_after: float) -> list[Seen]:
        """All faces of the picture, thoroughly so if the last such search is ``thorough_after`` seconds ago or more.

        A face that the reduced copy does not show may still be found at its place.
        """
        self._searched_at, self._searched_index = picture.time, picture.index
        known = [face.box for _, face in self.tracker.predict(picture.time)]
        found = self._detections(picture, thorough=picture.time - self._thorough_at >= thorough_after)
        found = [f for f in found if any(f.box.iou(box) >= _OWN for box in known) or self._holds_up(picture, f)]
        seen = [Seen(track, face, True) for track, face in self.tracker.update(found, picture.time)]
        self._look_from = {one.track: picture.time + LOOK_EVERY for one in seen}
        lost = self.tracker.lost
        expected = [(track, face) for track, face in self.tracker.predict(picture.time) if track in lost]
        return seen + self._look(picture, expected, taken=[one.face.box for one in seen])

    def _detections(self, picture: StreamPicture, *, thorough: bool) -> list[Face]:
        """What the detector finds in the whole picture or, mostly, in a reduced copy."""
        full = self._near is not None and picture.time - self._full_at >= FULL_EVERY
        if thorough or full:
            self._thorough_at = picture.time
        if full:
            self._full_at = picture.time
            return self._detector.detect(picture.rgb)
        copy, scale = picture.reduced(THOROUGH_SIDE if thorough else QUICK_SIDE)
        found = self._detector.detect(copy) if self._near is None else self._near.detect_copy(copy, scale)
        return [face.mapped(scale=1 / scale) for face in found]

    def _holds_up(self, picture: StreamPicture, face: Face) -> bool:
        """Whether a find that is new is still one when looked at closely: most false finds of small copies are not."""
        area = around(face.box, _REACH, picture)
        if self._near is None or area is None:
            return True
        window = cut(picture, area)
        near = self._near.detect_near(window.image, math.sqrt(face.box.area))
        return any(find.box.iou(window.within(face).box) >= _OWN for find in near)

    def _look(
        self, picture: StreamPicture, expected: Sequence[tuple[int, Face]], *, taken: Sequence[Box] = ()
    ) -> list[Seen]:
        """Those of the expected faces that are found where they should be, and not on a place already taken."""
        if self._near is None:
            return []
        finds: list[tuple[float, Seen]] = []
        for track, face in expected:
            area = around(face.box, _REACH, picture)
            if area is None:
                continue
            window = cut(picture, area)
            near = self._near.detect_near(window.image, math.sqrt(face.box.area))
            own = [(find.box.iou(window.within(face).box), find) for find in near]
            overlap, best = max(own, key=lambda one: one[0], default=(0.0, face))
            if overlap >= _OWN:
                found = best.mapped(shift=(window.left, window.top))
                finds.append((overlap, Seen(track, found, True, window)))
        kept: list[Seen] = []
        for overlap, one in sorted(finds, key=lambda find: -find[0]):
            others = [*taken, *(other.face.box for other in kept)]
            if all(one.face.box.iou(box) < _SAME for box in others):
                self.tracker.confirm(one.track, one.face, picture.time)
                self._look_from[one.track] = picture.time + (LOOK_EVERY if overlap >= _STEADY else 0.0)
                kept.append(one)
        return kept


def cut(picture: StreamPicture, area: Area) -> Window:
    """An area of a picture, or a little more."""
    image, (left, top) = picture.cut(area)
    return Window(image, left, top)


def around(box: Box, reach: float, picture: StreamPicture) -> Area | None:
    """The square ``reach`` box sides to each side of a box's centre, within the picture; None where that is nothing."""
    (x, y), side = box.center, math.sqrt(box.area)
    left, top = max(math.floor(x - reach * side), 0), max(math.floor(y - reach * side), 0)
    right = min(math.ceil(x + reach * side), picture.width)
    bottom = min(math.ceil(y + reach * side), picture.height)
    return (left, top, right, bottom) if min(right - left, bottom - top) >= 8 else None
