"""Sharpen the segmenter's mask with a small network of our own, through OpenCV's DNN.

The segmenter sees 256 pixels and errs by several of them at hair, ears and collars. The network
(0.9 million numbers, `models/matting/`) sees the photo at 320 beside that mask, and was trained on
portraits whose walls cut almost perfectly. It knows no identity and keeps nothing about anybody.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BaseUnavailable
from pipeline.compositing.segmenter import Segment

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]

WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "matting" / "refiner.onnx"
SHA256 = "b6226bc38cfeee6a4a0b0f165538807c4bdc50d88677704f2807aa78aca572b4"

SIDE = 320
"""Long side in pixels at which the network sees a photo."""

_MULTIPLE = 32
"""Height and width must be multiples of this: the network halves its picture five times."""


class Coarse(NamedTuple):
    """Where the person is, at a long side of at most `SIDE`: float32 [h, w] each, 0 to 1.

    alpha: the network's matte. mask: the segmenter's, averaged over a flip. doubt: how far the two
    masks of the flip disagree.
    """

    alpha: Floats
    mask: Floats
    doubt: Floats


def coarse_matte(image: Picture, segment: Segment, box: Box | None = None) -> Coarse:
    """Cut the person of a face out of uint8 RGB [H, W, 3], roughly.

    box: the face's x, y, width, height in pixels of the image.

    Raises:
        BaseUnavailable: the network's file is missing or altered.
    """
    small = shrunk(image, SIDE)
    mask, doubt = flip_averaged(small, segment)
    scale = small.shape[0] / image.shape[0]
    near = None if box is None else (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    return Coarse(sharpened(small, mask, doubt, near), mask, doubt)


def flip_averaged(image: Picture, segment: Segment) -> tuple[Floats, Floats]:
    """The mask averaged over a flip, and how far the two disagree: float32 [h, w], 0 to 1."""
    one = segment(image).astype(np.float32) / 255
    two = segment(np.ascontiguousarray(image[:, ::-1]))[:, ::-1].astype(np.float32) / 255
    return np.asarray((one + two) / 2, np.float32), np.abs(one - two)


def shrunk(image: Picture, side: int) -> Picture:
    """The picture with a long side of at most `side` pixels; itself where it is no larger."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def sharpened(image: Picture, mask: Floats, doubt: Floats, box: Box | None = None) -> Floats:
    """The network's alpha, float32 [h, w] 0 to 1, of uint8 RGB [h, w, 3] and its face's box."""
    height, width = mask.shape
    packed = network_input(image, mask, doubt, box)
    more = ((0, 0), (0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
    packed = np.pad(packed, more, mode="edge")[None]
    net, lock = network()
    with lock:
        net.setInput(np.ascontiguousarray(packed))
        alpha = net.forward()[0, 0, :height, :width]
    return np.asarray(alpha, np.float32).copy()


def network_input(image: Picture, mask: Floats, doubt: Floats, box: Box | None) -> Floats:
    """What the network sees: float32 [6, h, w].

    RGB minus 0.5, the mask minus 0.5, how far mask and mirrored mask disagree (0 to 1), and whose
    matte is asked for: a bell over the box (x, y, width, height in pixels) of their face, 0 to 1;
    nothing where no face is known.
    """
    ink = image.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5
    own = np.zeros_like(mask)
    if box is not None:
        left, top, width, height = box
        high, wide = mask.shape
        across = (np.arange(wide, dtype=np.float32) + 0.5 - left) / max(width, 1) - 0.5
        down = (np.arange(high, dtype=np.float32) + 0.5 - top) / max(height, 1) - 0.5
        own = np.exp(-2 * down * down)[:, None] * np.exp(-2 * across * across)[None]
    return np.concatenate([ink, mask[None] - 0.5, doubt[None], own[None]])


@cache
def network() -> tuple[Any, threading.Lock]:
    """The network and the lock under which it runs: OpenCV's nets are not re-entrant."""
    try:
        data = WEIGHTS.read_bytes()
    except OSError as problem:
        raise BaseUnavailable("The network that cuts people out is missing here.") from problem
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise BaseUnavailable("The network that cuts people out is not this release's file.")
    return cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8)), threading.Lock()
