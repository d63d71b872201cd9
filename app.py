"""Likeness: private AI headshots. `python app.py` starts the server with the `LIKENESS_*` settings.

Reads the settings, connects the parts, erases what is overdue, opens the port. In that order, so
that nobody can reach a server that still keeps what it should have forgotten.
"""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

import settings as configuration
from errors import BadSettings, GpuFailed, LikenessError
from pipeline import memory
from privacy.harden import harden
from privacy.log import configure as configure_log
from words import tell

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Cluster
    from pipeline.job import Services

_SWITCH_S = 0.001

GPU_FAILED = GpuFailed.EXIT


def main() -> int:
    """Run the server until it is told to stop; returns the exit code."""
    try:
        settings = configuration.load()
        configure_log(settings.log_level)
        harden()
        memory.keep()
        serve(settings)
    except GpuFailed:
        return GPU_FAILED
    except LikenessError as why:
        print(tell(why.for_operator), file=sys.stderr)
        return 2
    return 0


def serve(settings: configuration.Settings) -> None:
    """Open the assembly and the port; returns when the server is told to stop.

    Raises:
        BadSettings: the port is taken, the scratch folder is in use, a key file is badly kept or
            cannot be used, the brand kit or the file of hand-ins has a mistake.
        BaseUnavailable: the base or the face models are missing.
        GpuFailed: the server ended itself, when nothing was left that it could do.
    """
    gc.disable()  # nothing made until the port opens is garbage; looking for it takes half a second
    # A page that polls waits for the training thread to let go of the interpreter, several times.
    sys.setswitchinterval(_SWITCH_S)
    listening = listen(settings.host, settings.port)  # fails fast; accepts nobody before listen()
    from pipeline.assembly import open_assembly
    from pipeline.job_queue import JobQueue
    from pipeline.portraits import signing
    from pipeline.portraits.mattes import Mattes
    from web.brand.kit import load as load_brand
    from web.entrance import Entrance
    from web.hand_in.service import open_desk
    from web.http import connections
    from web.server import build
    from web.services import Services as WebServices

    brand = load_brand(settings.brand, settings.styles)
    signer = signing.load(settings.c2pa_key, settings.c2pa_chain, settings.c2pa_sign)
    with open_assembly(settings, styles=brand.styles) as assembly:
        parts = assembly.services
        cluster = open_cluster(settings, parts, assembly.clock.now)
        lanes = None if cluster is None else ()
        job_queue = JobQueue(parts, queue_length=settings.queue_length, lanes=lanes)
        entrance = Entrance(settings, assembly.clock.now)
        assembly.sweeper.chores.append(entrance.forget)
        hand_in, done = open_desk(settings, parts.sessions, assembly.clock.now)
        web = WebServices(
            settings=settings,
            sessions=parts.sessions,
            vault=parts.vault,
            album=parts.album,
            mattes=Mattes(parts.album, parts.segmenter.matte, parts.styles),
            job_queue=job_queue,
            styles=parts.styles,
            faces=parts.faces,
            mesh=parts.mesh,
            planning=parts.planning,
            entrance=entrance,
            now=assembly.clock.now,
            erasure_is_late=assembly.sweeper.late,
            signer=signer,
            brand=brand,
            hand_in=hand_in,
            done=done,
            cluster=cluster,
        )
        server = uvicorn.Server(
            connections.config(
                build(settings, web), settings.trusted_proxies, timeout_graceful_shutdown=5
            )
        )
        job_queue.on_gpu_failed = lambda: setattr(server, "should_exit", True)
        gc.freeze()
        gc.enable()
        assembly.sweeper.start()
        if cluster is not None:
            cluster.start(job_queue)
        if hand_in is not None:
            hand_in.start()
        try:
            host, port = listening.getsockname()[:2]
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
            listening.listen()  # who reads the next line may come before the server takes over
            print(f"Likeness is ready: http://{shown}:{port}", flush=True)
            server.run(sockets=[listening])
        finally:
            if hand_in is not None:
                hand_in.stop()
            assembly.sweeper.stop()
            job_queue.close()
            if cluster is not None:
                cluster.close()
        if job_queue.gpu_failed:
            raise GpuFailed


def open_cluster(
    settings: configuration.Settings, services: Services, now: Callable[[], float]
) -> Cluster | None:
    """The machines that jobs run on; None where they run in this process.

    Raises:
        BadSettings: the file of the cluster is not what it should be, or Ray is not installed.
    """
    if not settings.cluster:
        return None
    from pipeline.cluster.cluster import Cluster
    from pipeline.cluster.lines import FILE, Lines

    return Cluster(
        Path(settings.cluster), services, now, keep_line=Lines(settings.receipts / FILE).keep
    )


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        BadSettings: the address cannot be used, in a sentence.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio turns TCP's waiting for more to send (40 ms with each answer)
    # off only for sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as why:
        listening.close()
        reason = why.strerror if isinstance(why, OSError) else str(why)
        raise BadSettings(
            f"Port {port} on {host} cannot be used ({reason}). Is Likeness running already? "
            "Set LIKENESS_PORT to another port."
        ) from None
    return listening


if __name__ == "__main__":
    sys.exit(main())
