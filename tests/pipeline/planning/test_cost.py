"""The cost of a plan beside what others report, and beside what an H200 measured."""

from __future__ import annotations

import pytest

from pipeline.bases import device
from pipeline.planning.cards import CARDS, CONTEXT, GB, HOPPER, UTILISATION, known, reached
from pipeline.planning.cost import Cost
from settings import ROOT
from tests.support.h200 import Row, measured
from tests.support.planned import KNOWN, card, way

ERROR = 0.35
"""How far computed figures may lie outside of what is published.  docs/gpu.md says the same."""

SPREAD = 1.6
"""Factor by which a computed time may lie off what an H200 measured.  docs/gpu.md says the same."""

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
    return (plan.train_bytes + CONTEXT) / GB


def minutes_of_z_image(name: str, resolution: int, samples: int) -> float:
    """Of training alone, in batches of one as the published runs."""
    plan = way("z-image", resolution=resolution, checkpointing=True, **ONE_AT_A_TIME)
    step = Cost(plan, KNOWN["z-image"], card(name).reached).step_s
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


def test_the_document_says_how_we_compare() -> None:
    document = (ROOT / "docs" / "gpu.md").read_text()
    assert comparison() in document
    assert f"within {ERROR:.0%}".replace("%", " %") in document
    assert f"within a factor of {SPREAD}" in document


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 4080 SUPER", "RTX 4080"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce RTX 5080", "RTX 5080"),
        ("NVIDIA GeForce RTX 5090", "RTX 5090"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA RTX A6000", "A6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
    ],
)
def test_cards_are_known_by_the_names_that_cuda_gives(name: str, which: str) -> None:
    assert known(name) == card(which)


@pytest.mark.parametrize(
    "name",
    [
        "Somebody's GPU",
        "NVIDIA A10G",
        "NVIDIA RTX 6000 Ada Generation",
        "NVIDIA GeForce RTX 5090 Laptop GPU",
    ],
)
def test_any_other_card_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known(name) is None
    monkeypatch.setattr(device, "product_tflops", lambda: 70.0)
    assert reached(name) == pytest.approx(70 * UTILISATION)


def test_what_is_known_of_a_card_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(device, "product_tflops")
    assert reached("NVIDIA GeForce RTX 4090") == pytest.approx(165 * UTILISATION)
    assert reached("NVIDIA H200") == pytest.approx(989 * HOPPER)
    assert [c.share for c in CARDS if c.share != UTILISATION] == [HOPPER, HOPPER]


@pytest.mark.parametrize("row", measured(), ids=str)
def test_an_h200_measured_what_is_computed(row: Row) -> None:
    rate, gib = row.computed()
    assert row.said == (f"{rate:.1f}", f"{gib:.1f}")
    assert 1 / SPREAD <= rate / row.rate <= SPREAD
    assert row.gib <= gib
