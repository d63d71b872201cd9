"""What a lens does to what stands out of focus: discs, not Gaussians, in linear light.

Pictures are float32 [H, W, 3], linear light, not clipped: a lamp of ten times white must stay
brighter than white after it was spread, or it becomes a grey spot.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Linear = NDArray[np.float32]

_LARGEST_RADIUS = 24.0
"""Radius in pixels above which a picture is blurred at half its size: nothing of it is lost."""

_BARREL = 0.25
"""How far the lens's barrel cuts discs in the corners (cat's eyes): 0 none."""


def vector(values: Any) -> Linear:
    """Make an array float32 of numbers, mostly a colour in linear RGB."""
    return np.asarray(values, np.float32)


def disc(radius: float) -> NDArray[np.float32]:
    """Make the kernel of a lens out of focus: float32 [K, K], antialiased, its sum 1."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray((kernel / kernel.sum()).astype(np.float32), np.float32)


def defocus(scene: Linear, radius: float) -> Linear:
    """Spread every point of a picture over a disc of `radius` pixels; borders are mirrored."""
    if radius < 0.75:
        return scene
    height, width = scene.shape[:2]
    if radius > _LARGEST_RADIUS:
        half = cv2.resize(scene, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
        small = defocus(half, radius * half.shape[1] / width)
        return np.asarray(
            cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
        )
    kernel = disc(radius)
    edge = kernel.shape[0] // 2
    padded = cv2.copyMakeBorder(scene, edge, edge, edge, edge, cv2.BORDER_REFLECT)
    rows, columns = (fft.next_fast_len(n + 2 * edge, real=True) for n in padded.shape[:2])
    # Half the usual work: the three channels share the kernel's transform.
    weight = fft.rfft2(kernel, (rows, columns))[..., None]
    spread = fft.rfft2(padded, (rows, columns), axes=(0, 1)) * weight
    whole = fft.irfft2(spread, (rows, columns), axes=(0, 1))
    cut = whole[2 * edge : 2 * edge + height, 2 * edge : 2 * edge + width]
    return np.asarray(np.maximum(cut, 0).astype(np.float32), np.float32)


def glow(scene: Linear, share: float = 0.05, reach: float = 0.06) -> Linear:
    """Let bright parts veil the rest, as glass does: `share` of the light, over `reach` sides."""
    height, width = scene.shape[:2]
    small = cv2.resize(
        scene, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA
    )
    veil = cv2.GaussianBlur(small, (0, 0), max(0.6, reach * max(small.shape)))
    veil = cv2.resize(veil, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((scene * (1 - share) + share * veil).astype(np.float32), np.float32)


def add_light(scene: Linear, at: tuple[float, float], radius: float, colour: Any) -> None:
    """Add the disc of one lamp out of focus to `scene`, in place.

    at: x, y in pixels, outside the picture too. colour: linear RGB at the disc, after spreading.
    The disc is a little brighter at its rim and cut by the barrel towards the corners, as through
    a fast portrait lens.
    """
    height, width = scene.shape[:2]
    reach = int(np.ceil(radius)) + 2
    left, top = int(at[0]) - reach, int(at[1]) - reach
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + 2 * reach), min(height, top + 2 * reach)
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    dx, dy = x - at[0], y - at[1]
    distance = np.hypot(dx, dy)
    soft = max(1.0, radius * 0.08)
    inside = np.clip((radius - distance) / soft + 0.5, 0, 1)
    off_x, off_y = (at[0] - width / 2) / width, (at[1] - height / 2) / width
    barrel = np.hypot(dx + off_x * radius * 2 * _BARREL, dy + off_y * radius * 2 * _BARREL)
    inside *= np.clip((radius * 1.02 - barrel) / soft + 0.5, 0, 1)
    rim = 0.85 + 0.3 * (distance / radius) ** 4
    scene[y0:y1, x0:x1] += (inside * np.minimum(rim, 1.2))[..., None] * np.asarray(
        colour, np.float32
    )
