"""The three small face models, as the tools need them: find, recognise, cut out.

The files are given as a folder (see the model card for where they come from).  The product has
its own loader with checks of digests; the tools do not import it, so that a base can be trained
on a machine without the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
RECOGNISER = "face_recognition_sface_2021dec_int8bq.onnx"
SEGMENTER = "selfie_segmentation.tflite"

_SMALL_SIDE = 300
"""Pictures smaller than this are doubled before detection: YuNet was trained on larger faces."""


@dataclass(frozen=True)
class Face:
    """One detected face.  box: x, y, w, h; landmarks: [5, 2]; all in pixels of the picture."""

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    score: float
    row: NDArray[np.float32]
    """The detector's own 15 numbers, which OpenCV's `alignCrop` asks for."""


class Faces:
    """Detector, recogniser and segmenter.  One per process: OpenCV's nets are not re-entrant."""

    def __init__(self, weights: Path, threshold: float = 0.6) -> None:
        self._detector = cv2.FaceDetectorYN.create(
            str(weights / DETECTOR), "", (320, 320), threshold
        )
        self._recogniser = cv2.FaceRecognizerSF.create(str(weights / RECOGNISER), "")
        self._segmenter = cv2.dnn.readNetFromTFLite(str(weights / SEGMENTER))

    def largest(self, image_rgb: NDArray[np.uint8]) -> Face | None:
        """The largest face of an RGB picture [H, W, 3], or None."""
        bgr = np.ascontiguousarray(image_rgb[:, :, ::-1])
        self._detector.setInputSize((bgr.shape[1], bgr.shape[0]))
        _, rows = self._detector.detect(bgr)
        if rows is None:
            return None
        row = rows[int(np.argmax(rows[:, 2] * rows[:, 3]))]
        return Face(tuple(row[:4]), row[4:14].reshape(5, 2).copy(), float(row[14]), row.copy())

    def embedding(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Unit SFace vector [128] of the largest face, or None where none is found.

        Detect, align, embed: the product's own way of measuring likeness, so that a picture
        whose face cannot be found counts as unlike.
        """
        if max(image_rgb.shape[:2]) < _SMALL_SIDE:
            image_rgb = cv2.resize(image_rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        face = self.largest(image_rgb)
        if face is None:
            return None
        bgr = np.ascontiguousarray(image_rgb[:, :, ::-1])
        vector = self._recogniser.feature(self._recogniser.alignCrop(bgr, face.row)).ravel()
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def matte(self, crop_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Selfie segmentation of an aligned crop [S, S, 3] -> uint8 [S, S], 255 = person."""
        size = crop_rgb.shape[0]
        blob = cv2.resize(crop_rgb, (256, 256), interpolation=cv2.INTER_CUBIC)
        blob = blob.astype(np.float32).transpose(2, 0, 1)[None] / 255
        self._segmenter.setInput(np.ascontiguousarray(blob))
        person = self._segmenter.forward().reshape(256, 256)
        person = cv2.resize(person, (size, size), interpolation=cv2.INTER_LINEAR)
        return (np.clip(person, 0, 1) * 255).astype(np.uint8)
