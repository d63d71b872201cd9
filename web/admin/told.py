"""The overview in words, for the admin page. English: like all that only the operator reads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.job_counts import ended, median_minutes
from pipeline.orders import ENDED, OrderedWay
from privacy.invitations import Batch
from privacy.tally import LATE, ON_TIME
from web.admin.overview import DAYS, Overview
from words import span

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Told

_LITTLE_DISK = 0.1
_GB = 1e9

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Label:
    """All invitations with one label. until: what ends them."""

    name: str
    links: int
    started: int
    most: int
    until: str
    revoked: bool


def troubles(seen: Overview) -> list[str]:
    """What somebody has to see to, each as a sentence that says how."""
    found = []
    if seen.erasure_late or seen.open_now.overdue:
        found.append(
            "Erasure is late: nobody new is let in. Restart the server; it says what is wrong."
        )
    if not seen.census.working:
        found.append("The worker of the queue has ended: restart the server.")
    if seen.gpu_failed:
        found.append("The GPU does not work: restart the server, and look at nvidia-smi.")
    if seen.workers is not None and not any(one.state != "drained" for one in seen.workers):
        found.append(
            "No worker of the cluster takes jobs: look at Ray's head, and at the workers' logs."
        )
    if seen.disk_free < _LITTLE_DISK * seen.disk_size:
        found.append("The disk of the scratch folder is nearly full: make room on it.")
    return found


def sections(seen: Overview) -> list[tuple[str, Rows]]:
    """Headings, and below each terms and what is said of them."""
    return [
        ("Jobs", _jobs(seen)),
        ("Sessions and erasure", _sessions(seen)),
        *([("Workers", _workers(seen.workers))] if seen.workers is not None else []),
        ("Machine", _machine(seen)),
        ("Server", _server(seen)),
    ]


def days(seen: Overview) -> list[tuple[str, list[int]]]:
    """Each day with its jobs (done, stopped, failed) and erasures (on time, late)."""
    return [
        (
            day,
            [
                *(sum(counts[ended(way, phase)] for way in seen.ways) for phase in ENDED),
                counts[ON_TIME],
                counts[LATE],
            ],
        )
        for day, counts in seen.days.items()
    ]


def labels(batches: Sequence[Batch]) -> list[Label]:
    """Invitations by label, in the order of the batches."""
    found: dict[str, list[Batch]] = {}
    for batch in batches:
        found.setdefault(batch.label, []).append(batch)
    return [
        Label(
            name,
            links=sum(batch.links for batch in made),
            started=sum(batch.started for batch in made),
            most=sum(batch.most for batch in made),
            until=time.strftime("%Y-%m-%d", time.gmtime(max(batch.expires for batch in made))),
            revoked=all(batch.revoked for batch in made),
        )
        for name, made in found.items()
    ]


def _jobs(seen: Overview) -> Rows:
    rows = [(f"Way “{way}”", _way(seen, way)) for way in seen.ways]
    waiting = sum(seen.census.waiting.values())
    rows.append(("Queue", f"{waiting} of {seen.queue_places} places taken"))
    rows.append(("Worker", "alive" if seen.census.working else "has ended"))
    if seen.hand_ins is not None:
        waiting, failing, today = (
            seen.hand_ins[name] for name in ("waiting", "failing", "delivered_today")
        )
        said = f"{waiting} waiting, {failing} of them failing, {today} delivered today"
        rows.append(("Hand-ins", said))
    return rows


def _way(seen: Overview, way: OrderedWay) -> str:
    waiting, running = (at.get(way, 0) for at in (seen.census.waiting, seen.census.running))
    said = f"{waiting} waiting, {running} running, {seen.today[ended(way, 'done')]} done today"
    median = median_minutes(seen.today, way)
    return said if median is None else f"{said}, median about {median:.1f} minutes"


def _sessions(seen: Overview) -> Rows:
    now, all_days = seen.open_now, sum(seen.days.values(), Counter[str]())
    oldest = f", the oldest for {span(now.oldest_s)}" if now.sessions else ""
    rows = [
        ("Open sessions", f"{now.sessions}{oldest}"),
        ("Overdue now", str(now.overdue)),
        (f"Erased in {DAYS} days", f"{all_days[ON_TIME]} on time, {all_days[LATE]} late"),
    ]
    if seen.batches is not None:
        most = sum(batch.most for batch in seen.batches)
        used = sum(batch.started for batch in seen.batches)
        rows.append(("Invitations", f"{used} of {most} used"))
    return rows


def _workers(workers: Sequence[Told]) -> Rows:
    rows = [
        (
            f"{one.machine}, {one.worker}",
            f"{one.state}; {', '.join(one.ways)}; {one.base}; {one.done} jobs done",
        )
        for one in workers
    ]
    return rows or [("None", "no machine of the cluster is there")]


def _machine(seen: Overview) -> Rows:
    share = seen.disk_free / seen.disk_size
    rows = [
        (
            "Disk of the scratch folder",
            f"{_gb(seen.disk_free)} free of {_gb(seen.disk_size)} ({share:.0%})",
        )
    ]
    if seen.gpu is None:
        rows.append(("GPU", "has failed" if seen.gpu_failed else "none"))
    else:
        memory = f"{_gb(seen.gpu.used)} used, {_gb(seen.gpu.free)} free"
        state = "has failed" if seen.gpu_failed else "works"
        rows.append(("GPU", f"{seen.gpu.name}: {memory}; {state}"))
    rows.append(("GPU failures today", str(seen.gpu_failures_today)))
    return rows


def _server(seen: Overview) -> Rows:
    licence = seen.base.licence or "no manifest, see its model card"
    said = [f"{event} ({level}, {times} ×)" for (level, event), times in seen.warnings.items()]
    return [
        ("Version", seen.version),
        ("Base model", f"{seen.base.name}; licence: {licence}"),
        ("Running for", span(time.time() - seen.started)),
        ("Warnings since the start", ", ".join(said) or "none"),
    ]


def _gb(count: float) -> str:
    return f"{count / _GB:.1f} GB"
