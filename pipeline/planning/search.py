"""How a job shall run on the GPU at hand: what fits into its memory, and how long it will take.

The memory of a job is a sum of what is on the GPU at its worst moment (`_peaks`):

| what | bytes |
|---|---|
| 4-bit weights | `NF4` per weight: half a byte, and the blocks' scales |
| other weights of the denoiser | 2 each (bfloat16) |
| autoencoder; text encoder of a small base | 4 each (float32) |
| text encoders of a large base | 2 each (bfloat16), only while they read the words |
| adapter in training | `LEARNING` per weight: itself, its gradient, 8-bit Adam, its bfloat16 copy |
| adapter in painting | 2 per weight |
| activations | counted at each resolution by `tools/count_base`, in the manifest |
| two layers unpacked from 4 bits | 2 per weight, for the largest |
| kernels' workspaces, and the allocator's gaps | `WORKSPACE`, and `GAPS` on top of everything |

Time is the number of operations divided by what a card is taken to do in a second (`CARDS` times
`UTILISATION`), plus reading, decoding and scoring.  All of this is computed, none of it measured;
a `Calibration` holds what jobs on this very machine measured, and corrects both.

`python -m pipeline.planning.planner` prints the tables of docs/gpu.md. Needs no torch and no GPU.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from errors import BaseUnavailable
from pipeline.bases import manifest as manifests
from pipeline.bases.manifest import Manifest
from pipeline.bases.plan import UNTILED_PX, Offload, Plan

GB = 1e9
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
LEARNING = 4 + 4 + 2 + 2 + 2 * 4 / 256
WORKSPACE = 0.4 * GB
GAPS = 1.10
CONTEXT = 0.6 * GB
"""What CUDA itself takes of a card; not in the memory that a job finds free."""
READING = 0.5 * GB
"""Activations of text encoders at work."""

UTILISATION = 0.45
"""Share of a card's peak that training and painting are taken to reach."""
DECODE_FLOPS_PER_PIXEL = 10.0e6
ENCODE_FLOPS_PER_PIXEL = 4.7e6
READ_BYTES_PER_S = 1.0 * GB
"""Text encoders come from the disk."""
CPU_TFLOPS = 0.3
"""For words that are read on the CPU."""
SECONDS_PER_SCORE = 0.3
"""Finding the face, likeness, PNG, encryption of one portrait."""
START_SECONDS = 20.0
"""Photos to training pictures, adapters in and out, fingerprints."""

LONGEST_S = 2 * 3600.0
"""Smaller pictures are planned where large ones would keep a visitor waiting for longer."""

GENERATION_BATCHES = (1, 2, 4, 8, 12)


@dataclass(frozen=True)
class Card:
    """A GPU: memory in GB as it is sold, dense bfloat16 TFLOPS at its peak (maker's figures)."""

    name: str
    gigabytes: int
    tflops: float

    @property
    def free(self) -> int:
        """Bytes that a job finds free on it."""
        return round(self.gigabytes * 2**30 * 0.985 - CONTEXT)


CARDS = (
    Card("RTX 4060", 8, 30),
    Card("RTX 3060", 12, 26),
    Card("RTX 4070", 12, 58),
    Card("RTX 4080", 16, 97),
    Card("RTX 3090", 24, 71),
    Card("RTX 4090", 24, 165),
    Card("L4", 24, 121),
    Card("RTX 5090", 32, 210),
    Card("L40S", 48, 362),
    Card("A100", 80, 312),
    Card("H100", 80, 989),
)
UNKNOWN_TFLOPS = 40.0
"""Of a card that the table does not name."""


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
    """What a manifest says that planning needs; weights are numbers of them."""

    key: str
    title: str
    denoiser: float
    packed: float
    largest: float
    autoencoder: float
    text_encoder: float
    words: int
    adapter: float
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


@dataclass(frozen=True)
class Calibration:
    """What jobs of one base on one card measured, divided by what was computed for them."""

    train_seconds: float = 1.0
    portrait_seconds: float = 1.0
    train_bytes: float = 1.0
    generate_bytes: float = 1.0
    jobs: int = 0


def facts_of(folder: Path) -> Facts | None:
    """What the manifest of a base folder says; None if it has none, or says nothing to plan with.

    Raises:
        BaseUnavailable: the manifest cannot be read.
    """
    manifest = manifests.read(folder)
    return None if manifest is None else facts(manifest)


def facts(manifest: Manifest) -> Facts | None:
    """See `facts_of`."""
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
        raise BaseUnavailable(
            f"The base model {manifest.key!r} is damaged or was altered: {manifests.NAME}. "
            "Install it again."
        ) from None


_NUMBERS = ("denoiser", "packed", "largest", "autoencoder", "text_encoder", "adapter")


def plan(
    facts: Facts,
    free: int,
    *,
    photos: int,
    styles: int,
    count: int,
    tflops: float = UNKNOWN_TFLOPS,
    calibration: Calibration | None = None,
    others: Sequence[Facts] = (),
) -> Plan:
    """The plan with the largest pictures that fits and ends in time; among those, the quickest.

    Whatever fits into a memory fits into a larger one, so more memory never gives a worse plan.

    free: bytes of GPU memory that a job may use.
    others: bases to name when this one does not fit.

    Raises:
        BaseUnavailable: nothing fits; the sentence names a base that would, if there is one.
    """
    measured = calibration or Calibration()
    order = _Order(photos, styles, count, tflops, measured)
    fitting = [p for p in _candidates(facts, order) if _fits(p, free)]
    if fitting:
        return min(fitting, key=_rank)
    least = min(map(_bytes, _candidates(facts, order)))
    smaller = [f for f in others if f != facts and _any_fits(f, free, order)]
    best = max(smaller, key=lambda f: f.denoiser, default=None)
    advice = f" {best.title} would fit: set LIKENESS_BASE={best.key}." if best else ""
    raise BaseUnavailable(
        f"{facts.title} needs {least / 2**30:.1f} GiB of free GPU memory, and there are "
        f"{free / 2**30:.1f}.{advice}"
    )


@dataclass(frozen=True)
class _Order:
    photos: int
    styles: int
    count: int
    tflops: float
    measured: Calibration


def _rank(plan: Plan) -> tuple[float, ...]:
    """Orders plans, the best first, without a look at the memory."""
    assert plan.seconds is not None
    if plan.seconds > LONGEST_S:
        return 1, plan.seconds, plan.tiling, _bytes(plan)
    return 0, -plan.resolution, plan.tiling, plan.seconds, _bytes(plan)


def _fits(plan: Plan, free: int) -> bool:
    return _bytes(plan) <= free


def _any_fits(facts: Facts, free: int, order: _Order) -> bool:
    order = replace(order, measured=Calibration())
    return any(_fits(p, free) for p in _candidates(facts, order))


def _bytes(plan: Plan) -> int:
    assert plan.train_bytes is not None
    assert plan.generate_bytes is not None
    return max(plan.train_bytes, plan.generate_bytes)


def _candidates(facts: Facts, order: _Order) -> Iterator[Plan]:
    """Every way in which a job of this base can run."""
    sides = [row.resolution for row in facts.at]
    micro = [n for n in range(1, facts.batch + 1) if facts.batch % n == 0]
    offloads: tuple[Offload, ...] = ("none",) if facts.words_stay else ("none", "parts", "words")
    choices = product(facts.at, offloads, (False, True), micro, GENERATION_BATCHES, (False, True))
    for row, offload, checkpointing, at_once, group, tiling in choices:
        if tiling and row.resolution <= UNTILED_PX:
            continue
        draft = Plan(
            resolution=row.resolution,
            rank=facts.rank,
            steps=facts.steps,
            batch=facts.batch,
            micro_batch=at_once,
            generation_batch=group,
            offload=offload,
            checkpointing=checkpointing,
            tiling=tiling,
            lower=tuple(side for side in sides if side < row.resolution),
        )
        yield _costed(draft, facts, row, order)


def _costed(draft: Plan, facts: Facts, row: At, order: _Order) -> Plan:
    """The plan with its bytes and seconds."""
    measured = order.measured
    train, generate = _peaks(draft, facts, row)
    per_step, per_portrait = _speeds(draft, facts, row, order.tflops)
    per_step *= measured.train_seconds
    per_portrait *= measured.portrait_seconds
    seconds = (
        START_SECONDS
        + _words_seconds(draft, facts, order)
        + order.photos * facts.variants * _pixels_seconds(row, ENCODE_FLOPS_PER_PIXEL, order.tflops)
        + facts.steps * per_step
        + order.count * per_portrait
    )
    return replace(
        draft,
        train_bytes=math.ceil(train * measured.train_bytes),
        generate_bytes=math.ceil(generate * measured.generate_bytes),
        seconds_per_step=per_step,
        seconds_per_portrait=per_portrait,
        seconds=seconds,
    )


def _peaks(plan: Plan, facts: Facts, row: At) -> tuple[float, float]:
    """Bytes at the worst moment of training and of painting."""
    denoiser = facts.packed * NF4 + (facts.denoiser - facts.packed) * 2
    denoisers = denoiser * (2 if facts.distilled and plan.offload == "none" else 1)
    always = facts.autoencoder * 4 + (facts.text_encoder * 4 if facts.words_stay else 0)
    resident = denoisers + always
    adapter = facts.adapter * plan.rank
    unpacked = 2 * 2 * facts.largest
    reading = 0.0
    if not facts.words_stay and plan.offload != "words":
        reading = facts.text_encoder * 2 + READING
        reading += resident if plan.offload == "none" else 0
    activations = row.recompute if plan.checkpointing else row.keep
    learning = resident + adapter * LEARNING + unpacked + plan.micro_batch * activations
    pictures = plan.generation_batch * facts.together
    painting = resident + adapter * 2 + unpacked + pictures * row.paint
    decode = row.decode
    if plan.tiling:
        decode = round(row.decode * (UNTILED_PX / row.resolution) ** 2) + row.resolution**2 * 12 * 2
    worst = (
        max(reading, resident + row.encode, learning),
        max(reading, painting, resident + adapter * 2 + decode),
    )
    return (worst[0] + WORKSPACE) * GAPS, (worst[1] + WORKSPACE) * GAPS


def _speeds(plan: Plan, facts: Facts, row: At, tflops: float) -> tuple[float, float]:
    """Seconds for an optimizer step and for a portrait.

    A step goes forward once, or twice with checkpointing, and back once: the frozen weights need
    no gradients of their own.
    """
    speed = tflops * 1e12 * UTILISATION
    passes = 3 if plan.checkpointing else 2
    guided = 2 if facts.guidance != 1 else 1
    # A GPU that is given one small picture at a time is not busy all the time.
    idle = 1 + 0.1 / plan.generation_batch
    painting = facts.solver_steps * guided * row.flops / speed * idle
    decoding = _pixels_seconds(row, DECODE_FLOPS_PER_PIXEL, tflops) * (1.3 if plan.tiling else 1)
    per_step = plan.batch * passes * row.flops / speed * (1 + 0.1 / plan.micro_batch)
    return per_step, painting + decoding + SECONDS_PER_SCORE


def _pixels_seconds(row: At, flops: float, tflops: float) -> float:
    return row.resolution**2 * flops / (tflops * 1e12 * UTILISATION)


def _words_seconds(plan: Plan, facts: Facts, order: _Order) -> float:
    """Text encoders are read twice, for training and for the portraits; and they work."""
    if facts.words_stay:
        return 0.0
    prompts = order.photos * facts.variants + 2 * order.styles + 1
    work = prompts * facts.words * 2 * facts.text_encoder
    tflops = CPU_TFLOPS if plan.offload == "words" else order.tflops * UTILISATION
    moved = facts.packed * NF4 if plan.offload != "none" else 0
    reading = (2 * 2 * facts.text_encoder + 4 * moved) / READ_BYTES_PER_S
    return reading + work / (tflops * 1e12)


def tflops_of(name: str) -> float:
    """Of a card by the name that CUDA gives it; the longest name of the table that is in it."""
    words = name.upper().replace("-", " ").split()
    known = [card for card in CARDS if set(card.name.upper().split()) <= set(words)]
    return max(known, key=lambda card: len(card.name)).tflops if known else UNKNOWN_TFLOPS


# What jobs measured on this machine

CALIBRATION = "calibration.json"
"""A file of numbers: nothing in it comes from a person, a photo or a session."""

MOST_FACTOR = 10.0


def calibration(file: Path, base: str, card: str) -> Calibration:
    """What was measured for a base on a card; nothing, if the file is missing or damaged."""
    entry = _entries(file).get(f"{base} / {card}", {})
    try:
        numbers = {f.name: float(entry[f.name]) for f in fields(Calibration) if f.name in entry}
    except (TypeError, ValueError):
        return Calibration()
    good = all(1 / MOST_FACTOR <= n <= MOST_FACTOR for key, n in numbers.items() if key != "jobs")
    jobs = numbers.pop("jobs", 0.0)
    return Calibration(**numbers, jobs=int(jobs)) if good and 0 <= jobs < 1e9 else Calibration()


def refine(before: Calibration, **measured: float) -> Calibration:
    """With the ratios measured / computed of one more job; those of `before` count half.

    The ratios are to what was computed with `before`, and only those that are known are given.
    """
    factors = {}
    for key, ratio in measured.items():
        old = getattr(before, key)
        new = old * ratio
        mixed = new if before.jobs == 0 else (old + new) / 2
        factors[key] = min(MOST_FACTOR, max(1 / MOST_FACTOR, mixed))
    return replace(before, **factors, jobs=before.jobs + 1)  # type: ignore[arg-type]  # all floats


def remember(file: Path, base: str, card: str, now: Calibration) -> None:
    """Write it down for the next job; without room or permission, the next one estimates again."""
    entries = _entries(file) | {f"{base} / {card}": asdict(now)}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(entries, out, indent=2, sort_keys=True)
            os.replace(name, file)
        except OSError:
            os.unlink(name)
            raise


def _entries(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    entries = content if isinstance(content, dict) else {}
    return {key: value for key, value in entries.items() if isinstance(value, dict)}


# The tables of docs/gpu.md

_PHOTOS, _STYLES, _COUNT = 12, 8, 100


def known(bases: Path) -> list[Facts]:
    """The bases of a folder of manifests, `tools/bases`; those for companies' use first."""
    read = [manifests.parse(file) for file in sorted(bases.glob("*.toml"))]
    read.sort(key=lambda manifest: manifest.acknowledge)
    return [found for manifest in read if (found := facts(manifest)) is not None]


def tables(bases: Sequence[Facts]) -> str:
    """Markdown: for each base, what is planned on each card. All of it computed."""
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
            p = plan(
                base,
                card.free,
                photos=_PHOTOS,
                styles=_STYLES,
                count=_COUNT,
                tflops=card.tflops,
            )
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
    print(tables(known(Path(__file__).resolve().parents[1] / "tools" / "bases")))
