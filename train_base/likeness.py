"""How much of a person the autoencoder keeps, measured the way the product measures likeness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray

from pipeline.imaging import TEMPLATE_SIZE
from train_base.data import MARGIN, Portraits
from train_base.faces import Faces


def inner_crops(table: Portraits) -> NDArray[np.uint8]:
    """The stored pictures without their margin: uint8 [n, 160, 160, 3]."""
    inner = slice(MARGIN, MARGIN + TEMPLATE_SIZE)
    return table.image[:, inner, inner]


@torch.no_grad()
def reconstruct(
    model: AutoencoderTiny, pictures: NDArray[np.uint8], batch: int = 32
) -> NDArray[np.uint8]:
    """Encode and decode uint8 [n, S, S, 3]; the same shape back."""
    made = []
    for start in range(0, len(pictures), batch):
        part = torch.from_numpy(pictures[start : start + batch]).permute(0, 3, 1, 2)
        x = (part.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(model.device.type, torch.bfloat16):
            y = model.decode(model.encode(x.to(model.device)).latents).sample.cpu()
        made.append(((y.float().clamp(-1, 1) + 1) * 127.5 + 0.5).byte().permute(0, 2, 3, 1))
    return torch.cat(made).numpy()


def likeness(
    faces: Faces, first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """SFace cosine of pictures pairwise, float [n]; 0 where a face cannot be found."""
    scores = []
    for one, other in zip(first, second, strict=True):
        a, b = faces.embedding(one), faces.embedding(other)
        scores.append(float(a @ b) if a is not None and b is not None else 0.0)
    return np.array(scores, np.float32)


def reconstruction_likeness(
    model: AutoencoderTiny, table: Portraits, weights: Path, shown: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Likeness of each picture to its reconstruction, and a sheet of the first few pairs."""
    crops = inner_crops(table)
    made = reconstruct(model, crops)
    scores = likeness(Faces(weights), crops, made)
    sheet = np.concatenate(
        [np.concatenate(list(rows[:shown]), axis=1) for rows in (crops, made)], axis=0
    )
    return scores, sheet
