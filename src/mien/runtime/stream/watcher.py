"""From a stream to frames: the faces of each picture followed, read by one network call, smoothed, and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np

from mien.core.face import Event, Face, Frame, Reading, Track
from mien.core.preprocess import Image, InputSpec, crop_face, same_crops
from mien.runtime.inference.quality import COVERED, CROP, QualityLimits, assess
from mien.runtime.inference.reader import FaceReader
from mien.runtime.stream.cuts import CutDetector
from mien.runtime.stream.follow import DetectEvery, Follower, Seen, Window, around, cut
from mien.runtime.stream.prefetch import Prefetch
from mien.runtime.stream.smooth import NEUTRAL_PROFILE, Smoother, Smoothing
from mien.runtime.stream.source import Source
from mien.runtime.stream.stream_picture import StreamPicture

UNLIKE = "unlike a face"
"""Why a face that was read before is not: for a moment it does not look like one to any model."""

_CROP_REACH = 0.75
"""Face sides from a face's centre that its crop can reach, turned by 45 degrees and without a margin."""


Choice = Callable[[Sequence[Seen]], Collection[int]]
"""From the faces seen in a picture to the tracks of those that may be read."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is kept of one picture between looking at it and reading its faces.

    Attributes:
        width: of the picture, pixels.
        height: likewise.
        time: seconds from the start of the stream.
        seen: the faces that may be read.
        others: faces that are followed, and were never cut out.
        reasons: why each of the seen cannot be read, or None.
        crops: uint8 ``(n, *spec.shape)`` of those that can, for each kind of input.
        cut: whether a hard cut lies before it.
    """

    width: int
    height: int
    time: float
    seen: tuple[Seen, ...]
    others: tuple[Seen, ...]
    reasons: tuple[str | None, ...]
    crops: dict[InputSpec, Image]
    cut: bool = False

    def __len__(self) -> int:
        """Number of faces that were cut out."""
        return sum(reason is None for reason in self.reasons)


class Watcher:
    """Turns the pictures of one stream, in their order, into frames. Its memory does not grow.

    Args:
        reader: finds the faces and reads them.
        detect_every: frames from one search of the whole picture to the next, or ``"auto"``.
        smoothing: how readings are smoothed, and when expressions are held; None for the defaults.
        quality: what a face must be to be read; None for the defaults.
        cuts: whether hard cuts end all tracks, as in edited films; a camera has none.

    Raises:
        ValueError: a number of frames below 1.
    """

    def __init__(  # noqa: D107
        self,
        reader: FaceReader,
        *,
        detect_every: DetectEvery = "auto",
        smoothing: Smoothing | None = None,
        quality: QualityLimits | None = None,
        cuts: bool = True,
    ) -> None:
        self._reader = reader
        self._cuts = CutDetector() if cuts else None
        self._quality = quality or QualityLimits()
        self._follower = Follower(reader.detector, detect_every=detect_every)
        first = reader.models[0].manifest
        habit = (
            dict(zip(first.labels, first.neutral_profile, strict=True)) if first.neutral_profile else NEUTRAL_PROFILE
        )
        self._smoother = Smoother(smoothing, thresholds=first.conformal_thresholds, neutral=habit)
        self._only_grey = all(spec.channels == 1 for spec in reader.inputs)
        self._accepted: set[int] = set()
        self._reasons: dict[int, str | None] = {}

    def step(self, picture: StreamPicture, source: str | None = None) -> Frame:
        """The frame of the next picture of the stream, whose name is ``source``."""
        look = self.look(picture)
        return self.conclude(look, self._reader.read([look.crops])[0], source)

    def look(self, picture: StreamPicture, *, choose: Choice | None = None) -> Look:
        """Follow the faces of the next picture, and cut out those that may be read; no network reads them yet.

        Args:
            picture: the picture.
            choose: which faces may be read; None for all.
        """
        cut_before = self._cuts is not None and self._cuts.step(picture)
        if cut_before:
            self._follower.begin_anew()
        seen = self._follower.follow(picture)
        chosen = None if choose is None else choose(seen)
        mine = tuple(one for one in seen if chosen is None or one.track in chosen)
        others = tuple(one for one in seen if chosen is not None and one.track not in chosen)
        reasons, crops = self._cut_out(picture, mine)
        stacked = {spec: np.stack(images) for spec, images in crops.items() if images}
        return Look(picture.width, picture.height, picture.time, mine, others, tuple(reasons), stacked, cut_before)

    def conclude(self, look: Look, readings: Sequence[tuple[Reading, ...]], source: str | None = None) -> Frame:
        """The frame of a picture that was looked at, from the readings of what was cut out of it.

        Looks must be concluded in the order in which they were made.
        """
        faces, rejected, events = self._judge(look, iter(readings))
        return Frame(
            width=look.width,
            height=look.height,
            faces=tuple(sorted(faces, key=lambda face: -face.box.area)),
            detector=self._reader.detector.name,
            models=self._reader.names,
            source=source,
            time=look.time,
            rejected=rejected,
            events=(*self._endings(look.time), *([Event.cut(look.time)] if look.cut else []), *events),
        )

    def _cut_out(
        self, picture: StreamPicture, seen: Sequence[Seen]
    ) -> tuple[list[str | None], dict[InputSpec, list[Image]]]:
        """Why each face cannot be read, or None; and the crops of those that can, for each kind of input.

        A face that was carried on is judged as when it was last seen.
        """
        reasons: list[str | None] = []
        crops: dict[InputSpec, list[Image]] = {spec: [] for spec in self._reader.inputs}
        for one in seen:
            window = self._surroundings(picture, one)
            if window is None:
                reasons.append("too small")
                continue
            face, image = window.within(one.face), window.image
            if self._only_grey:
                image = cast(Image, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))  # a third of the work from here on
            cuts = {spec: crop_face(image, face, spec) for spec in self._reader.inputs}
            own = next((crop for spec, crop in cuts.items() if same_crops(spec, CROP)), None)
            if one.detected or one.track not in self._reasons:
                reason = assess(image, face, limits=self._quality, crop=own)
                if reason is None or (reason == COVERED and one.track not in self._accepted):
                    reason = self._unlike(image, face, own) or reason  # what is no face seems covered too
                self._reasons[one.track] = reason
            reasons.append(self._reasons[one.track])
            if reasons[-1] is None:
                for spec, crop in cuts.items():
                    crops[spec].append(crop)
        return reasons, crops

    def _unlike(self, image: Image, face: Face, own: Image | None) -> str | None:
        """Why the bundled gate keeps a find from being read, or None; ``own`` is its crop, where it is at hand."""
        face_gate = self._reader.face_gate
        if face_gate is None:
            return None
        crop = own if own is not None and same_crops(face_gate.input, CROP) else crop_face(image, face, face_gate.input)
        return None if face_gate.accepts(crop[None])[0] else UNLIKE

    def _surroundings(self, picture: StreamPicture, one: Seen) -> Window | None:
        """What of the picture a face's crops can need; None where next to nothing of the face is in the picture."""
        margin = max(spec.margin for spec in self._reader.inputs)
        area = around(one.face.box, _CROP_REACH * (1 + 2 * margin), picture)
        if area is None or (one.window is not None and one.window.holds(area)):
            return one.window if area is not None else None
        return cut(picture, area)

    def _judge(self, look: Look, readings: Iterator[tuple[Reading, ...]]) -> tuple[list[Face], int, list[Event]]:
        """The faces with all that is known of them, the number of finds that are none, and the events."""
        faces: list[Face] = []
        events: list[Event] = []
        rejected = 0
        for one, given in zip(look.seen, look.reasons, strict=True):
            reason, own = given, () if given is not None else next(readings)
            if reason == UNLIKE and one.track not in self._accepted:
                rejected += 1
                continue
            if own and self._reader.accepts(own):
                self._accepted.add(one.track)
            elif own and one.track in self._accepted:
                reason, own = UNLIKE, ()
            elif own:
                rejected += 1
                continue
            smoothed, held, more = self._smoother.step(one.track, own[0] if own else None, look.time)
            events += more
            track = Track(one.track, self._follower.tracker.since(one.track), one.detected, smoothed, held)
            faces.append(replace(one.face, readings=own, unmeasurable=reason, track=track))
        return faces, rejected, events

    def _endings(self, time: float) -> list[Event]:
        """The events of tracks that ended, which are forgotten."""
        ended = self._follower.tracker.ended()
        self._accepted.difference_update(ended)
        for track in ended:
            self._reasons.pop(track, None)
        return [event for track in ended for event in self._smoother.close(track, time)]


def watch_pictures(
    watcher: Watcher, source: Source, *, stop: threading.Event | None = None
) -> Generator[tuple[Frame, StreamPicture], None, None]:
    """Frames of a source with the pictures they are of, decoded ahead in a thread; see :class:`Prefetch`.

    Raises:
        VideoError: the stream holds no picture, or was lost for good.
    """
    pictures = Prefetch(source, stop=stop).pictures()
    try:
        for picture in pictures:
            yield watcher.step(picture, source.name), picture
    finally:
        pictures.close()
