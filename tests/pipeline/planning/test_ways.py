"""Which way a job goes: what must hold for any GPU, and refusals."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors import BaseUnavailable
from pipeline.bases.plan import WAYS, Plan, Stage, smaller
from pipeline.planning.cards import CARDS, GB, Card
from pipeline.planning.cost import Machine, Workload
from pipeline.planning.planning import LONGEST_S, LONGEST_UNHEARD_S, choose, rank, ways
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
    large = planned(key, more, tflops=tflops)
    assert rank(large) <= rank(small)
    if small.seconds <= LONGEST_S:  # type: ignore[operator]
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
        ("train", {}, {"micro_batch": 2, "offload": "parts"}),
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


@pytest.mark.parametrize("key", sorted(KNOWN))
@pytest.mark.parametrize("each", CARDS, ids=lambda each: each.name)
def test_a_wish_to_stop_is_heard_in_time_on_every_card(key: str, each: Card) -> None:
    for way in ways(KNOWN[key], WORKLOAD, Machine(each.free, each.reached)):
        assert way.unheard_s is not None
    with suppress(BaseUnavailable):  # which is tested elsewhere
        found = choose(KNOWN[key], WORKLOAD, Machine(each.free, each.reached))
        assert found.unheard_s <= LONGEST_UNHEARD_S  # type: ignore[operator]


def test_where_a_part_would_not_hear_it_for_long_it_is_cut_smaller() -> None:
    facts, memory = KNOWN["flux2-klein-4b"], 200 * 2**30
    every = {
        tflops: choose(facts, WORKLOAD, Machine(memory, tflops)) for tflops in (300.0, 12.0, 1.0)
    }
    assert not every[300.0].checkpointing
    assert every[300.0].micro_batch == facts.batch
    for tflops, found in every.items():
        assert found.unheard_s <= LONGEST_UNHEARD_S, tflops  # type: ignore[operator]
    deaf = replace(every[300.0], unheard_s=LONGEST_UNHEARD_S + 1)
    assert rank(every[12.0]) < rank(deaf)
    hopeless = choose(facts, WORKLOAD, Machine(memory, 0.001))
    assert hopeless.unheard_s > LONGEST_UNHEARD_S  # type: ignore[operator]  # the plan says so


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
