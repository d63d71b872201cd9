"""Find hands near a face: MediaPipe's palm detector and its 21 points of a hand, through OpenCV's
DNN.

The weights are Apache-2.0; `tools/fetch_faces.py` brings the files, which are checked by digest
before OpenCV parses them. Crops, anchors and numbers of the points are MediaPipe's. The module
reads nothing but its model files and keeps nothing about anybody.
"""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.model_files import ModelFile, read_model

PALMS = ModelFile(
    "palm_detection_full.tflite",
    "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
)
POINTS = ModelFile(
    "hand_landmark_lite.tflite",
    "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
)

Picture = NDArray[np.uint8]
Points = NDArray[np.float32]

_REACH = 2.0
"""Side of the searched square, in sides of the face's box: a hand before a face fits."""

_PALM_SIDE, _HAND_SIDE = 192, 224
"""Sides in pixels of what the two nets see."""

_MAYBE, _MOST, _PRESENT = 0.1, 3, 0.8
"""A palm may be one from this score on, this many are looked at, and a hand is there from this
probability on: half-covered palms score low, and the second net tells them from the rest."""

_ENLARGED, _UPWARDS = 2.6, 0.5
"""The crop of a hand, in sides of its palm's box, and how far it lies towards the fingers."""

_WRIST, _MIDDLE_KNUCKLE = 0, 2
"""Of the seven points of a palm."""

_PALM = (0, 1, 5, 9, 13, 17)
_BONES = [(first + part, first + part + 1) for first in (1, 5, 9, 13, 17) for part in range(3)]

_FINGER = 0.3
"""Width of a finger by the palm's length, from the wrist to the middle knuckle."""


class Hands:
    """Both nets. One object serves every thread."""

    def __init__(self, folder: Path) -> None:
        """folder: where the model files lie. Nothing is read until the first use."""
        self._folder = folder
        self._lock = threading.Lock()

    def find(self, image: Picture, box: tuple[float, float, float, float]) -> list[Points]:
        """The hands near a face of uint8 RGB [H, W, 3]: of each float32 [21, 2] x, y in pixels.

        box: left, top, width and height of the face, pixels.

        Raises:
            BaseUnavailable: a model file is missing or altered.
        """
        left, top, width, height = box
        side = max(1, round(_REACH * max(width, height)))
        corner = np.array((left + (width - side) / 2, top + (height - side) / 2), np.float32)
        shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float64)
        crop = np.asarray(cv2.warpAffine(image, shift, (side, side)), np.uint8)
        with self._lock:
            palms = self._palms(crop)
            found = [self._points(crop, *palm) for palm in palms]
        return [points + corner for points in found if points is not None]

    def _palms(self, crop: Picture) -> list[tuple[Points, Points]]:
        """Centre and sides of each palm's box, float32 [4], and its points, float32 [7, 2]."""
        side = crop.shape[0]
        small = cv2.resize(crop, (_PALM_SIDE, _PALM_SIDE), interpolation=cv2.INTER_AREA)
        outputs = _run(self._palm_net, small)
        scores = next(out for out in outputs if out.shape[-1] == 1).ravel()
        raw = next(out for out in outputs if out.shape[-1] == 18).reshape(-1, 9, 2) / _PALM_SIDE
        least = float(np.log(_MAYBE / (1 - _MAYBE)))
        palms: list[tuple[Points, Points]] = []
        for index in np.argsort(-scores):
            if scores[index] < least or len(palms) == _MOST:
                break
            centre = raw[index, 0] + _ANCHORS[index]
            box = np.concatenate([centre, raw[index, 1]]) * side
            if all(
                np.abs(box[:2] - other[:2]).max() >= 0.5 * other[2:].max() for other, _ in palms
            ):
                palms.append((box, (raw[index, 2:] + _ANCHORS[index]) * side))
        return palms

    def _points(self, crop: Picture, box: Points, palm: Points) -> Points | None:
        """The points of the hand of a palm, float32 [21, 2]; None if there is no hand."""
        right, down = palm[_MIDDLE_KNUCKLE] - palm[_WRIST]
        angle = np.pi / 2 + np.arctan2(float(down), float(right))
        palm_side = float(box[2:].max())
        towards = np.array((np.sin(angle), -np.cos(angle)))
        centre = box[:2] + _UPWARDS * palm_side * towards
        scale = _HAND_SIDE / max(1.0, _ENLARGED * palm_side)
        place = (float(centre[0]), float(centre[1]))
        to_crop = cv2.getRotationMatrix2D(place, float(np.degrees(angle)), scale)
        to_crop[:, 2] += _HAND_SIDE / 2 - centre
        outputs = _run(self._hand_net, cv2.warpAffine(crop, to_crop, (_HAND_SIDE, _HAND_SIDE)))
        # Presence stands first, then which hand; of the points those in pixels, then in metres.
        present = next(out for out in reversed(outputs) if out.size == 1)
        if float(present.ravel()[0]) < _PRESENT:
            return None
        points = max((out for out in outputs if out.size == 63), key=lambda out: np.abs(out).max())
        back = cv2.invertAffineTransform(to_crop)
        return np.asarray(points.reshape(21, 3)[:, :2] @ back[:, :2].T + back[:, 2], np.float32)

    @cached_property
    def _palm_net(self) -> Any:
        return cv2.dnn.readNetFromTFLite(read_model(self._folder, PALMS))

    @cached_property
    def _hand_net(self) -> Any:
        return cv2.dnn.readNetFromTFLite(read_model(self._folder, POINTS))


def behind(points: Points, hand: Points) -> NDArray[np.bool_]:
    """Which of the points [N, 2] lie behind a hand [21, 2] of `Hands.find`: bool [N]."""
    palm_length = float(np.linalg.norm(hand[_PALM[0]] - hand[9]))
    width = max(1, round(_FINGER * palm_length))
    corner = hand.min(axis=0) - width
    reach = np.ceil(hand.max(axis=0) - corner).astype(int) + width
    drawn = np.zeros((reach[1], reach[0]), np.uint8)
    shifted = np.round(hand - corner).astype(np.int32)
    cv2.fillPoly(drawn, [shifted[list(_PALM)]], 1)
    for start, end in _BONES:
        cv2.line(drawn, shifted[start].tolist(), shifted[end].tolist(), 1, width)
    places = np.round(points - corner).astype(int)
    inside = ((places >= 0) & (places < reach)).all(axis=1)
    hidden = np.zeros(len(points), bool)
    hidden[inside] = drawn[places[inside, 1], places[inside, 0]] > 0
    return hidden


def _run(net: Any, square: NDArray[Any]) -> list[NDArray[np.float32]]:
    net.setInput(np.ascontiguousarray(square.astype(np.float32).transpose(2, 0, 1)[None] / 255))
    return [np.array(out) for out in net.forward(net.getUnconnectedOutLayersNames())]


def _anchors() -> Points:
    """Centres of the palm detector's 2,016 boxes, 0 to 1: two in each cell of 24 x 24, then six in
    each of 12 x 12; float32 [2016, 2]."""
    parts = []
    for cells, boxes in ((24, 2), (12, 6)):
        rows, columns = np.mgrid[:cells, :cells]
        centres = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / cells
        parts.append(centres.repeat(boxes, axis=0))
    return np.asarray(np.concatenate(parts), np.float32)


_ANCHORS = _anchors()
