"""Whose face may be read: that of the person who agreed, by its track, and nobody else's.

Nobody is recognised. A face that was out of view for longer than a track lives may be another person's, so it is not
read again before the person has pointed at it. A pause without pictures is not leaving: where the face was in the last
picture before a pause and is not followed in the first one after it, the only face in view within ``patience`` from
there is taken up again. Where several are in view, the person points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mien.core.face import Box
from mien.runtime.stream.follow import Seen
from mien.runtime.stream.track import PAUSE

SETTLE = 0.5
"""Seconds for which faces have been in view before one is chosen: a detector's first find may be a false one."""

_OFF_CENTRE = 0.6
"""Share of its size that a face in a corner loses against one in the middle when the person is looked for."""

_REFUSALS = 4
"""Frames in a row in which the chosen find looks like no face to the network, before another is looked for."""


class Presence(StrEnum):
    """How it stands about the person's own face."""

    WAITING = "waiting"
    FOUND = "found"
    AWAY = "away"
    LOST = "lost"
    CROWD = "crowd"


@dataclass(frozen=True, slots=True)
class _Point:
    """Where the person pointed, as shares of width and height."""

    x: float
    y: float


class Subject:
    """Chooses the one track that may be read.

    At first that is the largest face near the middle. Once it is gone for longer than ``patience`` nobody is read until
    :meth:`point` says whose face it is.

    Args:
        alone: take the face only while it is the only one in view, and need no pointing: for pictures that are taken
            while nobody looks at the page.
        patience: seconds from the first picture without the face after which the person has to point at themselves.

    Attributes:
        presence: how it stood in the last picture.
    """

    def __init__(self, *, alone: bool = False, patience: float = 2.0) -> None:  # noqa: D107
        self.presence = Presence.WAITING
        self._alone = alone
        self._patience = patience
        self._track: int | None = None
        self._looked = -math.inf
        self._missed: float | None = None
        self._paused = False
        self._first: float | None = None
        self._pointed: _Point | None = None
        self._no_faces: set[int] = set()
        self._refusals = 0

    @property
    def track(self) -> int | None:
        """The track that may be read."""
        return self._track

    def point(self, x: float, y: float) -> None:
        """The person points at their own face, at these shares of the picture's width and height.

        Raises:
            ValueError: a point outside the picture.
        """
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"a point is given as two shares from 0 to 1, got {x}, {y}")
        self._pointed = _Point(x, y)

    def restart(self) -> None:
        """The person opened the camera again, or went on after a pause: their face is looked for as at first."""
        self._track, self._first, self._pointed, self._missed, self._refusals = None, None, None, None, 0
        self.presence = Presence.WAITING

    def choose(self, seen: Sequence[Seen], width: int, height: int, time: float) -> tuple[int, ...]:
        """The track of this picture that may be read, if any."""
        paused, self._looked = time - self._looked > PAUSE, time
        pointed, self._pointed = self._pointed, None
        if pointed is not None:
            at = _at(seen, pointed.x * width, pointed.y * height)
            if at is not None:
                self._take(at)
        faces = [one for one in seen if one.track not in self._no_faces]
        if self._alone:
            return self._choose_alone(faces)
        if any(one.track == self._track for one in faces):
            self._missed, self.presence = None, Presence.FOUND
            return (self._track,) if self._track is not None else ()
        if self._track is None and self.presence is not Presence.LOST:
            return self._choose_first(faces or seen, width, height, time)  # it may be a face that was covered
        if self._missed is None:
            self._missed, self._paused = time, paused
        away = time - self._missed <= self._patience
        if away and self._paused and len(faces) == 1:
            self._take(faces[0].track)
            return (faces[0].track,)
        self.presence = Presence.AWAY if away else Presence.LOST
        return ()

    def refused(self, *, refused: bool) -> None:
        """Told after each picture in which it was read whether the find looked like no face to the network."""
        self._refusals = self._refusals + 1 if refused else 0
        if self._refusals >= _REFUSALS and self._track is not None:
            self._no_faces = {self._track, *sorted(self._no_faces)[-16:]}
            self._track, self._first, self._refusals, self.presence = None, None, 0, Presence.WAITING

    def _choose_alone(self, faces: Sequence[Seen]) -> tuple[int, ...]:
        if len(faces) != 1:
            self.presence = Presence.CROWD if faces else Presence.AWAY
            return ()
        if faces[0].track != self._track:
            self._take(faces[0].track)
        self.presence = Presence.FOUND
        return (faces[0].track,)

    def _choose_first(self, faces: Sequence[Seen], width: int, height: int, time: float) -> tuple[int, ...]:
        self.presence = Presence.WAITING
        if not faces:
            self._first = None
            return ()
        self._first = time if self._first is None else min(self._first, time)
        if time - self._first < SETTLE:
            return ()
        best = max(faces, key=lambda one: _prominence(one.face.box, width, height))
        self._take(best.track)
        return (best.track,)

    def _take(self, track: int) -> None:
        self._no_faces.discard(track)
        self._track, self._missed, self._refusals, self.presence = track, None, 0, Presence.FOUND


def _prominence(box: Box, width: int, height: int) -> float:
    """The side of a face, less the further it is from the picture's middle."""
    x, y = box.center
    off = math.hypot(x - width / 2, y - height / 2) / math.hypot(width / 2, height / 2)
    return math.sqrt(box.area) * (1 - _OFF_CENTRE * min(off, 1.0))


def _at(faces: Sequence[Seen], x: float, y: float) -> int | None:
    """The face at a point, the nearest centre where several overlap; a miss by a third of the face counts."""
    reach = [(math.dist(one.face.box.center, (x, y)) / math.sqrt(one.face.box.area), one.track) for one in faces]
    distance, track = min(reach, default=(math.inf, 0))
    return track if distance <= 0.85 else None
