"""The numbers in words and for Prometheus, and that alerts and the dashboard name what there is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from pipeline.cluster.cluster import Told
from pipeline.job_counts import Census
from privacy.invitations import Batch
from privacy.tally import OpenNow
from settings import ROOT
from tests.support.waiting import until
from web.admin import gpu, told
from web.admin.gpu import Gpu, GpuWatch
from web.admin.metrics import Metrics
from web.admin.overview import Base, Overview

HOUR_S = 3600.0
TODAY = Counter(
    {
        "jobs/photo/done": 4,
        "jobs/photo/minutes/0.5": 3,
        "jobs/photo/minutes/inf": 1,
        "jobs/both/failed": 1,
        "erasures/on_time": 7,
        "erasures/late": 2,
        "gpu/failed": 1,
    }
)
STATE = Overview(
    version="1.2.3",
    base=Base("Tiny", "MIT"),
    started=1000.0,
    ways=("photo", "both"),
    census=Census({"photo": 2, "both": 1}, {"both": 1}, working=True),
    queue_places=20,
    since_start=TODAY,
    days={"2026-11-28": TODAY, "2026-11-27": Counter({"jobs/photo/done": 5})},
    minutes={"photo": 151.0, "both": 0.0},
    open_now=OpenNow(9, 26 * HOUR_S, 1),
    erasure_late=False,
    disk_free=50_000_000_000,
    disk_size=100_000_000_000,
    gpu=Gpu("NVIDIA H100 80GB HBM3", 4 << 30, 76 << 30),
    gpu_failed=True,
    batches=(
        Batch("spring", links=10, uses=2, started=7, expires=2_000_000_000, revoked=False),
        Batch("spring", links=5, uses=1, started=1, expires=2_000_000_000, revoked=True),
    ),
    hand_ins={"waiting": 3, "failing": 1, "delivered_today": 4},
    warnings={("warning", "photos_opened_without_walls"): 1},
    workers=(
        Told("a.1", "gpu-1", "tiny", ("photo", "painted"), "busy", 12),
        Told("b.3", "gpu-2", "tiny", ("photo",), "drained", 0),
    ),
)
EXPECTED = {
    'likeness_workers{state="free"}': 0,
    'likeness_workers{state="busy"}': 1,
    'likeness_workers{state="drained"}': 1,
    'likeness_info{base="Tiny",version="1.2.3"}': 1,
    "likeness_start_time_seconds": 1000,
    'likeness_warnings_total{event="photos_opened_without_walls",level="warning"}': 1,
    'likeness_jobs_waiting{way="photo"}': 2,
    'likeness_jobs_running{way="photo"}': 0,
    'likeness_jobs_running{way="both"}': 1,
    'likeness_jobs_total{outcome="done",way="photo"}': 4,
    'likeness_jobs_total{outcome="failed",way="both"}': 1,
    'likeness_job_duration_seconds_bucket{le="15",way="photo"}': 0,
    'likeness_job_duration_seconds_bucket{le="30",way="photo"}': 3,
    'likeness_job_duration_seconds_bucket{le="7200",way="photo"}': 3,
    'likeness_job_duration_seconds_bucket{le="+Inf",way="photo"}': 4,
    'likeness_job_duration_seconds_count{way="photo"}': 4,
    'likeness_job_duration_seconds_sum{way="photo"}': 9060,
    "likeness_queue_places": 20,
    "likeness_queue_worker_up": 1,
    "likeness_sessions_open": 9,
    "likeness_oldest_session_seconds": 93600,
    "likeness_erasures_overdue": 1,
    "likeness_erasure_late": 0,
    'likeness_erasures_total{punctuality="on_time"}': 7,
    'likeness_erasures_total{punctuality="late"}': 2,
    "likeness_disk_free_bytes": 5e10,
    "likeness_disk_size_bytes": 1e11,
    "likeness_gpu_failed": 1,
    "likeness_gpu_failures_today": 1,
    "likeness_gpu_memory_used_bytes": 4 << 30,
    'likeness_invitations{state="made"}': 25,
    'likeness_invitations{state="used"}': 8,
    'likeness_invitations{state="revoked"}': 4,
    "likeness_hand_ins_waiting": 3,
    "likeness_hand_ins_failing": 1,
    "likeness_hand_ins_delivered_today": 4,
}


def samples(state: Overview = STATE) -> dict[str, float]:
    """Each sample as Prometheus writes it → its value."""
    found = {}
    text = Metrics(lambda: state).text("")[0].decode()
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.mark.fact(70)
def test_a_known_state_is_told_to_prometheus() -> None:
    found = samples()
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED


def test_a_monitor_that_asks_for_openmetrics_gets_it() -> None:
    body, kind = Metrics(lambda: STATE).text("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(body.decode())} >= {"likeness_jobs"}


def test_what_is_not_there_is_not_told() -> None:
    without = replace(STATE, gpu=None, batches=None, hand_ins=None)
    assert not [name for name in samples(without) if re.search("memory|invitation|hand_in", name)]
    terms = [term for _, rows in told.sections(without) for term, _ in rows]
    assert not {"Invitations", "Hand-ins"} & set(terms)


@pytest.mark.fact(70)
def test_a_known_state_is_told_to_people() -> None:
    rows = {term: said for _, section in told.sections(STATE) for term, said in section}
    assert rows["Way “photo”"] == ("2 waiting, 0 running, 4 done today, median about 0.4 minutes")
    assert rows["Open sessions"] == "9, the oldest for 26 hours"
    assert rows["Erased in 14 days"] == "7 on time, 2 late"
    assert rows["Disk of the scratch folder"] == "50.0 GB free of 100.0 GB (50%)"
    assert rows["Invitations"] == "8 of 25 used"
    assert rows["Hand-ins"] == "3 waiting, 1 of them failing, 4 delivered today"
    assert rows["Warnings since the start"] == "photos_opened_without_walls (warning, 1 ×)"
    assert told.days(STATE) == [("2026-11-28", [4, 0, 1, 7, 2]), ("2026-11-27", [5, 0, 0, 0, 0])]
    (label,) = told.labels(STATE.batches or ())
    assert (label.links, label.started, label.most, label.revoked) == (15, 8, 25, False)


def test_each_trouble_is_a_sentence() -> None:
    fine = replace(STATE, gpu_failed=False, open_now=OpenNow(0, 0.0, 0))
    assert told.troubles(fine) == []
    bad = replace(
        STATE,
        erasure_late=True,
        census=replace(STATE.census, working=False),
        disk_free=1,
    )
    assert len(told.troubles(bad)) == 4


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["annotations"]["summary"].endswith((".", "!"))
            assert rule["labels"]["severity"] in ("warning", "critical")
            yield rule["expr"]
    board = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    assert board["title"] == "Likeness"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 5
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        yield from (target["expr"] for target in panel["targets"])


def test_alerts_and_dashboard_name_what_is_told() -> None:
    known = {name.partition("{")[0] for name in samples()}
    named = {name for said in expressions() for name in re.findall(r"likeness_\w+", said)}
    assert len(named) > 15
    assert named <= known
    outcomes = re.findall(r'punctuality="(\w+)"', " ".join(expressions()))
    assert set(outcomes) <= {"late", "on_time"}


def tool(folder: Path, script: str) -> str:
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o700)
    return str(file)


def test_the_gpu_is_told_and_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_FRESH_S", 0.0)
    monkeypatch.setattr(gpu, "_WAIT_S", 60.0)
    good = 'echo "NVIDIA H100 80GB HBM3, 1024, 80000"'
    watch = GpuWatch([tool(tmp_path, good)])
    card = Gpu("NVIDIA H100 80GB HBM3", 1 << 30, 80000 << 20)
    assert watch.read() == card
    tool(tmp_path, "exit 1")
    assert watch.read() == replace(card, answers=False)
    monkeypatch.setattr(gpu, "_WAIT_S", 0.05)
    monkeypatch.setattr(gpu, "_PATIENCE_S", 0.5)
    tool(tmp_path, "exec sleep 60")
    assert watch.read() == replace(card, answers=False)
    tool(tmp_path, good)
    until(lambda: watch.read() == card)


def test_a_machine_without_a_gpu_has_none(tmp_path: Path) -> None:
    assert GpuWatch([str(tmp_path / "nowhere")]).read() is None
    assert GpuWatch([tool(tmp_path, "exit 9")]).read() is None
