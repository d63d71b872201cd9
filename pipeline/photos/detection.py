"""Find faces, tell people apart: two small models through OpenCV's DNN.

YuNet (detector) and SFace (128 numbers per face). InsightFace's weights are barred from company
use; these two are MIT and Apache-2.0. `tools/fetch_faces.py`
brings the files; they are checked by digest before OpenCV parses them.

Pictures come in as uint8 RGB [H, W, 3]. This module does not judge a photo (see `album.py`),
reads nothing but its model files and keeps nothing about anybody.
"""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from pipeline.imaging import Face
from pipeline.model_files import ModelFile, read_model

SAME_PERSON = 0.363
"""Cosine of two SFace vectors above which OpenCV's documentation calls them one person."""


DETECTOR = ModelFile(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
RECOGNISER = ModelFile(
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
_MIN_SCORE = 0.6
"""YuNet's own confidence, 0 to 1, below which a box is no face."""

_SIDES = (640, 1280)
"""Long sides in pixels at which a picture is searched: the second only if the first finds none."""

_SMALL_SIDE = 300
"""Pictures smaller than this are doubled: YuNet was trained on larger faces."""


class Faces:
    """The two models. One object serves every thread.

    OpenCV's nets are not re-entrant, so each is used under a lock of its own: two uploads then
    overlap, one being searched while the other is embedded. OpenCV's number of threads is left
    alone: one or two made no difference to nets this small (55 ms of processor time to search a
    2048 px picture, 65 ms to embed a face).
    """

    def __init__(self, folder: Path) -> None:
        """folder: where the model files lie. Nothing is read until the first use."""
        self._folder = folder
        self._detector_lock = threading.Lock()
        self._recogniser_lock = threading.Lock()

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Every face of uint8 RGB [H, W, 3], largest first; an empty list where there is none.

        Raises:
            BaseUnavailable: a model file is missing or altered.
        """
        long_side = max(image.shape[:2])
        for side in _SIDES:
            faces = self._detect_at(image, _search_scale(long_side, side))
            if faces or long_side <= side:
                return faces
        return []

    def embed(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        """Who a face of uint8 RGB [H, W, 3] belongs to: float32 [128] of unit length.

        Raises:
            BaseUnavailable: a model file is missing or altered.
        """
        row = np.concatenate([face.box, face.landmarks.ravel(), [face.score]]).astype(np.float32)
        with self._recogniser_lock:
            aligned = self._recogniser.alignCrop(_bgr(image), row)
            vector = self._recogniser.feature(aligned).ravel()
        length = max(float(np.linalg.norm(vector)), 1e-12)
        return np.asarray(vector / length, np.float32)

    def likeness(self, image: NDArray[np.uint8], person: NDArray[np.float32]) -> float:
        """Cosine, -1 to 1, of the most similar face of the picture to a unit vector [128].

        -1.0 where no face is found. Compare with `SAME_PERSON`.
        """
        found = self.closest(image, person)
        return found[0] if found else -1.0

    def closest(
        self, image: NDArray[np.uint8], person: NDArray[np.float32]
    ) -> tuple[float, Face, NDArray[np.float32]] | None:
        """The face of the picture that is most like a unit vector [128]; None without a face.

        Returns:
            Cosine, -1 to 1; the face; its embedding, float32 [128].
        """
        embedded = [(face, self.embed(image, face)) for face in self.detect(image)]
        scored = [(float(vector @ person), face, vector) for face, vector in embedded]
        return max(scored, key=lambda found: found[0], default=None)

    def _detect_at(self, image: NDArray[np.uint8], scale: float) -> list[Face]:
        """Faces of `image`, searched at `scale` times its size; coordinates of `image`."""
        seen: MatLike = image
        if scale != 1:
            kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            seen = cv2.resize(image, _scaled_size(image, scale), interpolation=kind)
        bgr = cv2.cvtColor(seen, cv2.COLOR_RGB2BGR)
        with self._detector_lock:
            self._detector.setInputSize((bgr.shape[1], bgr.shape[0]))
            _, rows = self._detector.detect(bgr)
        if rows is None:
            return []
        # The scaled size is whole pixels, so the two axes are scaled back each by its own factor.
        back = np.array([image.shape[1] / bgr.shape[1], image.shape[0] / bgr.shape[0]], np.float32)
        found = [_face(row, back) for row in rows]
        return sorted(found, key=lambda face: face.box[2] * face.box[3], reverse=True)

    # Each net is made on first use, always under its lock.

    @cached_property
    def _detector(self) -> Any:
        return cv2.FaceDetectorYN.create(
            "onnx", self._model(DETECTOR), _NO_CONFIG, (320, 320), _MIN_SCORE
        )

    @cached_property
    def _recogniser(self) -> Any:
        return cv2.FaceRecognizerSF.create("onnx", self._model(RECOGNISER), _NO_CONFIG)

    def _model(self, model: ModelFile) -> NDArray[np.uint8]:
        return read_model(self._folder, model)


_NO_CONFIG = np.empty(0, np.uint8)
"""ONNX files carry their own configuration; OpenCV's loaders ask for a buffer all the same."""


def _bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:, :, ::-1])


def _search_scale(long_side: int, side: int) -> float:
    """How much to scale a picture before it is searched at `side` pixels: 2 at most."""
    if long_side < _SMALL_SIDE:
        return 2.0
    return min(1.0, side / long_side)


def _scaled_size(image: NDArray[np.uint8], scale: float) -> tuple[int, int]:
    """Width and height in whole pixels, at least 1 each."""
    height, width = image.shape[:2]
    return max(1, round(width * scale)), max(1, round(height * scale))


def _face(row: NDArray[np.float32], back: NDArray[np.float32]) -> Face:
    """One of the detector's rows of 15 numbers, its points multiplied by `back` (x, y)."""
    left, top, width, height = (float(v) for v in row[:4] * np.tile(back, 2))
    return Face((left, top, width, height), row[4:14].reshape(5, 2) * back, float(row[14]))
