"""The overview as Prometheus reads it. Names and units as its documentation asks for them.

Labels are ways, outcomes and words of our own code; none comes from a visitor, nor from a label of
invitations. Counters begin anew with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from pipeline.job_counts import MINUTES, classes, ended
from pipeline.orders import ENDED
from privacy.invitations import Batch
from privacy.tally import LATE, ON_TIME
from web.admin.overview import Overview

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Told

_HAND_INS = {
    "waiting": "Hand-ins that were not delivered yet.",
    "failing": "Of those, how many could not be delivered when it was tried.",
    "delivered_today": "Hand-ins that were delivered today (UTC), since the start.",
}


class Metrics:
    """What `/metrics` answers, in a registry of its own."""

    def __init__(self, read: Callable[[], Overview]) -> None:
        self._read = read
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Body and content type, in the format that an `Accept` header asks for."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterator[Metric]:
        """Called by the registry for each text."""
        seen = self._read()
        yield from _server(seen)
        yield from _jobs(seen)
        yield from _sessions(seen)
        yield from _machine(seen)
        if seen.batches is not None:
            yield _invitations(seen.batches)
        if seen.workers is not None:
            yield _workers(seen.workers)
        if seen.hand_ins is not None:
            for name, what in _HAND_INS.items():
                yield _gauge(f"hand_ins_{name}", what, seen.hand_ins[name])


def _workers(workers: Sequence[Told]) -> Metric:
    there = _family("workers", "Workers of the cluster.", "state")
    for state in ("free", "busy", "drained"):
        there.add_metric((state,), sum(one.state == state for one in workers))
    return there


def _server(seen: Overview) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "likeness",
        "Version of the server and its base model.",
        {"version": seen.version, "base": seen.base.name},
    )
    yield _gauge("start_time_seconds", "When the process began, epoch seconds.", seen.started)
    said = CounterMetricFamily(
        "likeness_warnings", "Warnings and errors in the log.", labels=("level", "event")
    )
    for labels, times in seen.warnings.items():
        said.add_metric(labels, times)
    yield said


def _jobs(seen: Overview) -> Iterator[Metric]:
    waiting = _family("jobs_waiting", "Jobs in the queue.", "way")
    running = _family("jobs_running", "Jobs that run.", "way")
    jobs = CounterMetricFamily("likeness_jobs", "Jobs that ended.", labels=("way", "outcome"))
    took = HistogramMetricFamily(
        "likeness_job_duration_seconds", "How long finished jobs ran.", labels=("way",)
    )
    for way in seen.ways:
        waiting.add_metric((way,), seen.census.waiting.get(way, 0))
        running.add_metric((way,), seen.census.running.get(way, 0))
        for outcome in ENDED:
            jobs.add_metric((way, outcome), seen.since_start[ended(way, outcome)])
        buckets, below = [], 0
        for most, number in zip(MINUTES, classes(seen.since_start, way), strict=True):
            below += number
            buckets.append((f"{most * 60:g}".replace("inf", "+Inf"), below))
        took.add_metric((way,), buckets, seen.minutes[way] * 60)
    yield from (waiting, running, jobs, took)
    yield _gauge("queue_places", "Jobs that may wait at once.", seen.queue_places)
    yield _gauge("queue_worker_up", "Whether the worker of the queue lives.", seen.census.working)


def _sessions(seen: Overview) -> Iterator[Metric]:
    now = seen.open_now
    yield _gauge("sessions_open", "Sessions that are open.", now.sessions)
    yield _gauge("oldest_session_seconds", "How long the oldest has been open.", now.oldest_s)
    yield _gauge("erasures_overdue", "Sessions that should have been erased.", now.overdue)
    yield _gauge("erasure_late", "Whether sweeps have failed for minutes.", seen.erasure_late)
    erased = CounterMetricFamily(
        "likeness_erasures", "Sessions that were erased.", labels=("punctuality",)
    )
    for punctuality, name in (("on_time", ON_TIME), ("late", LATE)):
        erased.add_metric((punctuality,), seen.since_start[name])
    yield erased


def _machine(seen: Overview) -> Iterator[Metric]:
    yield _gauge("disk_free_bytes", "Free space for the vault.", seen.disk_free)
    yield _gauge("disk_size_bytes", "Size of the volume with the vault.", seen.disk_size)
    yield _gauge("gpu_failed", "Whether the GPU works no more.", seen.gpu_failed)
    yield _gauge("gpu_failures_today", "Times it failed today (UTC).", seen.gpu_failures_today)
    if seen.gpu is not None:
        yield InfoMetricFamily("likeness_gpu", "The GPU.", {"name": seen.gpu.name})
        yield _gauge("gpu_memory_used_bytes", "Memory of the GPU in use.", seen.gpu.used)
        yield _gauge("gpu_memory_free_bytes", "Memory of the GPU that is free.", seen.gpu.free)


def _invitations(batches: Sequence[Batch]) -> Metric:
    family = _family("invitations", "Sessions that invitations may start, by what became.", "state")
    numbers = {
        "made": sum(batch.most for batch in batches),
        "used": sum(batch.started for batch in batches),
        "revoked": sum(batch.most - batch.started for batch in batches if batch.revoked),
    }
    for state, number in numbers.items():
        family.add_metric((state,), number)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"likeness_{name}", what, value=float(value))


def _family(name: str, what: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"likeness_{name}", what, labels=(label,))
