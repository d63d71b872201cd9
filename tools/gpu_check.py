"""Measure a base on this machine's GPU: a whole job, by the product's own way.

    make gpu-check KEY=sdxl PHOTOS=my-selfies [COUNT=100]

Prints what was planned beside what was measured, as a table for docs/gpu.md.  Photos, adapter and
portraits are erased at the end, as after every run of `python -m pipeline`, and here the finished
portraits too; the table has numbers only.

Exit codes: 0 done, 1 could not finish, 2 bad input or no GPU, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ON_THE_PROCESSOR = (
    "To try the command itself on the processor, name studio-mini and add --device cpu "
    "(make: KEY=studio-mini DEVICE=cpu)."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks
    os.environ["LIKENESS_BASE"] = chosen.key
    from pipeline import __main__ as command_line
    from pipeline.bases import device

    if chosen.device == "cuda" and (why := device.lacking()) is not None:
        print(f"There is nothing to measure. {why} {ON_THE_PROCESSOR}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as out:
        job = [chosen.photos, "--out", out, "--count", chosen.count, "--seed", chosen.seed]
        job += ["--way", "painted"]
        code, result = command_line.attempt(command_line.build_parser().parse_args(map(str, job)))
    if result is None:
        return code
    print(table(result, machine(chosen.device)))
    return 0


def machine(device: str) -> dict[str, str]:
    """Card, driver and versions, for the head of the table."""
    import bitsandbytes
    import diffusers
    import torch

    from pipeline.bases import device as models

    about = {
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "bitsandbytes": bitsandbytes.__version__,
    }
    if device == "cpu":
        return {"card": "none: computed on the processor", **about}
    total = torch.cuda.get_device_properties(0).total_memory
    card = f"{torch.cuda.get_device_name()}, {total / 2**30:.1f} GiB"
    driver = models.driver() or "unknown"
    return {"card": card, "driver": driver, "CUDA": str(torch.version.cuda), **about}


def table(result: dict[str, Any], about: dict[str, str]) -> str:
    """Markdown: a line about the machine, then what was planned beside what was measured."""
    planned, ran, seconds = result["planned"], result["plan"], result["seconds"]
    memory, likeness = result["memory"], result["likeness"]
    way = f"{ran['way'] or 'as loaded'}: {ran['offload']}"
    way += ", checkpointing" if ran["checkpointing"] else ""
    way += ", tiles" if ran["tiling"] else ""
    rows = [
        ("resolution, px", planned["resolution"], ran["resolution"]),
        ("resolution learnt, px", planned["train_resolution"], ran["train_resolution"]),
        ("pictures at once, training", planned["micro_batch"], ran["micro_batch"]),
        ("portraits at once", planned["generation_batch"], ran["generation_batch"]),
        ("steps down for memory", 0, result["steps_down"]),
    ]
    for work, expected in (("train", "train_bytes"), ("generate", "generate_bytes")):
        peak = memory.get(work, {})
        rows.append((f"peak, {work}: allocated, GiB", None, _gib(peak.get("allocated"))))
        rows.append(
            (f"peak, {work}: reserved, GiB", _gib(planned[expected]), _gib(peak.get("reserved")))
        )
    step, portrait = planned["seconds_per_step"], planned["seconds_per_portrait"]
    rows += [
        ("training, steps/s", _rate(1, step), _rate(1, result["seconds_per_step"])),
        ("portraits/s", _rate(1, portrait), _rate(result["headshots"], seconds["generate"])),
        ("minutes, photos to portraits", _minutes(planned["seconds"]), _minutes(seconds["total"])),
        ("likeness, median", None, likeness["median"]),
        ("share above the same-person line", None, likeness["share_same_person"]),
    ]
    head = ", ".join(f"{key} {value}" for key, value in about.items())
    photos = result["photos"]["accepted"]
    job = f"{photos} photos, {result['headshots']} portraits, {ran['steps']} steps"
    return "\n".join(
        [
            f"**{result['base']}** — {head}; {job} of {ran['batch']}, rank {ran['rank']}; {way}",
            "",
            "| | planned (computed) | measured |",
            "|---|---|---|",
            *(f"| {name} | {_shown(plan)} | {_shown(real)} |" for name, plan, real in rows),
        ]
    )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**30, 2)


def _rate(count: int, seconds: float | None) -> float | None:
    return round(count / seconds, 3) if seconds else None


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / 60, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("key", metavar="KEY", help="a folder under models, or a path")
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="photos of one person")
    parser.add_argument("--count", type=int, default=100, help="how many portraits (100)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    return parser


if __name__ == "__main__":
    sys.exit(main())
