"""What several photos have to do with each other: nearly the same picture, the same person.

Pure functions of miniatures and embeddings; the thresholds stand beside their measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.imaging import Face
from pipeline.photos.detection import SAME_PERSON
from pipeline.photos.record import MINIATURE_SIDE, FaceNumbers

SAME_PICTURE = 5.5
"""Largest distance of two miniatures of nearly the same picture, in grey levels. Against the
original, saving again at quality 50 measured up to 2.4, turning by one degree 4.7, brightening by
4 % 5.6, halving the size and cropping 1 to 10, of which three quarters lie below. Other pictures
of the same face start higher: turned by 8 degrees 7.3, lit from the side 6.1, 8 % darker 7.8;
made-up selfies among each other 8.3. Only a turn by 4 degrees and nothing else (3.8 to 7.8) may
count as the same picture, as it should."""

SAME_PICTURE_LIKENESS = 0.9
"""Cosine below which two faces are not in the same picture, whatever their miniatures."""

SAME_GROUP = SAME_PERSON - 0.03
"""Cosine to the mean of the others above which a photo is of the person most photos show.

Against the mean of 3 to 8 photos, 1.4 % of strangers among 2,700 press portraits came above 0.30
and 0.2 % above 0.363. The person's other photos were simulated, as embeddings that agree by 0.4
to 0.9 pair by pair: at 0.4, the hardest, fewer than 1 of 100 fell below 0.33."""

Lack = Literal["angle", "light"]

FEWEST_TO_JUDGE = 3
"""Photos: of two, nobody can tell who the stranger is, nor whether more would be alike."""

LITTLE_TURN = 0.1
"""Range of turns, in eye distances, below which all photos are from the same angle: about ten
degrees, as the nose stands half an eye distance before the eyes."""

LITTLE_LIGHT = 12.0
"""Range in grey levels below which the light is the same in all photos."""

_MINIATURE_RADII = 6
"""Side of the miniature's square, in mean distances of the landmarks from their centre."""


def miniature(image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    """What two copies of a picture share: luma of the face and its surroundings, uint8 [16, 16].

    Centred and scaled by the landmarks, so that cropping and resizing change little; neither
    turned upright nor normalised in light, so that another angle or another lamp changes much.
    """
    centre = face.landmarks.mean(axis=0)
    radius = float(np.sqrt(((face.landmarks - centre) ** 2).sum(axis=1).mean()))
    side = MINIATURE_SIDE * 8  # drawn larger first: a warp alone would alias
    scale = side / (_MINIATURE_RADII * radius)
    blur = max(0.01, 0.5 / scale)
    # Of the picture only what is drawn, and what is blurred into that.
    reach = side / 2 / scale + 4 * blur + 2
    height, width = image.shape[:2]
    left, right = _span(float(centre[0]), reach, width)
    top, bottom = _span(float(centre[1]), reach, height)
    x, y = centre - (left, top)
    move = np.array([[scale, 0, side / 2 - scale * x], [0, scale, side / 2 - scale * y]])
    smooth = cv2.GaussianBlur(image[top:bottom, left:right], (0, 0), blur)
    drawn = cv2.warpAffine(smooth, move, (side, side), borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.GaussianBlur(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), (0, 0), 4)
    small = cv2.resize(grey, (MINIATURE_SIDE, MINIATURE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _span(middle: float, reach: float, length: int) -> tuple[int, int]:
    """The whole pixels, at least one, that lie within `reach` of `middle`: first and end."""
    first = min(max(0, int(middle - reach)), length - 1)
    return first, max(first + 1, min(length, int(middle + reach) + 1))


def near_duplicates(faces: Sequence[FaceNumbers]) -> list[int | None]:
    """For each photo, the index of an earlier one that is nearly the same picture, or None."""
    twins: list[int | None] = []
    for index, face in enumerate(faces):
        earlier = (i for i in range(index) if twins[i] is None and _same_picture(faces[i], face))
        twins.append(next(earlier, None))
    return twins


def _same_picture(first: FaceNumbers, second: FaceNumbers) -> bool:
    difference = first.miniature.astype(np.int16) - second.miniature.astype(np.int16)
    if abs(difference).mean() > SAME_PICTURE:
        return False
    if first.embedding is None or second.embedding is None:
        return True
    return float(first.embedding @ second.embedding) >= SAME_PICTURE_LIKENESS


def strangers(embeddings: Sequence[NDArray[np.float32]]) -> list[bool]:
    """Which photos show somebody else than most of them: one bool per unit vector [128].

    The photo that agrees with most others and those it agrees with are the person, the earlier
    where two are equal; then each photo is compared with the mean of the person's other photos.
    With fewer than three photos nobody can tell who the stranger is, so there is none.
    """
    if len(embeddings) < FEWEST_TO_JUDGE:
        return [False] * len(embeddings)
    vectors = np.stack(embeddings)
    agree = vectors @ vectors.T >= SAME_GROUP
    centre = int(agree.sum(axis=1).argmax())
    person = agree[centre]
    others = vectors[person].sum(axis=0) - vectors * person[:, None]
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    cosines = (vectors * others).sum(axis=1) / lengths
    return [index != centre and bool(cos < SAME_GROUP) for index, cos in enumerate(cosines)]


def lacking(faces: Sequence[FaceNumbers]) -> list[Lack]:
    """What more variety these photos of one person could use; nothing is said of fewer than three.

    A hint, never a reason to turn photos away: some people have only one kind.
    """
    if len(faces) < FEWEST_TO_JUDGE:
        return []
    found: list[Lack] = []
    if np.ptp([_turn(face) for face in faces]) < LITTLE_TURN:
        found.append("angle")
    sides = [_light_from_side(face) for face in faces]
    if np.ptp(sides) < LITTLE_LIGHT and np.ptp([face.brightness for face in faces]) < LITTLE_LIGHT:
        found.append("light")
    return found


def _turn(face: FaceNumbers) -> float:
    """How far the nose stands from between the eyes, in eye distances: 0 straight ahead."""
    right_eye, left_eye, nose = face.landmarks[:3]
    between = left_eye - right_eye
    return float((nose - (right_eye + left_eye) / 2) @ between / max(between @ between, 1e-6))


def _light_from_side(face: FaceNumbers) -> float:
    """Left minus right of the middle of the miniature, in grey levels."""
    middle = face.miniature[4:12, 4:12].astype(np.float64)
    return float(middle[:, :4].mean() - middle[:, 4:].mean())
