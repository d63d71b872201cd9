"""What planning knows of a base: the counts that its manifest holds.

`python -m dev.count_base KEY` counts them. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

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
    references: pictures of half a portrait's side that are looked at while painting.
    learn_px: the largest side of pictures that are learnt. at: the largest resolution first.
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
    learn_px: int
    references: int
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

    @property
    def sides(self) -> tuple[int, ...]:
        """Of the pictures that it can make, pixels, the largest first."""
        return tuple(row.resolution for row in self.at)

    @property
    def looked_at(self) -> float:
        """How much a portrait is to paint with the references beside it, in portraits."""
        return 1 + self.references / 4

    def row(self, side: int) -> At:
        """The counts for pictures of this side, one of `sides`."""
        return next(row for row in self.at if row.resolution == side)


_KINDS: dict[Any, Callable[[Any], Any]] = {"str": str, "int": int, "float": float, "bool": bool}


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
    if "at" not in manifest.model:
        return None
    try:
        at = tuple(sorted((At(**row) for row in manifest.model["at"]), key=lambda a: -a.resolution))
        told: dict[str, Any] = {"words_stay": False, "together": 1, "learn_px": at[0].resolution}
        told["references"] = 0
        told |= vars(manifest) | manifest.sampling | manifest.recipe | manifest.model
        told |= {"solver_steps": manifest.sampling["steps"], "at": at}
        return Facts(**{f.name: _KINDS.get(f.type, tuple)(told[f.name]) for f in fields(Facts)})
    except (KeyError, TypeError, ValueError, IndexError):
        raise BaseUnavailable(manifests.damaged(manifest.key)) from None
