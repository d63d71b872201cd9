"""Rows of what is measured beside what is computed; what fails is a row too."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.bases import device
from tools import gpu_check

HEAD = "| | s | computed s | allocated GB | reserved GB | computed GB | |\n|" + "---|" * 7

MOST = 0.9
"""Share of the card above which a configuration is not tried."""


@dataclass(frozen=True)
class Computed:
    """What planning says of a configuration: seconds, bytes."""

    seconds: float | None = None
    size: float | None = None


NOTHING = Computed()


class Table:
    """The rows so far.

    limit: seconds after which nothing more is begun.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.started = limit, time.monotonic()
        self.rows: list[str] = []

    def tried(
        self, name: str, do: Callable[[], dict[str, Any]], computed: Computed = NOTHING
    ) -> bool:
        """Measure one configuration into a row; False if it failed or was left out."""
        size = computed.size
        found: dict[str, Any] = {}
        if time.monotonic() - self.started > self.limit:
            found = {"note": f"left out: {self.limit:g} s are over"}
        elif size is not None and size > MOST * _card_bytes():
            found = {"note": "left out: computed to need more than the card has"}
        else:
            device.release()
            device.watch()
            try:
                found = do()
                found |= device.peak()
            except Exception as problem:
                # Its frames hold the tensors of what failed. Torch says more than the stage.
                said = problem.__cause__ if isinstance(problem, device.ShortOfMemory) else problem
                text = " ".join(str(said).split())[:200]
                found = {"note": f"failed: {type(said).__name__}: {text}"}
        self._add(name, found, computed)
        return "s" in found

    def _add(self, name: str, found: dict[str, Any], computed: Computed) -> None:
        peaks = [_shown(found.get(key), 1e9) for key in ("allocated", "reserved")]
        times = [_shown(found.get("s")), _shown(computed.seconds)]
        cells = [name, *times, *peaks, _shown(computed.size, 1e9)]
        self.rows.append("| " + " | ".join([*cells, found.get("note", "")]) + " |")
        print(self.rows[-1], flush=True)

    def shown(self, title: str) -> str:
        """All of it as Markdown, below a line about the machine."""
        return f"**{title}** — {_machine()}\n\n{HEAD}\n" + "\n".join(self.rows)


def timed(do: Callable[[], object]) -> dict[str, Any]:
    """Run it; its seconds, until the GPU is done too."""
    started = time.monotonic()
    do()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return {"s": time.monotonic() - started}


def _card_bytes() -> float:
    """Of the whole card; endless without one."""
    if not torch.cuda.is_available():
        return math.inf
    return float(torch.cuda.get_device_properties(0).total_memory)


def _machine() -> str:
    about = gpu_check.machine("cuda" if torch.cuda.is_available() else "cpu")
    return ", ".join(f"{key} {value}" for key, value in about.items())


def _shown(value: float | None, unit: float = 1.0) -> str:
    return "–" if value is None else f"{value / unit:.3f}"
