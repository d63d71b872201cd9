"""Runs the benchmarks: `python -m benchmarks [--only NAME]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import (
    cluster,
    crowd,
    erasure,
    fairness,
    ingest,
    likeness,
    main_job,
    model,
    motion,
    overlap,
    pages,
    photo_way,
    vault,
)
from benchmarks.measure import Measurement

BENCHMARKS = {
    "main_job": main_job.run,
    "photo_way": photo_way.run,
    "motion": motion.run,
    "train_steps": model.train_steps,
    "generate_images": model.generate_images,
    "overlap": overlap.run,
    "nf4_memory": model.nf4_memory,
    "likeness_embedded": likeness.likeness_embedded,
    "vault_cipher": vault.vault_cipher,
    "vault_write": vault.vault_write,
    "vault_read": vault.vault_read,
    "ingest_20": ingest.ingest_20,
    "decode_fair": fairness.decode_fair,
    "crowd": crowd.crowd,
    "cluster": cluster.run,
    "delete_all": erasure.delete_all,
    "sweep_10000": erasure.sweep,
    "pages": pages.run,
}
LATEST = Path(__file__).parent / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="run this one alone")
    only = parser.parse_args().only
    results: dict[str, Measurement] = {}
    for name, run in BENCHMARKS.items():
        if only in (None, name):
            print(f"{name} ...", file=sys.stderr, flush=True)
            results |= run()
    print(table(results))
    # One bench run alone leaves the others' last numbers in place.
    latest = json.loads(LATEST.read_text()) if only and LATEST.exists() else {}
    latest |= {name: measurement.as_dict() for name, measurement in results.items()}
    LATEST.write_text(json.dumps(latest, indent=2) + "\n")
    return 0


def table(results: dict[str, Measurement]) -> str:
    rows = [("name", "ours", "reference", "ratio", "unit", "goal")]
    for name, m in results.items():
        reference = "-" if m.reference is None else f"{m.reference:.2f}"
        ratio = "-" if m.ratio is None else f"{m.ratio:.2f}"
        rows.append((name, f"{m.ours:.2f}", reference, ratio, m.unit, m.goal))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
