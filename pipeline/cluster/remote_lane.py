"""A lane whose jobs run in a worker: what leaves is sealed for it, what comes back is encrypted.

    hello, challenge          ──►
                              ◄── a new key, signed with the machine's certificate
    envelope: session's key   ──►     (HPKE; opens once, within a minute, for this job)
    order, looks, files       ──►     (under the job's key; files as they lie in the vault)
                              ◄── progress; portraits, checkpoints: into the vault as they come
                              ◄── how it ended; then: nothing is held any more, signed

The front opens none of the files, and keeps only such as a job makes. A worker that is gone, silent
or not to be believed is lost: its job goes on elsewhere, from what it had kept.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from errors import DiskFull, GpuFailed, TamperedError, UnknownSession
from pipeline.cluster import told
from pipeline.cluster.frames import Frame
from pipeline.cluster.identity import Authority
from pipeline.cluster.lines import KeepLine, read_line
from pipeline.cluster.link import Link, LinkLost
from pipeline.cluster.meeting import Facts, meet
from pipeline.cluster.talk import Talk, job_info
from pipeline.job import Services, delivered
from pipeline.lanes import LaneLost
from pipeline.orders import Order, Progress, Report
from pipeline.portraits.sheet import PORTRAITS
from privacy import envelope, kinds
from privacy.sealed import Sealed
from privacy.sessions import Session

log = structlog.get_logger()

SILENT_S = 600.0
"""Longest time in which a running job says nothing."""

STOPS_S = 20.0
"""Longest time from a stop to its end; then the worker is ended."""

LONGEST_S = 12 * 3600.0
SHORTEST_S = 30.0
"""Of a job: until its session is erased, within these."""

CARRIED = (kinds.PHOTO, kinds.FACE, kinds.CHECKPOINT, kinds.ADAPTER)
MADE = {kinds.PORTRAIT: "portrait-", kinds.CHECKPOINT: "checkpoint", kinds.ADAPTER: "adapter"}
"""What a job may keep: kinds, and how names begin. And the sheet of what jobs made."""

_TICK_S = 0.25


class RemoteLane:
    """Jobs in one worker process."""

    def __init__(
        self,
        link: Link,
        services: Services,
        authority: Authority,
        now: Callable[[], float] = time.time,
        keep_line: KeepLine = lambda line: None,
    ) -> None:
        """
        Args:
            now: the sessions' clock.
            keep_line: given what a machine signs when it holds nothing of a job any more.
        """
        self._link, self._services, self._authority = link, services, authority
        self._now, self._keep_line = now, keep_line
        self._lock = threading.Lock()
        self._session_id: str | None = None
        self.alive, self.drained = True, False
        self.facts = Facts("", "", ())
        self.done = 0

    @property
    def name(self) -> str:
        """The worker's."""
        return self._link.name

    @property
    def busy(self) -> bool:
        """Whether a job runs here."""
        return self._session_id is not None

    def meet(self) -> Facts:
        """Ask the worker who it is, before its first job.

        Raises:
            LaneLost: it is gone, of another version, or no machine of this cluster.
        """
        try:
            self._met("")
        except (LinkLost, TamperedError) as why:
            raise self._lost(type(why).__name__) from None
        return self.facts

    def takes(self, order: Order) -> bool:
        """Tell whether the worker goes that way."""
        return self.alive and not self.drained and order.way in self.facts.ways

    def run(
        self,
        session: Session,
        order: Order,
        *,
        report: Callable[[Progress], None],
        stop: Callable[[], bool],
        seconds_per_portrait: float | None,
    ) -> Report:
        """Make the portraits there.

        Raises:
            LaneLost: the worker is lost. And as `job.run`.
        """
        self._services.album.finish_all(session)
        with self._lock:
            self._session_id = session.id
        try:
            made = self._made(session, order, report, stop)
        except (LinkLost, TamperedError, GpuFailed) as why:
            raise self._lost(type(why).__name__) from None
        except UnknownSession:
            self._end()
            raise
        finally:
            with self._lock:
                self._session_id = None
            delivered(session, self._services)
        self.done += 1
        return made

    def abandon(self, session_id: str) -> None:
        """End the worker if it holds something of that session."""
        with self._lock:
            if self._session_id == session_id:
                self._end()

    def rest(self, order: Order) -> None:
        """Nothing of the job was on this machine."""

    def _made(
        self,
        session: Session,
        order: Order,
        report: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> Report:
        job, key = secrets.token_hex(16), os.urandom(32)
        public = self._met(job)
        talk = Talk(key, job, "front")
        erased_in = self._services.sessions.deadline(session).erase_at - self._now()
        whose = {
            "session": session.id,
            "key": base64.b64encode(session.data_key.reveal()).decode(),
            "talk": base64.b64encode(key).decode(),
            "lives_s": min(max(erased_in, SHORTEST_S), LONGEST_S),
        }
        sealed = envelope.seal(public, json.dumps(whose).encode(), job_info(job))
        del whose
        what, files = self._carried(session, order)
        self._link.send(Frame("job", job, (sealed, *talk.say(what, files))))
        del files
        return self._listen(session, job, talk, report, stop)

    def _carried(self, session: Session, order: Order) -> tuple[dict[str, Any], list[bytes]]:
        """What the worker needs to know, and the files."""
        vault, files, others = self._services.vault, list[Sealed](), []
        for entry in vault.list(session):
            if entry.kind in CARRIED or (entry.kind, entry.name) == (kinds.SHEET, PORTRAITS):
                files.append(vault.sealed(session, entry.kind, entry.name))
            else:
                others.append([entry.kind, entry.name, entry.size, 0.0])
        what = {
            "order": order.to_json(),
            "looks": told.looks_to_json(self._services.styles),
            "files": told.files_to_json(files),
            "others": others,
        }
        return what, [file.ciphertext for file in files]

    def _listen(
        self,
        session: Session,
        job: str,
        talk: Talk,
        report: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> Report:
        heard_at, stopped_at, full = time.monotonic(), None, False
        while True:
            now = time.monotonic()
            if stopped_at is None and (full or stop()):
                stopped_at = now
                self._link.send(Frame("talk", job, talk.say({"is": "stop"})))
            if now - heard_at > SILENT_S or (stopped_at and now - stopped_at > STOPS_S):
                raise LinkLost
            frame = self._link.receive(_TICK_S)
            if frame is None or frame.kind != "talk" or frame.job != job:
                self._heed(frame)
                continue
            heard_at = now
            match told.heard(*talk.hear(frame.parts)):
                case Progress() as progress:
                    report(progress)
                case told.Made() as made:
                    full |= not self._keep(session, made)
                case _ if full:
                    raise DiskFull
                case Report() as result:
                    return result
                case error:
                    raise error

    def _keep(self, session: Session, made: told.Made) -> bool:
        """Put what a job made into the vault; False when the disk is full.

        Raises:
            TamperedError: it is nothing that a job makes. UnknownSession: the session was erased.
        """
        if not all(_may_be_made(file.kind, file.name) for file in made.put):
            raise TamperedError
        vault = self._services.vault
        try:
            if made.put:
                vault.put_sealed(session, made.put)
        except DiskFull:
            return all(
                file.kind == kinds.CHECKPOINT for file in made.put
            )  # only not to be continued
        except ValueError:
            raise TamperedError from None
        for kind, name in made.gone:
            if kind not in (kinds.CHECKPOINT, kinds.ADAPTER):
                raise TamperedError
            vault.delete(session, kind, name)
        return True

    def _met(self, job: str) -> bytes:
        """A new key of the worker's, for one job; what it says of itself is kept.

        Raises:
            LinkLost, TamperedError
        """
        met = meet(self._link, self._authority, job, self._heed)
        self.facts = met.facts
        return met.public

    def _heed(self, frame: Frame | None) -> None:
        """Take note of a machine's word that it holds nothing of a job any more."""
        if frame is not None and frame.kind == "over":
            self._keep_line(read_line(self._authority, frame.parts))

    def _lost(self, why: str) -> LaneLost:
        log.warning("worker_lost", worker=self.name, because=why)
        self._end()
        return LaneLost()

    def _end(self) -> None:
        self.alive = False
        self._link.kill()


def _may_be_made(kind: str, name: str) -> bool:
    if kind == kinds.SHEET:
        return name == PORTRAITS
    return kind in MADE and name.startswith(MADE[kind])
