"""Composition: the person's own pixels stay, edges neither glow nor show the old room."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.compositing.colour import LUMINANCE, encoded, linear
from pipeline.compositing.composite import GRADES, Floats, Grade, composite, graded, grain, shoulder


def seeded(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def disc_person(light: float, edge_light: float | None = None) -> tuple[Floats, Floats]:
    """A round person of even light, 8 px of soft edge, perhaps with another light on it."""
    y, x = np.mgrid[0:200, 0:200].astype(np.float32)
    alpha = np.clip((70 - np.hypot(x - 100, y - 100)) / 8 + 0.5, 0, 1)
    colours = np.full((200, 200, 3), light, np.float32)
    if edge_light is not None:
        colours[alpha < 1] = edge_light
    return colours * alpha[..., None], alpha


@pytest.mark.parametrize("wall_light", [0.0, 0.3, 6.0])
def test_pixels_wholly_of_the_person_stay_to_the_bit(wall_light: float) -> None:
    picture = seeded().integers(0, 256, (200, 200, 3), dtype=np.uint8)
    _, alpha = disc_person(0.2)
    person = linear(picture) * alpha[..., None]
    wall = np.full((200, 200, 3), wall_light, np.float32)
    result = composite(person, alpha, wall, Grade(), seeded())
    inside = alpha == 1
    assert inside.sum() > 10_000
    assert np.array_equal(result[inside], picture[inside])


def test_a_wall_alone_is_the_wall() -> None:
    wall = np.full((64, 64, 3), linear(np.asarray([[[90, 120, 150]]], np.uint8)), np.float32)
    result = composite(wall * 0, np.zeros((64, 64), np.float32), wall, Grade(), seeded())
    assert np.abs(result.mean(axis=(0, 1)) - (90, 120, 150)).max() < 0.2


def test_dark_hair_does_not_glow_before_a_bright_wall() -> None:
    person, alpha = disc_person(0.01)
    wall = np.full((200, 200, 3), 5.0, np.float32)
    result = composite(person, alpha, wall, Grade(), seeded()).astype(float)
    edge = (alpha > 0.9) & (alpha < 1)
    plain = encoded(person + shoulder(wall) * (1 - alpha)[..., None]) * 255
    assert edge.any()
    assert (result[edge] - plain[edge]).max() < 12


def test_the_old_rooms_light_is_taken_from_an_edge_before_a_dark_wall() -> None:
    person, alpha = disc_person(0.15, edge_light=0.8)  # the old wall was white
    wall = np.full((200, 200, 3), 0.02, np.float32)
    result = composite(person, alpha, wall, Grade(), seeded()).astype(float)
    skin = result[alpha == 1].mean()
    halo = (alpha > 0.05) & (alpha < 0.8)
    untreated = encoded(person + wall * (1 - alpha)[..., None])[halo] * 255
    assert untreated.max() > skin + 60
    assert result[halo].max() < skin + 45


def test_a_little_of_the_walls_light_comes_round_the_edge() -> None:
    person, alpha = disc_person(0.2)
    wall = np.zeros((200, 200, 3), np.float32)
    wall[..., 0] = 0.6
    result = composite(person, alpha, wall, Grade(), seeded()).astype(float)
    plain = encoded(person + wall * (1 - alpha)[..., None]) * 255
    edge = (alpha > 0.3) & (alpha < 0.8)
    more = (result - plain)[edge].mean(axis=0)
    assert more[0] > 1.0
    assert abs(more[2]) < 1.0


@pytest.mark.parametrize("noise", [1.5, 3.0, 5.0])
def test_the_wall_gets_the_photos_grain(noise: float) -> None:
    _, alpha = disc_person(0.2)
    values = np.clip(128 + seeded(3).normal(0, noise, (200, 200, 1)), 0, 255)
    picture = np.repeat(values, 3, axis=2).round().astype(np.uint8)
    person = linear(picture) * alpha[..., None]
    wall = np.full((200, 200, 3), 0.2, np.float32)
    result = composite(person, alpha, wall, Grade(), seeded())
    measured = result[alpha == 0].std(axis=0).mean()
    assert measured == pytest.approx(noise, rel=0.3)


def test_grain_is_measured_and_0_where_nobody_is() -> None:
    values = np.full((128, 128, 3), 0.5, np.float32)
    values += seeded().normal(0, 0.02, (128, 128, 1)).astype(np.float32)
    assert grain(values, np.ones((128, 128), np.float32)) == pytest.approx(0.02, rel=0.25)
    assert grain(values, np.zeros((128, 128), np.float32)) == 0


def test_no_grade_changes_no_grey() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal((graded(linear(ramp), Grade()) * 255).round(), ramp)


@pytest.mark.parametrize("name", GRADES)
def test_every_grade_keeps_order_and_range(name: str) -> None:
    grade = GRADES[name]
    ramp = np.repeat(np.linspace(0, 1, 400, dtype=np.float32)[None, :, None], 3, axis=2)
    values = graded(ramp, grade)
    assert values.min() >= 0
    assert values.max() <= 1
    assert (np.diff(values[0, :, 1]) >= -1e-6).all()
    if grade.monochrome:
        colours = graded(np.asarray([[[0.8, 0.2, 0.1], [0.1, 0.2, 0.8]]], np.float32), grade)
        assert np.ptp(colours, axis=2).max() == 0
        assert colours[0, 0, 0] > colours[0, 1, 0]  # skin brighter than sky


def test_warmth_and_saturation_do_what_they_say() -> None:
    grey = np.full((1, 1, 3), 0.2, np.float32)
    warm = graded(grey, Grade(warmth=0.5))[0, 0]
    assert warm[0] > warm[1] > warm[2]
    red = np.asarray([[[0.4, 0.1, 0.1]]], np.float32)
    pale = linear((graded(red, Grade(saturation=0.0)) * 255).round().astype(np.uint8))[0, 0]
    assert np.ptp(pale) == 0
    assert pale[0] == pytest.approx(float(red[0, 0] @ LUMINANCE), abs=0.003)


def test_the_shoulder_is_smooth_and_never_reaches_white() -> None:
    light = np.linspace(0, 30, 3000, dtype=np.float32)
    bent = shoulder(light)
    assert (np.diff(bent) >= 0).all()
    assert bent.max() <= 1
    assert np.array_equal(bent[light < 0.7], light[light < 0.7])
