"""How long each way takes on this machine: guessed before the first job, then measured by each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.orders import OrderedWay, Progress, Report
from pipeline.planning import machine_file

FILE = "pace.json"

_DOUBT = 1.5
"""Factor on what was not measured here: a time that turns out shorter is a pleasant surprise."""


@dataclass(frozen=True)
class Pace:
    """Seconds, as two CPU cores measured them: one portrait of a photo, one painted, and learning a
    face. One dressed is a guess of what a GPU takes."""

    photo: float = 0.75
    dressed: float = 3.0
    painted: float = 0.8
    learning: float = 80.0


class Paces:
    """The machine's pace, kept in a file of four numbers. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._guess = Pace()
        self._measured = self._kept()

    def seconds(self, way: OrderedWay, count: int) -> float:
        """How long an order of so many portraits takes, each way."""
        photo = count * self._of("photo")
        painted = self._of("learning") + count * self._of("painted")
        dressed = count * self._of("dressed")
        return {
            "photo": photo,
            "dressed": dressed,
            "painted": painted,
            "both": photo + painted,
        }[way]

    def learn(self, report: Report) -> None:
        """Take over what a finished job measured."""
        photo, painted = report.photo, report.seconds.get("generate")
        found: dict[str, float] = {}
        for way, made in (("photo", photo), ("dressed", report.dressed)):
            if made is not None and made.headshots:
                found[way] = made.seconds / made.headshots
        if painted is not None and report.headshots:
            found["painted"] = painted / report.headshots
            if report.seconds_per_step is not None:  # not with a model that was kept
                rest = painted + (photo.seconds if photo else 0.0)
                found["learning"] = max(0.0, report.seconds["total"] - rest)
        with self._lock:
            self._measured |= found
            machine_file.write(self._file, self._measured)

    def _of(self, name: str) -> float:
        guess: float = asdict(self._guess)[name] * _DOUBT
        return self._measured.get(name, guess)

    def _kept(self) -> dict[str, float]:
        found = machine_file.read(self._file)
        try:
            return {name: float(found[name]) for name in asdict(self._guess) if name in found}
        except (ValueError, TypeError):
            return {}


class Countdown:
    """Time left and share done of one job, as they may be shown: the one only falls, the other
    only rises, whatever the job reports meanwhile."""

    def __init__(self, expected_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._share = now, 0.0
        self._start = now()
        self._end = self._start + expected_s

    def elapsed(self) -> float:
        """Seconds since the job began."""
        return self._now() - self._start

    def shown(self, progress: Progress, reported: bool = False) -> Progress:
        """The progress with `seconds_left` and `share` set.

        reported: it comes from the job just now, so what it says of the time left counts.
        """
        now = self._now()
        if reported and progress.seconds_left is not None:
            self._end = min(self._end, now + progress.seconds_left)
        left = max(0.0, self._end - now)
        done = now - self._start
        self._share = max(self._share, done / max(done + left, 1e-6) if left else 0.99)
        return replace(progress, seconds_left=left, share=self._share)
