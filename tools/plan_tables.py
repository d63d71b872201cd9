"""Print the tables of docs/gpu.md: for each base of `tools/bases`, what is planned on each card.

    python -m tools.plan_tables

All of it is computed, with what an H200 measured. Needs no torch and no GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.planning.cards import CARDS
from pipeline.planning.clips import clip_facts_of, plan_clip
from pipeline.planning.cost import Workload
from pipeline.planning.facts import Facts, facts_of
from pipeline.planning.planning import Machine, choose
from settings import ROOT

WORKLOAD = Workload(photos=12, styles=8, count=100)


def known(bases: Path) -> list[Facts]:
    """The bases of a folder of manifests, `tools/bases`; those for companies' use first."""
    read = [manifests.parse(file) for file in sorted(bases.glob("*.toml"))]
    read.sort(key=lambda manifest: manifest.acknowledge)
    return [found for manifest in read if (found := facts_of(manifest)) is not None]


GOALS = {
    "flux2-klein-4b": (12, 10),
    "sdxl": (12, 10),
    "sdxl-lightning": (12, 10),
    "z-image-turbo": (15, 15),
}
"""Minutes on an RTX 4080 and on an RTX 4090; on an H100, `GOAL_H100` for each."""
GOAL_H100 = 4


def steps(bases: Sequence[Facts]) -> str:
    """Markdown: how the minutes of a job are made up, for the bases and cards that have a goal."""
    lines = [
        "| base | card | way | start, words, photos, trials, min | learning, min | "
        "portraits, min | sum | goal | too long by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for base in (base for base in bases if base.key in GOALS):
        goals = dict(
            zip(("RTX 4080", "RTX 4090", "H100"), (*GOALS[base.key], GOAL_H100), strict=True)
        )
        for card in (card for card in CARDS if card.name in goals):
            p = choose(base, WORKLOAD, Machine(card.free, card.reached))
            learning = p.steps * (p.seconds_per_step or 0) / 60
            painting = WORKLOAD.count * (p.seconds_per_portrait or 0) / 60
            total, goal = (p.seconds or 0) / 60, goals[card.name]
            minutes = (total - learning - painting, learning, painting, total)
            cells = [base.title, f"{card.name}, {card.gigabytes} GB", p.way]
            cells += [f"{part:.1f}" for part in minutes]
            cells += [str(goal), f"{max(0, total - goal):.1f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(bases: Sequence[Facts]) -> str:
    """Markdown: for each base, what is planned on each card."""
    return "\n\n".join(f"### {base.title} (`{base.key}`)\n\n{_table(base)}" for base in bases)


def films(bases: Path) -> str:
    """Markdown: for each base of the folder that makes clips, what is planned on each card."""
    read = [clip_facts_of(manifests.parse(file)) for file in sorted(bases.glob("*.toml"))]
    return "\n\n".join(_films(facts) for facts in read if facts is not None)


def _films(facts: Facts) -> str:
    lines = [
        "| card | GB | idle parts | side, px | peak, GiB | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for card in CARDS:
        row = f"| {card.name} | {card.gigabytes} | "
        try:
            p = plan_clip(facts, Machine(card.free, card.reached))
        except BaseUnavailable:
            lines.append(row + "does not fit |||| ")
            continue
        cells = [p.offload, str(p.resolution), f"{p.bytes / 2**30:.1f}"]
        lines.append(row + " | ".join([*cells, f"{(p.seconds or 0) / 60:.1f}"]) + " |")
    return "\n".join(lines)


def _table(base: Facts) -> str:
    lines = [
        "| card | GB | way | learnt at, px | painted at, px | peak train, GiB | "
        "peak generate, GiB | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in CARDS:
        row = f"| {card.name} | {card.gigabytes} | "
        try:
            p = choose(base, WORKLOAD, Machine(card.free, card.reached))
        except BaseUnavailable:
            lines.append(row + "does not fit |||||| ")
            continue
        peaks = [f"{size / 2**30:.1f}" for size in (p.train_bytes or 0, p.generate_bytes or 0)]
        cells = [p.way, str(p.learnt_px), str(p.resolution), *peaks, f"{(p.seconds or 0) / 60:.0f}"]
        lines.append(row + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    every = known(ROOT / "tools" / "bases")
    print(steps(every), films(ROOT / "tools" / "bases"), tables(every), sep="\n\n")
