"""What an H200 measured: the rows of docs/gpu.md."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.planning.cost import Cost
from settings import ROOT
from tests.support.planned import KNOWN, card, way

_KEYS = {"FLUX.2 klein 4B": "flux2-klein-4b", "SDXL": "sdxl", "Z-Image-Turbo": "z-image-turbo"}


@dataclass(frozen=True)
class Row:
    """A configuration of training: pictures in a second, GiB that torch had reserved; and the same
    as the document says that they are computed."""

    key: str
    pixels: int
    at_once: int
    checkpointing: bool
    rate: float
    gib: float
    said: tuple[str, str]

    def computed(self) -> tuple[float, float]:
        """Pictures in a second and GiB, by the planner."""
        facts = KNOWN[self.key]
        plan = way(
            self.key,
            resolution=self.pixels,
            micro_batch=self.at_once,
            checkpointing=self.checkpointing,
            offload="none",
        )
        step = Cost(plan, facts, card("H200").reached).step_s
        assert plan.train_bytes is not None
        return plan.batch / step, plan.train_bytes / 2**30


def measured() -> list[Row]:
    """All that were measured of layers that answer in the type that they compute in."""
    rows, key = [], ""
    for line in (ROOT / "docs" / "gpu.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 10 and cells[3] in ("yes", "no"):
            key = _KEYS.get(cells[0], key)
            if "–" not in cells[6:8]:
                way = int(cells[1]), int(cells[2]), cells[3] == "yes"
                rows.append(Row(key, *way, float(cells[6]), float(cells[7]), (cells[8], cells[9])))
    return rows
