"""Portraits that move: three seconds of one photo that begin and end in the portrait.

    sitter, sitting ─► frame with a margin ─► person, developed once ─┐
                              │               wall, painted once ─────┤
                       depth and borders ─► field: where a pixel ─────┴─► frames
                                            came from in a pose

Nothing is invented: each pixel of the person is one of the photo, moved by at most a few
hundredths of the picture, and what comes into sight behind them is the look's own wall. Nobody
speaks, and eyes do not blink.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import cv2
import numpy as np

from errors import BadOrder
from pipeline.compositing.colour import Floats
from pipeline.compositing.composite import GRADES, wall_grain
from pipeline.compositing.framing import Refusal, borders
from pipeline.compositing.relight import Light
from pipeline.compositing.render import as_soft, cut
from pipeline.compositing.studio import (
    Sitter,
    Sitting,
    Studio,
    framed_by,
    light_for,
    lighting,
    nearest,
)
from pipeline.compositing.warp.field import Canvas, Field
from pipeline.compositing.warp.layers import Picture, between, over, person_layer
from pipeline.compositing.warp.motion import FPS, FRAMES, PRESETS, WALL_REACH, Pose, pose
from pipeline.compositing.warp.wall import Wall
from pipeline.overlap import ahead

__all__ = ["FPS", "FRAMES", "PRESETS", "SHAPES", "Moving"]

SHAPES = {"square": (1, 1), "4:5": (4, 5), "9:16": (9, 16)}
"""Width and height of each shape."""

_MARGIN = 0.05
"""Room about the frame, as a share of its longer side: more than anything moves."""

_KEY_WAY = 42.0
"""Degrees that the key light goes to either side."""

_KERNEL = 2
"""Pixels of a frame that resampling reads on either side."""

_AHEAD = 4
"""Frames that are made before they are asked for."""


class Moving:
    """One portrait of a photo that can move; all that its frames share is worked out once.

    size: height and width of the frames, even numbers.
    """

    def __init__(
        self, sitter: Sitter, sitting: Sitting, shape: str, side: int, studio: Studio
    ) -> None:
        """shape: of `SHAPES`, in the place of the sitting's; side: the longer one, pixels at most.

        Raises:
            KeyError: no such shape.
            BadOrder: the photo has no room for it.
        """
        if shape not in SHAPES:
            raise KeyError(shape)
        wish = replace(sitting.wish, shape=shape, side=side)
        frame = nearest(sitter.cut_out.alpha, framed_by(sitter, wish), wish)
        if isinstance(frame, Refusal):
            raise BadOrder("moving.no_room")
        self._sitter, self._sitting, self._studio = sitter, sitting, studio
        self.size = (frame.size[0] // 2 * 2, frame.size[1] // 2 * 2)
        self._frame = replace(frame, size=self.size)
        self._canvas = Canvas.about(self._frame, round(_MARGIN * max(self.size)))
        self._field = Field(sitter, self._canvas)
        self._still = as_soft(studio.wall(sitting, self.size), self._frame)
        self._person = self._lit(light_for(sitting))

    def frames(self, preset: str, every: int = 1) -> Generator[Picture, None, None]:
        """The frames of a preset of `PRESETS`: uint8 RGB [H, W, 3]; each `every`-th only.

        A second thread makes them a few ahead; close the generator where not all are taken.

        Raises:
            KeyError: no such preset.
        """
        return ahead(self._made([pose(preset, at) for at in range(0, FRAMES, every)]), _AHEAD)

    def _made(self, poses: list[Pose]) -> Generator[Picture, None, None]:
        ends = self._at_both_ends() if any(one.key for one in poses) else None
        wall = self._wall(any(one.wall for one in poses))
        for one in poses:
            lit = between(self._person, ends, one.key) if ends else self._person
            x, y = self._field.places(one)
            yield over(cv2.remap(lit, x, y, cv2.INTER_CUBIC), wall.at(one))

    def _at_both_ends(self) -> tuple[Picture, Picture]:
        """The person with the key light at both ends of its way."""
        own = light_for(self._sitting)
        left, right = (
            self._lit(replace(own, azimuth=float(np.clip(own.azimuth + way, -180, 180))))
            for way in (-_KEY_WAY, _KEY_WAY)
        )
        return left, right

    def _lit(self, light: Light) -> Picture:
        """The person on the canvas in a light: uint8 RGBA."""
        sitter, frame = self._sitter, self._canvas.frame
        person, alpha = cut(sitter.cut_out, frame, lighting(sitter, self._sitting, light))
        person, alpha = self._continued(person), self._continued(alpha)
        margin = self._canvas.margin
        around = cv2.copyMakeBorder(self._still, *(4 * (margin,)), cv2.BORDER_REFLECT)
        return person_layer(person, alpha, around, GRADES[self._sitting.look.grade])

    def _continued(self, layer: Floats) -> Floats:
        """Go on beyond borders that cut the person: resampling reads there for the last pixels."""
        cut_out = self._sitter.cut_out
        x, y = self._canvas.photo_places()
        low, high = -np.inf, np.inf
        edge = max(1.5, _KERNEL / self._frame.scale)
        at = borders(cut_out.alpha)
        height, width = cut_out.alpha.shape
        held_x = np.clip(x, edge if at.left else low, width - 1 - edge if at.right else high)
        held_y = np.clip(y, edge if at.top else low, height - 1 - edge if at.bottom else high)
        if np.array_equal(held_x, x) and np.array_equal(held_y, y):
            return layer
        affine = self._canvas.frame.affine.astype(np.float32)
        x, y = (affine[i, 0] * held_x + affine[i, 1] * held_y + affine[i, 2] for i in range(2))
        return np.asarray(cv2.remap(layer, x, y, cv2.INTER_LINEAR), np.float32)

    def _wall(self, goes_by: bool) -> Wall:
        """The wall as it stands, or one painted so much larger that it can go by."""
        rows, columns = self._canvas.shown
        shown, grade = self._person[rows, columns], GRADES[self._sitting.look.grade]
        alpha = np.asarray(shown[..., 3] / 255, np.float32)
        values = np.asarray(shown[..., :3] / 255, np.float32)
        grain = wall_grain(values, alpha, np.random.default_rng(self._sitting.seed))
        if not goes_by:
            return Wall(self._still, grade, grain)
        more = 2 * (round(WALL_REACH * max(self.size)) + 2)
        size = (self.size[0] + more, self.size[1] + more)
        return Wall(as_soft(self._studio.wall(self._sitting, size), self._frame), grade, grain)
