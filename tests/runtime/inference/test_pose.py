"""Head angles: recovered from the face model projected at known ones, and from a real portrait."""

from __future__ import annotations

import math
from itertools import product

import cv2
import numpy as np
import pytest

from mien.core.preprocess import TEMPLATE
from mien.runtime.inference.detect import YuNetDetector
from mien.runtime.inference.pose import FACE_MODEL, head_pose


def project(yaw: float, pitch: float, roll: float, *, distance: float = 600, focal: float = 1000) -> np.ndarray:
    """The face model, pitched, then yawed, then rolled, before a camera at ``distance`` mm."""
    p, y, r = (math.radians(angle) for angle in (-pitch, -yaw, roll))
    about_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    placed = FACE_MODEL @ (about_z @ about_y @ about_x).T + [0, 0, distance]
    return (placed[:, :2] / placed[:, 2:] * focal + [320, 240]).astype(np.float32)


def between(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), list(product([-60, -30, 0, 30, 60], [-30, 0, 30], [-170, -45, 0, 45, 90]))
)
def test_known_angles_come_back(yaw, pitch, roll):
    pose = head_pose(project(yaw, pitch, roll))
    assert between(pose.yaw, yaw) < 2.5
    assert between(pose.pitch, pitch) < 2.5
    assert between(pose.roll, roll) < 2.5


def test_signs_are_those_of_the_picture():
    right, up, tilted = project(30, 0, 0), project(0, 25, 0), project(0, 0, 20)
    straight = project(0, 0, 0)
    nose_across = [points[2, 0] - points[:2, 0].mean() for points in (straight, right)]
    nose_down = [points[2, 1] - points[:2, 1].mean() for points in (straight, up)]
    assert nose_across[1] > nose_across[0] + 10  # the nose goes where the head turns
    assert nose_down[1] < nose_down[0] - 10
    assert tilted[1, 1] > tilted[0, 1]  # clockwise: the eye on the picture's right goes down
    assert head_pose(right).yaw > 25
    assert head_pose(up).pitch > 20
    assert head_pose(tilted).roll == pytest.approx(20, abs=1)


@pytest.mark.parametrize("distance", [300, 600, 1500, 1e5])
def test_the_assumed_distance_matters_little(distance):
    pose = head_pose(project(30, 10, 5, distance=distance))
    assert between(pose.yaw, 30) < 3
    assert between(pose.pitch, 10) < 3


@pytest.mark.parametrize("scale", [0.1, 1, 20])
def test_size_and_place_do_not_matter(scale):
    points = project(20, -10, 15)
    moved = points * np.float32(scale) + np.float32(1000)
    assert head_pose(moved).yaw == pytest.approx(head_pose(points).yaw, abs=0.5)


def test_the_mean_face_looks_into_the_camera():
    pose = head_pose(TEMPLATE * 48)
    assert max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll)) < 2


def test_a_pixel_of_noise_on_a_large_face_costs_few_degrees():
    random = np.random.default_rng(0)
    points = project(25, 10, 0)
    yaws = [head_pose(points + random.normal(0, 1, (5, 2)).astype(np.float32)).yaw for _ in range(100)]
    assert np.std(yaws) < 2.5


def test_landmarks_in_one_point_have_no_pose():
    assert head_pose(np.full((5, 2), 7, dtype=np.float32)) is None


def test_a_mirrored_portrait_turns_the_other_way(portrait, yunet):
    detector = YuNetDetector(yunet)
    (face,), (mirrored,) = detector.detect(portrait), detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    pose, other = head_pose(face.landmarks), head_pose(mirrored.landmarks)
    assert abs(pose.yaw) < 25
    assert abs(pose.pitch) < 25
    assert pose.yaw + other.yaw == pytest.approx(0, abs=4)
    assert pose.roll + other.roll == pytest.approx(0, abs=6)


@pytest.mark.parametrize("degrees", [-90, -20, 45])
def test_turned_landmarks_are_a_rolled_head(degrees, portrait, yunet):
    (face,) = YuNetDetector(yunet).detect(portrait)
    turn = cv2.getRotationMatrix2D((256, 256), -degrees, 1)
    turned = (face.landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    before, after = head_pose(face.landmarks), head_pose(turned)
    assert between(after.roll - before.roll, degrees) < 0.5
    assert after.yaw == pytest.approx(before.yaw, abs=0.5)
    assert after.pitch == pytest.approx(before.pitch, abs=0.5)
