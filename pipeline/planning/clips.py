"""Clips of portraits: planned as portraits are, by the same functions with other numbers.

Nothing is learnt, one clip is made at once, and its frames are decoded one after the other.
"""

from __future__ import annotations

from typing import Any, get_args

from pipeline.bases.manifest import Manifest
from pipeline.bases.plan import Offload, Plan, Way
from pipeline.planning.cost import Workload
from pipeline.planning.facts import Facts, counts
from pipeline.planning.planning import Machine, choose

LONGEST_S = 15 * 60.0

_CLIP: dict[str, Any] = {
    **dict.fromkeys(("adapter", "launches", "launches_again", "rank", "steps", "variants"), 0),
    "batch": 1,
    "ways": {offload: Way(1, 1, offload) for offload in get_args(Offload)},
    "longest_s": LONGEST_S,
    "start_s": 0,
    "frames": None,
    "advice": ": use a larger card, or make clips without it.",
}
_ROW = {"recompute": 0, "keep": 0, "decode_flops": None}
"""In both, None is what a manifest has to say."""


def clip_facts_of(manifest: Manifest) -> Facts | None:
    """What a manifest says for clips, None if its base makes none; raises as `facts_of`."""
    return counts(manifest, _CLIP | manifest.clip, _ROW) if manifest.clip else None


def plan_clip(facts: Facts, machine: Machine) -> Plan:
    """The largest clip that fits and is made in `LONGEST_S`; of those that are not, the fastest.

    Raises:
        BaseUnavailable: not even the smallest fits.
    """
    return choose(facts, Workload(photos=0, styles=0, count=1), machine)
