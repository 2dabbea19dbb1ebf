"""Which face of one moment is which of the moment before: by geometry only, in memory that does not grow.

Each track follows its face's centre and size with a Kalman filter of constant velocity in seconds, so that frames may
come at any rate. Faces are matched to the places where tracks are expected, by overlap, distance and size together,
and as a whole (the assignment of least cost) rather than one after the other, which is what keeps ids apart where
faces cross.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mien.core.face import Box, Face

_NOISE = 0.03
"""Standard deviation of a detection's centre and of the logarithm of its size, in face sides."""

_UNREST, _ZOOM = 10.0, 0.3
"""How strongly heads change their velocity, and their rate of growth: white noise, face sides² / s³ and 1 / s³."""

_FIRST_RATE, _FIRST_ZOOM = 2.0, 0.5
"""Standard deviation of what a new face's velocity and rate of growth may be, face sides / s and 1 / s."""

_DAMPING = 1.0
"""Seconds in which an unseen face's velocity falls to 1 / e: people stop and turn, so a line must not run on."""

_REACH, _REACH_LIMIT = 0.5, 1.5
"""Face sides between where a track is expected and a face that may still be its own: at least, and at most."""

_SIZE_LIMIT = math.log(2)
"""Faces more than twice or less than half as large are another's."""

PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds without a picture after which a face is expected where it was, whatever its velocity; and those after which
its place does not tell any more whose it is."""


@dataclass(frozen=True, slots=True)
class Motion:
    """One coordinate under a Kalman filter: its value and rate (per second), and their covariance."""

    value: float
    rate: float
    value_variance: float
    covariance: float
    rate_variance: float

    def after(self, elapsed: float, unrest: float) -> Motion:
        """What is expected ``elapsed`` seconds later; ``unrest`` is the density of the rate's white noise."""
        kept = math.exp(-elapsed / _DAMPING)
        reach = _DAMPING * (1 - kept)
        return Motion(
            self.value + reach * self.rate,
            kept * self.rate,
            self.value_variance + 2 * reach * self.covariance + reach**2 * self.rate_variance + unrest * elapsed**3 / 3,
            kept * (self.covariance + reach * self.rate_variance) + unrest * elapsed**2 / 2,
            kept**2 * self.rate_variance + unrest * elapsed,
        )

    def seen(self, value: float, variance: float) -> Motion:
        """The estimate once ``value`` has been measured with that ``variance``."""
        total = self.value_variance + variance
        gain, rate_gain = self.value_variance / total, self.covariance / total
        surprise = value - self.value
        return Motion(
            self.value + gain * surprise,
            self.rate + rate_gain * surprise,
            (1 - gain) * self.value_variance,
            (1 - gain) * self.covariance,
            self.rate_variance - rate_gain * self.covariance,
        )


@dataclass(frozen=True, slots=True)
class _Path:
    """A track: the face as last seen, and the motion of its centre (pixels) and of its size (logarithm).

    ``missed`` is the time of the first search that did not find the face, None while none has missed it.
    """

    face: Face
    since: float
    seen: float
    x: Motion
    y: Motion
    size: Motion
    missed: float | None = None

    @classmethod
    def start(cls, face: Face, time: float) -> _Path:
        (x, y), side = face.box.center, _side(face.box)
        noise, rate = (_NOISE * side) ** 2, (_FIRST_RATE * side) ** 2
        size = Motion(math.log(side), 0.0, _NOISE**2, 0.0, _FIRST_ZOOM**2)
        return cls(face, time, time, Motion(x, 0.0, noise, 0.0, rate), Motion(y, 0.0, noise, 0.0, rate), size)

    def at(self, time: float) -> _Path:
        """The track carried on to ``time``, with its face moved and scaled."""
        elapsed, unrest = time - self.seen, _UNREST * _side(self.face.box) ** 2
        x, y = self.x.after(elapsed, unrest), self.y.after(elapsed, unrest)
        size = self.size.after(elapsed, _ZOOM)
        return replace(self, x=x, y=y, size=size, face=_moved(self.face, x.value, y.value, math.exp(size.value)))

    def expected(self, time: float) -> _Path:
        """The track as it is looked for: across a pause where it was, as a velocity says nothing that long."""
        moved, paused = self.at(time), self.missed is None and time - self.seen > PAUSE
        return replace(moved, face=self.face) if paused else moved

    def refined(self, face: Face, time: float) -> _Path:
        """The track after its face was seen."""
        (x, y), side = face.box.center, _side(face.box)
        now, noise = self.at(time), (_NOISE * side) ** 2
        return replace(
            now,
            face=face,
            seen=time,
            x=now.x.seen(x, noise),
            y=now.y.seen(y, noise),
            size=now.size.seen(math.log(side), _NOISE**2),
            missed=None,
        )


class Tracker:
    """Gives each face of a stream an id that stays its own: 1, 2, 3 … in the order of appearance, never used again.

    Identity is geometry alone; nobody is recognised. A track ends when searches miss its face, never because no
    picture came: once the first and the last of those that missed it in a row lie more than ``max_lost`` apart. Someone
    who comes back after that is somebody new. Across a pause a face is matched by place, with an uncertainty that
    grows; after more than :data:`LONGEST_PAUSE` every track ends. A time that lies a little before the last one counts
    as the last one; one that lies more than ``max_lost`` before it means that the stream began anew, and every track
    ends.

    Args:
        max_lost: seconds for which searches may miss a face before its track ends.

    Raises:
        ValueError: ``max_lost`` is not a positive number.
    """

    def __init__(self, *, max_lost: float = 1.0) -> None:  # noqa: D107
        if not (math.isfinite(max_lost) and max_lost > 0):
            raise ValueError(f"max_lost must be a positive number of seconds, got {max_lost}")
        self._max_lost = max_lost
        self._paths: dict[int, _Path] = {}
        self._ended: list[int] = []
        self._last_id = 0
        self._now = -math.inf

    def update(self, faces: Sequence[Face], time: float) -> list[tuple[int, Face]]:
        """Take in what a detection pass over the whole picture found at ``time``.

        Args:
            faces: all faces found, in any order.
            time: seconds from the start of the stream.

        Returns:
            Each face as given, in the given order, with the id of its track: an old one or a new one.

        Raises:
            ValueError: the time is not finite.
        """
        now = self._advance(time)
        ids = list(self._paths)
        expected = [self._paths[id_].expected(now) for id_ in ids]
        costs = [[_cost(path, face, self._missing(path, now)) for face in faces] for path in expected]
        owners = {face: ids[row] for row, face in assign(costs) if costs[row][face] < 1}
        for id_ in sorted(set(ids) - set(owners.values())):
            self._miss(id_, now)
        return [(self._take(owners.get(index), face, now), face) for index, face in enumerate(faces)]

    def predict(self, time: float) -> list[tuple[int, Face]]:
        """Where the live tracks are expected at ``time``, by id: box and landmarks carried on from the last sight.

        Tracks that the last detection pass missed (:attr:`lost`) are among them until they end.

        Raises:
            ValueError: the time is not finite.
        """
        now = self._advance(time)
        return [(id_, path.expected(now).face) for id_, path in self._paths.items()]

    def confirm(self, track: int, face: Face, time: float) -> None:
        """Take in that a track's face was seen at ``time``, where one looked for it near its expected place.

        Raises:
            ValueError: there is no live track of that id, or the time is not finite.
        """
        now = self._advance(time)
        self._paths[track] = self._path(track).refined(face, now)

    def since(self, track: int) -> float:
        """When a live track's face was first seen, seconds from the start of the stream.

        Raises:
            ValueError: there is no live track of that id.
        """
        return self._path(track).since

    @property
    def lost(self) -> frozenset[int]:
        """Live tracks that the last detection pass missed, and that were not confirmed since."""
        return frozenset(id_ for id_, path in self._paths.items() if path.missed is not None)

    def ended(self) -> list[int]:
        """Ids of the tracks that ended since the last call, in order of their ending; ask after every frame."""
        ended, self._ended = self._ended, []
        return ended

    def end_all(self) -> None:
        """End every track: what comes next has nothing to do with what was."""
        self._ended += self._paths
        self._paths.clear()

    def _advance(self, time: float) -> float:
        """Bring the clock to ``time``; after too long a pause, or a step back, every track ends."""
        if not math.isfinite(time):
            raise ValueError(f"a time must be a finite number of seconds, got {time}")
        anew = time < self._now - self._max_lost
        if anew or time > self._now + LONGEST_PAUSE:
            self.end_all()
        self._now = time if anew else max(self._now, time)
        return self._now

    def _miss(self, track: int, now: float) -> None:
        """Take in that a search did not find a track's face, which may end it."""
        path = self._paths[track]
        if path.missed is not None and now - path.missed > self._max_lost:
            del self._paths[track]
            self._ended.append(track)
        elif path.missed is None:
            self._paths[track] = replace(path, missed=now)

    def _take(self, track: int | None, face: Face, now: float) -> int:
        """Give a face to its track, or to a new one; the id."""
        if track is None:
            self._last_id += 1
            self._paths[self._last_id] = _Path.start(face, now)
            return self._last_id
        self._paths[track] = self._paths[track].refined(face, now)
        return track

    def _missing(self, path: _Path, now: float) -> float:
        """Share of the time for which a face may be missed that is used up; a pause uses up none."""
        return 0.0 if path.missed is None else (now - path.missed) / self._max_lost

    def _path(self, track: int) -> _Path:
        if track not in self._paths:
            raise ValueError(f"there is no live track {track}; live are {', '.join(map(str, self._paths)) or 'none'}")
        return self._paths[track]


def assign(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, min(rows, columns) of them, by row.

    The Hungarian method with potentials (Kuhn 1955; shortest augmenting paths as in Jonker & Volgenant 1987): exact,
    in time rows² x columns. Plain Python, as a handful of faces is less work than one numpy call.

    Args:
        costs: rows of equal length with finite values; may be empty.
    """
    if len(costs) == 0 or len(costs[0]) == 0:
        return []
    if len(costs) > len(costs[0]):
        return sorted((row, column) for column, row in assign(list(zip(*costs, strict=True))))
    rows, columns = len(costs), len(costs[0])
    row_price, column_price = [0.0] * rows, [0.0] * (columns + 1)
    owner = [-1] * (columns + 1)  # the last column stands for the row that is being placed
    for row in range(rows):
        owner[columns], current = row, columns
        best, came_from, done = [math.inf] * columns, [columns] * columns, [False] * (columns + 1)
        while owner[current] >= 0:
            done[current] = True
            here, step, following = owner[current], math.inf, -1
            for column in range(columns):
                if done[column]:
                    continue
                reduced = costs[here][column] - row_price[here] - column_price[column]
                if reduced < best[column]:
                    best[column], came_from[column] = reduced, current
                if best[column] < step:
                    step, following = best[column], column
            for column in range(columns + 1):
                if done[column]:
                    row_price[owner[column]] += step
                    column_price[column] -= step
                elif column < columns:
                    best[column] -= step
            current = following
        while current != columns:
            owner[current] = owner[came_from[current]]
            current = came_from[current]
    return sorted((owner[column], column) for column in range(columns) if owner[column] >= 0)


def _cost(expected: _Path, face: Face, lost: float) -> float:
    """How unlikely it is that ``face`` is the expected one: below 1, or 1 where it cannot be.

    A track seen a moment ago goes before one that was lost (``lost``: share of the time it has left that is used up),
    so that a face in front of another's last place keeps its own id. As leaving a track alone costs 1 too, nobody is
    pushed off a good match only to match more.
    """
    before, after = expected.face.box, face.box
    side = (_side(before) + _side(after)) / 2
    distance = math.dist(before.center, after.center) / side
    growth = abs(math.log(_side(after) / _side(before)))
    reach = min(_REACH + 2 * math.sqrt(max(expected.x.value_variance, 0.0)) / side, _REACH_LIMIT)
    if distance > reach or growth > _SIZE_LIMIT:
        return 1.0
    near, alike = distance / _REACH_LIMIT, growth / _SIZE_LIMIT
    return 0.45 * near + 0.25 * (1 - before.iou(after)) + 0.2 * alike + 0.09 * min(lost, 1.0)


def _side(box: Box) -> float:
    return math.sqrt(box.area)


def _moved(face: Face, x: float, y: float, side: float) -> Face:
    """A face with its centre at (x, y) and the given size; landmarks keep their place in it."""
    box, scale = face.box, side / _side(face.box)
    width, height = scale * box.width, scale * box.height
    landmarks = None if face.landmarks is None else (face.landmarks - box.center) * scale + (x, y)
    return replace(face, box=Box(x - width / 2, y - height / 2, width, height), landmarks=landmarks)
