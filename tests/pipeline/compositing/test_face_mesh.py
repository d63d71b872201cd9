"""468 points on people who do not exist."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from errors import BaseUnavailable
from pipeline.compositing.face_mesh import LANDMARKS, FaceMesh
from tests.support.faces import MODELS, portrait
from tests.support.people import mesh_net, person
from tools.fetch_faces import WHEELS

RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS, NOSE_TIP, MOUTH_CORNERS = (33, 133), (362, 263), 1, (61, 291)


@pytest.mark.parametrize("who", ["a", "b", "c"])
def test_the_points_lie_on_the_features_that_the_detector_found(who: str) -> None:
    points, five = person(who).mesh.points, person(who).landmarks
    assert points.shape == (468, 3)
    assert points.dtype == np.float32
    apart = np.linalg.norm(five[1] - five[0])
    for corners, found in ((RIGHT_EYE_CORNERS, five[0]), (LEFT_EYE_CORNERS, five[1])):
        assert np.linalg.norm(points[list(corners), :2].mean(0) - found) < 0.1 * apart
    middle = points[list(MOUTH_CORNERS), :2].mean(0)
    assert np.linalg.norm(middle - five[3:].mean(0)) < 0.12 * apart


def test_the_nose_is_nearer_than_the_ears() -> None:
    z = person("a").mesh.points[:, 2]
    assert z[NOSE_TIP] < z[[234, 454]].min() - 30  # px; the face is 330 px wide


def test_points_follow_the_picture_when_it_is_scaled_and_turned() -> None:
    known = person("a")
    for angle, scale in ((0, 3.2), (0, 0.3), (20, 0.8)):
        transform = cv2.getRotationMatrix2D((320, 320), angle, scale)
        transform[:, 2] += 320 * scale - 320
        side = round(640 * scale)
        moved = cv2.warpAffine(
            known.image, transform, (side, side), flags=cv2.INTER_AREA, borderValue=(120,) * 3
        )
        five = known.landmarks @ transform[:, :2].T + transform[:, 2]
        expected = known.mesh.points[:, :2] @ transform[:, :2].T + transform[:, 2]
        found = mesh_net().points(moved, five)
        # Within 4 % of the face's width, 340 px.
        assert np.abs(found[:, :2] - expected).mean() < 0.04 * 340 * scale


def test_a_wall_is_hardly_a_face() -> None:
    assert person("a").mesh.presence > 0.9
    wall = np.full_like(portrait("a"), 120)
    assert mesh_net().find(wall, person("a").landmarks).presence < 0.1


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises(ValueError, match="one point"):
        mesh_net().points(portrait("a"), np.zeros((5, 2), np.float32))


def test_threads_may_share_the_net() -> None:
    expected = {who: person(who).mesh.points for who in ("a", "b")}
    results: list[bool] = []

    def work(who: str) -> None:
        for _ in range(6):
            found = mesh_net().points(portrait(who), person(who).landmarks)
            results.append(np.array_equal(found, expected[who]))

    threads = [threading.Thread(target=work, args=(who,)) for who in "abab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 24


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="make setup"):
        FaceMesh(tmp_path).points(portrait("a"), person("a").landmarks)


def test_an_altered_model_is_not_opened(tmp_path: Path) -> None:
    shutil.copy(MODELS / LANDMARKS.name, tmp_path)
    data = bytearray((tmp_path / LANDMARKS.name).read_bytes())
    data[5000] ^= 1
    (tmp_path / LANDMARKS.name).write_bytes(data)
    with pytest.raises(BaseUnavailable, match="not the file"):
        FaceMesh(tmp_path).points(portrait("a"), person("a").landmarks)


def test_set_up_brings_the_model() -> None:
    assert LANDMARKS in {model for wheel in WHEELS for model in wheel.members}
