"""A portrait that moves: stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BadOrder
from pipeline.compositing.framing import Refusal
from pipeline.compositing.studio import Sitter, Sitting, Studio

PRESETS = ("calm", "turn", "light", "push-in")
FPS = 25
FRAMES = 75
SHAPES = {"square": (1, 1), "4:5": (4, 5), "9:16": (9, 16)}


class Moving:
    """One portrait, ready to be moved."""

    def __init__(
        self, sitter: Sitter, sitting: Sitting, shape: str, side: int, studio: Studio
    ) -> None:
        made = studio.compose(sitter, sitting)
        if isinstance(made, Refusal):
            raise BadOrder("moving.no_room")
        width, height = SHAPES[shape]
        columns = side * width // max(width, height) // 2 * 2
        rows = side * height // max(width, height) // 2 * 2
        self.size = (rows, columns)
        image = made[0]
        h, w = image.shape[:2]
        scale = max(rows / h, columns / w)
        size = (max(columns, round(w * scale)), max(rows, round(h * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        y, x = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
        self._image = np.ascontiguousarray(image[y : y + rows, x : x + columns])

    def frames(self, preset: str, every: int = 1) -> Iterator[NDArray[np.uint8]]:
        """RGB [H, W, 3]."""
        rows, columns = self.size
        for number in range(0, FRAMES, every):
            zoom = 1.02 + 0.02 * np.sin(2 * np.pi * number / FRAMES)
            matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), 0, zoom)
            moved = cv2.warpAffine(self._image, matrix, (columns, rows))
            yield np.asarray(moved, np.uint8)
