"""Nothing of a painted job stays in memory, however it ended."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from dev.repeat_jobs import repeat
from pipeline.assembly import Assembly
from pipeline.bases import adapter
from pipeline.job_queue import JobQueue
from pipeline.orders import Order
from privacy.sessions import Session

pytestmark = pytest.mark.slow


@pytest.fixture
def session(assembly: Assembly, selfie_jpegs: list[bytes]) -> Session:
    session, _ = assembly.services.sessions.create()
    for number, data in enumerate(selfie_jpegs[:4]):
        assembly.services.album.add(session, data, f"{number}.jpg")
    return session


@pytest.fixture
def job_queue(assembly: Assembly) -> Iterator[JobQueue]:
    job_queue = JobQueue(assembly.services, queue_length=1)
    yield job_queue
    job_queue.close()


def test_no_tensor_of_a_job_outlives_it(
    assembly: Assembly, session: Session, job_queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    base: Any = assembly.services.load_base(lambda: False)
    of_the_person: list[weakref.ref[torch.Tensor]] = []
    fails: list[str] = []

    def watched(name: str) -> None:
        real = getattr(base, name)

        def work(*arguments: Any) -> Any:
            answer = real(*arguments)
            if isinstance(answer, torch.Tensor):
                of_the_person.append(weakref.ref(answer))
            of_the_person.extend(weakref.ref(p) for p in adapter._parameters(base).values())
            if name in fails:
                raise ValueError(name)
            return answer

        monkeypatch.setattr(base, name, work)

    for name in ("encode_images", "loss", "sample", "decode"):
        watched(name)
    order = Order((next(iter(assembly.services.styles)),), count=2, way="painted")
    after = [left.tensors for left in repeat(job_queue, session, order, 2)]
    for name in ("loss", "sample"):
        fails[:] = [name]
        [left] = repeat(job_queue, session, order, 1)
        assert left.phase == "failed"
        after.append(left.tensors)
    fails.clear()
    [left] = repeat(job_queue, session, order, 1)
    assert left.phase == "done"
    assert [*after[1:], left.tensors] == [after[1]] * 4
    assert len(of_the_person) > 100
    assert not [each for each in of_the_person if each() is not None]
