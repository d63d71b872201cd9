"""What a portrait starts from: its person, cut out of a photo, before the wall of its look.

A small base that starts from noise alone paints somebody of the kind; from the person's own face,
half in noise, it paints more of that person, and it keeps the hair and the wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.backdrops import compose, words_in
from pipeline.compositing.segmenter import Segment
from pipeline.imaging import align, moved
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import Shot

Picture = NDArray[np.uint8]


class Starts:
    """The photos of one person, in RAM, as pictures to start from."""

    def __init__(self, photos: Sequence[TrainingPhoto], segment: Segment) -> None:
        """segment: tells the person from the wall."""
        self._photos, self._segment = photos, segment
        self._cut: dict[tuple[int, int], tuple[Picture, Picture]] = {}

    def given(self, shots: Sequence[Shot]) -> list[Shot]:
        """The same shots, each with a start where its look names a wall that can be painted.

        Which photo it is, and how the head is moved, depends on the shot's seed alone.
        """
        return [
            shot
            if words_in(shot.style.prompt) is None
            else replace(shot, start=partial(self._picture, shot))
            for shot in shots
        ]

    def _picture(self, shot: Shot, side: int) -> Picture:
        rng = np.random.default_rng(shot.seed)
        person, matte = self._cut_out(int(rng.integers(len(self._photos))), side)
        words = words_in(shot.style.prompt)
        assert words is not None
        turned, cut = moved(person, matte, rng)
        return compose(rng, turned, cut, **words)

    def _cut_out(self, number: int, side: int) -> tuple[Picture, Picture]:
        """Face in its place and matte, `side` pixels each way; worked out once."""
        if (number, side) not in self._cut:
            photo = self._photos[number]
            person = align(photo.image, photo.landmarks, side)
            self._cut[number, side] = person, self._segment(person)
        return self._cut[number, side]
