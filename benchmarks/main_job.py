"""Seconds per phase of the main job: eight photos of one person, 100 portraits, as a visitor."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import settings as configuration
from benchmarks.measure import Measurement
from dev import make_selfies

PORTRAIT = configuration.ROOT / "tests" / "samples"
COUNT = 100


def run() -> dict[str, Measurement]:
    """The command line as a process of its own, so that start-up and memory count too."""
    with tempfile.TemporaryDirectory() as folder:
        photos, report = Path(folder, "photos"), Path(folder, "report.json")
        make_selfies.write(sorted(PORTRAIT.glob("*.jpg"))[0], photos, count=8)
        command = [sys.executable, "-m", "pipeline", str(photos), "--out", str(Path(folder, "out"))]
        subprocess.run(
            [*command, "--count", str(COUNT), "--json", str(report)],
            check=True,
            cwd=configuration.ROOT,
            stdout=subprocess.DEVNULL,
        )
        result = json.loads(report.read_text())
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    seconds, likeness = result["seconds"], result["likeness"]
    goals = {"total": "<= 480"}
    return {
        **{
            f"main_job_{phase}": Measurement(seconds[phase], "s", goals.get(phase, ""))
            for phase in ("ingest", "train", "generate", "total")
        },
        "main_job_memory": Measurement(peak_kb / 1e6, "GB peak", "<= 4"),
        "main_job_likeness": Measurement(
            likeness["median"], "cosine, beside the photos' own", "", likeness["baseline"]
        ),
    }
