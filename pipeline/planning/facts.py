"""What planning knows of a base: the counts that its manifest holds.

`python -m dev.count_base KEY` counts them; `tools/bases/README.md` explains their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.bases.manifest import Manifest
from pipeline.bases.plan import WAYS, Way


@dataclass(frozen=True)
class At:
    """Counts for one picture at one resolution: operations of a prediction and of decoding; bytes
    alive while predicting (`paint`), learning with gradient checkpointing (`recompute`) and without
    (`keep`), and in the autoencoder (`decode`, `encode`)."""

    resolution: int
    flops: float
    decode_flops: float
    paint: int
    recompute: int
    keep: int
    decode: int
    encode: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a manifest says that planning needs. at: the largest resolution first.

    The last five are the same for all bases that make portraits. ways: of running a job.
    longest_s: smaller pictures are planned where larger ones take longer. start_s: photos to
    training pictures, adapters in and out, fingerprints. frames: of a clip, to be judged. advice:
    the end of a refusal that can name no other base.
    """

    key: str
    title: str
    denoiser: float
    packed: float
    largest: float
    autoencoder: float
    adapter: float
    text_encoder: float
    words: int
    words_stay: bool = False
    launches: float
    launches_again: float
    distilled: bool
    learn_px: int
    references: int = 0
    together: int = 1
    at: tuple[At, ...]
    rank: int
    steps: int
    batch: int
    variants: int
    solver_steps: int
    guidance: float
    ways: Mapping[str, Way] = field(default_factory=lambda: WAYS)
    longest_s: float = 2 * 3600
    start_s: float = 20
    frames: int = 0
    advice: str = "."

    @property
    def large(self) -> bool:
        """Whether it is a base of billions of weights, which runs on a GPU only."""
        return not self.words_stay

    @property
    def sides(self) -> tuple[int, ...]:
        """Of the pictures that it can make, pixels, the largest first."""
        return tuple(row.resolution for row in self.at)

    def row(self, side: int) -> At:
        """The counts for pictures of this side, one of `sides`."""
        return next(row for row in self.at if row.resolution == side)


def facts_of_folder(folder: Path) -> Facts | None:
    """As `facts_of`, of the manifest in a base folder; None if there is none."""
    manifest = manifests.read(folder)
    return None if manifest is None else facts_of(manifest)


def facts_of(manifest: Manifest) -> Facts | None:
    """What a manifest says for portraits; None if it counts nothing for them.

    Raises:
        BaseUnavailable: counts are missing or are no numbers.
    """
    return counts(manifest, manifest.model, {}) if "at" in manifest.model else None


def counts(manifest: Manifest, table: dict[str, Any], row: dict[str, Any]) -> Facts:
    """What a manifest says in one of its tables; row: what its rows need not say. Raises as above.

    Operations of decoding are assumed, by the pixels, where none are counted.
    """
    try:
        at = [
            {"decode_flops": given["resolution"] ** 2 * 10.0e6} | row | given
            for given in sorted(table["at"], key=lambda given: -given["resolution"])
        ]
        told = {"learn_px": at[0]["resolution"]} | vars(manifest) | manifest.recipe | table
        told |= {"solver_steps": manifest.sampling["steps"], "at": at}
        told["guidance"] = manifest.sampling["guidance"]
        return TypeAdapter(Facts).validate_python(told)
    except (KeyError, TypeError, ValueError, IndexError):  # pydantic's are ValueErrors
        raise BaseUnavailable(manifests.damaged(manifest.key)) from None
