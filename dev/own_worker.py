"""A real worker process of a cluster without Ray, on empty folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.cluster.link import Child


def worker_settings(cluster_toml: Path, folder: Path, base: Path, name: str) -> dict[str, str]:
    """The settings of a machine's workers. folder: where its own folders are made."""
    return {
        "LIKENESS_CLUSTER": str(cluster_toml),
        "LIKENESS_SCRATCH": str(folder / f"{name}-scratch"),
        "LIKENESS_RECEIPTS": str(folder / f"{name}-receipts"),
        "LIKENESS_BASE": str(base),
    }


def started_worker(cluster_toml: Path, folder: Path, base: Path, name: str, **more: str) -> Child:
    """A worker process of that machine. more: of its environment."""
    own = worker_settings(cluster_toml, folder, base, name)
    return Child(name, {"PATH": os.defpath} | own | more)


@contextmanager
def own_worker(
    cluster_toml: Path, folder: Path, base: Path, name: str = "w", **more: str
) -> Iterator[Child]:
    """A worker process, ended with the block. more: of its environment."""
    child = started_worker(cluster_toml, folder, base, name, **more)
    try:
        yield child
    finally:
        child.close()
