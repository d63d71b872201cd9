"""Load a base: its folder is checked, read, and given to its family."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from pipeline.bases import device, registry
from pipeline.bases import folder as folders
from pipeline.bases import manifest as manifests
from pipeline.bases.base import Base
from pipeline.bases.denoising import Sampling
from pipeline.bases.stopping import Stop, between_tensors, never
from pipeline.bases.weights import Storing


def load_base(
    folder: Path,
    *,
    quantise: bool = True,
    acknowledged: Collection[str] = (),
    stop: Stop = never,
) -> Base:
    """Load a standard diffusers folder from disk, without any network.

    acknowledged: keys of bases whose licences the operator says to meet.

    Raises:
        BaseUnavailable: the folder is missing, incomplete, altered or of an unknown family,
            or its licence is not acknowledged.
        Stopped: `stop` said so; it is asked before each tensor.
    """
    family = registry.family_of(folder)
    manifest = manifests.require_licence(folder, acknowledged)
    folders.require_unaltered(folder, stop)
    torch.set_num_threads(device.threads())
    with between_tensors(stop):
        storing = Storing(
            device.choose(), family.compute_dtype, quantise, family.precise, family.exact
        )
        base = family.read(folder, storing)
    base.recipe = folders.recipe(folder, manifest)
    if manifest is not None and manifest.sampling:
        base.sampling = Sampling(**manifest.sampling)
        base.solver(base.sampling)  # that there is one is to be known before a job
    return base
