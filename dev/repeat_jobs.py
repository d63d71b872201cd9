"""What painted jobs leave in memory: `python -m dev.repeat_jobs PHOTOS [--count 20]`.

Runs one after the other in this process on the base of the settings, without a browser, and prints
after each how many tensors live and how much memory the process holds.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

import settings as configuration
from pipeline.assembly import Assembly, open_assembly
from pipeline.job_queue import JobQueue
from pipeline.orders import ENDED, Order, Phase
from privacy.keys import MasterKey
from privacy.sessions import Session


@dataclass(frozen=True)
class Left:
    """After a job: how it ended, tensors that live, bytes that the process holds."""

    phase: Phase
    tensors: int
    resident: int


def repeat(job_queue: JobQueue, session: Session, order: Order, count: int) -> Iterator[Left]:
    """Run an order `count` times; yields after each."""
    for _ in range(count):
        job_queue.submit(session, order)
        while (now := job_queue.progress(session.id)) is None or now.phase not in ENDED:
            time.sleep(0.05)
        yield Left(now.phase, live_tensors(), psutil.Process().memory_info().rss)


def live_tensors() -> int:
    """Tensors that Python's garbage collector knows of; it collects nothing before."""
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path, help="a folder of JPEGs of one person")
    parser.add_argument("--count", type=int, default=20)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_assembly(
            configuration.load(), scratch=Path(folder) / "scratch", master_key=MasterKey.ram()
        ) as assembly,
    ):
        session = _with_photos(assembly, chosen.photos)
        job_queue = JobQueue(assembly.services, queue_length=1)
        try:
            look = next(iter(assembly.services.styles))
            for number, left in enumerate(
                repeat(job_queue, session, Order((look,), count=2), chosen.count), start=1
            ):
                print(f"{number} {left.phase} {left.tensors} tensors {left.resident / 1e6:.1f} MB")
        finally:
            job_queue.close()


def _with_photos(assembly: Assembly, folder: Path) -> Session:
    session, _ = assembly.services.sessions.create()
    for photo in sorted(folder.glob("*.jpg")):
        assembly.services.album.add(session, photo.read_bytes(), photo.name)
    return session


if __name__ == "__main__":
    main()
