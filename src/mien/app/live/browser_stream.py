"""One browser's stream of frames: decoded, the person's own face followed and read, all others only covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.app.live.subject import Presence, Subject
from mien.core.errors import PictureError
from mien.core.face import Box, Face, Frame, Reading
from mien.core.pictures import decode_picture
from mien.core.preprocess import Image, InputSpec
from mien.runtime.recognizer import Recognizer
from mien.runtime.stream.follow import Seen
from mien.runtime.stream.stream_picture import ArrayPicture
from mien.runtime.stream.watcher import Look, Watcher

LARGEST_FRAME = 1_000_000
"""Bytes of a frame; one of 640 x 480 pixels at the page's quality takes 50,000."""

LARGEST_PICTURE = 1_300_000
"""Pixels of a frame."""

_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, eq=False)
class FrameView:
    """What one frame showed.

    Attributes:
        frame: with the person's own face, or none.
        others: boxes of everybody else, who was neither cut out nor read.
        presence: how it stands about the own face.
        crops: of the own face where it was read, for each kind of input; for looking at what the network looked at.
    """

    frame: Frame
    others: tuple[Box, ...]
    presence: Presence
    crops: dict[InputSpec, Image]

    @property
    def own(self) -> Face | None:
        """The person's own face, where it is in view."""
        return self.frame.faces[0] if self.frame.faces else None

    @property
    def faces(self) -> int:
        """How many faces were in view."""
        return len(self.frame.faces) + len(self.others)


class BrowserStream:
    """Turns the frames of one browser, in their order, into views. Its memory does not grow.

    Args:
        recognizer: its detector and models are used.
        alone: see :class:`~mien.app.live.subject.Subject`.
    """

    def __init__(self, recognizer: Recognizer, *, alone: bool = False) -> None:  # noqa: D107
        self._watcher = Watcher(recognizer.reader, cuts=False)
        self._count = 0
        self.subject = Subject(alone=alone)

    def look(self, jpeg: bytes, time: float) -> Look:
        """Decode a frame that arrived ``time`` seconds after the first, follow its faces, cut out the own one.

        Raises:
            PictureError: it is no JPEG, is damaged, or too large.
        """
        if len(jpeg) > LARGEST_FRAME:
            raise PictureError(f"a frame of {len(jpeg) / 1e6:.1f} MB; at most {LARGEST_FRAME / 1e6:g} MB are taken")
        if not jpeg.startswith(_JPEG):
            raise PictureError("a frame that is no JPEG")
        picture = ArrayPicture(decode_picture(jpeg, "frame", max_pixels=LARGEST_PICTURE), index=self._count, time=time)
        self._count += 1

        def own(seen: Sequence[Seen]) -> tuple[int, ...]:
            return self.subject.choose(seen, picture.width, picture.height, time)

        return self._watcher.look(picture, choose=own)

    def conclude(self, look: Look, readings: Sequence[tuple[Reading, ...]]) -> FrameView:
        """The view of a frame that was looked at, from the reading of what was cut out of it."""
        frame = self._watcher.conclude(look, readings)
        if look.seen:
            self.subject.refused(refused=frame.rejected > 0)
        return FrameView(frame, tuple(one.face.box for one in look.others), self.subject.presence, look.crops)


def described(view: FrameView) -> dict[str, Any]:
    """What the page draws of a view: boxes in pixels of the frame, shares from 0 to 1, and the words for it."""
    own = view.own
    return {
        "size": [view.frame.width, view.frame.height],
        "presence": str(view.presence),
        "others": [_rounded(box) for box in view.others],
        "own": None if own is None else _described(own),
    }


def _described(face: Face) -> dict[str, Any]:
    smoothed = None if face.track is None else face.track.smoothed
    held = None if face.track is None else face.track.held
    shown = face.unmeasurable is None and smoothed is not None
    return {
        "box": _rounded(face.box),
        "unmeasurable": face.unmeasurable,
        "held": None if held is None else str(held),
        "sure": round(smoothed.probability(held), 3) if smoothed is not None and held is not None else None,
        "bars": {str(e): round(smoothed.probability(e), 3) for e in smoothed.labels} if smoothed and shown else None,
        "candidates": [str(e) for e in smoothed.candidates] if smoothed and shown else [],
        "coverage": smoothed.coverage if smoothed and shown else None,
    }


def _rounded(box: Box) -> list[float]:
    return [round(value, 1) for value in (box.x, box.y, box.width, box.height)]
