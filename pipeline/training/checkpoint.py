"""The state of a training between two steps, as bytes: to go on later with the same numbers.

safetensors, with a JSON header for what is not a tensor: reading one runs no code.  The bytes show
as much of a face as the adapter itself; they exist in memory only, and whoever stores them
encrypts them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import SafetensorError

from errors import TamperedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.bases.base import Base
    from pipeline.photos.album import TrainingPhoto
    from pipeline.training.train import Recipe

WEIGHTS, GENERATOR, OPTIMIZER = "weights", "generator", "optimizer."


@dataclass(frozen=True)
class Checkpoint:
    """`step` steps are done of the training that `identity` names.

    numbers: what the optimizer keeps besides tensors.
    """

    step: int
    identity: str
    tensors: dict[str, torch.Tensor]
    numbers: dict[str, float]

    def restore(
        self,
        weights: torch.nn.Parameter,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
    ) -> None:
        """Bring weights, optimizer and generator to where they were.

        Raises:
            TamperedError: it holds weights of another adapter.
        """
        saved = self.tensors[WEIGHTS]
        if saved.shape != weights.shape or saved.dtype != weights.dtype:
            raise TamperedError("errors.checkpoint_damaged")
        weights.data.copy_(saved)
        state: dict[str, torch.Tensor | float] = dict(self.numbers)
        for key, tensor in self.tensors.items():
            if key.startswith(OPTIMIZER):
                state[key.removeprefix(OPTIMIZER)] = tensor.to(weights.device)
        optimizer.state[weights] = state
        generator.set_state(self.tensors[GENERATOR])


def identity(base: Base, photos: Sequence[TrainingPhoto], recipe: Recipe, seed: int) -> str:
    """SHA-256 of all that decides how a training goes."""
    sha = hashlib.sha256(json.dumps([base.key, asdict(recipe), seed]).encode())
    for photo in photos:
        for part in (photo.image, photo.landmarks):
            sha.update(f"{part.dtype} {part.shape}\n".encode() + part.tobytes())
    return sha.hexdigest()


def dump(
    step: int,
    identity: str,
    weights: torch.nn.Parameter,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> bytes:
    """The state after `step` steps."""
    tensors = {WEIGHTS: weights.detach().cpu(), GENERATOR: generator.get_state()}
    numbers = {}
    for key, value in optimizer.state[weights].items():
        if isinstance(value, torch.Tensor):
            tensors[OPTIMIZER + key] = value.detach().cpu().contiguous()
        else:
            numbers[key] = value
    about = {"step": step, "identity": identity, "numbers": numbers}
    return safetensors.torch.save(tensors, metadata={"likeness": json.dumps(about)})


def parse(data: bytes) -> Checkpoint:
    """What `dump` wrote.

    Raises:
        TamperedError: the bytes are cut, or no checkpoint.
    """
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = json.loads(header["__metadata__"]["likeness"])
        if WEIGHTS not in tensors or GENERATOR not in tensors:
            raise KeyError(WEIGHTS)
        return Checkpoint(int(about["step"]), about["identity"], tensors, about["numbers"])
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise TamperedError("errors.checkpoint_damaged") from None
