"""Measure whether a portrait kept the texture of the skin: pores, lines, freckles.

Both pictures are compared at the portrait's scale, on cheeks and forehead only, in the logarithm
of the luminance: there a smooth light adds a smooth field, which the high pass takes out, so what
remains is texture and nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.colour import Floats, linear, luminance
from pipeline.compositing.skin import FOREHEAD, LEFT_CHEEK, RIGHT_CHEEK
from pipeline.imaging import TEMPLATE_SIZE, align

_FINE = 2.5
"""Sigma in pixels of the portrait: what is finer counts as texture."""

_FLOOR = 0.1
"""Share of the luminance around a pixel that is added before the logarithm, so that noise in the
dark stays small; of what is around it, so that no smooth light changes the number."""

_SHRINKS = 0.7
"""Scale below which the photo is shrunk by area before it is warped, as a warp alone aliases."""


_CHEEK_ROWS, _CHEEK_COLUMNS = slice(84, 104), np.r_[52:68, 92:108]
"""Pixels of an aligned face below the eyes and beside the nose."""


def texture_ratio(
    photo: NDArray[np.uint8],
    portrait: NDArray[np.uint8],
    transform: NDArray[np.floating],
    points: NDArray[np.float32],
) -> float:
    """Divide the portrait's high-frequency energy on bare skin by the photo's: 1 is untouched.

    photo: uint8 RGB [H, W, 3]; portrait: uint8 RGB [h, w, 3]; transform: [2, 3], the similarity
    that takes pixels of the photo to pixels of the portrait; points: float32 [468, 3] of the face
    in pixels of the photo. About 0.5 for a blurred portrait, above 1.1 for a sharpened one.

    Raises:
        ValueError: no skin of the face lies inside the portrait.
    """
    moved = resampled(photo, transform, (portrait.shape[1], portrait.shape[0]))
    flat = points[:, :2] @ np.asarray(transform)[:, :2].T + np.asarray(transform)[:, 2]
    skin = _skin_mask(flat, portrait.shape[:2])
    if int(skin.sum()) < 50:
        raise ValueError("no skin of the face lies inside the portrait")
    return _energy(portrait, skin) / max(_energy(moved, skin), 1e-6)


def cheek_texture(image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> float:
    """Measure the texture of cheeks at the scale of an aligned face: to compare pictures of one.

    image: uint8 RGB [H, W, 3]; landmarks: [5, 2]. As `texture_ratio` does, with no mesh and none
    of the forehead, where hair may fall. About 0.01 to 0.03 in a photo.
    """
    cheeks = np.zeros((TEMPLATE_SIZE, TEMPLATE_SIZE), np.bool_)
    cheeks[_CHEEK_ROWS, _CHEEK_COLUMNS] = True
    return _energy(align(image, landmarks, TEMPLATE_SIZE), cheeks)


def resampled(
    photo: NDArray[np.uint8], transform: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Warp a photo, uint8 RGB, into a frame of `size` (width, height) without aliasing."""
    matrix = np.array(transform, np.float64)
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    if scale < _SHRINKS:
        height, width = photo.shape[:2]
        new = (max(1, round(width * scale)), max(1, round(height * scale)))
        photo = np.asarray(cv2.resize(photo, new, interpolation=cv2.INTER_AREA), np.uint8)
        # Pixel centres lie at halves, so a smaller picture is also shifted.
        for axis, factor in enumerate((width / new[0], height / new[1])):
            matrix[:, 2] += matrix[:, axis] * (factor / 2 - 0.5)
            matrix[:, axis] *= factor
    return np.asarray(
        cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _energy(image: NDArray[np.uint8], skin: NDArray[np.bool_]) -> float:
    """Spread of what is finer than `_FINE` on the skin; the middle of it, as moles are no noise."""
    light = luminance(linear(image))
    around = np.asarray(cv2.GaussianBlur(light, (0, 0), 4 * _FINE), np.float32)
    tone = np.log(light + np.float32(_FLOOR) * around + np.float32(1e-4))
    fine: Floats = np.asarray(tone - cv2.GaussianBlur(tone, (0, 0), _FINE), np.float32)
    values = np.abs(fine[skin])
    kept = values[values <= np.percentile(values, 95)]
    return float(np.sqrt(np.square(kept).mean()))


def _skin_mask(flat: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Hulls of both cheeks and of the forehead, bool [h, w], from points [468, 2]."""
    mask = np.zeros(shape[:2], np.uint8)
    for place in (RIGHT_CHEEK, LEFT_CHEEK, FOREHEAD):
        hull = cv2.convexHull(np.round(flat[list(place)]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
    return np.asarray(mask == 1, np.bool_)
