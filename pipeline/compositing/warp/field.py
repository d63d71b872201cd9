"""Where each point of a person goes in a pose: head, shoulders, and what holds them.

The head turns as one rigid body by its depth; neck and shoulders follow less and less. Towards a
border of the photo that cuts the person all movement ends, so nothing is asked for that the camera
did not see. All of it is smooth, so it is worked out on a coarse grid.

A frame asks for each of its pixels where it came from: the movement is turned round by fixed-point
iteration (M. Chen et al., "A Simple Fixed-Point Approach to Invert a Deformation Field", 2008),
which converges because no two neighbours move apart by as much as they lie apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pipeline.compositing.colour import Floats
from pipeline.compositing.framing import Borders, Frame, borders
from pipeline.compositing.render import from_resized
from pipeline.compositing.shape import CHIN, FOREHEAD, LEFT_SIDE, RIGHT_SIDE, falling
from pipeline.compositing.studio import Sitter
from pipeline.compositing.warp.motion import Pose

STEP = 4
"""Pixels of a frame between two points of the grid."""

_TURNS = 4
"""Rounds of the iteration; each leaves about a tenth of the error."""

_NECK = (0.42, 1.2)
"""From where to where, in heights of the face below its middle, the head's movement ends."""

_TORSO = 0.22
"""How much of the head's turn the shoulders do."""

_BREATH = 0.014
"""How far the shoulders rise with a breath, in heights of the face."""

_HELD = 0.8
"""Heights of the face over which movement ends towards a border that cuts the person."""


@dataclass(frozen=True)
class Canvas:
    """A frame with room about it, in which the person is before they move.

    frame: of the photo; margin: pixels of it on each side that the portrait does not show.
    """

    frame: Frame
    margin: int

    @classmethod
    def about(cls, frame: Frame, margin: int) -> Canvas:
        """The canvas of a portrait's frame."""
        first, second = ((*row[:2], row[2] + margin) for row in frame.matrix)
        size = (frame.size[0] + 2 * margin, frame.size[1] + 2 * margin)
        return cls(replace(frame, matrix=(first, second), size=size), margin)

    @property
    def shown(self) -> tuple[slice, slice]:
        """The part that the portrait shows: rows and columns."""
        height, width = self.frame.size
        return slice(self.margin, height - self.margin), slice(self.margin, width - self.margin)

    def photo_places(self, step: int = 1) -> tuple[Floats, Floats]:
        """Where each pixel lies in the photo: x and y, float32 [h, w]; of squares of `step` pixels
        their middles."""
        rows, columns = (-(-n // step) for n in self.frame.size)
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * step + np.float32((step - 1) / 2)
        back = cv2.invertAffineTransform(self.frame.affine).astype(np.float32)
        return back[0, 0] * x + back[0, 1] * y + back[0, 2], (
            back[1, 0] * x + back[1, 1] * y + back[1, 2]
        )


class Field:
    """Movement of one person in one canvas."""

    def __init__(self, sitter: Sitter, canvas: Canvas) -> None:
        self.canvas = canvas
        affine, scale = canvas.frame.affine, canvas.frame.scale
        mesh = sitter.points
        self._unit = max(float(np.linalg.norm(mesh[CHIN] - mesh[FOREHEAD])) * scale, 8.0)
        middle = mesh[[FOREHEAD, CHIN, RIGHT_SIDE, LEFT_SIDE], :2].mean(axis=0)
        self._middle = affine[:, :2] @ middle + affine[:, 2]
        self._eyes = affine[:, :2] @ sitter.landmarks[:2].mean(axis=0) + affine[:, 2]
        rows, columns = (-(-n // STEP) for n in canvas.frame.size)
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * STEP + np.float32((STEP - 1) / 2)
        self._x, self._y = x, y
        self._head = falling((y - self._middle[1]) / self._unit, *_NECK)
        self._depth = self._depth_of(sitter)
        self._held = self._held_of(borders(sitter.cut_out.alpha), sitter.cut_out.alpha.shape)
        self._rise = self._rise_of()

    def moved(self, pose: Pose) -> Floats:
        """How far each point of the grid goes: float32 [h, w, 2], x and y in pixels."""
        unit, depth, head = self._unit, self._depth, self._head
        x, y = self._x - np.float32(self._middle[0]), self._y - np.float32(self._middle[1])
        sin, cos = np.float32(np.sin(pose.yaw)), np.float32(np.cos(pose.yaw))
        turn = head + np.float32(_TORSO) * (1 - head)
        across = turn * (sin * depth * unit - (1 - cos) * x)
        nod = np.float32(np.sin(pose.pitch))
        down = head * nod * depth * unit
        # The neck's foot is what the head leans about.
        lean = np.float32(np.sin(pose.roll)) * head
        across -= lean * (y - np.float32(0.95 * unit))
        down += lean * x
        down -= np.float32(pose.breath * _BREATH * unit) * self._rise
        return cv2.merge((across * self._held, down * self._held))

    def back(self, pose: Pose) -> Floats:
        """Where the points of the grid came from, as a way there: float32 [h, w, 2] in pixels."""
        moved = self.moved(pose)
        way = -moved
        for _ in range(_TURNS):
            way = -_read(moved, self._x + way[..., 0], self._y + way[..., 1])
        return np.asarray(way, np.float32)

    def places(self, pose: Pose) -> tuple[Floats, Floats]:
        """Where each of the portrait's pixels came from on the canvas: x and y, float32 [H, W]."""
        way = self.back(pose)
        rows, columns = self.canvas.shown
        x, y = (np.arange(s.start, s.stop, dtype=np.float32) for s in (columns, rows))
        if pose.closer == 0:
            size = (way.shape[1] * STEP, way.shape[0] * STEP)
            wide = cv2.resize(way, size, interpolation=cv2.INTER_LINEAR)[rows, columns]
        else:  # what comes nearer is the moved person: first where in that picture, then before it
            x, y = (
                (at - np.float32(eye)) / np.float32(1 + pose.closer) + np.float32(eye)
                for at, eye in zip((x, y), self._eyes, strict=True)
            )
            wide = _read(way, *np.meshgrid(x, y))
        return wide[..., 0] + x, wide[..., 1] + y[:, None]

    def carried(self, points: Floats, pose: Pose) -> Floats:
        """Where points [n, 2] of the photo are in the portrait of a pose: float32 [n, 2]."""
        affine = self.canvas.frame.affine
        there = np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float32)
        moved = there + _read(self.moved(pose), there[:, :1], there[:, 1:])[:, 0]
        return np.asarray(
            self._eyes + (moved - self._eyes) * (1 + pose.closer) - self.canvas.margin, np.float32
        )

    def narrowest(self, pose: Pose) -> float:
        """Least determinant of the movement's Jacobian; 1 where nothing moves, 0 a fold."""
        moved = self.moved(pose) / STEP
        down, across = (np.gradient(moved, axis=axis) for axis in (0, 1))
        area = (1 + across[..., 0]) * (1 + down[..., 1]) - across[..., 1] * down[..., 0]
        return float(area.min())

    def _depth_of(self, sitter: Sitter) -> Floats:
        """Depth on the grid in heights of the face, 0 at the silhouette and beyond."""
        depth = sitter.shape.depth
        photo = sitter.cut_out.alpha.shape
        ratio = np.array([photo[1] / depth.shape[1], photo[0] / depth.shape[0]])
        there = from_resized(self.canvas.frame.affine, ratio) / STEP
        there[:, 2] -= (STEP - 1) / 2 / STEP
        size = self._x.shape[::-1]
        found = cv2.warpAffine(
            depth, there, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cv2.GaussianBlur(found, (0, 0), 0.06 * self._unit / STEP), np.float32)

    def _held_of(self, cut: Borders, photo: tuple[int, ...]) -> Floats:
        """1 where a point is free, 0 at borders of the photo that cut the person and beyond."""
        x, y = self.canvas.photo_places(STEP)
        reach = _HELD * self._unit / self.canvas.frame.scale
        free = np.ones(x.shape, np.float32)
        for touched, away in (
            (cut.top, y - 2),
            (cut.bottom, photo[0] - 3 - y),
            (cut.left, x - 2),
            (cut.right, photo[1] - 3 - x),
        ):
            if touched is not None:
                free *= falling(-away / reach, -1, 0)
        return free

    def _rise_of(self) -> Floats:
        """How much a point rises with a breath: shoulders most, the head less, then the chest."""
        down = (self._y - np.float32(self._middle[1])) / np.float32(self._unit)
        below = falling(down, 1.1, 3.0)
        return np.asarray(below * (1 - 0.35 * falling(down, 0.4, 1.1)), np.float32)


def _read(field: Floats, x: Floats, y: Floats) -> Floats:
    """Values of the grid [h, w, 2] at places x, y [m, n] of the canvas: [m, n, 2]."""
    half = np.float32((STEP - 1) / 2)
    across, down = (np.ascontiguousarray((at - half) / STEP, np.float32) for at in (x, y))
    read = cv2.remap(field, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32)
