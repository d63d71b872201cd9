"""All that the admin page and `/metrics` tell, read at one moment: numbers and names of things.

Each number comes from whoever counts it anyway; nothing is scanned, and no log is read. Knows
neither how it is shown nor who may see it.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.bases import manifest
from pipeline.job_counts import GPU_FAILED, Census
from pipeline.orders import OrderedWay
from privacy import log
from privacy.invitations import Batch
from privacy.tally import OpenNow
from settings import VERSION
from web.admin.gpu import Gpu, GpuWatch
from web.services import Services

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Told

DAYS = 14


@dataclass(frozen=True, slots=True)
class Base:
    """The base model: its name, and its licence as its manifest says it, "" without one."""

    name: str
    licence: str


@dataclass(frozen=True)
class Overview:
    """The state of a server.

    Attributes:
        started: epoch seconds. ways: those that can be ordered here.
        census, queue_places: jobs now, and how many may wait.
        since_start, days: counts by name (`privacy.tally`); days as `Tally.days`, today first.
        minutes: of finished jobs by way, since the start, all together.
        open_now: sessions. erasure_late: sweeps fail.
        disk_free, disk_size: bytes of the scratch folder's volume.
        gpu: None without one. gpu_failed: the queue or the card itself says so.
        batches: invitations; None where none are asked for.
        hand_ins: portraits that were handed in: how many are `waiting`, of these `failing`, and
            `delivered_today`; None where nobody hands any in.
        workers: of the cluster; None where jobs run in this process.
        warnings: level and event of what was logged since the start → how often.
    """

    version: str
    base: Base
    started: float
    ways: Sequence[OrderedWay]
    census: Census
    queue_places: int
    since_start: Counter[str]
    days: Mapping[str, Counter[str]]
    minutes: Mapping[OrderedWay, float]
    open_now: OpenNow
    erasure_late: bool
    disk_free: int
    disk_size: int
    gpu: Gpu | None
    gpu_failed: bool
    batches: Sequence[Batch] | None
    hand_ins: Mapping[str, int] | None
    warnings: Mapping[tuple[str, str], int]
    workers: Sequence[Told] | None = None

    @property
    def today(self) -> Counter[str]:
        """Counts of today (UTC)."""
        return next(iter(self.days.values()))

    @property
    def gpu_failures_today(self) -> int:
        """Failures of the GPU today, of earlier processes too."""
        return self.today[GPU_FAILED]


class Watch:
    """Reads the state of one server. Thread-safe."""

    def __init__(self, services: Services, gpu: GpuWatch | None = None) -> None:
        self._services, self._gpu = services, gpu or GpuWatch()
        self._started = time.time()
        folder = services.settings.base_folder
        found = manifest.read(folder)
        self._base = Base(found.title, found.licence) if found else Base(folder.name, "")

    def read(self) -> Overview:
        """The state at this moment."""
        services = self._services
        queue, tally = services.job_queue, services.sessions.tally
        disk, gpu = shutil.disk_usage(services.settings.scratch), self._gpu.read()
        invitations = services.entrance.invitations
        ways = services.planning.ways
        return Overview(
            version=VERSION,
            base=self._base,
            started=self._started,
            ways=ways,
            census=queue.census(),
            queue_places=services.settings.queue_length,
            since_start=tally.since_start(),
            days=tally.days(DAYS),
            minutes={way: queue.counts.minutes(way) for way in ways},
            open_now=tally.open_now(),
            erasure_late=services.erasure_is_late(),
            disk_free=disk.free,
            disk_size=disk.total,
            gpu=gpu,
            gpu_failed=queue.gpu_failed or (gpu is not None and not gpu.answers),
            batches=invitations.batches() if invitations else None,
            hand_ins=services.hand_in.counts() if services.hand_in else None,
            warnings=log.warnings(),
            workers=services.cluster.told() if services.cluster else None,
        )
