"""Find 468 points of a face in three dimensions: MediaPipe's face mesh through OpenCV's DNN.

The weights are Apache-2.0; `tools/fetch_faces.py` brings the file, which is checked by digest
before OpenCV parses it. Points are numbered as in MediaPipe's canonical face model. The module
reads nothing but its model file and keeps nothing about anybody.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.model_files import ModelFile, read_model

LANDMARKS = ModelFile(
    "face_landmark.tflite",
    "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
)

POINTS = 468

_SIDE = 192
"""Side in pixels of the crop that the net sees."""

_EYES_REACH, _MOUTH_REACH = 3.2, 2.6
"""Side of the crop in distances between the eyes and from eyes to mouth; the larger one counts,
so that a turned or tilted face still fits."""

_EYES_SHARE = 0.55
"""The crop's centre lies this far from the mouth towards the eyes."""

_RIGHT_EYE, _LEFT_EYE = (33, 133), (362, 263)
"""Corners of the person's own right and left eye."""
_NOSE_AND_MOUTH = (1, 61, 291)


@dataclass(frozen=True)
class Mesh:
    """Points of a face and how sure the net is that there is one.

    points: float32 [468, 3] x, y, z in pixels of the picture; z is nearer where it is smaller.
    presence: probability, 0 to 1.
    """

    points: NDArray[np.float32]
    presence: float


class FaceMesh:
    """The net of 468 points. One object serves every thread."""

    def __init__(self, folder: Path) -> None:
        """folder: where the model file lies. Nothing is read until the first use."""
        self._folder = folder
        self._lock = threading.Lock()

    def points(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Find the points of a face of uint8 RGB [H, W, 3]: float32 [468, 3], see `Mesh`.

        landmarks: [5, 2] x, y of right eye, left eye, nose, right and left mouth corner.

        Raises:
            BaseUnavailable: the model file is missing or altered.
            ValueError: the landmarks fall on one point.
        """
        return self.find(image, landmarks).points

    def find(self, image: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> Mesh:
        """Find the points of a face and the net's confidence; as `points`, with the same errors."""
        to_crop = _crop_transform(np.asarray(landmarks, np.float32).reshape(5, 2))
        blob = _blob(image, to_crop)
        with self._lock:
            self._net.setInput(blob)
            outputs = self._net.forward(self._net.getUnconnectedOutLayersNames())
            raw = next(np.array(out) for out in outputs if out.size == POINTS * 3)
            logit = next(float(out.ravel()[0]) for out in outputs if out.size == 1)
        raw = raw.reshape(POINTS, 3)
        back = cv2.invertAffineTransform(to_crop)
        scale = float(np.hypot(back[0, 0], back[0, 1]))
        flat = raw[:, :2] @ back[:, :2].T + back[:, 2]
        points = np.hstack([flat, raw[:, 2:] * scale]).astype(np.float32)
        return Mesh(points, 1 / (1 + float(np.exp(-logit))))

    @cached_property
    def _net(self) -> Any:
        return cv2.dnn.readNetFromTFLite(read_model(self._folder, LANDMARKS))


def _crop_transform(five: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn, scale and shift a face into the net's crop: a similarity [2, 3]."""
    right, left, mouth = five[0], five[1], (five[3] + five[4]) / 2
    eyes = (right + left) / 2
    side = max(
        _EYES_REACH * float(np.linalg.norm(left - right)),
        _MOUTH_REACH * float(np.linalg.norm(mouth - eyes)),
    )
    if side < 1e-3:
        raise ValueError("the landmarks fall on one point")
    centre = eyes * _EYES_SHARE + mouth * (1 - _EYES_SHARE)
    tilt = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    transform = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), tilt, _SIDE / side)
    transform[:, 2] += _SIDE / 2 - centre
    return np.asarray(transform, np.float64)


def _blob(image: NDArray[np.uint8], to_crop: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cut the crop out and arrange it as the net wants it: float32 [1, 3, 192, 192], 0 to 1."""
    scale = float(np.hypot(to_crop[0, 0], to_crop[0, 1]))
    transform = to_crop
    if scale < 0.5:
        # A warp alone would alias. The size is whole pixels, so each axis has its own factor.
        height, width = image.shape[:2]
        size = (max(1, round(width * scale * 1.3)), max(1, round(height * scale * 1.3)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        transform = to_crop.copy()
        transform[:, 0] *= width / size[0]
        transform[:, 1] *= height / size[1]
    patch = cv2.warpAffine(
        image, transform, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(patch.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def five(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Eyes, nose and corners of the mouth, [5, 2] as `Face` has them, of the mesh's points."""
    right, left = (points[list(eye), :2].mean(axis=0) for eye in (_RIGHT_EYE, _LEFT_EYE))
    return np.stack([right, left, *points[list(_NOSE_AND_MOUTH), :2]])
