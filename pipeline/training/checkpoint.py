"""The state of a training between two steps, as bytes: to go on later with the same numbers.

safetensors, with a JSON header for what is not a tensor: reading one runs no code.  The bytes show
as much of a face as the adapter itself; they exist in memory only, and whoever stores them
encrypts them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from errors import TamperedError
from pipeline.bases.adapter import metadata
from pipeline.training.choice import Choice

if TYPE_CHECKING:
    from pipeline.bases.base import Base
    from pipeline.training.train import Personalisation

WEIGHTS, GENERATOR, OPTIMIZER = "weights", "generator", "optimizer."
CHOSEN = "chosen"


@dataclass
class TrainingState:
    """What changes from step to step; `step` steps are done."""

    weights: torch.nn.Parameter
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """`step` steps are done of the training that has this fingerprint.

    numbers: what the optimizer keeps besides tensors. choice: of the adapters until then.
    """

    step: int
    fingerprint: str
    tensors: dict[str, torch.Tensor]
    numbers: dict[str, float]
    choice: Choice = field(default_factory=Choice)

    def to_bytes(self) -> bytes:
        """What `parse` reads."""
        about = {
            "step": self.step,
            "fingerprint": self.fingerprint,
            "numbers": self.numbers,
            "chosen": self.choice.step,
            "scores": list(self.choice.scores.items()),
        }
        adapter = torch.from_numpy(np.frombuffer(bytearray(self.choice.adapter), np.uint8))
        tensors = self.tensors | {CHOSEN: adapter}
        return safetensors.torch.save(tensors, metadata={"likeness": json.dumps(about)})

    def restore(self, state: TrainingState) -> None:
        """Bring a state to where it was.

        Raises:
            TamperedError: it holds weights of another adapter.
        """
        saved, weights = self.tensors[WEIGHTS], state.weights
        if saved.shape != weights.shape or saved.dtype != weights.dtype:
            raise TamperedError("errors.checkpoint_damaged")
        weights.data.copy_(saved)
        kept: dict[str, torch.Tensor | float] = dict(self.numbers)
        for key, tensor in self.tensors.items():
            if key.startswith(OPTIMIZER):
                kept[key.removeprefix(OPTIMIZER)] = tensor.to(weights.device)
        state.optimizer.state[weights] = kept
        state.generator.set_state(self.tensors[GENERATOR])
        state.step = self.step


def fingerprint(base: Base, person: Personalisation) -> str:
    """SHA-256 of all that decides how a training goes, and which of its adapters is used."""
    held_out = person.trials.held_out if person.trials else ()
    about = [base.key, asdict(person.recipe), person.seed, person.class_word, len(held_out)]
    sha = hashlib.sha256(json.dumps(about).encode())
    for photo in (*person.photos, *held_out):
        for part in (photo.image, photo.landmarks, photo.alpha):
            if part is None:
                continue
            sha.update(f"{part.dtype} {part.shape}\n".encode() + part.tobytes())
        sha.update(photo.said.encode())
    return sha.hexdigest()


def taken(state: TrainingState, fingerprint: str, choice: Choice) -> Checkpoint:
    """The checkpoint of a state of the training that has this fingerprint."""
    tensors = {WEIGHTS: state.weights.detach().cpu(), GENERATOR: state.generator.get_state()}
    numbers = {}
    for key, value in state.optimizer.state[state.weights].items():
        if isinstance(value, torch.Tensor):
            tensors[OPTIMIZER + key] = value.detach().cpu().contiguous()
        else:
            numbers[key] = value
    return Checkpoint(state.step, fingerprint, tensors, numbers, choice)


def parse(data: bytes) -> Checkpoint:
    """Read what `Checkpoint.to_bytes` wrote.

    Raises:
        TamperedError: the bytes are cut, or no checkpoint.
    """
    try:
        tensors = safetensors.torch.load(data)
        about = json.loads(metadata(data)["likeness"])
        if WEIGHTS not in tensors or GENERATOR not in tensors:
            raise KeyError(WEIGHTS)
        adapter = tensors.pop(CHOSEN).numpy().tobytes()
        choice = Choice(dict(about["scores"]), about["chosen"], adapter)
        return Checkpoint(
            int(about["step"]), about["fingerprint"], tensors, about["numbers"], choice
        )
    except (SafetensorError, ValueError, KeyError, TypeError):
        raise TamperedError("errors.checkpoint_damaged") from None
