"""An honest portrait keeps the skin's texture; a blurred or sharpened one is found out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.compositing.colour import encoded, linear
from pipeline.compositing.texture import resampled, texture_ratio
from tests.support.people import person, textured

WHO = ("a", "b", "c")
SAME = np.asarray([[1, 0, 0], [0, 1, 0]], np.float32)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("angle", "scale"), [(0, 1.0), (6, 0.9), (-4, 0.55), (3, 1.3)])
def test_turning_and_scaling_alone_count_as_honest(who: str, angle: float, scale: float) -> None:
    transform = cv2.getRotationMatrix2D((320, 320), angle, scale)
    portrait = resampled(textured(who), transform, (640, 640))
    ratio = texture_ratio(textured(who), portrait, transform, person(who).mesh.points)
    assert 0.95 < ratio < 1.05


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_exposure_is_no_texture(who: str, factor: float) -> None:
    brighter = np.asarray(
        np.round(encoded(linear(textured(who)) * np.asarray(factor, np.float32)) * 255), np.uint8
    )
    ratio = texture_ratio(textured(who), brighter, SAME, person(who).mesh.points)
    assert 0.95 < ratio < 1.05


@pytest.mark.parametrize("who", WHO)
def test_blur_and_sharpening_are_found_out(who: str) -> None:
    photo, points = textured(who), person(who).mesh.points
    blurred = cv2.GaussianBlur(photo, (0, 0), 1.2)
    assert texture_ratio(photo, blurred, SAME, points) < 0.6
    sharpened = cv2.addWeighted(photo, 1.5, cv2.GaussianBlur(photo, (0, 0), 2), -0.5, 0)
    assert texture_ratio(photo, sharpened, SAME, points) > 1.1


def test_a_smoothing_filter_that_keeps_edges_is_found_out() -> None:
    photo = textured("a")
    smoothed = cv2.bilateralFilter(photo, 9, 60, 5)
    assert texture_ratio(photo, smoothed, SAME, person("a").mesh.points) < 0.85


def test_a_face_outside_the_portrait_is_refused() -> None:
    away = np.asarray([[1, 0, 5000], [0, 1, 0]], np.float32)
    with pytest.raises(ValueError, match="no skin"):
        texture_ratio(textured("a"), textured("a"), away, person("a").mesh.points)
