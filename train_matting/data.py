"""Examples without end: people of plain walls before rooms, as the segmenter sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from dev import rooms
from pipeline.compositing.segmenter import Segment

CROP = 128
CROPS_PER_PICTURE = 4

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Person:
    """Colours uint8 RGB [H, W, 3] and alpha uint8 [H, W]; weight: how often, 1 = as the others."""

    colours: Picture
    alpha: Picture
    weight: float


class Examples(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Pairs of input [5, CROP, CROP] and alpha [1, CROP, CROP]."""

    def __init__(
        self,
        people: Sequence[Person],
        walls: Sequence[tuple[Picture, Picture]],
        segmenter: Callable[[], Segment],
        seed: int,
    ) -> None:
        """walls: photos and their masks (255 = person). segmenter: makes one, in the worker."""
        self._people, self._walls, self._segmenter, self._seed = people, walls, segmenter, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        cv2.setNumThreads(1)
        segment, rng = self._segmenter(), np.random.default_rng(self._seed)
        odds = np.array([person.weight for person in self._people])
        while True:
            person = self._people[int(rng.choice(len(odds), p=odds / odds.sum()))]
            picture, alpha = self._picture(rng, person)
            mask, doubt = flip_averaged(picture, segment)
            packed = network_input(picture, mask, doubt)
            for _ in range(CROPS_PER_PICTURE):
                top, left = _edge_crop(rng, alpha, mask)
                cut = np.s_[top : top + CROP, left : left + CROP]
                x, y = packed[:, cut[0], cut[1]], alpha[cut].astype(np.float32)[None] / 255
                yield torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y)

    def _picture(self, rng: np.random.Generator, person: Person) -> tuple[Picture, Picture]:
        """One person before one room, framed and lit by chance."""
        ink, alpha = person.colours.astype(np.float32), person.alpha
        if rng.random() < 0.5:
            ink, alpha = ink[:, ::-1], alpha[:, ::-1]
        height, width = alpha.shape
        lit = 255 * (ink / 255) ** rng.uniform(0.6, 1.5) * rng.uniform(0.75, 1.15)
        lit = np.clip(lit * rng.uniform(0.88, 1.12, 3), 0, 255)
        share = alpha[..., None] / 255.0
        together = lit * share + self._room(rng, height, width) * (1 - share)
        zoom = rng.uniform(1, 1.4) if rng.random() < 0.5 else 1.0
        high, wide = int(height / zoom), int(width / zoom)
        top = int(rng.integers(0, (height - high) // 2 + 1))
        left = int(rng.integers(0, width - wide + 1))
        cut = np.s_[top : top + high, left : left + wide]
        grown = rng.uniform(240, 350) / high
        size = (max(CROP, round(wide * grown)), max(CROP, round(high * grown)))
        picture = cv2.resize(together[cut], size, interpolation=cv2.INTER_LINEAR)
        picture = picture + rng.normal(0, rng.uniform(0, 3), picture.shape)
        picture = np.clip(picture, 0, 255).astype(np.uint8)
        return picture, cv2.resize(alpha[cut], size, interpolation=cv2.INTER_LINEAR)

    def _room(self, rng: np.random.Generator, height: int, width: int) -> Picture:
        """A painted room, or a wall out of a photo; sometimes somebody blurred stands in it."""
        room = None
        if rng.random() < 0.5:
            photo, mask = self._walls[int(rng.integers(len(self._walls)))]
            room = rooms.taken(rng, photo, mask, height, width)
        if room is None:
            room = rooms.painted(rng, height, width)
        if rng.random() < 0.12:
            other = self._people[int(rng.integers(len(self._people)))]
            scale = rng.uniform(0.35, 0.8)
            size = (round(width * scale), round(height * scale))
            alpha = cv2.resize(other.alpha, size).astype(np.float32)[..., None] / 255
            left = int(rng.integers(-size[0] // 2, size[0] // 3))
            left = left if rng.random() < 0.5 else width - size[0] - left
            move = np.array([[1, 0, left], [0, 1, height - size[1]]], np.float32)
            alpha = cv2.warpAffine(alpha, move, (width, height))[..., None]
            ink = cv2.warpAffine(cv2.resize(other.colours, size), move, (width, height))
            room = (ink * alpha + room * (1 - alpha)).astype(np.uint8)
            room = cv2.GaussianBlur(room, (0, 0), float(rng.uniform(2, 6)))
        return room


def flip_averaged(
    picture: Picture, segment: Segment
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mask averaged over a flip, and how far the two disagree: float32 [H, W], 0 to 1."""
    one = segment(picture).astype(np.float32) / 255
    two = segment(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1].astype(np.float32) / 255
    return np.asarray((one + two) / 2, np.float32), np.abs(one - two)


def network_input(
    picture: Picture, mask: NDArray[np.float32], doubt: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [5, H, W] as `net.INPUTS` says."""
    ink = picture.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5
    return np.concatenate([ink, mask[None] - 0.5, doubt[None]])


def _edge_crop(
    rng: np.random.Generator, alpha: Picture, mask: NDArray[np.float32]
) -> tuple[int, int]:
    """Top and left of a crop about a pixel of the edge, three times of four about an error."""
    height, width = alpha.shape
    wrong = np.abs(alpha / 255.0 - mask) > 0.25
    if rng.random() < 0.25 or not wrong.any():
        wrong = (mask > 0.1) & (mask < 0.9)
    places = np.flatnonzero(wrong)
    place = int(rng.choice(places)) if len(places) else int(rng.integers(alpha.size))
    centre = np.array(divmod(place, width)) + rng.integers(-CROP // 3, CROP // 3, 2)
    top, left = np.clip(centre - CROP // 2, 0, (height - CROP, width - CROP))
    return int(top), int(left)
