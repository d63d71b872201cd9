"""What may be wrong with a cut-out: measured on the matte, named by a code.

A photo with a fault can still teach the painted way; the photo way does not use it.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.compositing.framing import DISTANCES, Refusal, Wish, choose
from pipeline.compositing.refine import Coarse, Floats
from pipeline.compositing.trimap import Cleaned
from pipeline.imaging import Face

FACE_HIDDEN = "face_hidden"
UNSURE = "unsure"
HOLES = "holes"
HEAD_MISSING = "head_missing"
HAIR_CUT = "hair_cut"
BYSTANDER = "bystander"

LEAST_CONFIDENCE = 0.5
"""Below this a cut-out is unsure."""

_MOST_GAPS = 0.06
"""Share of the silhouette that may be wall seen through arms or curls."""

_MOST_DROPPED = 0.08
"""Area of islands thrown away, in units of the person's: more is somebody else, who may overlap."""

_LEAST_HEAD = 0.9
"""Share of the face's box (an ellipse in it) that must be person."""

LEAST_PRESENCE = 0.5
"""Below this the face mesh sees no face: a cap, a hand or a camera hides it, or it is a drawing."""


def confidence(coarse: Coarse, alpha: Floats) -> float:
    """How far the cut-out can be trusted, 0 to 1.

    The product of three agreements about the person's area: of the segmenter with its mirrored
    self, of the segmenter with the final matte, and of the matte with 0 or 1 (a matte of greys is
    a guess). All at the coarse size [h, w].
    """
    area = max(float(alpha.sum()), 1.0)
    if area < 0.01 * alpha.size:
        return 0.0
    flip = 1 - float(coarse.doubt.sum()) / area
    mask = float(np.minimum(coarse.mask, alpha).sum() / np.maximum(coarse.mask, alpha).sum())
    grey = 1 - 2 * float((alpha * (1 - alpha)).sum()) / area
    return float(np.clip(flip, 0, 1) * mask * np.clip(grey, 0, 1))


def faults(
    alpha: Floats, face: Face | None, clean: Cleaned, sure: float, presence: float = 1.0
) -> tuple[str, ...]:
    """Name what is wrong: codes of this module, in a fixed order.

    alpha and the face's coordinates are those of the coarse size. presence: of a face, 0 to 1, as
    the face mesh says.
    """
    found = []
    if presence < LEAST_PRESENCE:
        found.append(FACE_HIDDEN)
    if sure < LEAST_CONFIDENCE:
        found.append(UNSURE)
    if clean.gaps > _MOST_GAPS or (face is not None and _head(alpha, face) < _LEAST_HEAD):
        found.append(HOLES)
    if face is None or _head_is_outside(alpha, face):
        found.append(HEAD_MISSING)
    if face is not None and _hair_is_cut(alpha, face):
        found.append(HAIR_CUT)
    if clean.dropped > _MOST_DROPPED:
        found.append(BYSTANDER)
    return tuple(found)


def _head(alpha: Floats, face: Face) -> float:
    """Mean alpha of the ellipse in the face's box, as far as the frame shows it.

    Of a face in profile only what lies below the eyes and behind them: the rest may be air.
    """
    zone = np.zeros(alpha.shape, np.uint8)
    left, top, width, height = face.box
    centre = (round(left + width / 2), round(top + height / 2))
    cv2.ellipse(zone, centre, (round(0.42 * width), round(0.45 * height)), 0, 0, 360, 1, -1)
    eyes, nose, mouth = face.landmarks[:2], face.landmarks[2], face.landmarks[3:]
    front = nose[0] - (eyes[:, 0].mean() + mouth[:, 0].mean()) / 2  # where the nose points to
    corners = np.concatenate([eyes, mouth])[:, 0] * np.sign(front)
    if nose[0] * np.sign(front) > corners.max():
        columns = np.arange(alpha.shape[1]) * np.sign(front)
        zone[:, columns > min(corners[:2].max(), corners[2:].max())] = 0
        zone[: max(0, round(float(eyes[:, 1].mean())))] = 0
    return float(alpha[zone > 0].mean()) if zone.any() else 0.0


def _head_is_outside(alpha: Floats, face: Face) -> bool:
    """Whether the frame cuts into the face itself."""
    left, top, width, height = face.box
    high, wide = alpha.shape
    return (
        top < -0.03 * height
        or left < -0.06 * width
        or left + width > wide + 0.06 * width
        or top + height > high + 0.03 * height
    )


def _hair_is_cut(alpha: Floats, face: Face) -> bool:
    """Whether hair or a hat ends at the frame so near to the face that no portrait has room.

    What the frame cuts farther out is left out by a closer portrait.
    """
    bytes_ = np.asarray(np.round(alpha * 255), np.uint8)
    cut = (Refusal.HEAD_CUT, Refusal.NO_ROOM)
    return all(
        choose(bytes_, face.landmarks, Wish(distance=distance)) in cut for distance in DISTANCES
    )
