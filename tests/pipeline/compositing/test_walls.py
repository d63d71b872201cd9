"""Walls: the same from a seed, of any size, without bands, light kept by the lens."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.compositing.colour import encoded
from pipeline.compositing.composite import Grade, composite, shoulder
from pipeline.compositing.walls import STUDIO, WALLS, from_picture, linear_colour, paint
from pipeline.compositing.walls.lens import add_light, defocus, disc
from pipeline.compositing.walls.noise import fractal


def seeded(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", WALLS)
def test_a_wall_is_the_same_from_a_seed_and_another_from_another(name: str) -> None:
    size = (120, 200)
    first = paint(name, size, seeded(), None, 0.5)
    assert first.shape == (*size, 3)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert np.array_equal(first, paint(name, size, seeded(), None, 0.5))
    assert not np.allclose(first, paint(name, size, seeded(2), None, 0.5), rtol=0.02)


@pytest.mark.parametrize("name", ["office", "lobby", "library", "loft", "city-dusk", "garden"])
def test_rooms_have_light_brighter_than_white(name: str) -> None:
    assert paint(name, (200, 200), seeded(), None, 0.3).max() > 1.4


@pytest.mark.parametrize("name", STUDIO)
def test_a_studio_wall_has_the_colour_that_was_asked_for(name: str) -> None:
    wall = paint(name, (160, 160), seeded(), "#305890", 0.5)
    middle = wall[40:100, 40:120].mean(axis=(0, 1))
    wanted = linear_colour("#305890")
    hue = (middle / middle.sum()) / (wanted / wanted.sum())
    assert np.abs(hue - 1).max() < 0.25
    assert 0.35 < middle.mean() / wanted.mean() < 1.15


@pytest.mark.parametrize("name", ["canvas", "paper", "city-dusk", "office"])
def test_smooth_walls_do_not_band(name: str) -> None:
    """Within one level of grey, neighbours differ: no flat terraces with hard steps."""
    wall = paint(name, (400, 400), seeded(), None, 0.6)
    nobody = np.zeros((400, 400), np.float32)
    values = composite(wall * 0, nobody, wall, Grade(), seeded())[..., 1].astype(int)
    dark = (values > 20) & (values < 235)
    changes = (np.diff(values, axis=1) != 0) & dark[:, 1:]
    assert changes.sum() / dark[:, 1:].sum() > 0.25
    light = encoded(shoulder(wall))[..., 1] * 255
    assert len(np.unique(values)) >= 0.8 * (light.max() - light.min())


def test_paper_without_grain_would_band() -> None:
    """The measure above can fail: a ramp that is only rounded changes rarely."""
    ramp = np.repeat(np.linspace(80, 120, 400)[None], 400, axis=0).round()
    assert (np.diff(ramp, axis=1) != 0).mean() < 0.25


@pytest.mark.parametrize("radius", [0.8, 3.3, 10.0, 31.0, 70.0])
def test_the_lens_keeps_all_light(radius: float) -> None:
    scene = np.zeros((300, 340, 3), np.float32)
    scene[140:160, 160:180] = (40, 10, 2)
    blurred = defocus(scene, radius)
    assert blurred.shape == scene.shape
    assert blurred.sum(axis=(0, 1)) == pytest.approx(scene.sum(axis=(0, 1)), rel=5e-3)


def test_a_lamp_becomes_a_disc_and_not_a_bell() -> None:
    scene = np.zeros((101, 101, 3), np.float32)
    scene[50, 50] = 1000.0
    row = defocus(scene, 20.0)[50, :, 0]
    assert row[50] == pytest.approx(row[50 + 17], rel=0.02)  # flat to its rim
    assert row[50 + 23] < 0.01 * row[50]
    assert disc(20.0).sum() == pytest.approx(1, abs=1e-5)


def test_a_lamp_half_outside_the_picture_is_drawn_and_one_far_away_is_not() -> None:
    scene = np.zeros((50, 60, 3), np.float32)
    add_light(scene, (500.0, 20.0), 6.0, (1, 1, 1))
    assert scene.max() == 0
    add_light(scene, (0.0, 20.0), 6.0, (1, 2, 3))
    assert scene[20, 0, 2] == pytest.approx(3 * scene[20, 0, 0], rel=1e-5)
    assert scene[:, 10:].max() == 0


def test_depth_of_field_takes_detail() -> None:
    def detail(depth: float) -> float:
        wall = paint("bookshelf", (300, 300), seeded(), None, depth)[..., 1]
        return float(np.abs(np.diff(wall, n=2, axis=1)).mean())

    assert detail(0.0) > 2 * detail(1.0)


def test_a_picture_is_filled_out_and_keeps_its_colour() -> None:
    picture = np.zeros((50, 300, 3), np.uint8)
    picture[...] = (200, 80, 40)
    picture[:, :60] = picture[:, -60:] = (0, 0, 255)  # cut off: the picture is too wide
    wall = from_picture(picture, (200, 160), 0.7)
    assert wall.shape == (200, 160, 3)
    assert np.abs(encoded(wall).mean(axis=(0, 1)) * 255 - (200, 80, 40)).max() < 1.5
    sharp = from_picture(picture, (50, 300), 0.0)
    assert np.array_equal((encoded(sharp) * 255).round(), picture)


def test_noise_has_mean_0_and_deviation_1_at_any_size() -> None:
    for size in ((64, 64), (33, 200), (500, 40)):
        field = fractal(seeded(), size, 4.0)
        assert field.shape == size
        assert abs(float(field.mean())) < 1e-3
        assert float(field.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("colour", ["red", "#12345", "#12345g", "123456#"])
def test_what_is_no_colour_is_refused(colour: str) -> None:
    with pytest.raises(ValueError, match=r"colour|hexadecimal"):
        paint("canvas", (32, 32), seeded(), colour)


def test_unknown_walls_and_depths_are_refused() -> None:
    with pytest.raises(KeyError):
        paint("cave", (32, 32), seeded())
    with pytest.raises(ValueError, match="depth"):
        paint("canvas", (32, 32), seeded(), None, 1.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", WALLS)
@pytest.mark.parametrize("sizes", [((640, 480), (1161, 871)), ((360, 640), (557, 990))])
def test_a_preview_shows_the_same_wall(
    name: str, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    small, large = (
        cv2.resize(
            encoded(shoulder(paint(name, size, seeded(), None, 0.5))) * 255,
            (80, 80),
            interpolation=cv2.INTER_AREA,
        )
        for size in sizes
    )
    assert np.abs(small - large).mean() < 1.5
