"""Connects the parts for one process: the server (`app.py`) or one run of the command line.

Opening an assembly takes hold of the scratch folder, finishes any erasure that a crash interrupted,
and loads nothing heavy: the base is loaded by the first job, and stays for the next ones.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from errors import BaseUnavailable
from pipeline.bases.folder import INDEX, makes_clips, sees_pictures
from pipeline.bases.manifest import NAME as MANIFEST
from pipeline.bases.manifest import require_licence
from pipeline.compositing.face_mesh import FaceMesh
from pipeline.compositing.framing import Wish
from pipeline.compositing.hands import Hands
from pipeline.compositing.matting import cut_out
from pipeline.compositing.segmenter import Segmenter
from pipeline.compositing.studio import has_room, wish_of
from pipeline.imaging import CutOut, Face
from pipeline.job import Services
from pipeline.orders import Limits
from pipeline.photos import cpu_budget
from pipeline.photos.album import Album
from pipeline.photos.arrivals import Keeping
from pipeline.photos.crop import CROP_MARGIN
from pipeline.photos.detection import Faces
from pipeline.photos.ingest import Decoder
from pipeline.planning.calibration import FILE_NAME as CALIBRATION
from pipeline.planning.facts import Facts, facts_of_folder
from pipeline.planning.planning import Planning, require_gpu
from pipeline.portraits.photo_way import PORTRAIT_PX
from pipeline.portraits.style import Style, load_styles
from privacy import kinds
from privacy.clock import Clock
from privacy.database import Database
from privacy.keys import MasterKey
from privacy.receipt_log import ReceiptLog
from privacy.scratch import DATABASE, VAULT, hold
from privacy.sealed import Files
from privacy.sessions import Sessions
from privacy.sweeper import Sweeper
from privacy.units import HOUR_S
from privacy.vault import Vault
from settings import VERSION, Settings

if TYPE_CHECKING:
    from pipeline.bases.base import Base

# The least that training gets of a photo: the mini base works at 160 px, so 768 px of head and
# shoulders leave room for turns and for a closer crop.
TRAINING_PX = 768


@dataclass(frozen=True)
class Assembly:
    """Everything a process needs to serve visitors or to run one job."""

    settings: Settings
    services: Services
    sweeper: Sweeper
    clock: Clock


@dataclass(frozen=True)
class Machine:
    """What makes portraits on this machine, whoever's they are. Nothing heavy is loaded yet."""

    settings: Settings
    looks: dict[str, Style]
    faces: Faces
    segmenter: Segmenter
    mesh: FaceMesh
    facts: Facts | None
    load_base: Callable[[Callable[[], bool]], Base]
    planning: Planning

    def tools(self, vault: Files, decoder: Decoder) -> dict[str, Any]:
        """The fields of `job.Tools` but the vault, for photos that are kept in this one."""
        settings = self.settings
        hands = Hands(settings.models / "faces")
        cut = cutter(self.segmenter, self.mesh, hands, common_wish(self.looks))
        keeping = Keeping(settings.max_photos, settings.photo_px, training_px(self.facts))
        return {
            "album": Album(vault, decoder, self.faces, cut, keeping),
            "faces": self.faces,
            "segmenter": self.segmenter,
            "mesh": self.mesh,
            "styles": self.looks,
            "limits": Limits(
                settings.min_photos, settings.max_portraits, settings.sample_portraits
            ),
            "load_base": self.load_base,
            "planning": self.planning,
        }


def open_machine(
    settings: Settings, styles: Mapping[str, Style] | None = None, *, elsewhere: bool = False
) -> Machine:
    """What makes portraits here.

    styles: the looks by key, instead of those in the settings' folder. elsewhere: jobs run on other
    machines, so that this one needs no GPU.

    Raises:
        BadSettings: a style is broken.
        BaseUnavailable: there is no such base, it needs a GPU that is not there, or the face
            models are missing.
    """
    require_base(settings.base_folder, settings.acknowledge)
    facts = facts_of_folder(settings.base_folder)
    if not elsewhere:
        require_gpu(facts)
    return Machine(
        settings,
        looks=dict(styles or load_styles(settings.styles)),
        faces=Faces(settings.models / "faces"),
        segmenter=Segmenter(settings.models / "faces"),
        mesh=FaceMesh(settings.models / "faces"),
        facts=facts,
        load_base=_loaded_once(settings.base_folder, settings.acknowledge),
        planning=Planning(
            facts,
            settings.scratch / CALIBRATION,
            _others(settings.base_folder),
            sees_pictures=sees_pictures(settings.base_folder),
        ),
    )


@contextmanager
def open_assembly(
    settings: Settings,
    *,
    scratch: Path | None = None,
    master_key: MasterKey | None = None,
    now: Callable[[], float] | None = None,
    styles: Mapping[str, Style] | None = None,
) -> Iterator[Assembly]:
    """The connected parts, and their orderly end.

    Args:
        scratch: instead of `settings.scratch`, for a run of its own, which leaves no receipts.
        master_key: instead of the one that the settings name.
        now: the clock's source, seconds since the epoch; tests pass their own.
        styles: the looks by key, instead of those in the settings' folder.

    Raises:
        BadSettings: the scratch folder is in use, the key file is badly kept, a style is broken,
            the log of receipts cannot be continued (what was overdue is erased by then).
        BaseUnavailable: there is no such base, it needs a GPU that is not there, or the face
            models are missing.
    """
    elsewhere = bool(settings.cluster) and scratch is None
    machine = open_machine(settings, styles, elsewhere=elsewhere)
    own_run, scratch = scratch is not None, scratch or settings.scratch
    with ExitStack() as closing:
        closing.enter_context(hold(scratch))
        key = master_key or load_master_key(settings)
        database = Database(scratch / DATABASE)
        closing.callback(database.close)
        clock = Clock(database, now) if now else Clock(database)
        vault = Vault(scratch / VAULT, database, clock.now)
        sessions = Sessions(
            database,
            vault,
            key,
            clock,
            retention_s=settings.retention_hours * HOUR_S,
            undelivered_s=settings.undelivered_hours * HOUR_S,
        )
        sweeper = Sweeper(sessions, vault)
        sweeper.sweep()
        # What a training had learnt serves only the order that goes on from it.
        vault.drop_without(kinds.CHECKPOINT, kinds.ORDER)
        if not own_run:
            receipt_log = ReceiptLog(settings.receipts, VERSION)
            closing.callback(receipt_log.close)
            sessions.receipts.attach(receipt_log)
        decoder = Decoder(
            max_bytes=settings.max_photo_mb * 1_000_000,
            max_pixels=settings.max_photo_megapixels * 1_000_000,
            cpu_s_per_hour=math.inf if own_run else cpu_budget.SECONDS,
        )
        closing.callback(decoder.close)
        services = Services(**machine.tools(vault, decoder), vault=vault, sessions=sessions)
        yield Assembly(settings, services, sweeper, clock)


def load_master_key(settings: Settings) -> MasterKey:
    """The master key M that the settings name.

    Raises:
        BadSettings: the key file is missing or badly kept.
    """
    if settings.master_key == "ram":
        return MasterKey.ram()
    return MasterKey.from_file(Path(settings.master_key), settings.scratch)


def require_base(folder: Path, acknowledged: Collection[str] = ()) -> None:
    """Fail at start rather than in a visitor's first job.

    Raises:
        BaseUnavailable: the folder has no base in it, one that makes no portraits, or one whose
            licence is not acknowledged.
    """
    require_licence(folder, acknowledged)
    if not (folder / INDEX).is_file():
        raise BaseUnavailable(
            f"There is no base model in {folder}. Set LIKENESS_BASE to a folder under models/, "
            "for example studio-mini."
        )
    if makes_clips(folder):
        raise BaseUnavailable(
            f"The base model {folder.name!r} moves portraits and makes none. Set LIKENESS_BASE to "
            "another folder under models/, for example studio-mini."
        )


def cutter(
    segmenter: Segmenter,
    mesh: FaceMesh | None = None,
    hands: Hands | None = None,
    common: Wish | None = None,
) -> Callable[[NDArray[np.uint8], Face], CutOut]:
    """Cut people out with this segmenter; `mesh` says whether their faces are seen, and `hands`
    whether a hand is before them. common: the frame that a photo should have room for."""

    def cut(image: NDArray[np.uint8], face: Face) -> CutOut:
        made = cut_out(image, face, segmenter.matte, mesh, hands)
        if common is None:
            return made
        return replace(made, tight=not has_room(made.alpha, face.landmarks, common))

    return cut


def common_wish(looks: Mapping[str, Style]) -> Wish | None:
    """The frame that all portraits of a company have in common; None where looks have their own."""
    for style in looks.values():
        if style.photo is not None and style.photo.alike is not None:
            return wish_of(style.photo, style.crop, style.photo.frame, PORTRAIT_PX)
    return None


def training_px(facts: Facts | None) -> int | None:
    """Pixels of the longer side that training gets of a photo: what it needs, and a margin; None
    for a large base, which learns from all that is kept."""
    if facts is None:
        return TRAINING_PX
    if facts.large:
        return None
    return max(TRAINING_PX, round(CROP_MARGIN * facts.sides[0]))


def _others(base: Path) -> list[Facts]:
    """The bases beside this one that could be used instead; one that is broken is none."""
    found = []
    for file in sorted(base.parent.glob(f"*/{MANIFEST}")):
        with suppress(BaseUnavailable):
            found.append(facts_of_folder(file.parent))
    return [facts for facts in found if facts is not None]


def _loaded_once(
    folder: Path, acknowledged: Collection[str]
) -> Callable[[Callable[[], bool]], Base]:
    """A function that loads the base at its first call and gives the same one ever after."""
    lock = threading.Lock()
    loaded: list[Base] = []

    def load(stop: Callable[[], bool]) -> Base:
        from pipeline.bases.loading import load_base

        with lock:
            if not loaded:
                loaded.append(load_base(folder, acknowledged=acknowledged, stop=stop))
            return loaded[0]

    return load
