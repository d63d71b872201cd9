"""How clips are planned: the largest that fits and is made in time, or a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from errors import BaseUnavailable
from pipeline.bases import manifest
from pipeline.bases.plan import smaller
from pipeline.planning.cards import GB
from pipeline.planning.clips import LONGEST_S, clip_facts_of, plan_clip
from pipeline.planning.facts import Facts
from pipeline.planning.planning import Machine
from tests.support.planned import card, machine
from tools.fetch_base import BASES


def known() -> Facts:
    facts = clip_facts_of(manifest.parse(BASES / "wan2.2-ti2v-5b.toml"))
    assert facts is not None
    return facts


FACTS = known()


def test_a_card_of_24_gb_makes_the_largest_in_minutes() -> None:
    chosen = card("RTX 4090")
    plan = plan_clip(FACTS, Machine(chosen.free, chosen.reached))
    assert plan.resolution == 704
    assert 0 < plan.bytes <= chosen.free
    assert plan.seconds is not None
    assert 60 < plan.seconds < 600


def test_more_memory_never_makes_a_smaller_clip() -> None:
    free = [gib * 2**30 for gib in range(12, 60, 3)]
    sides = [plan_clip(FACTS, machine(f, 165)).resolution for f in free]
    assert sides == sorted(sides)
    assert len(set(sides)) > 1


def test_a_slow_card_makes_a_smaller_clip_in_time() -> None:
    slow, fast = (plan_clip(FACTS, machine(40 * GB, tflops)) for tflops in (20, 400))
    assert slow.resolution < fast.resolution
    assert slow.seconds is not None
    assert slow.seconds < LONGEST_S


def test_what_fits_nowhere_is_a_sentence() -> None:
    with pytest.raises(BaseUnavailable) as refused:
        plan_clip(FACTS, machine(3 * GB))
    assert str(refused.value) == (
        "Wan 2.2 TI2V 5B needs 10.6 GiB of free GPU memory, and there are 2.8: "
        "use a larger card, or make clips without it."
    )


def test_memory_that_runs_short_leads_to_a_smaller_clip() -> None:
    plan = plan_clip(FACTS, machine(60 * GB, 400))
    assert plan.resolution == 704
    sides = []
    while (plan_ := smaller(plan, "paint")) is not None:
        plan = plan_
        sides.append(plan.resolution)
    assert sides[-1] == 480


def test_a_step_takes_what_others_measured() -> None:
    """2.3 s for two predictions of 33 frames of 768 x 1024 pixels on an RTX 4090 (docs/gpu.md)."""
    tokens, counted = 9 * 24 * 32, 19 * 22 * 22
    row = FACTS.at[0]
    # Attention grows with the square of the tokens, all else with them: 2 flops a weight and token.
    linear = 2 * FACTS.packed * counted
    flops = linear * tokens / counted + (row.flops - linear) * (tokens / counted) ** 2
    computed = 2 * flops / (card("RTX 4090").reached * 1e12)
    assert computed == pytest.approx(2.3, rel=0.35)


@pytest.mark.parametrize("count", ["packed", "frames", "at", "decode_flops", "paint"])
def test_a_manifest_without_its_counts_is_damaged(count: str) -> None:
    read = manifest.parse(BASES / "wan2.2-ti2v-5b.toml")
    rows = [{k: v for k, v in row.items() if k != count} for row in read.clip["at"]]
    clip = {k: v for k, v in (read.clip | {"at": rows}).items() if k != count}
    with pytest.raises(BaseUnavailable, match="damaged or was altered"):
        clip_facts_of(replace(read, clip=clip))


def test_a_base_that_makes_portraits_counts_nothing_for_clips() -> None:
    assert clip_facts_of(manifest.parse(BASES / "sdxl.toml")) is None
