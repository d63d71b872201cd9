"""The tone of a backdrop: the wall behind a person made lighter or darker, the person untouched.

Works on any base, since it needs no word that a base would have to know: the matte of `faces` says
where the wall is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

TONES = ("look", "lighter", "darker")
"""`look` leaves the backdrop as the look made it."""

# What is left of the wall's distance to white, or to black, in CIE L*.
_LIGHTER, _DARKER = 0.65, 0.6
# Standard deviation of the matte's soft edge, as a share of the picture's side: the segmenter sees
# 256 pixels, so a harder edge would show its steps.
_SOFT = 1 / 200
_WHITE = 100.0


def toned(
    image: NDArray[np.uint8], matte: NDArray[np.uint8], tone: str, *, exact: bool = False
) -> NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] with a matte uint8 [H, W] (255 = person), in a member of `TONES`.

    exact: the matte shows every hair. One that is a guess is softened.
    """
    if tone == "look":
        return image
    soft = matte if exact else cv2.GaussianBlur(matte, (0, 0), image.shape[0] * _SOFT)
    person = soft.astype(np.float32) / 255
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0]
    wall = _WHITE - (_WHITE - lightness) * _LIGHTER if tone == "lighter" else lightness * _DARKER
    lab[..., 0] = wall + (lightness - wall) * person
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    changed = np.clip(np.round(rgb * 255), 0, 255).astype(np.uint8)
    changed[soft == 255] = image[soft == 255]  # not even a rounding error in a face
    return changed
