"""Work that goes on by a smaller plan when the GPU's memory runs short."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from errors import BaseUnavailable
from messages import Message
from pipeline.bases import device
from pipeline.bases.base import Base
from pipeline.bases.plan import Plan, Work, smaller
from pipeline.orders import Report

log = structlog.get_logger()

T = TypeVar("T")


def stepping_down(
    base: Base, result: Report, during: Work, work: Callable[[], T], show: Callable[[Message], None]
) -> T:
    """What `work` returns; tried again by a smaller plan whenever the GPU's memory runs short.

    result: holds the plan, and is told what became of it. show: called before each new try, with
    what a visitor hears of it.

    Raises:
        BaseUnavailable: there is no smaller plan.
    """
    device.watch()
    while True:
        assert result.plan is not None
        base.configure(result.plan.during(during))
        try:
            done = work()
            result.memory[during] = device.peak()
            return done
        except device.ShortOfMemory as short:
            stage = short.stage  # the error goes here: what its frames held can be freed
        device.release()
        before, after = result.plan, smaller(result.plan, stage)
        if after is None:
            raise BaseUnavailable(
                f"The GPU's memory is too small for the base model {base.key!r}, even "
                f"for one picture of {before.resolution} pixels at a time. Choose a smaller "
                "base."
            )
        result.plan, result.steps_down = after, result.steps_down + 1
        log.warning("short_of_memory", stage=stage, step_down=result.steps_down)
        show(_told(before, after))


def _told(before: Plan, now: Plan) -> Message:
    """What a visitor hears of a step down."""
    if now.resolution != before.resolution:
        return Message("job.sentence.smaller_pictures")
    if now.generation_batch != before.generation_batch:
        return Message("job.sentence.smaller_groups")
    return Message("job.sentence.smaller_steps")
