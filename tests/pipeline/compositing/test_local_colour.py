"""What the colours of person and wall say of the pixels between them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.compositing.local_colour import LocalColour, local_colour

WALL = (150, 190, 215)


def at_an_edge(person: tuple[int, int, int], wall: tuple[int, int, int]) -> LocalColour:
    """Of a person left and a wall right, with four unknown columns between them."""
    image = np.full((200, 200, 3), wall, np.uint8)
    image[:, :100] = person
    trimap = np.full((200, 200), 0.5, np.float32)
    trimap[:, :98], trimap[:, 102:] = 1, 0
    return local_colour(image / 255.0, trimap)


@pytest.mark.parametrize("person", [(225, 180, 160), (95, 62, 48), (30, 26, 28)])
def test_two_colours_tell_which_is_whose(person: tuple[int, int, int]) -> None:
    found = at_an_edge(person, WALL)
    assert found.between[100, 98:100].min() > 0.98
    assert found.between[100, 100:102].max() < 0.02
    assert found.alike[100, 98:102].max() == 0


def test_one_colour_tells_nothing() -> None:
    assert at_an_edge(WALL, WALL).alike[100, 98:102].min() == 1


def test_a_colour_between_the_two_is_between() -> None:
    image = np.zeros((200, 200, 3)) + np.linspace(0, 1, 200)[None, :, None].round()
    image[:, 98:102] = 0.5
    trimap = np.full((200, 200), 0.5, np.float32)
    trimap[:, :98], trimap[:, 102:] = 0, 1
    assert local_colour(image, trimap).between[100, 98:102] == pytest.approx(0.5, abs=0.02)
