"""What a training photo shows that is not the person: said in its caption, it is learnt as its own.

Clothes by colour, mouth, turn of the head and light are measured in every photo; glasses are named
only where some photos of the person have them and others do not. Nothing is said of hair, or of
what is worn on the head: that is the person's. What cannot be told for sure is left out.

These words describe somebody: they are in memory while the person is learnt, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import Stopped
from pipeline.compositing.clothes import separate
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.ranking import Merit
from pipeline.compositing.ranking import merit as judged
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.skin import read_skin
from pipeline.imaging import align
from pipeline.photos.quality import FACE_SIDE, brightness

if TYPE_CHECKING:
    from pipeline.photos.record import TrainingPhoto


_TYPICAL = "wearing navy clothes, glasses, lips closed, head turned to the left, even light"
"""A base that does not know all of these words has captions of its own."""

# Thresholds were set on photos of 48 people, and lie between what was so in them and what was not.
_TURNED, _AHEAD = 15, 10  # degrees of yaw
_PROFILE, _BOWED = 35, 20  # degrees of yaw and pitch: beyond, lips, cheeks and glasses are not told
_OPEN, _CLOSED, _SMILE = 0.14, 0.08, 0.05  # see `Merit.mouth_open` and `.smile`
_ONE_SIDE, _EVEN = 1.7, 1.2  # one cheek's luminance by the other's
_DIM, _BRIGHT = 0.75, 1.25  # brightness of a face by that of the person's other photos
_BRIDGE = 4.0
"""Step in CIELAB lightness, per pixel where the eyes are `_EYES_PX` apart, that is the bridge of
glasses: 4.4 to 19 in 15 photos with any, dark ones too; 0.2 to 3.5 in 44 without, and 5.4 where one
furrows the brow."""
_EYES_PX = 100

_APART = 0.3
"""How sure it must be where the clothes are. To change their colour takes more (`clothes.SURE`); to
name the colour that most of them have, some hair or neck among them does no harm."""

_MAIN, _SECOND = 0.35, 0.25
"""Share of the clothes that a colour, and a second one, must have to be named."""

_GREY = 11.0
"""Chroma below which a colour is a grey."""

_GREYS = ((22, "black"), (45, "dark grey"), (70, "grey"), (78, "light grey"), (101, "white"))
"""Lightness below which a grey is called that."""

_HUES = (
    (50, ("burgundy", "red", "pink")),
    (80, ("brown", "orange", "peach")),
    (110, ("brown", "mustard", "yellow")),
    (170, ("dark green", "green", "light green")),
    (230, ("teal", "teal", "turquoise")),
    (300, ("navy", "blue", "light blue")),
    (335, ("purple", "purple", "lavender")),
    (361, ("burgundy", "pink", "pink")),
)
"""Degrees in the a*b* plane below which a hue has these names: L* below 32, below 70, above."""

_EARTHS, _EARTH_CHROMA = (50, 110), 34
"""Hues that are brown or beige where they are no stronger."""


@dataclass(frozen=True)
class Seen:
    """What was measured of a photo.

    clothes: names of colours, none if they cannot be told from the person. face: head and mouth.
    bridge: whether something lies across the nose as glasses do. sides: luminance of the cheek on
    the left of the picture by the right one's. brightness: median luma of the face, 0 to 255.
    """

    clothes: tuple[str, ...]
    face: Merit
    bridge: bool
    sides: float
    brightness: float

    @property
    def frontal(self) -> bool:
        return abs(self.face.yaw) < _PROFILE and self.face.pitch < _BOWED

    @property
    def glasses(self) -> bool | None:
        """Whether there are any; None if that cannot be told."""
        return self.bridge if self.frontal else None


def captioned(
    photos: Sequence[TrainingPhoto],
    knows: Callable[[str], bool],
    measured: Callable[[], Sequence[Seen]],
) -> list[TrainingPhoto]:
    """The photos, each with what its caption says beside person and wall.

    knows: whether the base understands a text; if it does not understand such captions, the photos
    are given back as they are, and `measured` is not asked for what was seen in each.
    """
    if not knows(_TYPICAL):
        return list(photos)
    return [replace(p, said=words) for p, words in zip(photos, said(measured()), strict=True)]


def measure(
    photos: Sequence[TrainingPhoto], segment: Segment, mesh: FaceMesh, stop: Callable[[], bool]
) -> list[Seen]:
    """Measure the photos of one person, one after the other.

    Raises:
        Stopped: `stop` said so; it is asked before each photo.
    """
    measured = []
    for photo in photos:
        if stop():
            raise Stopped
        measured.append(seen(photo, segment, mesh))
    return measured


def seen(photo: TrainingPhoto, segment: Segment, mesh: FaceMesh) -> Seen:
    """Measure one photo; 0.3 s. segment: for a photo without alpha."""
    alpha = segment(photo.image) if photo.alpha is None else photo.alpha
    found = mesh.find(photo.image, photo.landmarks)
    skin = read_skin(photo.image, alpha, found.points)
    merit = judged(photo.image, found, skin, 0.0)
    return Seen(
        _colours(photo, alpha),
        merit,
        _bridge(photo.image, found.points) > _BRIDGE,
        skin.right / max(skin.left, 1e-4),
        brightness(align(photo.image, photo.landmarks, FACE_SIDE)),
    )


def said(photos: Sequence[Seen]) -> list[str]:
    """What the captions of one person's photos say, parts between commas."""
    glasses = {photo.glasses for photo in photos} >= {True, False}
    usual = float(np.median([photo.brightness for photo in photos])) if photos else 0.0
    return [", ".join(filter(None, _parts(photo, glasses, usual))) for photo in photos]


def _parts(photo: Seen, glasses: bool, usual: float) -> list[str]:
    """glasses: whether they are named. usual: brightness of this person's face."""
    return [
        f"wearing {' and '.join(photo.clothes)} clothes" if photo.clothes else "",
        "wearing glasses" if glasses and photo.glasses else "",
        _mouth(photo.face) if photo.frontal else "",
        _turn(photo.face.yaw),
        _light(photo, usual),
    ]


def _mouth(face: Merit) -> str:
    if face.mouth_open >= _OPEN and face.smile >= _SMILE:
        return "open smile"
    return "lips closed" if face.mouth_open < _CLOSED else ""


def _turn(yaw: float) -> str:
    if abs(yaw) >= _TURNED:
        return f"head turned to the {'right' if yaw > 0 else 'left'}"
    return "facing the camera" if abs(yaw) < _AHEAD else ""


def _light(photo: Seen, usual: float) -> str:
    """How the face is lit; bright and dim are so beside the same face in other photos."""
    share = photo.brightness / max(usual, 1.0)
    strength = "dim" if share < _DIM else "bright" if share > _BRIGHT else ""
    stronger = max(photo.sides, 1 / max(photo.sides, 1e-4)) if photo.frontal else 1.5
    if stronger > _ONE_SIDE:
        side = "left" if photo.sides > 1 else "right"
        return f"{strength} light from the {side}".strip()
    even = "even" if stronger < _EVEN else ""
    words = " ".join(filter(None, (strength, even)))
    return f"{words} light" if words else ""


def _colours(photo: TrainingPhoto, alpha: NDArray[np.uint8]) -> tuple[str, ...]:
    """Names of the one or two colours that most of the clothes have."""
    clothes = separate(photo.image, alpha, photo.landmarks)
    worn = clothes.mask > 0.6
    if clothes.confidence < _APART or not worn.any():
        return ()
    lab = cv2.cvtColor(photo.image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[worn]
    names, counts = np.unique(
        [colour_name(*one) for one in lab[:: max(1, len(lab) // 2000)]], return_counts=True
    )
    most = sorted(zip(counts / counts.sum(), names, strict=True), reverse=True)[:2]
    if most[0][0] < _MAIN:
        return ()
    named = {str(name).split()[-1]: str(name) for share, name in reversed(most) if share >= _SECOND}
    return tuple(reversed(named.values()))  # blue and light blue are one


def colour_name(lightness: float, a: float, b: float) -> str:
    """Call a colour in CIELAB by a name that everybody uses."""
    chroma, hue = float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a))) % 360
    if chroma < _GREY:
        return next(name for limit, name in _GREYS if lightness < limit)
    if _EARTHS[0] <= hue < _EARTHS[1] and chroma < _EARTH_CHROMA:
        return "brown" if lightness < 55 else "beige"
    dark, middling, light = next(names for limit, names in _HUES if hue < limit)
    return dark if lightness < 32 else middling if lightness < 70 else light


def _bridge(image: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """The strongest step in lightness from brow to nose, between the eyes of a mesh [468, 3].

    Skin there is smooth; glasses lay a bar across it.
    """
    right, left = points[33, :2], points[263, :2]
    across = left - right
    scale = _EYES_PX / max(float(np.hypot(*across)), 1e-3)
    middle = (right + left) / 2
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    transform = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), tilt, scale)
    transform[:, 2] += (80, 60) - middle
    flat = points[[133, 362, 168, 197], :2] @ transform[:, :2].T + transform[:, 2]
    patch = cv2.warpAffine(image, transform, (160, 140), flags=cv2.INTER_LINEAR)
    lab = cv2.cvtColor(patch.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    smooth = cv2.GaussianBlur(lab[..., 0], (0, 0), 1.0)
    steps = np.abs(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)) / 8
    column = int(flat[:2, 0].mean())
    top, bottom = int(flat[2, 1]) - 6, int(flat[3, 1]) + 2
    between = steps[max(0, top) : bottom, max(0, column - 6) : column + 7]
    return float(np.median(between.max(axis=0))) if between.size else 0.0
