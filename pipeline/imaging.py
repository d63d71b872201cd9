"""Pictures as everybody passes them on: cut-outs, and where a face stands in a crop.

Every portrait that meets the embedded base model is turned, scaled and shifted so that its
eyes and mouth fall on fixed points.  The small model then spends its capacity on who somebody
is and not on where the face might be.

Knows the geometry only.  It does not find faces (the detector's five landmarks are given to it)
and reads no files.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TEMPLATE_SIZE = 160
"""Side in pixels of the crop in which `EYES_AND_MOUTH` is written."""

EYES_AND_MOUTH: NDArray[np.float32] = np.array(
    [[60.8, 67.2], [99.2, 67.2], [80.0, 108.8]], dtype=np.float32
)
"""[3, 2] x, y at 160 px: the eye on the left of the picture, the other eye, the mouth's centre."""

_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG)

MAX_TURN = 3.0
"""Degrees either way that `moved` turns."""

SCALES = (0.95, 1.08)

MAX_SHIFT = 0.025
"""Share of the picture's side, either way."""

_ANTIALIAS_BELOW = 0.6
"""Scale under which a cubic warp alone would alias: the picture is shrunk by area first."""


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


EDGES_SURE = 0.93
"""Confidence of a cut-out below which its edges want a look. Of 70 strangers' photos the seven
whose portraits kept a piece of the room are below it, and so are twelve of the 59 good ones."""


@dataclass(frozen=True)
class CutOut:
    """A person without their room.

    colours: uint8 RGB [H, W, 3], the person's own, 0 where alpha is 0. alpha: uint8 [H, W], 255 is
    person. confidence: of the matte, 0 to 1. faults: codes of what is wrong with it, none if it may
    be set before another wall: "face_hidden", "unsure", "holes", "head_missing", "hair_cut",
    "bystander". covered: what of the face something seems to hide, which is but a hint: "mouth",
    "eyes", "half", "hand" or None. tight: has no room for the frame that a company's portraits have
    in common, a hint as well.
    """

    colours: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    confidence: float = 1.0
    faults: tuple[str, ...] = ()
    covered: str | None = None
    tight: bool = False

    @property
    def edges_sure(self) -> bool:
        """Whether nothing of the room is likely to be left at the person's edges."""
        return self.confidence >= EDGES_SURE

    def to_png(self) -> bytes:
        """Colours and alpha in one lossless file, with nothing beside them."""
        return png_of(cv2.merge([*cv2.split(self.colours), self.alpha]))

    @classmethod
    def from_png(cls, png: bytes) -> CutOut:
        """Back from `to_png`; confidence and faults are not in the file."""
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            rgba = np.asarray(image.convert("RGBA"))
        return cls(np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3]))

    def before(self, grey: int) -> NDArray[np.uint8]:
        """uint8 RGB [H, W, 3]: the person before an even wall, 0 to 255."""
        alpha = self.alpha[..., None].astype(np.uint16)
        mixed = self.colours.astype(np.uint16) * alpha + np.uint16(grey) * (255 - alpha)
        return ((mixed + 127) // 255).astype(np.uint8)


def png_of(image: NDArray[np.uint8]) -> bytes:
    """uint8 RGB [H, W, 3] or RGBA [H, W, 4] as PNG without metadata.

    Level 1 and one filter for all rows: twice as fast as choosing one for each row, and no larger.
    """
    opencvs = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(image, opencvs), _PNG)[1].tobytes()


def anchors(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    """The three points that are aligned, from YuNet's five.

    landmarks: [5, 2] x, y in pixels: right eye, left eye, nose, right and left mouth corner,
    "right" being the person's, that is, on the left of the picture.  Returns [3, 2].
    """
    points = np.asarray(landmarks, dtype=np.float32).reshape(5, 2)
    return np.stack([points[0], points[1], (points[3] + points[4]) / 2])


def face_bump(height: int, width: int) -> NDArray[np.float32]:
    """[height, width]: 1 in the middle of an aligned face, near 0 away from it, at any scale."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    across, down = x * (TEMPLATE_SIZE / width), y * (TEMPLATE_SIZE / height)
    distance = ((across - 80) / 34) ** 2 + ((down - 84) / 44) ** 2
    return np.exp(-distance).astype(np.float32)


def align_transform(
    landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE
) -> NDArray[np.float64]:
    """The 2x3 similarity that takes picture pixels to pixels of a crop `size` on a side."""
    target = EYES_AND_MOUTH * (size / TEMPLATE_SIZE)
    # Least squares over three points.  LMEDS or RANSAC, the defaults, would drop one of them.
    return _similarity(anchors(landmarks), target)


def align(
    image_rgb: NDArray[np.uint8], landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE
) -> NDArray[np.uint8]:
    """Cut the aligned face out of a picture, antialiased; borders are continued outwards.

    image_rgb: uint8 [H, W, 3] (or [H, W], a matte); landmarks: [5, 2].
    Returns uint8 [size, size, 3] (or [size, size]).
    """
    transform = align_transform(landmarks, size)
    scale = float(np.hypot(transform[0, 0], transform[0, 1]))
    if scale < _ANTIALIAS_BELOW:
        shrink = scale * 1.3  # leaves the warp a mild reduction that cubic resampling can carry
        height, width = image_rgb.shape[:2]
        new_size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image_rgb = cv2.resize(image_rgb, new_size, interpolation=cv2.INTER_AREA)
        transform = transform.copy()
        transform[:, 0] /= new_size[0] / width
        transform[:, 1] /= new_size[1] / height
    return cv2.warpAffine(
        image_rgb,
        transform,
        (size, size),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def moved(
    person: NDArray[np.uint8], matte: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Turn, scale and shift an aligned face a little, as heads are: picture and matte alike.

    person: uint8 [S, S, 3]; matte: uint8 [S, S].
    """
    size = person.shape[0]
    centre = (size / 2, size / 2)
    move = cv2.getRotationMatrix2D(centre, rng.uniform(-MAX_TURN, MAX_TURN), rng.uniform(*SCALES))
    move[:, 2] += rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * size

    def warp(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        turned = cv2.warpAffine(
            image, move, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(turned, np.uint8)

    return warp(person), warp(matte)


def _similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """Least-squares similarity [2, 3] from points [n, 2] to points [n, 2] (Umeyama 1991).

    In complex numbers a similarity is `w = a z + b`, so `a` is one complex regression slope.
    """
    z = source[:, 0].astype(np.complex128) + 1j * source[:, 1]
    w = target[:, 0].astype(np.complex128) + 1j * target[:, 1]
    z_mean, w_mean = z.mean(), w.mean()
    spread = float((np.abs(z - z_mean) ** 2).sum())
    if spread < 1e-6:
        raise ValueError("the landmarks fall on one point")
    a = ((w - w_mean) * np.conj(z - z_mean)).sum() / spread
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
