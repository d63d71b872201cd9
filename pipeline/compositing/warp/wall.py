"""The wall behind somebody who moves: still, or going by as the camera does."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.compositing.colour import Floats
from pipeline.compositing.composite import Grade, graded, shoulder
from pipeline.compositing.warp.layers import Picture
from pipeline.compositing.warp.motion import Pose


class Wall:
    """A wall, developed once. Its grain is the film's: it stays where it is and is no flicker."""

    def __init__(self, wall: Floats, grade: Grade, grain: Floats) -> None:
        """wall: linear light [h, w, 3], as much larger than a frame as it moves; grain: float32
        [H, W] of the frame, in encoded values."""
        self._values = graded(shoulder(wall), grade)
        self._grain = cv2.merge((grain, grain, grain))
        self._at_rest = self.seen(1, 0)

    def at(self, pose: Pose) -> Picture:
        """The wall of a frame, uint8 RGB [H, W, 3]; not to be written to."""
        if pose.wall == 0 and pose.wall_closer == 0:
            return self._at_rest
        return self.seen(1 + pose.wall_closer, pose.wall * max(self._grain.shape))

    def seen(self, larger: float, right: float) -> Picture:
        """The wall enlarged about the frame's middle, then moved by pixels to the right."""
        height, width = self._grain.shape[:2]
        rows, columns = self._values.shape[:2]
        move = np.array([[larger, 0, right], [0, larger, 0]], np.float64)
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        move[:, 2] += np.array([(width - 1) / 2, (height - 1) / 2]) - larger * middle
        if larger == 1 and right == 0:
            top, left = (rows - height) // 2, (columns - width) // 2
            values = self._values[top : top + height, left : left + width]
        else:
            values = cv2.warpAffine(self._values, move, (width, height), flags=cv2.INTER_LINEAR)
        return np.asarray(cv2.convertScaleAbs(values + self._grain, alpha=255.0), np.uint8)
