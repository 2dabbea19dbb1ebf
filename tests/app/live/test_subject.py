"""Whose face is read: chosen once, followed, and never somebody else's without being asked."""

from __future__ import annotations

import pytest

from mien.app.live.subject import SETTLE, Presence, Subject
from mien.core.face import Box, Face
from mien.runtime.stream.follow import Seen

SIZE = (640, 480)


def at(track: int, x: float, y: float = 200, side: float = 100) -> Seen:
    """A face with its centre at (x, y)."""
    return Seen(track, Face(Box(x - side / 2, y - side / 2, side, side), 0.9), True)


def run(subject: Subject, *pictures: tuple[float, list[Seen]]) -> list[tuple[int, ...]]:
    return [subject.choose(seen, *SIZE, time) for time, seen in pictures]


def found(track: int = 1, x: float = 320) -> Subject:
    subject = Subject()
    run(subject, (0.0, [at(track, x)]), (SETTLE, [at(track, x)]))
    assert subject.presence is Presence.FOUND
    return subject


def give_up(subject: Subject) -> None:
    for _ in range(4):
        subject.refused(refused=True)


def test_nobody_is_read_before_faces_have_settled():
    subject = Subject()
    assert run(subject, (0.0, []), (1.0, [at(1, 320)]), (1.4, [at(1, 320)])) == [(), (), ()]
    assert subject.presence is Presence.WAITING
    assert run(subject, (1.5, [at(1, 320)])) == [(1,)]


@pytest.mark.parametrize(
    ("faces", "own"),
    [
        ([at(1, 320, side=60), at(2, 100, side=140)], 2),  # much larger
        ([at(1, 320, 240), at(2, 60, 60, side=120)], 1),  # a little larger, in the corner
        ([at(7, 500)], 7),
    ],
)
def test_the_largest_face_near_the_middle_is_taken(faces, own):
    subject = Subject()
    assert run(subject, (0.0, faces), (SETTLE, faces))[-1] == (own,)


def test_nobody_who_comes_is_read():
    subject = found()
    assert run(subject, (1.0, [at(2, 200, side=300), at(1, 320)])) == [(1,)]


def test_a_face_that_comes_back_is_not_read_before_it_is_pointed_at():
    subject = found()
    assert run(subject, (1.0, []), (2.0, [])) == [(), ()]
    assert subject.presence is Presence.AWAY
    assert run(subject, (3.0, [at(2, 320)]), (60.0, [at(2, 320)])) == [(), ()]
    assert subject.presence is Presence.LOST
    subject.point(0.9, 0.9)
    assert run(subject, (61.0, [at(2, 320)])) == [()]  # beside every face
    subject.point(0.52, 0.4)
    assert run(subject, (62.0, [at(2, 320), at(3, 100)]), (63.0, [at(3, 320), at(2, 100)])) == [(2,), (2,)]


@pytest.mark.parametrize("pause", [1.5, 6.0, 12.0, 8 * 3600.0])
def test_after_a_pause_without_pictures_the_only_face_is_taken_up_again(pause):
    subject = found()
    after = SETTLE + pause
    assert run(subject, (after, []), (after + 0.5, [at(7, 200)]), (after + 0.6, [at(7, 200)])) == [(), (7,), (7,)]
    assert subject.presence is Presence.FOUND


def test_after_a_pause_several_faces_wait_for_the_person_to_point():
    subject = found()
    two = [at(7, 320), at(8, 100)]
    assert run(subject, (30, two), (31, two), (32.1, two), (33, [at(7, 320)])) == [(), (), (), ()]
    assert subject.presence is Presence.LOST
    subject.point(0.5, 0.4)
    assert run(subject, (33.1, [at(7, 320)])) == [(7,)]


def test_a_face_that_had_left_before_the_pause_is_not_taken_up_again():
    subject = found()
    run(subject, (1.0, []))
    assert run(subject, (30.0, [at(7, 320)]), (30.5, [at(7, 320)])) == [(), ()]
    assert subject.presence is Presence.LOST


def test_another_who_comes_where_there_was_no_pause_is_not_read():
    subject = found()
    assert run(subject, (1.0, [at(2, 320)]), (2.0, [at(2, 320)]), (2.5, [at(2, 320)])) == [(), (), ()]


def test_who_comes_late_after_a_pause_points_at_themselves():
    subject = found()
    assert run(subject, (30.0, []), (31.0, []), (32.1, [at(7, 320)])) == [(), (), ()]
    assert subject.presence is Presence.LOST


def test_the_same_track_goes_on_by_itself():
    subject = found()
    run(subject, (1.0, []), (1.5, []))
    assert run(subject, (1.9, [at(1, 300)])) == [(1,)]
    assert subject.presence is Presence.FOUND


def test_after_a_pause_the_face_is_looked_for_as_at_first():
    subject = found()
    run(subject, (1.0, []), (9.0, []))
    assert subject.presence is Presence.LOST
    subject.restart()
    assert run(subject, (10.0, [at(2, 320)]), (10.0 + SETTLE, [at(2, 320)])) == [(), (2,)]


def test_pointing_at_another_face_changes_whose_is_read():
    subject = found()
    subject.point(100 / 640, 200 / 480)
    assert run(subject, (1.0, [at(1, 320), at(2, 100)]), (1.1, [at(1, 320)])) == [(2,), ()]


def test_a_find_that_is_no_face_is_given_up():
    subject = found()
    give_up(subject)
    assert subject.presence is Presence.WAITING
    wall = at(1, 320)
    assert run(subject, (2.0, [wall, at(2, 100)]), (2.6, [wall, at(2, 100)]))[-1] == (2,)


def test_a_face_that_was_taken_for_none_is_tried_again_where_there_is_no_other():
    subject = found()
    give_up(subject)
    assert run(subject, (2.0, [at(1, 320)]), (2.6, [at(1, 320)]))[-1] == (1,)
    subject.refused(refused=False)
    assert run(subject, (2.7, [at(1, 320), at(2, 100, side=200)])) == [(1,)]


def test_pointing_at_a_face_that_was_taken_for_none_counts():
    subject = found()
    give_up(subject)
    both = [at(1, 320), at(2, 100)]
    assert run(subject, (2.0, both), (2.6, both))[-1] == (2,)
    subject.point(0.5, 0.4)
    assert run(subject, (2.7, both), (2.8, both)) == [(1,), (1,)]


def test_a_doubt_now_and_then_is_none():
    subject = found()
    for _ in range(10):
        subject.refused(refused=True)
        subject.refused(refused=False)
    assert run(subject, (1.0, [at(1, 320)])) == [(1,)]


def test_unattended_only_a_single_face_is_read():
    subject = Subject(alone=True)
    assert run(subject, (0.0, [at(1, 320)]), (1.0, [at(1, 320), at(2, 100)])) == [(1,), ()]
    assert subject.presence is Presence.CROWD
    assert run(subject, (2.0, []), (600.0, [at(3, 320)])) == [(), (3,)]


@pytest.mark.parametrize("point", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_point_outside_the_picture_is_refused(point):
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        Subject().point(*point)
