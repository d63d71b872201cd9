"""A portrait's own head over a picture with other clothes in another room.

What the camera saw of face, ears, hair and what is worn on the head stays to the bit. Beside it a
band runs into the other picture: hair by its alpha, the neck and whatever else hangs on below by a
smooth fall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.compositing.clothes import joined, places
from pipeline.compositing.colour import Floats, encoded, linear
from pipeline.compositing.composite import Grade
from pipeline.compositing.framing import Frame
from pipeline.compositing.render import alpha_in
from pipeline.compositing.uncomposite import person_of
from pipeline.imaging import CutOut

BAND = 0.025
"""Width of the fall, as a share of the portrait's height."""

_WHOLE = 0.98
"""Share of the zone from which on a pixel is wholly in it."""

_WORK_PX = 384
"""Longer side at which the zone is found."""

_NOSE, _LOBES, _SHOULDERS = 0.2, 0.32, 0.62
"""Below the eyes, in head heights."""

_EARS, _ASIDE = 0.45, 0.65
"""From the middle of the face, in head heights: ears are within the first, and beyond the second
shoulders are clothes and hardly ever hair."""

_ALIKE = 0.6
"""Share of the outer shoulders in hair's colours from which on clothes are of these, too."""

_BINS = (9, 24, 24)
"""Of a histogram of CIELAB: L* in steps of 12.5, a* and b* of 6."""

_RARE = 0.06
"""Share of the commonest colour below which a colour is none of the hair's."""

_SHADED = 0.07
"""Difference of a* and b*, each by L*, up to which a colour is that of skin in shade."""


@dataclass(frozen=True)
class Head:
    """The head of a portrait.

    own: uint8 RGB [H, W, 3], the person as the portrait shows them, without the wall. cover:
    float32 [H, W], 1 where they stay to the bit, 0 where nothing of them does.
    """

    own: NDArray[np.uint8]
    cover: Floats

    @property
    def stays(self) -> NDArray[np.bool_]:
        """Where the portrait stays to the bit, [H, W]."""
        return self.cover == 1

    def before(self, grey: int) -> NDArray[np.uint8]:
        """Lay the head over an even wall, 0 to 255."""
        return self.over(np.full_like(self.own, grey))

    def over(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lay the head over a picture uint8 RGB [H, W, 3], in linear light."""
        part = self.cover[..., None]
        mixed = encoded(linear(self.own) * part + linear(picture) * (1 - part))
        laid = np.rint(mixed * 255).astype(np.uint8)
        laid[self.stays] = self.own[self.stays]
        laid[self.cover == 0] = picture[self.cover == 0]
        return laid


def head_of(
    portrait: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    zone: NDArray[np.uint8],
    frame: Frame,
    grade: Grade,
) -> Head:
    """Take the head out of a portrait of a photo.

    portrait: uint8 RGB, as `render` made it of the photo in this frame and grade. alpha: uint8
    [h, w] of the photo; zone: uint8 [h, w], see `head_zone`.
    """
    shape = alpha_in(alpha, frame)
    inside = alpha_in(zone, replace(frame, fade=False)) >= _WHOLE
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    near = np.clip(1 - away / (BAND * len(portrait)), 0, 1)
    cover: Floats = np.asarray(near * near * (3 - 2 * near) * shape, np.float32)
    own = person_of(portrait, (shape * 255 + 0.5).astype(np.uint8), grade)
    own[shape == 1] = portrait[shape == 1]
    return Head(own, cover)


def head_zone(
    person: CutOut, landmarks: NDArray[np.floating], points: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Find face, ears, hair and what is worn on the head, with some wall around: uint8 [H, W], 255.

    All of the person above the nose, the face, and what hangs down from there in the colours that
    frame the face: hair, or the cloth of a head covering. Where clothes are of these colours too,
    it counts down to the shoulders.

    landmarks: [5, 2]; points: [468, 3] of the face, see `face_mesh`; both in pixels of the cut-out.
    """
    scale = min(1.0, _WORK_PX / max(person.alpha.shape))
    small = cv2.resize(person.colours, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (small.shape[1], small.shape[0])
    cover = cv2.resize(person.alpha, size, interpolation=cv2.INTER_AREA) > 127
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    along, down, height = places(np.asarray(landmarks, np.float64).reshape(5, 2) * scale, size)
    along, down = along / height, down / height
    face = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull((points[:, :2] * scale).astype(np.int32)), 1)
    above = down < np.where(np.abs(along) < _EARS, _LOBES, _NOSE)
    framing = cover & ~_grown(face > 0, 0.05 * height) & above & (np.abs(along) < 0.8)
    hair = cover & _like(lab, framing, cover & (face > 0))
    hair = cv2.morphologyEx(hair.astype(np.uint8), cv2.MORPH_OPEN, _disc(2)) > 0
    hair = joined(hair, above)
    outer = cover & (np.abs(along) > _ASIDE) & (down > _SHOULDERS)
    if outer.any() and hair[outer].mean() > _ALIKE:
        hair &= (down < _SHOULDERS) & (np.abs(along) < 0.5)
    head = joined(cover & (above | (face > 0) | hair), face > 0)
    # Half-covered pixels beside it are for alpha to decide; those beside shoulders are not its own.
    wall = ~cover & ~_grown(cover & ~head, 2)
    zone = (head | (_grown(head, 0.05 * height) & wall)).astype(np.uint8) * 255
    whole = person.alpha.shape[::-1]
    return np.asarray(cv2.resize(zone, whole, interpolation=cv2.INTER_LINEAR), np.uint8)


def _grown(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(radius)) > 0)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _like(lab: Floats, hair: NDArray[np.bool_], skin: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where colours are commoner in `hair` than in `skin`, and no skin in shade: bool [h, w]."""
    bins = (lab / np.array([12.5, 6, 6], np.float32) + (0, 12, 12)).astype(int)
    places = tuple(np.moveaxis(np.clip(bins, 0, np.array(_BINS) - 1), 2, 0))

    def common(where: NDArray[np.bool_]) -> Floats:
        counts = np.zeros(_BINS, np.float32)
        np.add.at(counts, tuple(axis[where] for axis in places), 1)
        return np.asarray(gaussian_filter(counts / max(1.0, counts.sum()), 0.7), np.float32)

    of_hair, of_skin = common(hair), common(skin)
    tint = lab[..., 1:] / np.maximum(lab[..., :1], 8)  # the same in light and in shade
    shaded = np.linalg.norm(tint - np.median(tint[skin], axis=0), axis=2) < _SHADED
    shaded &= lab[..., 0] > 20  # what is darker has no tint to speak of
    alike = (of_hair[places] > of_skin[places]) & (of_hair[places] > _RARE * of_hair.max())
    return np.asarray(alike & ~shaded)
