"""A portrait starts to move: a clip that a base makes of it, if that is still the same person.

A base that makes clips invents every frame but the first, and may end with somebody else.  So each
frame is compared with the portrait, and a clip with one frame that is not like it is never shown.
Faces are compared here: a clip is for somebody who agreed to that, as the painted way asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import ClipRefused, Stopped
from pipeline.bases import device
from pipeline.bases.families.wan import FPS, Wan
from pipeline.imaging import Face
from pipeline.photos.detection import Faces
from pipeline.portraits.frames import around

ALIKE = 0.7
"""Likeness to the portrait (cosine of SFace) below which a frame may be somebody else."""

SCENE = (
    "A studio portrait of a person who looks into the camera, mouth closed, with a natural, "
    "friendly expression. {} The wall behind stays as it is. Realistic skin, soft light."
)

MOTIONS = {
    "calm": "The person breathes calmly and blinks once; the camera does not move.",
    "turn": "The person slowly turns the head a little to one side, and back again.",
    "light": "The person stays still while the key light slowly moves from left to right.",
    "push-in": "The person stays still while the camera slowly comes a little closer.",
}
"""What a clip may show -> what a base is asked for."""

UNWANTED = (
    "talking, open mouth, grimace, distorted face, changing face, another person, hands, text, "
    "flicker, blur, overexposed, cartoon, low quality"
)


@dataclass(frozen=True)
class Animation:
    """frames: uint8 RGB [S, S, 3], `fps` a second; likeness: of each frame to the portrait."""

    frames: list[NDArray[np.uint8]]
    fps: int
    likeness: list[float]


def animate(
    base: Wan,
    portrait: NDArray[np.uint8],
    faces: Faces,
    *,
    motion: str,
    seed: int,
    stop: Callable[[], bool],
) -> Animation:
    """Make a clip of the largest square of a portrait, uint8 RGB [H, W, 3], around its face.

    base: configured as planned (`planning.clips`); its `resolution` is the clip's side S.
    motion: a key of `MOTIONS`. The same seed gives the same clip.

    Raises:
        ClipRefused: the portrait shows no face, or a frame is less like it than `ALIKE`.
        Stopped: `stop` said so; it is asked before each block of a network, and each frame.
        ShortOfMemory: with the stage at which the GPU's memory ran short.
    """
    face = next(iter(faces.detect(portrait)), None)
    if face is None:
        raise ClipRefused("errors.clip_no_face")
    person = faces.embed(portrait, face)
    frames = _made(base, _square(portrait, face, base.resolution), motion, seed, stop)
    likeness = []
    for frame in frames:
        if stop():
            raise Stopped
        likeness.append(faces.likeness(frame, person))
        if likeness[-1] < ALIKE:
            raise ClipRefused("errors.clip_unlike")
    return Animation(frames, FPS, likeness)


def _square(portrait: NDArray[np.uint8], face: Face, side: int) -> NDArray[np.uint8]:
    height, width = portrait.shape[:2]
    share = tuple(np.asarray(face.box) / (width, height, width, height))
    left, top, right, bottom = around((width, height), (1, 1), share)
    way = cv2.INTER_AREA if side < right - left else cv2.INTER_LANCZOS4
    return np.asarray(
        cv2.resize(portrait[top:bottom, left:right], (side, side), interpolation=way), np.uint8
    )


def _made(
    base: Wan, picture: NDArray[np.uint8], motion: str, seed: int, stop: Callable[[], bool]
) -> list[NDArray[np.uint8]]:
    """The frames of a clip that begins with the picture, uint8 RGB [S, S, 3]."""
    prompt = SCENE.format(MOTIONS[motion])
    with device.during("paint"), base.heeding(stop), base.painting():
        with device.during("words"):
            base.prepare_prompts([prompt, UNWANTED])  # nobody's, so they are kept
            wanted, unwanted = base.encode_prompts([prompt]), base.encode_prompts([UNWANTED])
        with device.during("encode"):
            first = base.encode_images(picture[None])
        latents = base.sample(
            wanted | {"first": first}, unwanted | {"first": first}, [seed], base.sampling, stop
        )
        with device.during("decode"):
            return list(base.decode(base.begun(latents, first)))
