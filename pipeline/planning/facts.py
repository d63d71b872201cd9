"""What planning knows of a base: the counts that its manifest holds.

`python -m dev.count_base KEY` counts them. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.bases.manifest import Manifest


@dataclass(frozen=True)
class At:
    """Counts for one picture at one resolution: operations of a prediction, bytes alive.

    paint: while predicting; recompute, keep: while learning, with gradient checkpointing and
    without; decode, encode: in the autoencoder.
    """

    resolution: int
    flops: float
    paint: int
    recompute: int
    keep: int
    decode: int
    encode: int


@dataclass(frozen=True)
class Facts:
    """What a manifest says that planning needs; weights are numbers of them.

    launches: kernels that learning starts, forward and back; launches_again: forward once more.
    """

    key: str
    title: str
    denoiser: float
    packed: float
    largest: float
    autoencoder: float
    text_encoder: float
    words: int
    adapter: float
    launches: float
    launches_again: float
    words_stay: bool
    distilled: bool
    at: tuple[At, ...]
    rank: int
    steps: int
    batch: int
    variants: int
    solver_steps: int
    guidance: float
    together: int

    @property
    def large(self) -> bool:
        """Whether it is a base of billions of weights, which runs on a GPU only."""
        return not self.words_stay


_NUMBERS = (
    *("denoiser", "packed", "largest", "autoencoder", "text_encoder", "adapter"),
    *("launches", "launches_again"),
)


def facts_of_folder(folder: Path) -> Facts | None:
    """Read what the manifest of a base folder says; None if there is none, or nothing to plan with.

    Raises:
        BaseUnavailable: the manifest cannot be read.
    """
    manifest = manifests.read(folder)
    return None if manifest is None else facts_of(manifest)


def facts_of(manifest: Manifest) -> Facts | None:
    """Take the counts out of a manifest; None if it has none.

    Raises:
        BaseUnavailable: counts are missing or are no numbers.
    """
    model = manifest.model
    if "at" not in model:
        return None
    recipe, sampling = manifest.recipe, manifest.sampling
    try:
        rows = [At(**{field.name: row[field.name] for field in fields(At)}) for row in model["at"]]
        numbers = {key: float(model[key]) for key in _NUMBERS}
        small = bool(model.get("words_stay", False))
        return Facts(
            key=manifest.key,
            title=manifest.title,
            words_stay=small,
            distilled=manifest.distilled,
            at=tuple(sorted(rows, key=lambda row: -row.resolution)),
            rank=int(recipe["rank"]),
            steps=int(recipe["steps"]),
            batch=int(recipe["batch"]),
            variants=int(recipe["variants"]),
            solver_steps=int(sampling["steps"]),
            guidance=sampling["guidance"],
            together=int(model.get("together", 1)),
            words=int(model["words"]),
            **numbers,
        )
    except (KeyError, TypeError, ValueError):
        raise BaseUnavailable(manifests.damaged(manifest.key)) from None
