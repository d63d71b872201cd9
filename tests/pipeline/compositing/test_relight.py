"""Light from named directions on people who do not exist."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.compositing.colour import LUMINANCE, encoded, linear
from pipeline.compositing.relight import LIGHTS, Light, gain, key_colour, lit
from pipeline.compositing.shape import WORK_SIDE, shape
from pipeline.compositing.skin import LEFT_CHEEK, RIGHT_CHEEK
from pipeline.compositing.texture import texture_ratio
from tests.support.people import Person, measured, person, textured

WHO = ("a", "b", "c")
SAME = np.asarray([[1, 0, 0], [0, 1, 0]], np.float32)

LIT = {
    **LIGHTS,
    "none": Light(strength=0),
    "warm": Light(azimuth=55, elevation=18, size=0.7, strength=1.4, temperature_k=4200, fill=0.15),
    "window": Light(
        azimuth=-75, elevation=12, size=0.9, strength=1.5, temperature_k=6200, fill=0.1
    ),
}
"""The named lights, and some that a look could write out."""


def at(field: np.ndarray, who: Person, places: tuple[int, ...]) -> float:
    """Mean luminance of a gain at points of the mesh."""
    scale = field.shape[1] / who.image.shape[1]
    x, y = np.round(who.mesh.points[list(places), :2].T * scale).astype(int)
    return float((field[y, x] @ LUMINANCE).mean())


@pytest.mark.parametrize("who", WHO)
def test_normals_are_of_unit_length_and_smooth(who: str) -> None:
    normals = person(who).shape.normals
    assert max(normals.shape[:2]) == WORK_SIDE
    assert np.allclose(np.linalg.norm(normals, axis=2), 1, atol=1e-3)
    steps = max(np.abs(np.diff(normals, axis=axis)).max() for axis in (0, 1))
    assert steps < 0.15  # a mask's rim or an edge of the mesh would be a jump of 0.3 and more


@pytest.mark.parametrize("who", WHO)
def test_normals_look_where_the_head_looks(who: str) -> None:
    known = person(who)
    scale = known.shape.normals.shape[1] / known.image.shape[1]

    def x_of(places: tuple[int, ...]) -> float:
        x, y = np.round(known.mesh.points[list(places), :2].T * scale).astype(int)
        return float(known.shape.normals[y, x, 0].mean())

    assert x_of(RIGHT_CHEEK) < -0.1 < 0.1 < x_of(LEFT_CHEEK)


@pytest.mark.parametrize("who", WHO)
def test_no_strength_is_exactly_the_photo(who: str) -> None:
    field = gain(person(who).shape, Light(azimuth=-80, strength=0, temperature_k=3000, rim=1))
    assert np.array_equal(field, np.ones_like(field))
    colours = linear(person(who).image)
    assert np.array_equal(lit(colours, field), colours)


@pytest.mark.parametrize("who", WHO)
def test_light_from_the_left_of_the_picture_falls_on_the_cheek_there(who: str) -> None:
    known = person(who)
    left, right = gain(known.shape, LIGHTS["left"]), gain(known.shape, LIGHTS["right"])

    def tilt(field: np.ndarray) -> float:
        return at(field, known, RIGHT_CHEEK) / at(field, known, LEFT_CHEEK)

    assert tilt(left) > 1.15 * tilt(right)
    assert tilt(left) > tilt(gain(known.shape, LIGHTS["flat"])) > tilt(right)


@pytest.mark.parametrize("who", WHO)
def test_light_from_above_falls_on_the_forehead_and_not_under_the_chin(who: str) -> None:
    known = person(who)
    top = gain(known.shape, LIGHTS["top"])
    assert at(top, known, (151, 9, 108, 337)) > 1.12 * at(top, known, (152, 148, 377))


@pytest.mark.parametrize("name", sorted(LIT))
@pytest.mark.parametrize("who", ["b", "c"])  # the brightest skin, and light from one side
def test_every_light_is_smooth_bounded_and_keeps_texture(who: str, name: str) -> None:
    known = person(who)
    field = gain(known.shape, LIT[name])
    assert field.dtype == np.float32
    assert 0.2 < field.min() <= field.max() < 4
    inside = cv2.erode(known.shape.face, np.ones((5, 5))) > 0.1
    for axis in (0, 1):
        steps = np.abs(np.diff(np.log(field), axis=axis)).max(axis=2)
        assert (
            steps[inside[: steps.shape[0], : steps.shape[1]]].max() < 0.09
        )  # the ridge of a nose; a rim is 0.3
    photo = textured(who)
    portrait = np.asarray(np.round(encoded(lit(linear(photo), field)) * 255), np.uint8)
    assert 0.95 < texture_ratio(photo, portrait, SAME, known.mesh.points) < 1.05


@pytest.mark.parametrize("name", ["left", "firm", "warm"])
def test_the_mirror_of_a_person_under_mirrored_light_is_the_mirrored_portrait(name: str) -> None:
    known, mirror = person("a"), measured(person("a").image[:, ::-1])
    field, mirrored = gain(known.shape, LIT[name]), gain(mirror.shape, LIT[name].mirrored())
    apart = np.abs(field - mirrored[:, ::-1])
    # The detector, the net and the segmenter do not see a mirrored picture as quite the same.
    assert np.median(apart) < 0.02
    assert np.percentile(apart, 95) < 0.12
    assert np.median(np.abs(field - mirrored)) > 2 * np.median(apart)


def test_a_photo_lit_from_one_side_is_evened_out() -> None:
    known = person("a")
    ramp = np.linspace(1.5, 0.5, known.image.shape[1], dtype=np.float32)[None, :, None]
    lopsided = np.asarray(np.round(encoded(linear(known.image) * ramp) * 255), np.uint8)
    turned = shape(lopsided, known.alpha, known.mesh.points)
    assert turned.azimuth < known.shape.azimuth - 15
    flat = gain(turned, LIGHTS["flat"])
    before = gain(known.shape, LIGHTS["flat"])
    assert at(flat, known, LEFT_CHEEK) > at(before, known, LEFT_CHEEK) + 0.05
    assert at(flat, known, RIGHT_CHEEK) < at(before, known, RIGHT_CHEEK) - 0.05


def test_the_rim_light_touches_the_silhouette_only() -> None:
    known = person("a")
    plain, rim = Light(azimuth=-40, rim=0), Light(azimuth=-40, rim=1)
    more = gain(known.shape, rim) / gain(known.shape, plain)
    assert more[known.shape.face > 0.5].max() < 1.02
    edge = (known.shape.edge > 0.3) & (known.shape.edge < 0.95)
    assert more[edge].max() > 1.2


def test_a_field_fits_any_size_of_picture() -> None:
    field = gain(person("a").shape, LIGHTS["left"])
    for size in ((1024, 1024), (97, 97)):
        done = lit(np.ones((*size, 3), np.float32), field)
        assert done.shape == (*size, 3)
        assert abs(float(done.mean()) - float(field.mean())) < 0.01


def test_a_person_who_fills_the_picture_has_a_shape_too() -> None:
    known = person("a")
    full = shape(known.image, np.full_like(known.alpha, 255), known.mesh.points)
    assert np.isfinite(gain(full, LIGHTS["rim"])).all()
    assert full.edge.max() < 0.01


def test_warm_light_is_redder_and_cold_light_bluer_than_daylight() -> None:
    assert np.allclose(key_colour(5500), 1, atol=1e-4)
    assert key_colour(3000)[0] > 1.2 > 0.6 > key_colour(3000)[2]
    assert key_colour(8000)[0] < 1 < key_colour(8000)[2]
    assert key_colour(3000) @ LUMINANCE == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"azimuth": 200}, "azimuth must be between -180 and 180"),
        ({"strength": -0.1}, "strength must be between 0 and 2"),
        ({"size": float("nan")}, "size must be between"),
        ({"temperature_k": 1000}, "temperature_k must be between 2500"),
        ({"fill": "much"}, "fill must be a number"),
        ({"rim": True}, "rim must be a number"),
    ],
)
def test_impossible_lights_are_refused_in_one_sentence(
    values: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Light(**values)
