"""Give a cut-out person a shape: which way every part of head, neck and shoulders faces.

Four simple bodies are joined very softly: the face by its 468 points, an ellipsoid for the head
under the hair, a cylinder for the neck, and the silhouette blown up like a balloon for the rest.
Their normals are mixed, not their depths: a step between two depths would shine as a rim under
side light, a mixture of smooth normals cannot. All lengths are in units of the face's height, so
a large and a small face get the same shape. Axes: x right, y down, z towards the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from pipeline.compositing.colour import Floats, linear
from pipeline.compositing.shading import photo_azimuth

WORK_SIDE = 384
"""Long side in pixels at which shape and light are computed: both are smooth, so it is enough."""

FOREHEAD, CHIN = 10, 152
RIGHT_SIDE, LEFT_SIDE = 234, 454
"""Points of the mesh: upper and lower end of the face, its sides before the ears."""


@dataclass(frozen=True)
class Shape:
    """Shape of one person at `WORK_SIDE`, and what lighting must know of the photo.

    normals: float32 [h, w, 3] of unit length; depth: float32 [h, w] in heights of the face, larger
    is nearer, for moving the person and not for light; face: float32 [h, w], 0 to 1, how far a
    pixel belongs to the face; edge: float32 [h, w], 1 at the silhouette, 0 inside and where the
    picture's border cuts the person; peak: float32 [h, w], the photo's brightest linear channel,
    blurred; azimuth: degrees right of the camera where the photo's own light seems to stand.
    """

    normals: Floats
    depth: Floats
    face: Floats
    edge: Floats
    peak: Floats
    azimuth: float


def shape(image: NDArray[np.uint8], alpha: NDArray[np.uint8], points: NDArray[np.float32]) -> Shape:
    """Work out the shape of a cut-out person; 0.1 s, once per photo.

    image: uint8 RGB [H, W, 3], the person's colours; alpha: uint8 [H, W], 255 = person; points:
    float32 [468, 3] of the face in pixels of the image.
    """
    scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    factors = np.array([size[0] / image.shape[1], size[1] / image.shape[0], scale], np.float32)
    mesh = points * factors
    unit = max(float(np.linalg.norm(mesh[CHIN] - mesh[FOREHEAD])), 8.0)
    head = _Head.of(mesh, small_alpha, unit)
    relief, inside = _face_relief(mesh, size, unit)
    face = _face_weight(inside, unit)
    balloon, distance = _balloon(small_alpha, unit)
    normals = _joined(
        (_softened(_normals(relief, unit * 0.045, 0.72), unit * 0.045), face),
        (head.normals(), head.weight()),
        (head.neck_normals(), head.neck_weight()),
        _normals(balloon, unit * 0.05, 0.95),
    )
    return Shape(
        normals=normals,
        depth=_depth(relief, balloon, face) / np.float32(unit),
        face=face,
        edge=np.exp(-((distance / (unit * 0.05)) ** 2)).astype(np.float32),
        peak=_peak(small, small_alpha, unit),
        azimuth=photo_azimuth(small, small_alpha, mesh, normals),
    )


@dataclass(frozen=True)
class _Head:
    """Where head and neck lie: coordinates of every pixel in the face's own frame.

    across, down: float32 [h, w] from the face's centre, in face heights, along the tilted face;
    axes: [2, 2] unit vectors of that frame in the picture; radii: half the width and the height of
    the head with its hair.
    """

    across: Floats
    down: Floats
    axes: Floats
    radii: tuple[float, float]

    @classmethod
    def of(cls, mesh: NDArray[np.float32], alpha: Floats, unit: float) -> _Head:
        """Place the head: x runs through both sides of the face, y from forehead to chin."""
        y_axis = (mesh[CHIN] - mesh[FOREHEAD])[:2]
        y_axis = y_axis / max(float(np.linalg.norm(y_axis)), 1e-3)
        x_axis = np.array([y_axis[1], -y_axis[0]], np.float32)
        # The skull's middle lies behind the face: a turn moves it sideways in the picture.
        centre = mesh[[FOREHEAD, CHIN, RIGHT_SIDE, LEFT_SIDE], :2].mean(axis=0)
        y, x = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]].astype(np.float32)
        x, y = (x - centre[0]) / unit, (y - centre[1]) / unit
        across, down = x * x_axis[0] + y * x_axis[1], x * y_axis[0] + y * y_axis[1]
        axes = np.stack([x_axis, y_axis]).astype(np.float32)
        return cls(across, down, axes, _radii(across, down, alpha))

    def normals(self) -> Floats:
        """Face of an ellipsoid as wide as a head with hair: never steeper than at 85 % of it."""
        wide, high = self.radii
        return self._turned(self.across / wide, (self.down + _CROWN) / high, 0.85)

    def weight(self) -> Floats:
        """How far a pixel belongs to the head: 1 on it, falling off softly over half a face."""
        wide, high = self.radii
        radius = np.hypot(self.across / wide, (self.down + _CROWN) / high)
        return falling(radius, 0.75, 1.35)

    def neck_normals(self) -> Floats:
        """Face of a cylinder under the chin that leans forward, so that it looks down a little."""
        return self._turned(self.across / 0.5, np.full_like(self.down, _NECK_LEAN), 0.5)

    def neck_weight(self) -> Floats:
        """How far a pixel belongs to the neck: from the jaw to the collar."""
        sides = falling(np.abs(self.across), 0.12, 0.5)
        # Long hair beside the neck is one body with the head's: a round neck would streak it.
        sides = sides * np.float32(np.interp(self.radii[0], (0.65, 0.95), (1.0, 0.4)))
        return sides * falling(np.abs(self.down - 0.72), 0.12, 0.42)

    def _turned(self, right: Floats, down: Floats, most: float) -> Floats:
        """Normals from slopes in the face's frame."""
        return _bent(np.stack([right, down], axis=-1) @ self.axes, most)


def _radii(across: Floats, down: Floats, alpha: Floats) -> tuple[float, float]:
    """Measure half the width and height of head and hair in the face's frame.

    An afro is one round body; with a head of usual size inside of it, it would show that head's
    outline as a dark ring.
    """
    person = alpha > 0.5
    beside = np.abs(across[person & (np.abs(down) < 0.3)])
    above = -down[person & (np.abs(across) < 0.3)]
    wide = float(np.percentile(beside, 98)) if beside.size else 0.0
    high = float(np.percentile(above, 98)) if above.size else 0.0
    return float(np.clip(wide * 1.1, 0.5, 1.1)), float(np.clip(high, 0.7, 1.1))


_CROWN = 0.12
"""How far the head's middle lies above the face's, in face heights."""

_NECK_LEAN = 0.22
"""Sine of the angle by which a neck's front looks down."""


def _face_relief(
    mesh: NDArray[np.float32], size: tuple[int, int], unit: float
) -> tuple[Floats, NDArray[np.uint8]]:
    """Relief of the face's points, float32 [h, w], larger is nearer; and uint8, where it is."""
    x0, y0 = np.maximum(np.floor(mesh[:, :2].min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(mesh[:, :2].max(axis=0)).astype(int) + 1, size)
    relief = np.zeros((size[1], size[0]), np.float32)
    inside = np.zeros((size[1], size[0]), np.uint8)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return relief, inside
    y, x = np.mgrid[y0:y1, x0:x1]
    found = LinearNDInterpolator(mesh[:, :2], -mesh[:, 2])(x, y)
    known = ~np.isnan(found)
    inside[y0:y1, x0:x1] = known
    relief[y0:y1, x0:x1] = np.where(known, found, 0)
    # Beyond the outline the relief goes on as it ended, or its normals would show a cliff there.
    return _continued(relief, inside, unit), inside


def _continued(relief: Floats, inside: NDArray[np.uint8], unit: float) -> Floats:
    """Fill what is unknown with a blur of what is known, far away with its mean."""
    known = inside.astype(np.float32)
    mean = float(relief.sum() / max(float(known.sum()), 1.0))
    weight = cv2.GaussianBlur(known, (0, 0), unit * 0.12) + 0.01
    filled = (cv2.GaussianBlur(relief, (0, 0), unit * 0.12) + 0.01 * mean) / weight
    return np.where(inside == 1, relief, filled).astype(np.float32)


def _face_weight(inside: NDArray[np.uint8], unit: float) -> Floats:
    """Where the face's own shape counts: its eroded core, blurred widely. Narrower shows a rim."""
    reach = max(1, round(unit * 0.12))
    core = cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=reach)
    return np.asarray(cv2.GaussianBlur(core.astype(np.float32), (0, 0), unit * 0.1), np.float32)


def _balloon(alpha: Floats, unit: float) -> tuple[Floats, Floats]:
    """Blow the silhouette up: relief [h, w], a quarter circle at its edge; and distance to it."""
    person = (alpha > 0.5).astype(np.uint8)
    if person.all():  # nothing to measure a distance to
        far = np.full(alpha.shape, unit * 10, np.float32)
        return far, far
    distance = cv2.distanceTransform(person, cv2.DIST_L2, 5).astype(np.float32)
    reach = unit * 0.37
    t = np.clip(distance / reach, 0, 1)
    relief = np.sqrt(np.clip(1 - (1 - t) ** 2, 0, 1)) * reach
    return np.asarray(cv2.GaussianBlur(relief, (0, 0), unit * 0.05), np.float32), distance


def _normals(relief: Floats, sigma: float, most: float) -> Floats:
    """Normals float32 [h, w, 3] of a relief, blurred by `sigma` pixels and bent back to `most`."""
    smooth = cv2.GaussianBlur(relief, (0, 0), sigma)
    x = -cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    y = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    steep = np.sqrt(1 + x * x + y * y)
    return _bent(np.dstack([x / steep, y / steep]), most)


def _softened(normals: Floats, sigma: float) -> Floats:
    """Blur normals: the ridge of a nose turns from left to right within a few pixels."""
    return _unit_length(np.asarray(cv2.GaussianBlur(normals, (0, 0), sigma), np.float32))


def _bent(flat: Floats, most: float) -> Floats:
    """Normals from their x and y [h, w, 2], bent back softly before they lean more than `most`.

    Noses and brows as steep as they are would be lit as hard patches beside a softer head.
    """
    length = np.sqrt((flat * flat).sum(axis=-1, keepdims=True))
    leaning = most * np.tanh(length / most)
    flat = flat * (leaning / np.maximum(length, 1e-6))
    return np.concatenate([flat, np.sqrt(1 - leaning**2)], axis=-1).astype(np.float32)


def _joined(
    face: tuple[Floats, Floats],
    head: tuple[Floats, Floats],
    neck: tuple[Floats, Floats],
    rest: Floats,
) -> Floats:
    """Lay head over balloon, neck over head, face over neck, each by its weight."""
    normals = rest
    for body, weight in (head, neck, face):
        normals = normals + (body - normals) * weight[..., None]
    return _unit_length(normals)


def _depth(relief: Floats, balloon: Floats, face: Floats) -> Floats:
    """Join the face's relief and the balloon at the height where they meet on average."""
    core = face > 0.5
    offset = float(np.median((balloon - relief)[core])) if core.any() else 0.0
    return np.asarray(balloon + (relief + offset - balloon) * face, np.float32)


def _peak(image: NDArray[np.uint8], alpha: Floats, unit: float) -> Floats:
    """Brightest linear channel of the person, blurred without what lies outside of them.

    Highlights are widened first: they are what burns out, and a mean would hide them.
    """
    around = np.ones((max(1, round(unit * 0.02)) * 2 + 1,) * 2, np.uint8)
    brightest = linear(np.asarray(cv2.dilate(image.max(axis=2), around), np.uint8))
    sigma = unit * 0.06
    weight = cv2.GaussianBlur(alpha, (0, 0), sigma)
    blurred = cv2.GaussianBlur(brightest * alpha, (0, 0), sigma)
    mean = float((brightest * alpha).sum() / max(float(alpha.sum()), 1.0))
    return np.asarray((blurred + 0.05 * mean) / (weight + 0.05), np.float32)


def _unit_length(vectors: Floats) -> Floats:
    length = np.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def falling(value: Floats, full: float, none: float) -> Floats:
    """1 below `full`, 0 above `none`, a smooth step between."""
    t = np.clip((none - value) / (none - full), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
