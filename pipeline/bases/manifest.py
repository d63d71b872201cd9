"""What a base is and under which licence: `manifest.toml` in its folder, put there when fetched.

Knows nothing of torch, so that a server can refuse a base at its start.  A folder without a
manifest, such as the embedded base or one that an operator made, is taken as it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errors import BaseUnavailable

NAME = "manifest.toml"

DISTILLED = "distilled"
"""The folder, inside a base's, of what portraits are made with where that is another denoiser."""


@dataclass(frozen=True)
class Manifest:
    """What the product itself needs to know of a manifest; `tools/fetch_base` reads the rest.

    acknowledge: the licence does not plainly allow use in a company, so the operator has to say
        that theirs is allowed.
    sampling: `steps` and `guidance`, and what else differs from the defaults of
        `denoising.Sampling`; empty for the family's own.
    recipe: keys of `train.Recipe` over its defaults.
    model: counts for planning, as `dev/count_base` prints them; see `planning.facts`.
    clip: the same of a base that makes clips; see `planning.clips`.
    distilled: portraits are made with a second, distilled denoiser.
    """

    key: str
    title: str
    licence: str
    licence_url: str
    acknowledge: bool
    sampling: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    clip: dict[str, Any] = field(default_factory=dict)
    distilled: bool = False


def read(folder: Path) -> Manifest | None:
    """The manifest of a base folder, None if it has none.

    Raises:
        BaseUnavailable: it has one that cannot be read.
    """
    file = folder / NAME
    return parse(file) if file.is_file() else None


def parse(file: Path) -> Manifest:
    """A manifest file.

    Raises:
        BaseUnavailable: it cannot be read.
    """
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        sampling = content.get("sampling", {})
        return Manifest(
            key=content["key"],
            title=content["title"],
            licence=content["licence"],
            licence_url=content["licence_url"],
            acknowledge=content["acknowledge"] is not False,
            sampling=sampling and _sampling(sampling),
            recipe=content.get("recipe", {}),
            model=content.get("model", {}),
            clip=content.get("clip", {}),
            distilled=any(s.get("into") == DISTILLED for s in content.get("sources", [])),
        )
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ):  # TOML's and Unicode's are ValueErrors
        name = file.parent.name if file.name == NAME else file.stem
        raise BaseUnavailable(damaged(name)) from None


def _sampling(table: dict[str, Any]) -> dict[str, Any]:
    kinds = {"noise": float, "adapter": float, "solver": str, "spacing": str}
    may = {key: kind(table[key]) for key, kind in kinds.items() if key in table}
    return {"steps": int(table["steps"]), "guidance": float(table["guidance"])} | may


def damaged(base: str, file: str = NAME) -> str:
    """The sentence for a base with a file that cannot be read or is not what it was."""
    return f"The base model {base!r} is damaged or was altered: {file}. Install it again."


def require_licence(folder: Path, acknowledged: Collection[str]) -> Manifest | None:
    """The manifest, as from `read`, of a base whose licence needs no acknowledgement or has it.

    Raises:
        BaseUnavailable: not acknowledged, or the manifest cannot be read.
    """
    manifest = read(folder)
    if manifest is not None and manifest.acknowledge and manifest.key not in acknowledged:
        raise BaseUnavailable(
            f"{manifest.title} is under the licence {manifest.licence}, which does not plainly "
            f"allow use in a company ({manifest.licence_url}). If yours is allowed, set "
            f"LIKENESS_ACKNOWLEDGE={manifest.key}."
        )
    return manifest
