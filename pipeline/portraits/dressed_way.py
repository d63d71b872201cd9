"""The dressed way: portraits of photos whose clothes and room a base paints anew.

    portrait of a photo ─► head ─► painted around it ─► head laid over, to the bit

Nothing is trained. The base sees the head before a grey wall, so that it can continue neck and hair
and fit the light, and nothing of the clothes that are to go.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.compositing.backdrops import ANYONE
from pipeline.compositing.framing import Frame
from pipeline.compositing.head import Head
from pipeline.compositing.segmenter import Segment
from pipeline.compositing.tone import toned
from pipeline.portraits.generate import Shot, prompts_of
from pipeline.portraits.photo_way import PhotoPortrait, PhotoWay
from pipeline.portraits.shots import PhotoShot
from pipeline.portraits.style import Style, crop, finish

Picture = NDArray[np.uint8]

GREY = 128
"""The wall, 0 to 255, before which the base sees the head."""

DISTANCES = {
    "face": "in a close-up of the face",
    "head_and_shoulders": "framed at head and shoulders",
    "half_body": "framed from the waist up",
}
AS_THEY_ARE = {"pose": "holding the head as it is", "expression": "the expression as it is"}
"""What a look's `[painted]` sentence gets where the camera has decided."""


class DressedWay:
    """Makes portraits of one person's photos with a base that sees pictures."""

    def __init__(self, way: PhotoWay, base: Base, segment: Segment) -> None:
        """segment: tells a painted person from the wall."""
        self._way, self._base, self._segment = way, base, segment

    def portraits(
        self, shots: Sequence[PhotoShot], shape: str, tone: str, stop: Callable[[], bool]
    ) -> Generator[PhotoPortrait, None, None]:
        """The shots in order.

        shape: a key of `style.CROPS`, or "look" for each look's own. tone: of `tone.TONES`.

        Raises:
            Stopped: `stop` said so; it is asked before each block of a network. BadOrder: no photo
            has room for a portrait. ShortOfMemory: with the stage at which memory ran short.
        """
        base = self._base
        shots = [replace(shot, style=_fading(shot.style)) for shot in shots]
        with device.during("paint"), base.heeding(stop), base.painting():
            with device.during("words"):
                base.prepare_prompts([text for shot in shots for text in self._words(shot)])
            with closing(self._way.portraits(shots, "square", 0.0, stop)) as composed:
                for portrait in composed:
                    yield self._dressed(portrait, shape, tone, stop)

    def _dressed(
        self, portrait: PhotoPortrait, shape: str, tone: str, stop: Callable[[], bool]
    ) -> PhotoPortrait:
        style, head = portrait.shot.style, self._way.head(portrait)
        painted = finish(self._painted(portrait, head, stop), style.finish)
        painted = _resized(painted, len(portrait.image))
        if tone != "look":
            painted = toned(painted, self._segment(painted), tone)
        image = crop(head.over(painted), style.crop if shape == "look" else shape)
        return self._way.measured(portrait.shot, image, _cropped(portrait.frame, image.shape[1]))

    def _painted(self, portrait: PhotoPortrait, head: Head, stop: Callable[[], bool]) -> Picture:
        """What the base paints around the head: [R, R, 3], R = `base.resolution`."""
        base, side = self._base, self._base.resolution
        with device.during("encode"):
            kept = base.encode_images(_resized(portrait.image, side)[None])
            seen = base.encode_images(_resized(head.before(GREY), side // 2)[None])
        pictures = {"references": seen[:, None], "kept": kept, "mask": self._mask(head, kept)}
        wanted, unwanted = (
            base.encode_prompts([words]) | pictures for words in self._words(portrait.shot)
        )
        latents = base.sample(wanted, unwanted, [_seed(portrait.shot)], base.sampling, stop)
        with device.during("decode"):
            [painted] = base.decode(latents)
        return painted

    def _words(self, shot: PhotoShot) -> tuple[str, str]:
        """What is to be seen, and what is not. Of a look's pools only clothes are drawn."""
        details: dict[str, str] = {}
        if shot.style.painted is not None:
            attire = shot.style.painted.drawn([shot.seed], shot.turn)["attire"]
            details = {"attire": attire, "distance": DISTANCES[shot.distance], **AS_THEY_ARE}
        asked = Shot(shot.index, shot.style, shot.seed, details=details)
        return prompts_of(self._base, asked, ANYONE)

    def _mask(self, head: Head, latents: torch.Tensor) -> torch.Tensor:
        """1 where all of what a latent stands for stays, [1, 1, h, w]."""
        height, width = latents.shape[2:]
        stays = head.stays.astype(np.float32)
        share = cv2.resize(stays, (width, height), interpolation=cv2.INTER_AREA)
        return torch.from_numpy((share > 0.999).astype(np.float32))[None, None].to(latents.device)


def _fading(style: Style) -> Style:
    """The look with a person who may fade out where the photo cuts them: clothes are painted."""
    assert style.photo is not None
    return replace(style, photo=replace(style.photo, fade=True))


def _seed(shot: PhotoShot) -> int:
    """Of the initial noise: another one for each portrait, so that no two rooms are alike."""
    return int(np.random.SeedSequence((shot.seed, shot.turn)).generate_state(1)[0])


def _resized(image: Picture, side: int) -> Picture:
    shrinks = side < len(image)
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)


def _cropped(frame: Frame, width: int) -> Frame:
    """The frame of a square portrait after `style.crop` to a width."""
    (a, b, x), below = frame.matrix
    left = (frame.size[1] - width) // 2
    return replace(frame, matrix=((a, b, x - left), below), size=(frame.size[0], width))
