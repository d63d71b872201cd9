"""What the tests of shape and light share: dreamt-up people, measured once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from pipeline.compositing.colour import encoded, linear
from pipeline.compositing.face_mesh import FaceMesh, Mesh
from pipeline.compositing.shape import Shape, shape
from pipeline.compositing.skin import Skin, read_skin
from tests.support.faces import MODELS, Picture, models, portrait, segmenter


@cache
def mesh_net() -> FaceMesh:
    """The real net of 468 points."""
    return FaceMesh(MODELS)


@dataclass(frozen=True)
class Person:
    """One picture and everything that is measured of it."""

    image: Picture
    alpha: Picture
    landmarks: np.ndarray
    mesh: Mesh
    shape: Shape
    skin: Skin


def measured(image: Picture) -> Person:
    image = np.ascontiguousarray(image)
    landmarks = models().detect(image)[0].landmarks
    mesh, alpha = mesh_net().find(image, landmarks), segmenter().matte(image)
    return Person(
        image,
        alpha,
        landmarks,
        mesh,
        shape(image, alpha, mesh.points),
        read_skin(image, alpha, mesh.points),
    )


@cache
def person(who: str) -> Person:
    """A person "a", "b" or "c"."""
    return measured(portrait(who))


@cache
def textured(who: str) -> Picture:
    """The dreamt-up people are smooth, so they get pores: fine noise in linear light."""
    rng = np.random.default_rng(3)
    light = linear(person(who).image)
    pores = cv2.GaussianBlur(rng.normal(0, 0.08, light.shape[:2]), (0, 0), 0.8)
    return np.asarray(
        np.round(encoded(light * np.asarray(1 + pores, np.float32)[..., None]) * 255), np.uint8
    )
