"""How a job ended, whatever happened in it: what its visitor is told, and what the queue learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from errors import GpuFailed, LikenessError, OperatorError, Stopped, UnknownSession
from messages import Message
from pipeline.lanes import LaneLost
from pipeline.orders import Progress, Report

log = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """last: what is shown from now on; None of a job whose lane was lost. report: of a job that was
    done. gpu_failed: nothing can be painted in this process any more."""

    last: Progress | None
    report: Report | None = None
    gpu_failed: bool = False


def outcome_of(number: int, shown: Callable[[], Progress], work: Callable[[], Report]) -> Outcome:
    """Run a job to its end; nothing is raised.

    number: of the job, for the log. shown: what is shown of it now.
    """
    try:
        report = work()
    except (Stopped, UnknownSession) as why:
        log.info("job_stopped", job=number)
        return Outcome(replace(shown(), phase="stopped", message=why.message))
    except LaneLost:
        return Outcome(None)
    except GpuFailed as why:
        reason = str(why.__cause__).partition("\n")[0]
        log.critical("gpu_failed", job=number, reason=reason)
        return Outcome(gpu_failed_of(shown()), gpu_failed=True)
    except LikenessError as why:
        log.warning("job_failed", job=number, error=type(why).__name__)
        if isinstance(why, OperatorError):
            log.error("operator_needed", job=number, reason=why.sentence)
        return Outcome(replace(shown(), phase="failed", message=why.message))
    except Exception as why:  # the edge: a bug in one job must not end the queue for everybody
        log.error("job_broke", job=number, error=type(why).__name__)
        return Outcome(broken(shown()))
    log.info("job_done", job=number, seconds=report.seconds, made=report.made)
    done = Message("job.sentence.done")
    last = Progress("done", made=report.headshots, seconds_left=0.0, message=done)
    return Outcome(replace(last, count=shown().count), report)


def broken(shown: Progress) -> Progress:
    """The end of a job that something is wrong with."""
    return replace(shown, phase="failed", message=Message("job.sentence.broke"))


def gpu_failed_of(shown: Progress) -> Progress:
    """The end of a job in this process, after which it goes on in the next one."""
    return replace(shown, phase="failed", message=GpuFailed().message)
