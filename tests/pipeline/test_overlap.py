"""The second thread: order, bounds, errors, and that nothing is left."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from pipeline.overlap import Behind, Stop, ahead, meanwhile


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def raises(error: Exception) -> None:
    raise error


def give(tasks: Sequence[Callable[[], object]], most: int, own: Exception | None = None) -> None:
    """Give all tasks in one block, which ends with an error of its own, if there is one."""
    with Behind(most) as behind:
        for task in tasks:
            behind.give(task)
        if own is not None:
            raise own


def test_tasks_are_done_in_order_by_one_other_thread_until_the_block_ends() -> None:
    done: list[tuple[int, int]] = []
    with Behind(3) as behind:
        for number in range(20):
            behind.give(lambda n=number: done.append((n, threading.get_ident())))
    assert [number for number, _ in done] == list(range(20))
    assert len({thread for _, thread in done} - {threading.get_ident()}) == 1


def test_no_more_tasks_wait_than_may() -> None:
    goes_on, given = threading.Event(), threading.Semaphore(0)

    def three() -> None:
        with Behind(2) as behind:
            for _ in range(3):
                behind.give(partial(goes_on.wait, 10))
                given.release()

    caller = threading.Thread(target=three)
    caller.start()
    assert given.acquire(timeout=10)
    assert given.acquire(timeout=10)
    assert not given.acquire(timeout=0.1)  # the third waits for the first to be done
    goes_on.set()
    assert given.acquire(timeout=10)
    caller.join(10)


def test_after_an_error_nothing_is_done_and_the_caller_is_told_at_the_next_task() -> None:
    done: list[str] = []
    full = partial(raises, OSError("full"))
    with pytest.raises(OSError, match="full"):
        give([full, lambda: done.append("more")], 1, KeyError())
    assert done == []


def test_an_error_of_the_last_task_ends_the_block_and_counts_more_than_the_blocks_own() -> None:
    full = partial(raises, OSError("full"))
    with pytest.raises(OSError, match="full"):
        give([full], 2)
    with pytest.raises(OSError, match="full"):
        give([full], 2, KeyError())


def test_what_was_given_before_an_error_of_the_block_is_still_done() -> None:
    done: list[int] = []
    with pytest.raises(KeyError):
        give([partial(done.append, number) for number in range(9)], 9, KeyError())
    assert done == list(range(9))


def test_items_come_as_they_are_made_a_few_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with closing(ahead(items(), 2)) as coming:
        assert next(coming) == 0
        assert len(made) <= 4  # two ahead, one taken, one on its way
        assert list(coming) == list(range(1, 10))


def test_an_error_of_what_makes_items_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError

    coming = ahead(items(), 3)
    assert next(coming) == 1
    with pytest.raises(OSError, match=r"^$"):
        next(coming)


def test_what_nobody_took_is_not_kept() -> None:
    pictures: list[weakref.ref[np.ndarray]] = []

    def items() -> Iterator[np.ndarray]:
        while True:
            picture = np.zeros(8)
            pictures.append(weakref.ref(picture))
            yield picture

    coming = ahead(items(), 2)
    next(coming)
    coming.close()
    del coming
    gc.collect()
    assert pictures
    assert not [picture for picture in pictures if picture() is not None]


def test_a_result_is_waited_for() -> None:
    goes_on = threading.Event()
    with meanwhile(lambda _: goes_on.wait(10), lambda: False) as result:
        goes_on.set()
        assert result() is True


def test_an_error_is_told_to_whoever_waits_and_to_nobody_else() -> None:
    with (
        pytest.raises(OSError, match="broken"),
        meanwhile(lambda _: raises(OSError("broken")), lambda: False) as result,
    ):
        result()
    with meanwhile(lambda _: raises(OSError("broken")), lambda: False):
        pass


@pytest.mark.parametrize("how", ["stop", "end", "error"])
def test_work_hears_a_stop_and_the_end_of_the_block(how: str) -> None:
    heard, stopping = threading.Event(), threading.Event()

    def work(stop: Stop) -> None:
        while not stop():
            stopping.wait(0.001)
        heard.set()

    def run() -> None:
        with meanwhile(work, stopping.is_set) as result:
            if how == "stop":
                stopping.set()
                result()
            if how == "error":
                raise KeyError

    if how == "error":
        with pytest.raises(KeyError):
            run()
    else:
        run()
    assert heard.is_set()
