"""What the web layer needs from the rest of the program, handed over once by `app.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.portraits.signing import Signing
from web.brand.kit import NO_BRAND, Brand

if TYPE_CHECKING:
    from pipeline.cluster.cluster import Cluster
    from pipeline.compositing.face_mesh import FaceMesh
    from pipeline.job_queue import JobQueue
    from pipeline.photos.album import Album
    from pipeline.photos.detection import Faces
    from pipeline.planning.planning import Planning
    from pipeline.portraits.mattes import Mattes
    from pipeline.portraits.style import Style
    from privacy.sessions import Sessions
    from privacy.vault import Vault
    from settings import Settings
    from web.done import Done
    from web.entrance import Entrance
    from web.hand_in.service import HandingIn


@dataclass(frozen=True)
class Services:
    """The connected parts. Everything a route does goes through one of these.

    `now` is the sessions' clock, in epoch seconds: what countdowns are measured against.
    `erasure_is_late`: whether the sweeper has failed for minutes. `signer`: signs
    downloads, None while they carry the IPTC mark alone. `brand`: the company's kit.
    `hand_in`: where visitors give portraits to, `done`: where a portal wants them back; None where
    there is no such place. `cluster`: the machines that jobs run on; None where they run here.
    """

    settings: Settings
    sessions: Sessions
    vault: Vault
    album: Album
    mattes: Mattes
    job_queue: JobQueue
    styles: Mapping[str, Style]
    faces: Faces
    mesh: FaceMesh
    planning: Planning
    entrance: Entrance
    now: Callable[[], float] = time.time
    erasure_is_late: Callable[[], bool] = lambda: False
    signer: Signing = field(default_factory=Signing)
    brand: Brand = NO_BRAND
    hand_in: HandingIn | None = None
    done: Done | None = None
    cluster: Cluster | None = None
