"""Print the tables of docs/gpu.md: for each base of `tools/bases`, what is planned on each card.

    python -m tools.plan_tables

All of it is computed, with what an H200 measured. Needs no torch and no GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.planning.cost import CARDS, Machine, Workload
from pipeline.planning.facts import Facts, facts_of
from pipeline.planning.search import plan
from settings import ROOT

WORKLOAD = Workload(photos=12, styles=8, count=100)


def known(bases: Path) -> list[Facts]:
    """The bases of a folder of manifests, `tools/bases`; those for companies' use first."""
    read = [manifests.parse(file) for file in sorted(bases.glob("*.toml"))]
    read.sort(key=lambda manifest: manifest.acknowledge)
    return [found for manifest in read if (found := facts_of(manifest)) is not None]


def tables(bases: Sequence[Facts]) -> str:
    """Markdown: for each base, what is planned on each card."""
    return "\n\n".join(f"### {base.title} (`{base.key}`)\n\n{_table(base)}" for base in bases)


def _table(base: Facts) -> str:
    lines = [
        "| card | GB | pixels | training | portraits at once | waits on the CPU | "
        "peak train, GiB | peak generate, GiB | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    waits = {"none": "–", "parts": "idle parts", "words": "idle parts; prompts are read there"}
    for card in CARDS:
        try:
            p = plan(base, WORKLOAD, Machine(card.free, card.reached))
        except BaseUnavailable:
            lines.append(f"| {card.name} | {card.gigabytes} | does not fit ||||||| ")
            continue
        learning = f"{p.accumulation} × {p.micro_batch}"
        learning += ", checkpointing" if p.checkpointing else ""
        portraits = f"{p.generation_batch}{', tiles' if p.tiling else ''}"
        cells = (card.name, card.gigabytes, p.resolution, learning, portraits, waits[p.offload])
        peaks = [f"{size / 2**30:.1f}" for size in (p.train_bytes or 0, p.generate_bytes or 0)]
        minutes = f"{p.minutes:.0f}"
        lines.append("| " + " | ".join([*map(str, cells), *peaks, minutes]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables(known(ROOT / "tools" / "bases")))
