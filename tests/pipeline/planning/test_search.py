"""The planner: what others report, what must hold for any GPU, refusals, calibration.

All numbers of it are computed; nothing here has seen a GPU.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev import count_base
from errors import BaseUnavailable
from pipeline import assembly
from pipeline.bases import manifest
from pipeline.bases.base import Base
from pipeline.bases.plan import Plan, Work, smaller
from pipeline.planning import planner
from pipeline.planning.planner import CARDS, GB, Calibration, Card, Facts
from pipeline.planning.planning import CAREFUL, Measured, Planning, ratios
from pipeline.training.train import recipe_for
from settings import ROOT
from tools.fetch_base import BASES

KNOWN = {facts.key: facts for facts in planner.known(BASES)}
ORDER = {"photos": 12, "styles": 8, "count": 100}
ERROR = 0.35
"""How far computed figures may lie outside of what is published.  docs/gpu.md says the same."""


def card(name: str) -> Card:
    return next(c for c in CARDS if c.name == name)


def planned(facts: Facts, free: float, **options: object) -> Plan:
    return planner.plan(facts, round(free), **(ORDER | options))  # type: ignore[arg-type]


def way(key: str, **chosen: object) -> Plan:
    """The first plan of a base that runs in a certain way."""
    order = planner._Order(12, 8, 100, card("RTX 5090").tflops, Calibration())
    for plan in planner._candidates(KNOWN[key], order):
        if all(getattr(plan, name) == value for name, value in chosen.items()):
            return plan
    raise AssertionError(f"{key} has no plan with {chosen}")


ONE_AT_A_TIME = {"micro_batch": 1, "generation_batch": 1, "tiling": False}
PUBLISHED = [
    # base, GB from, to, resolution, and how those runs are said to be made
    ("z-image", 10, 12, 1024, {"checkpointing": True, "offload": "parts"}),
    ("flux2-klein-4b", 12, 16, 1024, {"checkpointing": True, "offload": "none"}),
    ("flux2-klein-4b", 0, 8, 512, {"checkpointing": True, "offload": "words"}),
    ("sdxl", 0, 16, 1024, {"checkpointing": True, "offload": "none"}),
    ("sd15", 6, 8, 512, {"checkpointing": False, "offload": "none"}),
]


def computed_gb(key: str, resolution: int, how: dict[str, object]) -> float:
    """Of training, with CUDA's own part, which a monitor counts too."""
    plan = way(key, resolution=resolution, **ONE_AT_A_TIME, **how)
    assert plan.train_bytes is not None
    return (plan.train_bytes + planner.CONTEXT) / GB


def minutes_of_z_image(name: str, resolution: int, samples: int) -> float:
    """Of training alone, in batches of one as the published runs."""
    row = next(row for row in KNOWN["z-image"].at if row.resolution == resolution)
    plan = way("z-image", resolution=resolution, checkpointing=True, **ONE_AT_A_TIME)
    step, _ = planner._speeds(plan, KNOWN["z-image"], row, card(name).tflops)
    return samples * step / plan.batch / 60


@pytest.mark.parametrize(("key", "least", "most", "pixels", "how"), PUBLISHED)
def test_published_memory_is_reproduced(
    key: str, least: float, most: float, pixels: int, how: dict[str, object]
) -> None:
    assert least * (1 - ERROR) <= computed_gb(key, pixels, how) <= most * (1 + ERROR)


def test_published_time_is_reproduced_at_the_middle_resolution_of_its_trainers() -> None:
    for samples, published in ((2000, 30), (3000, 40)):
        ours = minutes_of_z_image("RTX 5090", 768, samples)
        assert published * (1 - ERROR) <= ours <= published * (1 + ERROR)
    for pixels in (512, 768):
        ours = minutes_of_z_image("RTX 4070", pixels, 2500)
        assert 60 * (1 - ERROR) <= ours <= 120 * (1 + ERROR)


def test_what_the_published_cards_hold_is_planned_on_them() -> None:
    assert planned(KNOWN["z-image-turbo"], card("RTX 4070").free, tflops=58).resolution >= 512
    assert planned(KNOWN["flux2-klein-4b"], card("RTX 4060").free).resolution == 512
    for key in ("sd15", "sdxl"):
        assert planned(KNOWN[key], card("RTX 4060").free).resolution == KNOWN[key].at[0].resolution


def comparison() -> str:
    """The rows of docs/gpu.md."""
    titles = {"parts": "one part at a time", "words": "words on the CPU", "none": "all at once"}
    rows = []
    for key, least, most, pixels, how in PUBLISHED:
        published = f"{least}–{most} GB" if least else f"up to {most} GB"
        said = f"{pixels} px, one picture at once, {titles[str(how['offload'])]}"
        said += ", checkpointing" if how["checkpointing"] else ""
        ours = f"{computed_gb(key, pixels, how):.1f} GB"
        rows.append(f"| {KNOWN[key].title} | {published} | {ours} ({said}) |")
    fast = [f"{minutes_of_z_image('RTX 5090', px, 2500):.0f}" for px in (512, 768, 1024)]
    slow = [f"{minutes_of_z_image('RTX 4070', px, 2500):.0f}" for px in (512, 768)]
    rows += [
        "| Z-Image, 2000–3000 pictures on a 5090 | 30–40 minutes | "
        f"{fast[0]} at 512 px, {fast[1]} at 768, {fast[2]} at 1024 (2500 pictures) |",
        "| Z-Image, on 12 GB at 512 or 768 px | 1–2 hours | "
        f"{slow[0]} minutes at 512 px, {slow[1]} at 768 (2500 pictures, RTX 4070) |",
    ]
    return "\n".join(rows)


def test_the_document_is_what_the_planner_says() -> None:
    document = (ROOT / "docs" / "gpu.md").read_text()
    assert planner.tables(planner.known(BASES)) in document, (
        "run `python -m pipeline.planning.planner`"
    )
    assert comparison() in document
    assert f"within {ERROR:.0%}".replace("%", " %") in document


@pytest.mark.parametrize("key", sorted(count_base.ARCHITECTURES))
def test_the_manifests_count_what_the_architectures_have(key: str) -> None:
    architecture = count_base.ARCHITECTURES[key]
    counted = count_base.weights(architecture, *count_base.networks(architecture))
    assert counted == {name: getattr(KNOWN[key], name) for name in counted}
    assert architecture.resolutions == tuple(row.resolution for row in KNOWN[key].at[::-1])


@pytest.mark.slow
def test_activations_are_counted_as_the_manifest_says() -> None:
    architecture = count_base.ARCHITECTURES["sd15"]
    denoiser, _ = count_base.networks(architecture)
    targets = count_base._targets(architecture, denoiser)
    row = KNOWN["sd15"].at[-1]
    counted = count_base._training(architecture, targets, row.resolution, checkpointing=True)
    assert counted == row.recompute


# Any GPU


bases = st.sampled_from(sorted(KNOWN))
memories = st.integers(min_value=0, max_value=100 * 2**30)


@pytest.mark.slow
@given(key=bases, one=memories, other=memories, tflops=st.floats(5, 2000))
@settings(max_examples=60, deadline=None)
def test_more_memory_never_gives_a_worse_plan(
    key: str, one: int, other: int, tflops: float
) -> None:
    less, more = sorted((one, other))
    try:
        small = planned(KNOWN[key], less, tflops=tflops)
    except BaseUnavailable:
        return
    large = planned(KNOWN[key], more, tflops=tflops)
    assert planner._rank(large) <= planner._rank(small)
    if small.seconds <= planner.LONGEST_S:  # type: ignore[operator]
        assert large.resolution >= small.resolution
        assert large.resolution > small.resolution or large.seconds <= small.seconds  # type: ignore[operator]


@pytest.mark.slow
@given(key=bases, free=memories, photos=st.integers(4, 30), count=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_a_plan_fits_and_keeps_the_recipe(key: str, free: int, photos: int, count: int) -> None:
    facts = KNOWN[key]
    try:
        plan = planner.plan(facts, free, photos=photos, styles=3, count=count)
    except BaseUnavailable:
        return
    assert plan.train_bytes is not None
    assert plan.generate_bytes is not None
    assert max(plan.train_bytes, plan.generate_bytes) <= free
    assert plan.micro_batch * plan.accumulation == plan.batch == facts.batch
    assert (plan.rank, plan.steps) == (facts.rank, facts.steps)
    assert list(plan.lower) == sorted(plan.lower, reverse=True)
    assert all(side < plan.resolution for side in plan.lower)


@given(key=bases, during=st.sampled_from(["train", "generate"]), free=memories)
@settings(max_examples=60, deadline=None)
def test_steps_down_end_and_never_change_what_is_learnt(key: str, during: Work, free: int) -> None:
    try:
        plan: Plan | None = planned(KNOWN[key], free)
    except BaseUnavailable:
        return
    seen: list[Plan] = []
    while plan is not None:
        assert plan not in seen
        seen.append(plan)
        plan = smaller(plan, during)
    assert len(seen) < 15
    assert {(p.rank, p.steps, p.batch) for p in seen} == {
        (seen[0].rank, seen[0].steps, seen[0].batch)
    }
    assert seen[-1].resolution == min(row.resolution for row in KNOWN[key].at)


def test_faster_cards_and_fewer_portraits_take_less_time() -> None:
    facts, free = KNOWN["sdxl"], card("RTX 4090").free
    slow, fast = (planned(facts, free, tflops=t).seconds for t in (80, 160))
    few, many = (planned(facts, free, tflops=160, count=n).seconds for n in (10, 200))
    assert fast < slow  # type: ignore[operator]
    assert few < many  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("Somebody's GPU", planner.UNKNOWN_TFLOPS),
    ],
)
def test_cards_are_known_by_the_names_that_cuda_gives(name: str, tflops: float) -> None:
    assert planner.tflops_of(name) == tflops


# Refusals


def test_a_base_that_does_not_fit_is_one_sentence_that_names_one_that_does() -> None:
    klein, small = KNOWN["flux2-klein-9b"], KNOWN["sd15"]
    with pytest.raises(BaseUnavailable) as refused:
        planned(klein, 7 * GB, others=[klein, small, KNOWN["sdxl"]])
    assert str(refused.value) == (
        "FLUX.2 klein 9B needs 7.7 GiB of free GPU memory, and there are 6.5. "
        "Stable Diffusion XL 1.0 would fit: set LIKENESS_BASE=sdxl."
    )
    with pytest.raises(BaseUnavailable, match=r"there are 0\.9\.$"):
        planned(klein, GB, others=[small])


@pytest.mark.parametrize("broken", ["resolution = 512", "flops = 1", "denoiser = 'many'"])
def test_counts_that_cannot_be_read_are_a_sentence(broken: str, tmp_path: Path) -> None:
    text = (BASES / "sdxl.toml").read_text()
    key = broken.partition(" ")[0]
    lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
    if "many" in broken:
        lines.insert(lines.index("[model]") + 1, broken)
    (tmp_path / manifest.NAME).write_text("\n".join(lines))
    with pytest.raises(BaseUnavailable, match="damaged or was altered"):
        planner.facts_of(tmp_path)


# Calibration


FILE = planner.CALIBRATION


def test_what_was_measured_corrects_the_next_plan(tmp_path: Path) -> None:
    facts, free = KNOWN["sdxl"], card("RTX 4090").free
    first = planned(facts, free, tflops=165)
    assert first.seconds_per_step
    assert first.seconds_per_portrait
    assert first.train_bytes
    measured = Measured(
        seconds_per_step=2 * first.seconds_per_step,
        seconds_per_portrait=0.5 * first.seconds_per_portrait,
        peaks={"train": round(1.2 * first.train_bytes / planner.GAPS)},
    )
    now = planner.refine(Calibration(), **ratios(first, measured))
    planner.remember(tmp_path / "new" / FILE, "sdxl", "card", now)
    kept = planner.calibration(tmp_path / "new" / FILE, "sdxl", "card")
    assert kept == now
    assert (kept.train_seconds, kept.portrait_seconds) == pytest.approx((2, 0.5))
    assert kept.train_bytes == pytest.approx(1.2, rel=1e-6)
    assert (kept.generate_bytes, kept.jobs) == (1, 1)
    second = planned(facts, 100 * GB, tflops=165, calibration=kept)
    plain = planned(facts, 100 * GB, tflops=165)
    assert second.seconds_per_step == pytest.approx(2 * plain.seconds_per_step)  # type: ignore[operator]
    assert planned(facts, free, tflops=165, calibration=kept).train_bytes <= free  # type: ignore[operator]
    assert planner.calibration(tmp_path / "new" / FILE, "sdxl", "another") == Calibration()


def test_repeated_measurements_settle_on_what_is_true() -> None:
    true, known = 1.7, Calibration()
    for _ in range(12):
        known = planner.refine(known, train_seconds=true / known.train_seconds)
    assert known.train_seconds == pytest.approx(true)
    assert known.jobs == 12


def test_a_job_that_ran_short_makes_the_next_plan_careful_and_its_times_are_left_alone() -> None:
    plan = planned(KNOWN["sdxl"], 24 * GB)
    found = ratios(plan, Measured(9.0, 9.0, {"train": 1}, stepped_down=True))
    assert found == {"train_bytes": CAREFUL, "generate_bytes": CAREFUL}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"sdxl / card": 3}',
        '{"sdxl / card": {"train_seconds": "slow"}}',
        '{"sdxl / card": {"train_seconds": 1e9}}',
        '{"sdxl / card": {"train_bytes": -1}}',
        '{"sdxl / card": {"train_bytes": NaN}}',
        '{"sdxl / card": {"jobs": Infinity}}',
    ],
)
def test_a_damaged_calibration_is_ignored_and_written_over(content: str, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(content)
    assert planner.calibration(file, "sdxl", "card") == Calibration()
    planner.remember(file, "sdxl", "card", Calibration(train_seconds=2, jobs=1))
    assert planner.calibration(file, "sdxl", "card").train_seconds == 2


def test_a_calibration_is_numbers_only_and_without_room_nothing_breaks(tmp_path: Path) -> None:
    file = tmp_path / FILE
    planner.remember(file, "sdxl", "card", Calibration())
    [entry] = json.loads(file.read_text()).values()
    assert entry == asdict(Calibration())
    assert all(isinstance(value, int | float) for value in entry.values())
    blocked = tmp_path / "file"
    blocked.write_text("")
    planner.remember(blocked / FILE, "sdxl", "card", Calibration())
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


# Without a GPU


def test_without_a_gpu_the_numbers_are_those_of_the_recipe(tmp_path: Path) -> None:
    mini = ROOT / "models" / "studio-mini"
    assert planner.facts_of(mini) is None
    assert Planning(KNOWN["sdxl"], tmp_path / FILE, []).plan(8, 3, 100) is None
    base = Base.load(mini)
    recipe = recipe_for(base, 8)
    plan = base.as_it_is(rank=recipe.rank, steps=recipe.steps, batch=recipe.batch)
    assert plan == Plan(
        resolution=160, rank=16, steps=200, batch=8, micro_batch=8, generation_batch=12
    )
    before = base.fingerprint()
    base.configure(plan)
    assert base.as_it_is(rank=16, steps=200, batch=8) == plan
    assert base.fingerprint() == before


def test_as_much_is_kept_of_a_photo_as_the_base_learns_from() -> None:
    assert assembly.training_px(None) == assembly.TRAINING_PX == 768
    assert assembly.training_px(KNOWN["sd15"]) == 768
    assert assembly.training_px(KNOWN["sdxl"]) == 1331  # 1024 and the crop's margin
    one_size = replace(KNOWN["sdxl"], at=KNOWN["sdxl"].at[-1:])
    assert assembly.training_px(one_size) == 768
