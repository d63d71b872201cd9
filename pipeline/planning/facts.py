"""What planning knows of a base: the counts that its manifest holds.

`python -m dev.count_base KEY` counts them. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

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


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What manifests say of every base's networks, by the names that `tools/bases/README.md`
    explains: numbers of weights, and of the words that are read."""

    key: str
    title: str
    denoiser: float
    packed: float
    largest: float
    autoencoder: float
    text_encoder: float
    words: int

    @property
    def large(self) -> bool:
        """Whether it is a base of billions of weights, which runs on a GPU only."""
        return True


@dataclass(frozen=True, kw_only=True)
class Facts(Weights):
    """What a manifest says that planning portraits needs.

    at: the largest resolution first. solver_steps: for a portrait.
    """

    adapter: float
    launches: float
    launches_again: float
    words_stay: bool = False
    distilled: bool
    learn_px: int
    references: int = 0
    at: tuple[At, ...]
    rank: int
    steps: int
    batch: int
    variants: int
    solver_steps: int
    guidance: float
    together: int = 1

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
        at = sorted(manifest.model["at"], key=lambda row: -row["resolution"])
        told: dict[str, Any] = {"learn_px": at[0]["resolution"]} | vars(manifest)
        told |= manifest.sampling | manifest.recipe | manifest.model
        told |= {"solver_steps": manifest.sampling["steps"], "at": at}
        return TypeAdapter(Facts).validate_python(told)
    except (KeyError, TypeError, ValueError, IndexError):  # pydantic's are ValueErrors
        raise BaseUnavailable(manifests.damaged(manifest.key)) from None
