"""One person's cut-out photos in a studio: what all portraits share is worked out once per photo.

    cut-out ─► points ─► shape ─┐
                 └────► skin ───┴─► Sitter ─► lit, framed, set before a wall ─► portrait

Knows pixels and lights; it does not know looks' files, orders or the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.clothes import SURE, separate, toned
from pipeline.compositing.colour import linear, luminance
from pipeline.compositing.composite import GRADES
from pipeline.compositing.face_mesh import FaceMesh, Mesh, five
from pipeline.compositing.framing import DISTANCES, SHAPES, Frame, Refusal, Wish, choose
from pipeline.compositing.look import PhotoLook
from pipeline.compositing.neutral import neutral
from pipeline.compositing.ranking import merit
from pipeline.compositing.relight import LIGHTS, Floats, Light, gain
from pipeline.compositing.render import Lighting, render
from pipeline.compositing.shape import Shape, shape
from pipeline.compositing.skin import Skin, read_skin
from pipeline.compositing.walls import paint
from pipeline.imaging import CutOut

WALLS_KEPT = 6
"""Painted walls in RAM: 12 MB each at 1024 px."""

_MOST_EVENED = 2**0.4
"""Most that the light on a face is scaled by to be alike: the points of a face in profile are hard
to find, and must not decide more."""

SAME_WALL = 1
"""The variant that all portraits have where they are to be alike, and that the editor shows."""

WALL_VARIANTS = 3
"""Walls painted of one look and shape; portraits take turns, so that painting is not repeated."""


@dataclass(frozen=True)
class Sitter:
    """A cut-out photo with all that its portraits share.

    landmarks: float32 [5, 2]; points: float32 [468, 3]; balance: float32 [3, 3], to the neutral
    standard; merit: 0 to 1, how good a photo it is.
    """

    cut_out: CutOut
    landmarks: NDArray[np.float32]
    points: NDArray[np.float32]
    shape: Shape
    skin: Skin
    merit: float
    balance: Floats | None = None


@dataclass(frozen=True)
class Sitting:
    """One portrait as it is asked for.

    look, wish: wall, light and grade; shape, distance, size and fade. mirrored: the light comes
    from the other side. seed: of wall and grain. wall_stops: the wall brighter or darker, in EV.
    """

    look: PhotoLook
    wish: Wish
    mirrored: bool = False
    seed: int = 0
    wall_stops: float = 0.0


def sit(
    cut_out: CutOut, landmarks: NDArray[np.float32], sharpness: float, mesh: FaceMesh
) -> Sitter:
    """Work out what the portraits of one photo share; 0.2 s.

    landmarks: float32 [5, 2] in pixels of the photo; sharpness: of the face.

    Raises:
        BaseUnavailable: the model of face points is missing.
    """
    found: Mesh = mesh.find(cut_out.colours, landmarks)
    skin = read_skin(cut_out.colours, cut_out.alpha, found.points)
    return Sitter(
        cut_out,
        landmarks,
        found.points,
        shape(cut_out.colours, cut_out.alpha, found.points),
        skin,
        merit(cut_out.colours, found, skin, sharpness).score,
    )


def neutralised(sitters: Sequence[Sitter]) -> list[Sitter]:
    """Bring all photos of one person to one exposure and white balance, within bounds."""
    corrections = neutral([sitter.skin for sitter in sitters])
    return [replace(s, balance=c.matrix) for s, c in zip(sitters, corrections, strict=True)]


def nearest(
    alpha: NDArray[np.uint8], landmarks: NDArray[np.floating], wish: Wish
) -> Frame | Refusal:
    """Choose the wished frame or, where the photo has no room for it, that of another distance.

    The other distances are tried in the order of how near they come to the wished head; then all
    again with the shape's own line of the eyes, where another one is wished.

    Raises:
        KeyError: no such shape or distance.
    """
    others = sorted(
        (name for name, share in DISTANCES.items() if share != wish.share),
        key=lambda name: abs(DISTANCES[name] - wish.share),
    )
    wishes = [wish, *(replace(wish, distance=name, head=None) for name in others)]
    if wish.eyes is not None:
        wishes += [replace(other, eyes=None) for other in wishes]
    for wished in wishes:
        frame = choose(alpha, landmarks, wished)
        if not isinstance(frame, Refusal):
            break
    return frame


def clothes_are_clear(sitter: Sitter) -> bool:
    """Tell whether clothes can be told from skin and hair, so that they may be toned."""
    cut_out = sitter.cut_out
    return separate(cut_out.colours, cut_out.alpha, sitter.landmarks).confidence >= SURE


def dressed(sitter: Sitter, tone: str) -> Sitter | None:
    """The same person in clothes of a tone of `clothes.TONES`; None if they are not clear."""
    cut_out = sitter.cut_out
    colours, _ = toned(cut_out.colours, cut_out.alpha, sitter.landmarks, tone)
    if colours is None:
        return None
    lit_again = shape(colours, cut_out.alpha, sitter.points)  # how bright cloth is bounds the light
    return replace(sitter, cut_out=replace(cut_out, colours=colours), shape=lit_again)


def painted_wall(look: PhotoLook, size: tuple[int, int], seed: int) -> Floats:
    """The wall of a look, linear light [H, W, 3], in one of its `WALL_VARIANTS`."""
    return _painted(look.wall, look.colour, look.depth_of_field, size, seed % WALL_VARIANTS)


def _painted(
    wall: str, colour: str | None, depth_of_field: float, size: tuple[int, int], variant: int
) -> Floats:
    return paint(wall, size, np.random.default_rng(variant), colour, depth_of_field)


class Studio:
    """Composes portraits. Thread-safe; keeps the walls that it painted last."""

    def __init__(self) -> None:
        self._wall = lru_cache(maxsize=WALLS_KEPT)(_painted)

    def compose(
        self, sitter: Sitter, sitting: Sitting
    ) -> tuple[NDArray[np.uint8], Frame] | Refusal:
        """One portrait: uint8 RGB of the frame's size, and the frame; or why there is none.

        Where a photo has no room for the wished distance, the nearest one is taken.
        """
        frame = nearest(sitter.cut_out.alpha, framed_by(sitter, sitting.wish), sitting.wish)
        if isinstance(frame, Refusal):
            return frame
        picture = render(
            sitter.cut_out,
            frame,
            lighting(sitter, sitting, light_for(sitting)),
            self.wall(sitting, frame.size),
            GRADES[sitting.look.grade],
            np.random.default_rng(sitting.seed),
        )
        return picture, frame

    def wall(self, sitting: Sitting, size: tuple[int, int]) -> Floats:
        """The wall of a portrait of `size` (H, W), linear light [H, W, 3]; not to be written to."""
        look = sitting.look
        variant = SAME_WALL if look.alike else sitting.seed % WALL_VARIANTS
        wall = self._wall(look.wall, look.colour, look.depth_of_field, size, variant)
        return wall * np.float32(2**sitting.wall_stops) if sitting.wall_stops else wall


def light_for(sitting: Sitting) -> Light:
    """The lights of a portrait, on the side that it asks for."""
    light = light_of(sitting.look)
    return light.mirrored() if sitting.mirrored else light


def lighting(sitter: Sitter, sitting: Sitting, light: Light) -> Lighting:
    """What a light makes of a person's linear colours in a portrait."""
    field = gain(sitter.shape, light)
    return Lighting(_evened(field, sitter) if sitting.look.alike else field, sitter.balance)


def framed_by(sitter: Sitter, wish: Wish) -> NDArray[np.float32]:
    """The landmarks [5, 2] that a frame goes by: where people are to be alike those of the mesh,
    which hardly change with size and light."""
    return sitter.landmarks if wish.eyes is None else five(sitter.points)


def _evened(field: Floats, sitter: Sitter) -> Floats:
    """Scale the lights' field [h, w, 3] so that the face stays as bright as in neutral light."""
    size, photo = field.shape[1::-1], sitter.cut_out.alpha.shape[::-1]
    outline = cv2.convexHull(
        np.round(sitter.points[:, :2] * np.divide(size, photo)).astype(np.int32)
    )
    face = cv2.fillConvexPoly(np.zeros(field.shape[:2], np.uint8), outline, 1) > 0
    colours = cv2.resize(sitter.cut_out.colours, size, interpolation=cv2.INTER_AREA)
    light = linear(np.asarray(colours[face][:, None], np.uint8))
    if sitter.balance is not None:
        light = np.maximum(cv2.transform(light, sitter.balance), 0)
    neutral, lit = (
        float(luminance(np.minimum(shown, 1)).mean())
        for shown in (light, light * field[face][:, None])
    )
    ratio = max(neutral, 1e-3) / max(lit, 1e-3)
    return np.asarray(field * np.clip(ratio, 1 / _MOST_EVENED, _MOST_EVENED), np.float32)


def light_of(look: PhotoLook) -> Light:
    """The lights of a look, named or written out."""
    if isinstance(look.light, str):
        return LIGHTS[look.light]
    return Light(**dict(look.light))


def wish_of(look: PhotoLook, shape_name: str, distance: str, side: int) -> Wish:
    """The frame that a look asks for, in a shape of `framing.SHAPES`."""
    assert shape_name in SHAPES, shape_name
    wish = Wish(shape=shape_name, distance=distance, side=side, fade=look.fade)
    if look.alike is None:
        return wish
    return replace(wish, head=look.alike.head / SHAPES[shape_name].head, eyes=look.alike.eyes)
