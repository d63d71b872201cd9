"""The refiner's training: scenes with a known matte, a pack of people, a network that exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.compositing.refine import network_input
from tests.support.faces import segmenter
from train_matting import people, scene
from train_matting.data import Examples
from train_matting.export import write_onnx
from train_matting.net import INPUTS, Refiner
from train_matting.scene import SHAPES, Person
from train_matting.training import _whole

RED, BLUE = (220, 30, 30), (30, 30, 220)


def somebody(colour: tuple[int, int, int]) -> Person:
    """A flat figure: a head on shoulders that the frame cuts."""
    alpha = np.zeros((275, 225), np.uint8)
    cv2.ellipse(alpha, (112, 110), (50, 65), 0, 0, 360, 255, -1)
    cv2.ellipse(alpha, (112, 275), (140, 100), 0, 0, 360, 255, -1)
    return Person(np.full((275, 225, 3), colour, np.uint8), alpha, (72, 60, 80, 100), 1.0)


@pytest.fixture(scope="module")
def walls() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(2)
    photo = cv2.resize(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), (200, 200))
    return [(photo, np.zeros((200, 200), np.uint8))]


def test_a_scene_s_matte_is_of_the_one_with_the_face(walls: list) -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        drawn = scene.draw(rng, [somebody(RED)], walls)
        assert drawn.picture.shape[:2] == drawn.alpha.shape
        assert drawn.alpha.shape in SHAPES
        assert not any(side % 32 for side in drawn.alpha.shape)
        x, y, width, height = drawn.box
        column, row = int(x + width / 2), int(y + height / 2)
        if 0 <= row < drawn.alpha.shape[0] and 0 <= column < drawn.alpha.shape[1]:
            assert drawn.alpha[row, column] > 250
        red, _, blue = np.moveaxis(drawn.picture[drawn.alpha > 250].astype(int), -1, 0)
        assert (red - blue).mean() > 50


def test_others_behind_are_not_in_the_matte(walls: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "_OTHERS", 1.0)
    rng = np.random.default_rng(1)
    blue = replace(somebody(BLUE), weight=0.0)
    seen = 0
    for _ in range(12):
        drawn = scene.draw(rng, [somebody(RED), blue], walls)
        others = drawn.picture[..., 2].astype(int) - drawn.picture[..., 0] > 80
        seen += int(others.sum())
        assert (drawn.alpha[others] > 128).mean() < 0.05 if others.any() else True
    assert seen > 5000


def test_a_pack_gives_back_who_was_put_in(tmp_path: Path, walls: list) -> None:
    people.write(tmp_path / "people.npz", [somebody(RED), somebody(BLUE)], walls)
    back, walls_back = people.read(tmp_path / "people.npz")
    assert [person.box for person in back] == [(72, 60, 80, 100)] * 2
    assert (back[1].alpha == somebody(BLUE).alpha).all()
    assert np.abs(back[1].colours.astype(int) - BLUE).max() < 12
    assert walls_back[0][0].shape == walls[0][0].shape


def test_examples_are_batches_that_the_network_takes(walls: list) -> None:
    examples = Examples([somebody(RED)], walls, lambda: segmenter().matte, seed=3, batch=2)
    x, known = next(iter(examples))
    assert x.shape[:2] == (2, INPUTS)
    assert known.shape == (2, 1, *x.shape[2:])
    assert Refiner()(x.float()).shape == known.shape


def test_the_face_told_is_a_bell_over_its_box() -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    plain = np.zeros((64, 96), np.float32)
    own = network_input(picture, plain, plain, (40, 20, 16, 20))[5]
    assert np.unravel_index(own.argmax(), own.shape) == (29, 47)
    assert own.max() > 0.99
    assert own[0, 0] < 0.01
    assert not network_input(picture, plain, plain, None)[5].any()


def test_the_exported_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = _whole(Refiner())
    torch.nn.init.normal_(net.last.weight, std=0.5)
    write_onnx(net, tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(0, 0.5, (1, INPUTS, 64, 96)).astype(np.float32)
    exported = cv2.dnn.readNetFromONNX(str(tmp_path / "net.onnx"))
    exported.setInput(x)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    assert expected.std() > 0.05
    assert np.abs(exported.forward() - expected).max() < 1e-3
