"""Work that a second thread does while the first one waits: for a GPU, or for the disk.

Models stay with the thread that calls; the second one computes with numpy and OpenCV, encrypts and
writes. It does one thing after the other, in the order that they were given in, so that what comes
out is the same. What waits for it is bounded, and when a block ends, by an error too, nothing of it
is left: no thread, no picture.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

Stop = Callable[[], bool]


@contextmanager
def meanwhile(work: Callable[[Stop], T], stop: Stop) -> Iterator[Callable[[], T]]:
    """Work while the block runs; given is a function that waits for the result.

    work: told a stop that also becomes true when the block ends; its result is then of no use.

    Raises:
        What `work` raises, out of the function that waits; never, where nobody waits.
    """
    ended: list[bool] = []
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(work, lambda: bool(ended) or stop())
        try:
            yield result.result
        finally:
            ended.append(True)


def ahead(items: Iterable[T], most: int) -> Generator[T, None, None]:
    """The same items, made before they are asked for, at most `most` of them.

    Close it when not all are taken: one may still be on its way, and what made it cannot end.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:

        def following() -> Future[T | object]:
            return thread.submit(next, iterator, end)

        coming = deque(following() for _ in range(most))
        try:
            while (item := coming.popleft().result()) is not end:
                coming.append(following())
                yield item  # type: ignore[misc]  # not `end`
        finally:
            thread.shutdown(wait=False, cancel_futures=True)


class Behind:
    """Does what it is given in the second thread; a block of `with` ends when all is done.

    After an error nothing more is done. Whoever gives the next task is told it, at the latest the
    end of the block, whatever else ended that: what was lost counts more than why it was late.
    """

    def __init__(self, most: int) -> None:
        """most: tasks that may wait or be done at once, 1 or more."""
        self._most = most
        self._thread = ThreadPoolExecutor(1)
        self._given: deque[Future[None]] = deque()
        self._failed = False

    def give(self, task: Callable[[], object]) -> None:
        """Let a task be done after those before; waits while there are as many as may be.

        Raises:
            What an earlier task raised.
        """
        while self._given and (len(self._given) >= self._most or self._given[0].done()):
            self._given.popleft().result()
        self._given.append(self._thread.submit(self._do, task))

    def _do(self, task: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            task()
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
        while self._given:
            self._given.popleft().result()
