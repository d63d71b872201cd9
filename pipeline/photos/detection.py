"""Find faces, tell people apart, cut people out: three small models through OpenCV's DNN.

YuNet (detector), SFace (128 numbers per face) and MediaPipe's selfie segmenter. InsightFace's
weights are barred from company use; these three are MIT and Apache-2.0. `tools/fetch_faces.py`
brings the files; they are checked by digest before OpenCV parses them.

Pictures come in as uint8 RGB [H, W, 3]. This module does not judge a photo (see `album.py`),
reads nothing but its model files and keeps nothing about anybody.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from errors import BaseUnavailable

SAME_PERSON = 0.363
"""Cosine of two SFace vectors above which OpenCV's documentation calls them one person."""


@dataclass(frozen=True)
class ModelFile:
    """A model file by name and digest; any other content under that name is refused."""

    name: str
    sha256: str


DETECTOR = ModelFile(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
RECOGNISER = ModelFile(
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
SEGMENTER = ModelFile(
    "selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)

_MIN_SCORE = 0.6
"""YuNet's own confidence, 0 to 1, below which a box is no face."""

_SIDES = (640, 1280)
"""Long sides in pixels at which a picture is searched: the second only if the first finds none."""

_SMALL_SIDE = 300
"""Pictures smaller than this are doubled: YuNet was trained on larger faces."""

_SEGMENTER_SIDE = 256


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels of the picture it was found in.

    box: x, y, width, height, possibly reaching beyond the picture. landmarks: float32 [5, 2] x, y
    of right eye, left eye, nose, right and left mouth corner; "right" is the person's own right.
    score: the detector's confidence, 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    score: float


class Faces:
    """The three models. One object serves every thread.

    OpenCV's nets are not re-entrant, so each is used under a lock of its own: two uploads then
    overlap, one being searched while the other is embedded. OpenCV's number of threads is left
    alone: one or two made no difference to nets this small (55 ms of processor time to search a
    2048 px picture, 65 ms to embed a face, 28 ms for a matte).
    """

    def __init__(self, folder: Path) -> None:
        """folder: where the model files lie. Nothing is read until the first use."""
        self._folder = folder
        self._detector_lock = threading.Lock()
        self._recogniser_lock = threading.Lock()
        self._segmenter_lock = threading.Lock()

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

    def matte(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Where the person is: uint8 [H, W], 255 = person, 0 = background.

        The model sees 256 x 256 pixels, so give it a crop of one person, as square as can be.
        """
        height, width = image.shape[:2]
        side = (_SEGMENTER_SIDE, _SEGMENTER_SIDE)
        shrinks = max(height, width) > _SEGMENTER_SIDE
        small = cv2.resize(
            image, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )
        blob = np.ascontiguousarray(small.astype(np.float32).transpose(2, 0, 1)[None] / 255)
        with self._segmenter_lock:
            self._segmenter.setInput(blob)
            person = self._segmenter.forward().reshape(side)
        person = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.round(np.clip(person, 0, 1) * 255), np.uint8)

    def _detect_at(self, image: NDArray[np.uint8], scale: float) -> list[Face]:
        """Faces of `image`, searched at `scale` times its size; coordinates of `image`."""
        bgr: MatLike = _bgr(image)
        if scale != 1:
            kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            bgr = cv2.resize(bgr, _scaled_size(image, scale), interpolation=kind)
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

    @cached_property
    def _segmenter(self) -> Any:
        return cv2.dnn.readNetFromTFLite(self._model(SEGMENTER))

    def _model(self, model: ModelFile) -> NDArray[np.uint8]:
        """The checked bytes of a model file: what was checked is what OpenCV then parses."""
        try:
            data = (self._folder / model.name).read_bytes()
        except OSError as problem:
            raise BaseUnavailable(
                "The face models are missing on this server. Run `make setup`, then start again."
            ) from problem
        if hashlib.sha256(data).hexdigest() != model.sha256:
            raise BaseUnavailable(
                f"The face model {model.name} is not the file this release was made with. "
                f"Run `make setup`, then start again."
            )
        return np.frombuffer(data, np.uint8)


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
