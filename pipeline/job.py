"""One job: a session's photos become an adapter, the adapter becomes portraits.

This is the whole main path in one function, `run`. It knows the order of the steps and what is
kept when; it knows nothing of queues and threads (`studio`), nor how a model learns (`train`).
Torch is imported when a job runs, never before.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from errors import BadOrder, BaseUnavailable, DiskFull, Stopped, TamperedError
from pipeline.faces import SAME_PERSON
from pipeline.select import PortraitRecord, baseline, person_vector, record_for, signature
from pipeline.styles import Style, choose, crop

if TYPE_CHECKING:
    from pipeline.album import Album, TrainingPhoto
    from pipeline.base import Base
    from pipeline.faces import Faces
    from pipeline.generate import Shot
    from pipeline.train import TrainStep
    from privacy.sessions import Session, Sessions
    from privacy.vault import Vault

Phase = Literal["queued", "preparing", "training", "generating", "done", "stopped", "failed"]

# Until a first job has measured it on this machine: seconds for one portrait of the mini base.
FIRST_GUESS_SECONDS_PER_PORTRAIT = 0.8


@dataclass(frozen=True)
class Order:
    """What the person asked for. `styles` are keys of style files."""

    styles: tuple[str, ...]
    count: int
    seed: int = 7
    keep_adapter: bool = False


@dataclass(frozen=True)
class Limits:
    """What an order may ask, from the settings."""

    min_photos: int
    max_portraits: int


@dataclass(frozen=True)
class Progress:
    """What a page or a terminal shows of a job right now.

    `place` is 0 while the job runs and n when n jobs run before it. `seconds_left` is None until
    something has been measured.
    """

    phase: Phase
    place: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None
    made: int = 0
    count: int = 0
    seconds_left: float | None = None
    sentence: str = ""


@dataclass
class Report:
    """What a finished job measured. Numbers only: nothing in it can show a face."""

    base: str
    adapter: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    headshots: int = 0
    likeness: dict[str, float] = field(default_factory=dict)
    seconds_per_portrait: float = FIRST_GUESS_SECONDS_PER_PORTRAIT


@dataclass(frozen=True)
class Services:
    """The parts that a job uses."""

    vault: Vault
    sessions: Sessions
    album: Album
    faces: Faces
    styles: dict[str, Style]
    limits: Limits
    load_base: Callable[[], Base]


def check(order: Order, good_photos: int, services: Services) -> list[Style]:
    """The chosen styles of an order that can start.

    Raises:
        BadOrder: the count is out of range, a style is unknown, or photos are missing.
    """
    limits = services.limits
    if not 1 <= order.count <= limits.max_portraits:
        raise BadOrder(f"Please ask for 1 to {limits.max_portraits} portraits, not {order.count}.")
    chosen = choose(services.styles, order.styles)
    if good_photos < limits.min_photos:
        raise BadOrder(
            f"{limits.min_photos} good photos are needed to learn a face, and there "
            f"{'is' if good_photos == 1 else 'are'} {good_photos or 'none'} so far. "
            "Please add more photos of the same person."
        )
    return chosen


def run(
    session: Session,
    order: Order,
    services: Services,
    *,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
    seconds_per_portrait: float = FIRST_GUESS_SECONDS_PER_PORTRAIT,
) -> Report:
    """Train on the session's photos, make the portraits, mark the session delivered.

    The adapter lives in the vault from the end of training to the end of the batch, longer only
    with `order.keep_adapter`; a kept one from an earlier order is used again instead of training.
    Until training ends, its latest checkpoint lives there too: when a job was stopped or the
    machine failed, the next one goes on from it.

    Raises:
        BadOrder: the order cannot start.
        BaseUnavailable: the base cannot be loaded, or changed while it was used.
        Stopped: `stop` became true. Portraits made until then stay.
        UnknownSession: the session was erased meanwhile.
        DiskFull: no room; portraits made until then stay.
    """
    started = time.monotonic()
    photos = services.album.training_photos(session)
    styles = check(order, len(photos), services)
    report(Progress("preparing", count=order.count, sentence="Getting the studio ready."))
    base = services.load_base()
    before = base.fingerprint()
    result = Report(base=base.key, seconds_per_portrait=seconds_per_portrait)
    try:
        adapter = _adapter(session, order, services, base, photos, result, report, stop)
        _portraits(session, order, styles, services, base, adapter, photos, result, report, stop)
    finally:
        if not order.keep_adapter:
            services.vault.delete(session, "adapter")
        if services.sessions.alive(session.id) and services.vault.list(session, "portrait"):
            services.sessions.delivered(session)
    if base.fingerprint() != before:
        raise BaseUnavailable("The base model changed during a job. Please restart the server.")
    result.seconds["total"] = round(time.monotonic() - started, 2)
    return result


def _adapter(
    session: Session,
    order: Order,
    services: Services,
    base: Base,
    photos: Sequence[TrainingPhoto],
    result: Report,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> bytes:
    """The adapter of this person as safetensors bytes: kept from before, or trained now."""
    from pipeline.train import CHECKPOINT_EVERY, recipe_for, train

    recipe = recipe_for(base, len(photos))
    started = time.monotonic()
    if services.vault.list(session, "adapter"):
        adapter = services.vault.open(session, "adapter", "adapter")
    else:
        later = order.count * result.seconds_per_portrait
        sentence = ""

        def show(now: TrainStep) -> None:
            nonlocal sentence
            sentence = sentence or _learning(done=now.step - 1)
            report(
                Progress(
                    "training",
                    step=now.step,
                    steps=now.steps,
                    loss=now.loss,
                    count=order.count,
                    seconds_left=now.seconds_left + later,
                    sentence=sentence,
                )
            )

        def keep(checkpoint: bytes) -> None:
            with suppress(DiskFull):  # training goes on; it could only not be continued
                services.vault.put(session, "checkpoint", "checkpoint", checkpoint)

        def learn(checkpoint: bytes | None) -> bytes:
            return train(
                base,
                list(photos),
                services.faces,
                recipe,
                seed=order.seed,
                report=show,
                stop=stop,
                keep=keep,
                every=CHECKPOINT_EVERY,
                resume=checkpoint,
            )

        try:
            adapter = learn(_checkpoint(services.vault, session))
        except TamperedError:  # of the checkpoint: the photos were opened and verified before
            services.vault.delete(session, "checkpoint")
            adapter = learn(None)
        services.vault.put(session, "adapter", "adapter", adapter)
        services.vault.delete(session, "checkpoint")
    result.seconds["train"] = round(time.monotonic() - started, 2)
    result.adapter = {"rank": recipe.rank, "steps": recipe.steps, "bytes": len(adapter)}
    return adapter


def _learning(*, done: int) -> str:
    """What to say while training that had `done` steps behind it when it began."""
    words = "Learning what makes you look like you."
    return f"{words} Continued from step {done}." if done else words


def _checkpoint(vault: Vault, session: Session) -> bytes | None:
    """Where an earlier training of this session was interrupted, if it was."""
    if not vault.list(session, "checkpoint"):
        return None
    return vault.open(session, "checkpoint", "checkpoint")


def _portraits(
    session: Session,
    order: Order,
    styles: list[Style],
    services: Services,
    base: Base,
    adapter: bytes,
    photos: Sequence[TrainingPhoto],
    result: Report,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    """Make, score and keep the portraits one by one; each is visible as soon as it is kept."""
    from pipeline.generate import generate, plan

    person = person_vector(photos)
    records = load_sheet(services.vault, session)
    earlier = len(records)
    started = time.monotonic()
    progress = Progress("generating", count=order.count, sentence="Making your portraits.")
    report(replace(progress, seconds_left=order.count * result.seconds_per_portrait))
    shots = plan(styles, order.count, order.seed)
    # Closed at once, also by an error in between: an open generator keeps its adapter attached.
    with closing(generate(base, adapter, shots, stop=stop)) as making:
        for shot, square in making:
            image = crop(square, shot.style.crop)
            number = f"portrait-{len(records) + 1:03d}"
            record = judged(number, shot, image, services.faces, person)
            services.vault.put(session, "portrait", record.id, _png(image))
            records.append(record)
            _save_sheet(services.vault, session, records)
            made = len(records) - earlier
            result.seconds_per_portrait = (time.monotonic() - started) / made
            left = (order.count - made) * result.seconds_per_portrait
            report(replace(progress, made=made, seconds_left=left))
    if len(records) - earlier < order.count:
        raise Stopped
    scores = [record.likeness for record in records[earlier:]]
    result.seconds["generate"] = round(time.monotonic() - started, 2)
    result.headshots = len(scores)
    result.likeness = {
        "baseline": round(baseline(photos), 4),
        "median": round(float(np.median(scores)), 4),
        "share_same_person": round(float(np.mean([s > SAME_PERSON for s in scores])), 4),
    }


def judged(
    number: str, shot: Shot, image: np.ndarray, faces: Faces, person: np.ndarray
) -> PortraitRecord:
    """The record of a portrait, uint8 RGB [H, W, 3]: likeness, where the face is, signature."""
    found = faces.closest(image, person)
    if found is None:
        return record_for(number, shot, -1.0)
    likeness, face, embedding = found
    height, width = image.shape[:2]
    box = tuple(np.asarray(face.box) / (width, height, width, height))
    return record_for(number, shot, likeness, box, signature(image, embedding))


def load_sheet(vault: Vault, session: Session) -> list[PortraitRecord]:
    """What is known of each portrait made so far, in the order they were made."""
    if not vault.list(session, "sheet"):
        return []
    rows: list[dict[str, Any]] = json.loads(vault.open(session, "sheet", "portraits"))
    return [PortraitRecord.from_row(row) for row in rows]


def _save_sheet(vault: Vault, session: Session, records: Sequence[PortraitRecord]) -> None:
    rows = [asdict(record) for record in records]
    vault.put(session, "sheet", "portraits", json.dumps(rows).encode())


def _png(image: np.ndarray) -> bytes:
    """PNG without metadata. Level 1: three times faster than the default, a tenth larger."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
