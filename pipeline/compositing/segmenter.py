"""Tell person from wall, roughly: MediaPipe's selfie segmenter through OpenCV's DNN.

The weights are Apache-2.0; `tools/fetch_faces.py` brings the file, which is checked by digest
before OpenCV parses it. The module reads nothing but its model file and keeps nothing about
anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.model_files import ModelFile, read_model

Segment = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 RGB [H, W, 3] -> matte uint8 [H, W], as `Segmenter.matte` gives it."""

SEGMENTER = ModelFile(
    "selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)

_SIDE = 256
"""Side in pixels of the square that the net sees."""


class Segmenter:
    """The net. One object serves every thread, one at a time: OpenCV's nets are not re-entrant.

    A matte takes 28 ms of processor time, whatever OpenCV's number of threads.
    """

    def __init__(self, folder: Path) -> None:
        """folder: where the model file lies. Nothing is read until the first use."""
        self._folder = folder
        self._lock = threading.Lock()

    def matte(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Where the person is: uint8 [H, W], 255 = person, 0 = background.

        The net sees 256 x 256 pixels, so give it a crop of one person, as square as can be.

        Raises:
            BaseUnavailable: the model file is missing or altered.
        """
        height, width = image.shape[:2]
        side = (_SIDE, _SIDE)
        shrinks = max(height, width) > _SIDE
        small = cv2.resize(
            image, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )
        blob = np.ascontiguousarray(small.astype(np.float32).transpose(2, 0, 1)[None] / 255)
        with self._lock:
            self._net.setInput(blob)
            person = self._net.forward().reshape(side)
        person = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.round(np.clip(person, 0, 1) * 255), np.uint8)

    @cached_property
    def _net(self) -> Any:
        """Made on first use, always under the lock."""
        return cv2.dnn.readNetFromTFLite(read_model(self._folder, SEGMENTER))
