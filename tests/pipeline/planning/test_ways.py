"""Which way a job goes: what must hold for any GPU, and refusals."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import BaseUnavailable
from pipeline.bases.plan import WAYS, Plan, Stage, smaller
from pipeline.planning.cards import CARDS, GB, Card
from pipeline.planning.cost import Workload
from pipeline.planning.planning import Machine, choose, rank, ways
from tests.support.planned import KNOWN, card, machine, planned
from tools.plan_tables import WORKLOAD

bases = st.sampled_from(sorted(KNOWN))
memories = st.integers(min_value=0, max_value=100 * 2**30)


def test_what_the_published_cards_hold_is_planned_on_them() -> None:
    assert planned("z-image-turbo", card("RTX 4070").free, tflops=58).resolution >= 512
    small = planned("flux2-klein-4b", card("RTX 4060").free)
    assert (small.learnt_px, small.resolution) == (512, 1024)
    for key in ("sd15", "sdxl"):
        assert planned(key, card("RTX 4060").free).resolution == KNOWN[key].at[0].resolution


@pytest.mark.slow
@given(key=bases, one=memories, other=memories, tflops=st.floats(5, 2000))
@settings(max_examples=60, deadline=None)
def test_more_memory_never_gives_a_worse_plan(
    key: str, one: int, other: int, tflops: float
) -> None:
    less, more = sorted((one, other))
    try:
        small = planned(key, less, tflops=tflops)
    except BaseUnavailable:
        return
    large, longest = planned(key, more, tflops=tflops), KNOWN[key].longest_s
    assert rank(large, longest) <= rank(small, longest)
    if small.seconds <= longest:  # type: ignore[operator]
        assert large.resolution >= small.resolution
        assert large.resolution > small.resolution or large.seconds <= small.seconds  # type: ignore[operator]


@pytest.mark.slow
@given(key=bases, free=memories, photos=st.integers(4, 30), count=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_plan_fits_and_keeps_the_recipe(key: str, free: int, photos: int, count: int) -> None:
    facts = KNOWN[key]
    try:
        found = choose(facts, Workload(photos, 3, count), machine(free))
    except BaseUnavailable:
        return
    assert found.train_bytes is not None
    assert found.generate_bytes is not None
    assert max(found.train_bytes, found.generate_bytes) <= free
    assert found.micro_batch * found.accumulation == found.batch == facts.batch
    assert (found.rank, found.steps) == (facts.rank, facts.steps)
    assert list(found.lower) == sorted(found.lower, reverse=True)
    assert all(side < found.resolution for side in found.lower)


@pytest.mark.parametrize("stage", get_args(Stage))
@pytest.mark.parametrize("key", sorted(KNOWN))
def test_steps_down_end_and_never_change_what_is_learnt(key: str, stage: Stage) -> None:
    for memory in (8, 12, 16, 24, 48, 200):
        try:
            step: Plan | None = planned(key, memory * GB, tflops=300)
        except BaseUnavailable:
            continue
        seen: list[Plan] = []
        while step is not None:
            assert step not in seen
            seen.append(step)
            step = smaller(step, stage)
        assert len(seen) < 15
        first, last, least = seen[0], seen[-1], KNOWN[key].sides[-1]
        assert {(p.rank, p.steps, p.batch) for p in seen} == {
            (first.rank, first.steps, first.batch)
        }
        sizes = {
            "words": (first.resolution, first.learnt_px),
            "train": (first.resolution, least),
        }
        assert (last.resolution, last.learnt_px) == sizes.get(stage, (least, least))
        assert (last.offload == "words") == (stage == "words" or first.offload == "words")
        assert (last.generation_batch == 1) == (stage == "paint" or first.generation_batch == 1)


FIRST = Plan(1024, 16, 500, 4, 4, 12, offload="none", lower=(768, 512), train_resolution=768)
"""A plan by the roomiest way."""


@pytest.mark.parametrize(
    ("stage", "now", "then"),
    [
        ("words", {}, {"offload": "parts"}),
        ("words", {"offload": "parts"}, {"offload": "words"}),
        ("encode", {}, {"offload": "parts"}),
        ("encode", {"offload": "parts"}, {"tiling": True}),
        ("encode", {"offload": "words", "tiling": True}, {"resolution": 768}),
        ("train", {}, {"micro_batch": 2}),
        ("train", {"micro_batch": 2}, {"offload": "parts"}),
        ("train", {"micro_batch": 1, "offload": "words"}, {"checkpointing": True}),
        (
            "train",
            {"micro_batch": 1, "offload": "parts", "checkpointing": True},
            {"train_resolution": 512},
        ),
        ("paint", {}, {"offload": "parts"}),
        ("paint", {"offload": "parts"}, {"generation_batch": 6}),
        ("paint", {"offload": "parts", "generation_batch": 1}, {"resolution": 768}),
        ("decode", {}, {"offload": "parts"}),
        ("decode", {"offload": "parts", "resolution": 512}, None),
        ("decode", {"offload": "parts", "tiling": True}, {"resolution": 768}),
    ],
)
def test_a_step_down_takes_what_helps_at_its_stage_and_nothing_else(
    stage: Stage, now: dict[str, Any], then: dict[str, Any] | None
) -> None:
    plan = replace(FIRST, **now)
    assert smaller(plan, stage) == (None if then is None else replace(plan, **then))


@pytest.mark.parametrize("key", sorted(KNOWN))
def test_each_way_takes_no_more_memory_than_the_one_before(key: str) -> None:
    every = {(p.resolution, p.way): p.bytes for p in ways(KNOWN[key], WORKLOAD, machine(0))}
    for side in KNOWN[key].sides:
        needed = [every[side, name] for name in WAYS]
        assert needed == sorted(needed, reverse=True)
    assert len(every) == len(WAYS) * len(KNOWN[key].sides)


BLOCKS = 20
"""Of a large denoiser, at least; a wish to stop is asked for before each."""


@pytest.mark.parametrize("each", CARDS, ids=lambda each: each.name)
def test_no_block_keeps_a_wish_to_stop_waiting_on_any_card(each: Card) -> None:
    for facts in (facts for facts in KNOWN.values() if facts.large):
        with suppress(BaseUnavailable):  # which is tested elsewhere
            found = choose(facts, WORKLOAD, Machine(each.free, each.reached))
            assert found.seconds_per_step / found.accumulation / BLOCKS < 5  # type: ignore[operator]
            group = found.generation_batch * found.seconds_per_portrait  # type: ignore[operator]
            assert group / facts.solver_steps / BLOCKS < 5


def test_trials_are_in_the_seconds_of_jobs_that_hold_a_photo_out() -> None:
    """Between seven photos and eight there is nothing else but prompts and their reading."""
    facts = KNOWN["z-image-turbo"]
    for name in ("RTX 4090", "H100"):
        each = card(name)
        found = Machine(each.free, each.reached)
        seconds = [choose(facts, Workload(n, 8, 100), found).seconds or 0 for n in (6, 7, 8, 9)]
        first, tried, last = (b - a for a, b in itertools.pairwise(seconds))
        plan = choose(facts, WORKLOAD, found)
        small = facts.row(plan.learnt_px).flops / facts.row(plan.resolution).flops
        least = 16 * 4 / facts.solver_steps * (plan.seconds_per_portrait or 0) * small
        assert first == pytest.approx(last)
        assert tried - first > least


def test_faster_cards_and_fewer_portraits_take_less_time() -> None:
    free = card("RTX 4090").free
    slow, fast = (planned("sdxl", free, tflops=t).seconds for t in (80, 160))
    few, many = (planned("sdxl", free, 160, Workload(12, 8, n)).seconds for n in (10, 200))
    assert fast < slow  # type: ignore[operator]
    assert few < many  # type: ignore[operator]


def test_a_base_that_does_not_fit_is_one_sentence_that_names_one_that_does() -> None:
    klein, small = KNOWN["flux2-klein-9b"], KNOWN["sd15"]
    with pytest.raises(BaseUnavailable) as refused:
        choose(klein, WORKLOAD, machine(7 * GB), others=[klein, small, KNOWN["sdxl"]])
    assert str(refused.value) == (
        "FLUX.2 klein 9B needs 7.7 GiB of free GPU memory, and there are 6.5. "
        "Stable Diffusion XL 1.0 would fit: set LIKENESS_BASE=sdxl."
    )
    with pytest.raises(BaseUnavailable, match=r"there are 0\.9\.$"):
        choose(klein, WORKLOAD, machine(GB), others=[small])
