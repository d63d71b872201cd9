"""How many jobs ended how, and how long they took, for whoever runs the server: numbers alone.

Times are counted in classes of minutes, so that nothing is kept of one job; `privacy.tally` keeps
the counts by day. What waits and runs is counted when somebody asks.
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.orders import ENDED, OrderedWay, Phase
from pipeline.planning.pace import Countdown
from privacy.tally import Tally

MINUTES = (0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120, math.inf)
"""Upper ends of the classes of how long a job took, minutes."""

GPU_FAILED = "gpu/failed"
"""The name of the count of failures of the GPU."""


@dataclass(frozen=True, slots=True)
class Census:
    """Jobs at this moment, by way. working: whether the worker lives, or is not needed yet."""

    waiting: Mapping[str, int]
    running: Mapping[str, int]
    working: bool

    @classmethod
    def of(cls, jobs: Iterable[tuple[OrderedWay, Phase]], *, working: bool) -> Census:
        """What these jobs, by way and phase, come to."""
        there = [job for job in jobs if job[1] not in ENDED]
        everybody = Counter[str](way for way, _ in there)
        waiting = Counter[str](way for way, phase in there if phase == "queued")
        return cls(waiting, everybody - waiting, working)


class JobCounts:
    """Counts jobs as they end. Thread-safe."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._lock = tally, threading.Lock()
        self._minutes: defaultdict[str, float] = defaultdict(float)

    def ended(self, way: OrderedWay, phase: Phase, ran: Countdown | None) -> None:
        """Count a job that ended. ran: its countdown; None if it never began to run."""
        names = [ended(way, phase)]
        if phase == "done" and ran is not None:
            minutes = ran.elapsed() / 60
            names.append(_took(way, MINUTES[bisect.bisect_left(MINUTES, minutes)]))
            with self._lock:
                self._minutes[way] += minutes
        self._tally.add(*names)

    def gpu_failed(self) -> None:
        """Count a failure of the GPU."""
        self._tally.add(GPU_FAILED)

    def minutes(self, way: OrderedWay) -> float:
        """Minutes that finished jobs of a way took since this process began, all together."""
        with self._lock:
            return self._minutes[way]


def ended(way: OrderedWay, phase: Phase) -> str:
    """The name of the count of jobs that ended so."""
    return f"jobs/{way}/{phase}"


def classes(counts: Mapping[str, int], way: OrderedWay) -> list[int]:
    """Finished jobs in each class of `MINUTES`."""
    return [counts.get(_took(way, most), 0) for most in MINUTES]


def median_minutes(counts: Mapping[str, int], way: OrderedWay) -> float | None:
    """About how long half of the finished jobs took at most; None without any.

    Within its class the median is taken to lie as far up as its rank does, as Prometheus'
    `histogram_quantile` has it.
    """
    numbers = classes(counts, way)
    left, lower = sum(numbers) / 2, 0.0
    for number, upper in zip(numbers, MINUTES, strict=True):
        if number and number >= left:
            return lower if math.isinf(upper) else lower + (upper - lower) * left / number
        left, lower = left - number, upper
    return None


def _took(way: OrderedWay, most: float) -> str:
    return f"jobs/{way}/minutes/{most:g}"
