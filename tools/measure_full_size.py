"""Measure a base at its full size on this machine's GPU, without its weights and without a network.

    python -m tools.measure_full_size sdxl

Builds the base with random weights (`tools/full_size.py`), loads it as the product does, and
measures training, painting, words, fingerprint, and how soon a stop is heard; prints a Markdown
table that sets what planning computes beside it.  What fails is one line, and the rest goes on.
A base needs up to 25 GB below TMPDIR for the time of the measurement.

Exit codes: 0 done, 1 the base could not be built or loaded.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from errors import Stopped
from pipeline.bases import device, nf4
from pipeline.bases.base import Base
from pipeline.bases.loading import load_base
from pipeline.bases.plan import Plan
from pipeline.planning import cost
from pipeline.planning.cards import reached
from pipeline.planning.facts import Facts, facts_of_folder
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import load_styles
from pipeline.training.train import Recipe, TrainStep, train
from tools import full_size
from tools.measured_table import NOTHING, Computed, Table, timed
from tools.nobody import Stopper, nobody

SIDES = (1024, 512)
WAYS = ((1, True), (1, False), (4, False))
"""Pictures at once, and whether activations are computed again (checkpointing)."""
WARM, MEASURED = 2, 3
"""Steps."""
PORTRAITS = 12


def main(
    arguments: Sequence[str] | None = None,
    *,
    build: Callable[[Path], None] | None = None,
    sides: Sequence[int] = SIDES,
) -> int:
    """Run the command line; returns the exit code.

    build: writes another base than the full-size one. sides: of pictures, in pixels.
    """
    chosen = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="full-size-") as root:
        folder = Path(root) / chosen.key
        make = build or (
            lambda place: full_size.build(chosen.key, place, full_text=chosen.full_text)
        )
        table = Table(chosen.limit)
        measuring = Measuring(folder, sides, table)
        if not table.tried("build", lambda: timed(lambda: make(folder))):
            return 1
        device.release()
        if not table.tried("load", measuring.load):
            return 1
        measuring.everything()
    print("\n" + table.shown(chosen.key))
    return 0


class Measuring:
    """One base, and what is measured of it."""

    base: Base

    def __init__(self, folder: Path, sides: Sequence[int], table: Table) -> None:
        self.folder, self.sides, self.table = folder, sides, table
        self.facts: Facts | None = None

    def load(self) -> dict[str, Any]:
        started = time.monotonic()
        self.base = load_base(self.folder)
        self._settled()
        seconds = time.monotonic() - started
        self.facts = facts_of_folder(self.folder)
        return {"s": seconds}

    def everything(self) -> None:
        """Every configuration, the costliest pictures last."""
        base = self.base
        self.table.tried("denoisers in NF4, as stored", self._stored)
        prints: list[str] = []
        self.table.tried("fingerprint", lambda: timed(lambda: prints.append(base.fingerprint())))
        looks = list(load_styles(full_size.ROOT / "styles").values())[:4]
        words = ["", *(text for s in looks for text in (s.words("sks person"), s.negative))]
        name = f"words, {len(set(words))} prompts"
        self.table.tried(name, lambda: timed(lambda: base.prepare_prompts(words)))
        for side in sorted(self.sides):
            for at_once, again in WAYS:
                self._train(side, at_once, again)
        top = max(self.sides)
        self.table.tried(f"stop while training, {top} px", lambda: self._stop_training(top))
        person = self._person(min(self.sides))
        for side in sorted(self.sides):
            draft = self._plan(side, 1, True)
            shots = plan(looks, PORTRAITS, 7)
            self.table.tried(
                f"paint {side} px, {PORTRAITS} at once: a portrait",
                lambda side=side, shots=shots: self._paint(side, person, shots),  # type: ignore[misc]
                self._computed(draft, 1),
            )
        self.table.tried("fingerprint after all", lambda: self._unchanged(prints))

    def _stored(self) -> dict[str, Any]:
        base, facts = self.base, self.facts
        stored = [nf4.stored_bytes(denoiser) for denoiser in base._denoisers()]
        note = "GB " + " + ".join(f"{size / 1e9:.3f}" for size in stored)
        if facts is not None:
            computed = facts.packed * cost.NF4 + (facts.denoiser - facts.packed) * 2
            note += f", computed {computed / 1e9:.3f} each"
        return {"s": 0, "note": note}

    def _unchanged(self, before: list[str]) -> dict[str, Any]:
        after: list[str] = []
        found = timed(lambda: after.append(self.base.fingerprint()))
        return found | {"note": "unchanged" if after == before else "CHANGED"}

    # Training

    def _train(self, side: int, at_once: int, again: bool) -> None:
        name = f"train {side} px, {at_once} at once, {'checkpointing' if again else 'keep'}"
        draft = self._plan(side, at_once, again)
        self.table.tried(f"{name}: a picture", lambda: self._learn(draft), self._computed(draft, 0))

    def _learn(self, draft: Plan) -> dict[str, Any]:
        """Seconds a picture after `WARM` steps, and peaks of these steps alone."""
        self.base.configure(draft)
        ends, losses = [], []

        def report(step: TrainStep) -> None:
            self._settled()
            losses.append(step.loss)
            if step.step == WARM:
                device.watch()
            ends.append(time.monotonic())

        recipe = _recipe(WARM + MEASURED, draft.micro_batch)
        train(self.base, nobody(recipe, self.base), report=report, stop=lambda: False)
        each = (ends[-1] - ends[WARM - 1]) / MEASURED / draft.micro_batch
        flops = self._flops(draft.resolution) * (3 if draft.checkpointing else 2) / each
        note = f"{flops / 1e12:.0f} TFLOP/s" if flops else ""
        wrong = sum(not math.isfinite(loss) for loss in losses)
        return {"s": each, "note": note + (f", {wrong} losses not finite" if wrong else "")}

    def _stop_training(self, side: int) -> dict[str, Any]:
        """When the way back of the first of a step's four pictures begins, one at once."""
        self.base.configure(self._plan(side, 1, True))
        recipe = _recipe(5, 4)
        stop, ends = Stopper(), list[int]()

        def report(_: TrainStep) -> None:
            ends.append(stop.asked)
            if len(ends) == 2:  # each block asks forward, and when it is computed again
                stop.after = stop.asked + (ends[1] - ends[0]) // 8

        try:
            train(self.base, nobody(recipe, self.base), report=report, stop=stop, micro_batch=1)
        except Stopped:
            self._settled()
            return {"s": time.monotonic() - stop.since}
        raise AssertionError("the training ended before it was stopped")

    def _person(self, side: int) -> bytes | None:
        self.base.configure(self._plan(side, 1, True))
        adapters: list[bytes] = []
        recipe = _recipe(1, 1)

        def learn() -> None:
            adapters.append(
                train(
                    self.base, nobody(recipe, self.base), report=lambda _: None, stop=lambda: False
                )
            )

        self.table.tried("an adapter to paint with", lambda: timed(learn))
        return adapters[0] if adapters else None

    # Painting

    def _paint(self, side: int, person: bytes | None, shots: list[Any]) -> dict[str, Any]:
        """One batch, then the same again until a stop half-way."""
        base = self.base
        base.configure(self._plan(side, 1, True))
        stop, begun = Stopper(), time.monotonic()
        made = [i for _, i in generate(base, person, shots, stop=stop, batch=len(shots))]
        now = time.monotonic()
        flat = sum(bool(image.std() < 1) for image in made)
        waited = self._stop_painting(person, shots, stop.asked // 2)
        note = f"{flat} of {len(made)} portraits flat; a stop is heard after {waited:.2f} s"
        return {"s": (now - begun) / len(made), "note": note}

    def _stop_painting(self, person: bytes | None, shots: list[Any], after: int) -> float:
        """Seconds from a look to the return."""
        stop = Stopper(after)
        try:
            for _ in generate(self.base, person, shots, stop=stop, batch=len(shots)):
                pass
        except Stopped:
            self._settled()
        return time.monotonic() - stop.since

    # What is computed

    def _plan(self, side: int, at_once: int, again: bool) -> Plan:
        own = self.base.as_it_is(rank=16, steps=WARM + MEASURED, batch=at_once)
        return replace(
            own,
            resolution=side,
            micro_batch=at_once,
            generation_batch=PORTRAITS,
            checkpointing=again,
            offload="none",
            tiling=False,
        )

    def _flops(self, side: int) -> float:
        facts = self.facts
        return facts.row(side).flops if facts and side in facts.sides else 0.0

    def _computed(self, draft: Plan, work: int) -> Computed:
        """Of a picture in training (0) or a portrait (1), while no words are read."""
        if self.facts is None or draft.resolution not in self.facts.sides:
            return NOTHING
        wordless = replace(self.facts, text_encoder=0)
        found = cost.Cost(draft, wordless, _reached())
        seconds = (found.step_s / draft.batch, found.painted_s)[work]
        return Computed(seconds, found.peaks[work])

    def _settled(self) -> None:
        if self.base.device.type == "cuda":
            torch.cuda.synchronize()


def _recipe(steps: int, batch: int) -> Recipe:
    return Recipe(steps=steps, batch=batch, variants=2, learning_rate=1e-4, warmup=1)


def _reached() -> float:
    card = device.gpu()
    return cost.CPU_TFLOPS if card is None else reached(card.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.measure_full_size", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("key", choices=full_size.KEYS)
    parser.add_argument(
        "--full-text", action="store_true", help="every layer of the text encoder, not a few"
    )
    parser.add_argument(
        "--limit", type=float, default=math.inf, help="seconds, after which nothing more is begun"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
