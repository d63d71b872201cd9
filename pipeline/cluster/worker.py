"""A worker: a process that makes one job's portraits at a time and keeps nothing.

Its standard input is one end of a socket pair; whoever started it carries the frames. It has no
Ray, no port and no folder of its own: keys, photos, model and portraits are in its RAM alone, while
a job runs. When the other end of the pipe closes, or a job outlives its time, it ends at once.

    python -m pipeline.cluster.worker       started by `carrier`, never by hand
"""

from __future__ import annotations

import base64
import gc
import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

import settings as configuration
from errors import GpuFailed, LikenessError, TamperedError
from pipeline import job as jobs
from pipeline import memory
from pipeline.assembly import Machine, open_machine
from pipeline.cluster import told
from pipeline.cluster.cluster_file import ClusterFile
from pipeline.cluster.frames import Frame, Pipe
from pipeline.cluster.identity import Signer
from pipeline.cluster.lines import sign_line
from pipeline.cluster.talk import Talk, job_info, signed
from pipeline.orders import Order, Progress
from pipeline.photos.ingest import Decoder
from privacy.carried import CarriedVault
from privacy.envelope import Receiver
from privacy.file_rows import Entry
from privacy.harden import harden
from privacy.keys import DataKey, Session
from privacy.log import configure as configure_log
from privacy.sealed import Sealed

log = structlog.get_logger()


class _Job:
    """The job that runs now."""

    def __init__(self, number: str, talk: Talk, lives_s: float) -> None:
        self.number, self.talk = number, talk
        self.stopping = threading.Event()
        self.deadline = threading.Timer(lives_s, os._exit, (0,))
        self.deadline.daemon = True
        self.deadline.start()


class Worker:
    """Answers the frames of one pipe."""

    def __init__(
        self, machine: Machine, signer: Signer, pipe: Pipe, *, photo_only: bool = False
    ) -> None:
        self._machine, self._signer, self._pipe = machine, signer, pipe
        ways = machine.planning.ways
        self._ways = tuple(way for way in ways if way == "photo" or not photo_only)
        self._decoder = Decoder(max_bytes=0, max_pixels=0)  # never asked: photos come cut out
        self._receiver = Receiver()
        self._saying = threading.Lock()
        self._job: _Job | None = None
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Answer until the other end is gone."""
        while True:
            frame = self._pipe.receive_frame()
            assert frame is not None
            with suppress(TamperedError):  # it gets no answer, and whoever sent it gives up
                self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        if frame.kind == "hello":
            challenge = frame.parts[0] if frame.parts else b""
            public, facts = self._receiver.public(), json.dumps(self._facts()).encode()
            signature = self._signer.sign(signed(challenge, public, facts))
            parts = (public, facts, self._signer.certificate, signature)
            self._pipe.send_frame(Frame("key", frame.job, parts))
        elif frame.kind == "job":
            if self._thread is not None:
                self._thread.join()  # it has ended, and lets go of what it held
            self._begin(frame)
        elif frame.kind == "talk" and (job := self._job) and job.number == frame.job:
            said, _ = job.talk.hear(frame.parts)
            if said["is"] == "stop":
                job.stopping.set()

    def _begin(self, frame: Frame) -> None:
        secrets = json.loads(self._receiver.open(frame.parts[0], job_info(frame.job)))
        session = Session(secrets["session"], DataKey(base64.b64decode(secrets["key"])))
        talk = Talk(base64.b64decode(secrets["talk"]), frame.job, "worker")
        what, files = talk.hear(frame.parts[1:])
        self._job = _Job(frame.job, talk, float(secrets["lives_s"]))
        given: list[Any] = [self._job, session, what, files]
        del secrets, talk, session, what, files  # `given` alone holds them, and is emptied
        self._thread = threading.Thread(target=self._run, args=(given,), name="job", daemon=True)
        self._thread.start()

    def _run(self, given: list[Any]) -> None:
        number, deadline = given[0].number, given[0].deadline
        try:
            code = self._made_and_said(given)
            self._job = None
            released = _release(self._machine)  # the front need not wait for it
            deadline.cancel()
            if not released:  # with the process everything is
                os._exit(code)
            signed_line = sign_line(self._signer, event="released", job=number)
            self._pipe.send_frame(Frame("over", number, signed_line))
        except OSError:
            os._exit(0)
        if code:
            os._exit(code)

    def _made_and_said(self, given: list[Any]) -> int:
        """Run the job, and tell the front how it ended. Returns the code to exit with, or 0."""
        job, session, what, files = given
        given.clear()
        code = 0
        try:
            last = self._made(job, session, what, files)
        except BaseException as why:  # the edge: whatever it is, the front is told
            log.warning("job_ended", error=type(why).__name__)
            last = {"is": "end", "error": told.error_to_json(why)}
            code = GpuFailed.EXIT if isinstance(why, GpuFailed) else 0
        self._say(job, last)
        return code

    def _made(
        self, job: _Job, session: Session, what: dict[str, Any], files: Sequence[bytes]
    ) -> dict[str, Any]:
        sealed = told.files_from_json(what["files"], files)
        others = [Entry(*row) for row in what["others"]]

        def changed(put: Sequence[Sealed], gone: Sequence[tuple[str, str | None]]) -> None:
            said = {"is": "files", "put": told.files_to_json(put), "gone": list(map(list, gone))}
            self._say(job, said, [file.ciphertext for file in put])

        def report(progress: Progress) -> None:
            self._say(job, {"is": "progress", "progress": told.progress_to_json(progress)})

        machine = replace(self._machine, looks=told.looks_from_json(what["looks"]))
        vault = CarriedVault(session, sealed, others, changed)
        try:
            result = jobs.make(
                session,
                Order.from_json(what["order"]),
                jobs.Tools(vault=vault, **machine.tools(vault, self._decoder)),
                report=report,
                stop=job.stopping.is_set,
            )
        finally:
            vault.forget()
        self._machine.planning.pace.learn(result)
        return {"is": "end", "report": told.report_to_json(result)}

    def _say(self, job: _Job, what: dict[str, Any], files: Sequence[bytes] = ()) -> None:
        with self._saying:  # frames leave in the order of their numbers
            self._pipe.send_frame(Frame("talk", job.number, job.talk.say(what, files)))

    def _facts(self) -> dict[str, Any]:
        return {
            "version": configuration.VERSION,
            "base": self._machine.settings.base_folder.name,
            "ways": list(self._ways),
        }


def _release(machine: Machine) -> bool:
    """Let go of what a job held and overwrite it; False where it cannot be overwritten."""
    if machine.planning.gpu_plans or "torch" in sys.modules:
        jobs.release()
    gc.collect()
    return memory.overwrite_free()


def main() -> int:
    """Serve whoever holds the other end of standard input."""
    harden()
    memory.keep()
    pipe = Pipe(os.dup(0))
    try:
        settings = configuration.load()
        configure_log(settings.log_level)
        signer = ClusterFile.read(Path(settings.cluster)).signer
        photo_only = "--photo-only" in sys.argv
        Worker(open_machine(settings), signer, pipe, photo_only=photo_only).serve()
    except LikenessError as why:
        print(why, file=sys.stderr)
        return 2
    except (EOFError, OSError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
