"""The fingerprint of weights: it proves that a job left a base as it was."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint_of(*networks: nn.Module) -> str:
    """SHA-256 over every parameter, buffer and quantisation state, names included."""
    sha = hashlib.sha256()
    for network in networks:
        tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        for name, tensor in sorted(tensors.items()):
            _update(sha, name, tensor)
            state = getattr(tensor, "quant_state", None)
            if state is not None:
                for part, value in sorted(state.as_dict(packed=True).items()):
                    _update(sha, f"{name}.{part}", value)
    return sha.hexdigest()


def _update(sha: hashlib._Hash, name: str, tensor: torch.Tensor) -> None:
    sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    flat = tensor.detach().contiguous().reshape(-1)
    sha.update(flat.view(torch.uint8).cpu().numpy().data)
